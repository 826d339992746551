"""Two clients that keep a gateway busy: a closed loop of whole requests, and streams whose chunks are timed.

Run as a process of its own; the task comes as JSON in the first argument, the figures leave as JSON::

    {"kind": "closed", "port", "path", "headers": {..}, "body", "connections", "seconds"}
    {"kind": "streams", "port", "path", "headers": {..}, "body", "streams", "spread_s"}
"""

import asyncio
import json
import sys
import time
from typing import Any

import numpy as np
import uvloop

_BETWEEN = b"\r\n\r\n"
_SOONEST_S = 0.02


def request(task: dict[str, Any]) -> bytes:
    """The bytes of one request."""
    body = task["body"].encode()
    lines = [f"POST {task['path']} HTTP/1.1", f"host: 127.0.0.1:{task['port']}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in task["headers"].items()]
    return "\r\n".join([*lines, f"content-length: {len(body)}"]).encode() + _BETWEEN + body


class Closed(asyncio.Protocol):
    """One connection: the next request goes out when the answer is whole."""

    def __init__(self, data: bytes, until_s: float, took: list[float], faults: list[str]) -> None:
        self.data, self.until_s, self.took, self.faults = data, until_s, took, faults
        self.buffer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.sent_s = time.perf_counter()
        self.transport.write(self.data)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        buffer = self.buffer + data if self.buffer else data
        end = buffer.find(_BETWEEN)
        if end < 0:
            self.buffer = buffer
            return
        head = buffer[:end].lower()
        at = head.find(b"content-length:")
        if at >= 0:
            whole = len(buffer) >= end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])
        else:
            whole = buffer.endswith(b"0\r\n\r\n")
        if not whole:
            self.buffer = buffer
            return
        self.buffer = b""
        now_s = time.perf_counter()
        self.took.append(now_s - self.sent_s)
        if not buffer.startswith(b"HTTP/1.1 200"):
            self.faults.append(buffer[:80].decode("latin-1"))
        if now_s < self.until_s:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        if exc is not None or time.perf_counter() < self.until_s:
            self.faults.append(f"connection lost: {exc}")
        if not self.done.done():
            self.done.set_result(None)


async def closed(task: dict[str, Any]) -> dict[str, Any]:
    """Requests of all connections within the time."""
    took: list[float] = []
    faults: list[str] = []
    data, loop, begun_s = request(task), asyncio.get_running_loop(), time.perf_counter()
    clients = []
    for _ in range(task["connections"]):
        _, client = await loop.create_connection(
            lambda: Closed(data, begun_s + task["seconds"], took, faults), "127.0.0.1", task["port"]
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    seconds = time.perf_counter() - begun_s
    found = np.array(took) * 1e3
    return {
        "requests": len(took),
        "rps": len(took) / seconds,
        "p50_ms": float(np.percentile(found, 50)),
        "p99_ms": float(np.percentile(found, 99)),
        "faults": len(faults),
        "first_fault": faults[0] if faults else "",
    }


async def one_stream(task: dict[str, Any], data: bytes, ages_s: list[float]) -> bool:
    """Read one stream; each event says when it was written. Whether it ended with its mark."""
    reader, writer = await asyncio.open_connection("127.0.0.1", task["port"])
    writer.write(data)
    done = False
    async for line in reader:
        now_ns = time.perf_counter_ns()
        if line.startswith(b"data: [DONE]"):
            done = True
            break
        at = line.find(b'"content":"')
        if line.startswith(b"data: ") and at >= 0:
            ages_s.append((now_ns - int(line[at + 11 :].split(b'"', 1)[0])) / 1e9)
    writer.close()
    await writer.wait_closed()
    return done


async def streams(task: dict[str, Any]) -> dict[str, Any]:
    """All streams at once, their beginnings spread."""
    ages_s: list[float] = []
    data = request(task)

    async def late(number: int) -> bool:
        await asyncio.sleep(_SOONEST_S + task["spread_s"] * number / task["streams"])
        return await one_stream(task, data, ages_s)

    ended = await asyncio.gather(*(late(number) for number in range(task["streams"])))
    found = np.array(ages_s) * 1e3
    return {
        "chunks": len(ages_s),
        "whole": sum(ended),
        "p50_ms": float(np.percentile(found, 50)) if ages_s else float("nan"),
        "p99_ms": float(np.percentile(found, 99)) if ages_s else float("nan"),
    }


def main() -> None:
    """Command line."""
    task = json.loads(sys.argv[1])
    kind = {"closed": closed, "streams": streams}[task["kind"]]
    sys.stdout.write(json.dumps(uvloop.run(kind(task))) + "\n")


if __name__ == "__main__":
    main()
