"""CPU time of one exchange through the gateway's own code, without a network. Prints a table, writes JSON.

Every stage is a fake that says yes, the upstream and the ledger answer in the same turn of the event loop. What is left
is what this package adds: routing, headers, JSON, both leaves, sealing, releasing. CPU seconds are the process's own, so
another process on the machine does not change them. Runs are interleaved, and the median is quoted with its spread.
"""

import asyncio
import gc
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parent / "gateway_rig"))

from allowing import CALLER, Allowing, build  # the path is set above

from roadworthy.gateway.config import JsonRoute, OpenAiRoute  # as above
from roadworthy.gateway.exchange import Answer, Attempt  # as above
from roadworthy.gateway.records import Exchange  # as above

EXCHANGES = 4_000
AT_ONCE = 64
REPEATS = 9
OUT = Path("build/bench/gateway_pipeline.json")
QUESTION = json.dumps(
    {"model": "m-1", "messages": [{"role": "user", "content": "Is the rhythm regular? " * 12}]}
).encode()
ANSWER = json.dumps(
    {
        "id": "c-1",
        "choices": [{"index": 0, "message": {"content": "It is. " * 30}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 80, "completion_tokens": 60},
    }
).encode()
HEADERS = [
    (b"host", b"gateway"),
    (b"authorization", b"Bearer k"),
    (b"content-type", b"application/json"),
    (b"accept", b"application/json"),
    (b"user-agent", b"bench"),
    (b"x-data-scope", b"own"),
    (b"content-length", b"%d" % len(QUESTION)),
]


ROUTES = [OpenAiRoute(protocol="openai", models=["m-1"]), JsonRoute(protocol="json", path="/predict")]


class Yes(Allowing):
    """Every stage at once, the ledger too."""

    def __init__(self):
        self.index = 0
        self.leaf_bytes = 0

    async def answer(self, question, key):
        return Answer(
            200, [(b"content-type", b"application/json")], ANSWER, attempts=[Attempt("primary", "200", 1_000)]
        )

    def start(self):
        pass

    async def ready(self, timeout_s):
        return True

    async def close(self):
        pass

    def put(self, leaf, sealed):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self.index += 1
        self.leaf_bytes += len(leaf)
        loop.call_soon(future.set_result, self.index)
        return future


async def drive(app, path):
    """Many exchanges, some at once; CPU seconds of one in microseconds."""
    message = {"type": "http.request", "body": QUESTION, "more_body": False}

    async def receive():
        return message

    async def send(message):
        pass

    async def one(count):
        for _ in range(count):
            scope = {"type": "http", "method": "POST", "raw_path": path, "query_string": b"", "headers": list(HEADERS)}
            await app(scope, receive, send)

    began = time.process_time()
    await asyncio.gather(*(one(EXCHANGES // AT_ONCE) for _ in range(AT_ONCE)))
    return (time.process_time() - began) / EXCHANGES * 1e6


def leaf_cost(recorder, use):
    """Microseconds of one outcome's leaf, sealed."""
    exchange = Exchange("chat/completions", time.perf_counter())
    exchange.use, exchange.caller, exchange.intent = use, CALLER, 7
    began = time.process_time()
    for _ in range(EXCHANGES):
        recorder.outcome(exchange, status=200, reason="", body=ANSWER, released_bytes=len(ANSWER))
    return (time.process_time() - began) / EXCHANGES * 1e6


def main() -> None:
    """Warm up, measure, report."""
    yes = Yes()
    whole, recorder, use = build(yes, yes, ROUTES)
    bare, _, _ = build(yes, yes, ROUTES, keep_payloads=False)
    cases = {
        "chat/completions, payloads sealed": lambda: uvloop.run(drive(whole, b"/v1/chat/completions")),
        "chat/completions, commitments only": lambda: uvloop.run(drive(bare, b"/v1/chat/completions")),
        "declared JSON route, payloads sealed": lambda: uvloop.run(drive(whole, b"/predict")),
        "one outcome leaf, sealed": lambda: leaf_cost(recorder, use),
    }
    figures: dict[str, list[float]] = {name: [] for name in cases}
    for case in cases.values():
        case()
    gc.freeze()
    for _ in range(REPEATS):
        for name, case in cases.items():
            figures[name].append(case())
    print(f"{EXCHANGES} exchanges, {AT_ONCE} at once, question {len(QUESTION)} B, answer {len(ANSWER)} B")
    print(f"mean leaf {yes.leaf_bytes / yes.index:.0f} B; CPU microseconds each, {REPEATS} runs\n")
    print(f"{'what':38} {'median':>7} {'least':>7} {'most':>7}")
    for name, values in figures.items():
        print(f"{name:38} {statistics.median(values):7.1f} {min(values):7.1f} {max(values):7.1f}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    OUT.write_text(json.dumps({**machine, "cpu_us": figures}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
