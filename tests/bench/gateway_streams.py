"""What strict recording adds to each piece of a stream: many streams at once against a real ledger process.

The upstream is a timer that gives one event every ``EVERY_MS``; there is no HTTP on either side. The delay of a piece is
the time from the instant at which the upstream gave it to the instant at which it left for the caller. The same streams
are run in the mode that waits for nothing and in the strict one, interleaved, and the difference of the medians is the
price. Prints a table, writes JSON.
"""

import asyncio
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parent / "gateway_rig"))

from allowing import Allowing, build  # the path is set above

from roadworthy.domain.exchange import RecordMode  # as above
from roadworthy.domain.risk import Tier  # as above
from roadworthy.gateway.config import OpenAiRoute  # as above
from roadworthy.gateway.exchange import Answer, Attempt  # as above
from roadworthy.gateway.ledger_client import LedgerClient  # as above

STREAMS = (20, 200)
PIECES = 40
EVERY_MS = 20
REPEATS = 3
OUT = Path("build/bench/gateway_streams.json")
EVENT = b'data: {"id":"c-1","choices":[{"index":0,"delta":{"content":"%d"},"finish_reason":null}]}\n\n'


ROUTES = [OpenAiRoute(protocol="openai", models=["m-1"])]


class Yes(Allowing):
    """Every stage at once; its upstream streams by a timer and notes when it gave each piece."""

    def __init__(self):
        self.given = {}

    async def answer(self, question, key):
        number = int(question.target.rpartition(b"=")[2])
        head = [(b"content-type", b"text/event-stream")]
        return Answer(200, head, parts=self._parts(number), attempts=[Attempt("primary", "200", 1_000)])

    async def _parts(self, number):
        # Streams begin spread over one interval, as callers do.
        await asyncio.sleep(number % EVERY_MS / 1_000)
        for piece in range(PIECES):
            self.given[number, piece] = time.perf_counter()
            yield EVENT % piece
            await asyncio.sleep(EVERY_MS / 1_000)
        yield b"data: [DONE]\n\n"


async def stream(app, yes, number, delays):
    """One stream; the delay of each piece in milliseconds."""
    body = {"type": "http.request", "body": b'{"model":"m-1","stream":true}', "more_body": False}
    waiting = [body]
    left = 0

    async def receive():
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()

    async def send(message):
        nonlocal left
        now = time.perf_counter()
        for _ in range(message.get("body", b"").count(b'"delta"')):
            delays.append((now - yes.given.pop((number, left))) * 1e3)
            left += 1

    path, query = b"/v1/chat/completions", b"stream=%d" % number
    scope = {"type": "http", "method": "POST", "raw_path": path, "query_string": query, "headers": []}
    await app(scope, receive, send)
    assert left == PIECES


async def measure(socket):
    """All cases, interleaved; delays by streams and mode."""
    ledger = LedgerClient(socket, node="bench", worker=0, most_waiting=65_536)
    ledger.start()
    assert await ledger.ready(10)
    delays = {(count, mode.value): [] for count in STREAMS for mode in (RecordMode.INTENT_ONLY, RecordMode.STRICT)}
    cpu = dict.fromkeys(delays, 0.0)
    for _ in range(REPEATS):
        for (count, mode), found in delays.items():
            yes = Yes()
            app, _, _ = build(yes, ledger, ROUTES, tier=Tier.R1, mode=RecordMode(mode))
            began = time.process_time()
            await asyncio.gather(*(stream(app, yes, number, found) for number in range(count)))
            cpu[count, mode] += (time.process_time() - began) / (REPEATS * count * PIECES) * 1e6
    await ledger.close()
    return delays, cpu


def main() -> None:
    """Start a ledger, measure, report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {
            "folder": str(folder / "log"),
            "origin": "example.org/bench",
            "key_path": str(folder / "log.key"),
            "socket_path": str(folder / "l.sock"),
            "most_waiting": 65_536,
        }
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        command = [sys.executable, "-m", "roadworthy.ledgerd", "--settings", str(folder / "settings.json")]
        with subprocess.Popen(
            [*command, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            try:
                delays, cpu = uvloop.run(measure(folder / "l.sock"))
            finally:
                process.stdin.close()
                process.wait(20)
    print(f"{PIECES} pieces a stream, one every {EVERY_MS} ms, {REPEATS} runs each; delays in milliseconds\n")
    print(f"{'streams':>7} {'mode':12} {'p50':>7} {'p99':>7} {'CPU us a piece':>15}")
    figures = []
    for (count, mode), values in delays.items():
        p50, p99 = statistics.median(values), statistics.quantiles(values, n=100)[98]
        figures.append({"streams": count, "mode": mode, "p50_ms": p50, "p99_ms": p99, "cpu_us": cpu[count, mode]})
        print(f"{count:7} {mode:12} {p50:7.2f} {p99:7.2f} {cpu[count, mode]:15.1f}")
    for plain, strict in zip(figures[::2], figures[1::2], strict=True):
        print(f"strict adds {strict['p50_ms'] - plain['p50_ms']:.2f} ms p50 with {plain['streams']} streams")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"python": platform.python_version(), "figures": figures}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
