"""How fast the ledger's process is: 600-byte records over its socket, 1 to 256 outstanding, one append each.

Prints a table and writes build/bench/ledgerd.json. ``cpu us`` is the processor time of the ledger's process for one record,
the last rows have
16 records an append, as a worker sends under load; ``sync p50`` is that of this disk,
measured alone: 4 KiB at the front of a file that was written before. The client shares the two cores.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from roadworthy.wire.ledger_messages import LedgerRecord, MessageType, Reader, append_body, encode

OUT = Path("build/bench/ledgerd.json")
RECORD = LedgerRecord(b'{"text":"' + b"x" * 580 + b'"}', b"")
SECONDS = 3.0
OUTSTANDING = (1, 16, 64, 256)


class Driver(asyncio.Protocol):
    """Keeps so many appends under way, each of so many records."""

    def __init__(self, outstanding, records):
        self.outstanding = outstanding
        self.body = append_body([RECORD] * records)
        self.reader = Reader()
        self.sent = {}
        self.latencies = []
        self.refused = 0
        self.number = 0
        self.until_s = time.perf_counter() + SECONDS
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(encode(MessageType.HELLO, 0, b'{"version":1}'))

    def data_received(self, data):
        now_s = time.perf_counter()
        messages = self.reader.feed(data)
        for message in messages:
            if message.type is MessageType.APPENDED:
                self.latencies.append(now_s - self.sent.pop(message.request))
            elif message.type is MessageType.REFUSED:
                self.refused += 1
                self.sent.pop(message.request)
        if now_s < self.until_s:
            self._fill()
        elif not self.sent and not self.done.done():
            self.done.set_result(None)

    def _fill(self):
        burst = []
        while len(self.sent) < self.outstanding:
            self.number += 1
            self.sent[self.number] = time.perf_counter()
            burst.append(encode(MessageType.APPEND, self.number, self.body))
        self.transport.write(b"".join(burst))


def cpu_s(pid):
    """Processor time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sync_us(folder):
    """The median sync of 4 KiB into a file whose blocks are written."""
    handle = os.open(Path(folder) / "probe", os.O_RDWR | os.O_CREAT)
    os.pwrite(handle, bytes(1 << 20), 0)
    os.fdatasync(handle)
    times = []
    for number in range(200):
        os.pwrite(handle, b"y" * 4096, 4096 * number % (1 << 20))
        began_s = time.perf_counter()
        os.fdatasync(handle)
        times.append(time.perf_counter() - began_s)
    os.close(handle)
    return sorted(times)[100] * 1e6


async def measure(path, pid, outstanding, records):
    """One row."""
    loop = asyncio.get_running_loop()
    before_s = cpu_s(pid)
    began_s = time.perf_counter()
    transport, driver = await loop.create_unix_connection(lambda: Driver(outstanding, records), str(path))
    await driver.done
    took_s = time.perf_counter() - began_s
    transport.close()
    latencies = sorted(driver.latencies)
    count = len(latencies) * records
    return {
        "outstanding": outstanding,
        "records_per_append": records,
        "records_per_s": round(count / took_s),
        "p50_us": round(latencies[len(latencies) // 2] * 1e6),
        "p99_us": round(latencies[int(len(latencies) * 0.99)] * 1e6),
        "max_us": round(latencies[-1] * 1e6),
        "cpu_us_per_record": round((cpu_s(pid) - before_s) / count * 1e6, 1),
        "refused": driver.refused,
    }


def main():
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        settings = Path(folder) / "settings.json"
        names = {"folder": "ledger", "origin": "example.org/bench", "key_path": "key.pem", "socket_path": "l.sock"}
        settings.write_text(json.dumps(names), encoding="utf-8")
        sync = sync_us(folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "roadworthy.ledgerd", "--settings", str(settings), "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            process.stdout.readline()
            rows = []
            for outstanding, records in (*((each, 1) for each in OUTSTANDING), (4, 16), (16, 16)):
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    row = runner.run(measure(Path(folder) / "l.sock", process.pid, outstanding, records))
                rows.append(row)
                print(row, flush=True)
        finally:
            process.communicate(timeout=30)
    print(f"sync p50 {sync:.0f} us")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rows": rows, "sync_p50_us": round(sync)}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
