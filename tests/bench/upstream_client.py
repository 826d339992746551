"""CPU time that the gateway's upstream client takes for one request, against the cheapest server that Python allows.

The server is a process of its own, so that only the client is measured: user and system time of this process, divided by
the requests. ``bare`` is what a protocol costs that writes the same bytes and takes whatever comes back, unread: the
system calls and the loop, which no client can save. The three take turns, and the least of the rounds counts, because a
busy machine only ever adds. Prints a table, writes ``build/bench/upstream_client.json``.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import uvloop

from roadworthy.gateway.config import UseCase
from roadworthy.gateway.exchange import Question
from roadworthy.gateway.ladder import build_ladder
from roadworthy.gateway.upstream.client import UpstreamClient

ROOT = Path(__file__).parents[2]
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 320}]}).encode()
ROUNDS = 5
HEADERS = [
    (b"content-type", b"application/json"),
    (b"accept", b"application/json"),
    (b"user-agent", b"bench"),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
]
QUESTION = Question(b"POST", b"/v1/chat/completions", HEADERS, BODY)


class Bare(asyncio.Protocol):
    """Writes and reads, understands nothing."""

    def connection_made(self, transport):
        """Called by the loop."""
        self.transport = transport

    def data_received(self, data):
        """Called by the loop."""
        self.waiter.set_result(data)


async def bare(port: int, at_once: int):
    """Asks over connections that are never given up."""
    loop = asyncio.get_running_loop()
    free = [(await loop.create_connection(Bare, "127.0.0.1", port))[1] for _ in range(at_once)]
    request = b"x" * 300 + BODY

    async def ask():
        connection = free.pop()
        connection.waiter = loop.create_future()
        connection.transport.write(request)
        await connection.waiter
        free.append(connection)

    return ask


def cpu_s() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measured(ask, requests: int, at_once: int) -> tuple[float, float]:
    """CPU microseconds a request, and requests a second."""

    async def caller(count: int) -> None:
        for _ in range(count):
            await ask()

    await asyncio.gather(*(caller(20) for _ in range(at_once)))
    cpu_before_s, before_s = cpu_s(), time.perf_counter()
    await asyncio.gather(*(caller(requests // at_once) for _ in range(at_once)))
    return (cpu_s() - cpu_before_s) / requests * 1e6, requests / (time.perf_counter() - before_s)


async def run(port: int, requests: int, at_once: int) -> dict[str, tuple[float, float]]:
    """The best round of each."""
    config = UseCase.model_validate(
        {
            "tier": "R1",
            "purposes": ["bench"],
            "routes": [{"protocol": "openai", "models": ["m"]}],
            "upstreams": {"primary": {"url": f"http://127.0.0.1:{port}"}},
        }
    )
    client = UpstreamClient("primary", config.upstreams["primary"])
    ladder = build_ladder("bench", config)
    asks = {
        "bare": await bare(port, at_once),
        "client": lambda: client.send(QUESTION),
        "ladder": lambda: ladder.answer(QUESTION, b""),
    }
    rounds = [{name: await measured(ask, requests, at_once) for name, ask in asks.items()} for _ in range(ROUNDS)]
    await client.close()
    await ladder.close()
    return {name: min(each[name] for each in rounds) for name in asks}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=32_000)
    parser.add_argument("--at-once", type=int, default=64)
    options = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("trivial_server.py"))], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(server.stdout.readline())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(run(port, options.requests, options.at_once))
    finally:
        server.terminate()
        server.wait()
    print(f"{'what':<10}{'CPU us/request':>16}{'requests/s':>14}")
    for name, (cpu_us, rps) in found.items():
        print(f"{name:<10}{cpu_us:>16.1f}{rps:>14,.0f}")
    target = ROOT / "build" / "bench" / "upstream_client.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(
        json.dumps({name: {"cpu_us": cpu_us, "rps": rps} for name, (cpu_us, rps) in found.items()}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
