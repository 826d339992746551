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
import time
from pathlib import Path

import uvloop

from roadworthy.domain.exchange import Caller, RecordMode
from roadworthy.domain.risk import Tier
from roadworthy.gateway.app import Application, GatewayStages
from roadworthy.gateway.config import JsonRoute, OpenAiRoute
from roadworthy.gateway.exchange import Answer, Attempt
from roadworthy.gateway.records import Exchange, Recorder
from roadworthy.gateway.sealing import Sealer
from roadworthy.gateway.stages import UseCaseStages

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
CALLER = Caller(
    id="alice",
    credential="key-1",
    roles=frozenset({"clinician"}),
    cohort="north",
    scopes=frozenset({"own"}),
    purposes=frozenset({"care"}),
    expires_at_s=4e9,
)


class Yes:
    """Every stage at once."""

    version = release = "sha256:" + "0" * 64
    header, state, trace_id = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"", "a" * 32

    def __init__(self):
        self.index = 0
        self.leaf_bytes = 0

    async def caller(self, headers):
        return CALLER

    def check(self, *arguments):
        return "certificate:c-1"

    def begin(self, headers):
        return self

    def end(self, status, attributes):
        pass

    def exchange(self, *arguments):
        pass

    def gauge_in_flight(self, use_case, delta):
        pass

    def refuse_if_off(self, use_case):
        pass

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


def build(yes, *, keep_payloads):
    """An application in which everything is allowed."""
    use = UseCaseStages(
        id="triage",
        tier=Tier.R3,
        mode=RecordMode.STRICT,
        keep_payloads=keep_payloads,
        purposes=frozenset({"care"}),
        purpose_header=b"x-purpose",
        scope_header=b"x-data-scope",
        body_bytes=1_000_000,
        in_flight=512,
        deadline_s=60.0,
        admit=yes,
        inspect=None,
        cite=None,
        answerer=yes,
    )
    routes = [OpenAiRoute(protocol="openai", models=["m-1"]), JsonRoute(protocol="json", path="/predict")]
    stages = GatewayStages(identify=yes, authorise=yes, switches=yes, meter=yes, trace=yes, served=[(use, routes)])
    recorder = Recorder(node="node-1", epoch=1, sealer=Sealer(bytes(32)), pseudonym_key=bytes(32))
    return Application(stages, recorder=recorder, ledger=yes, node="node-1"), recorder, use


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
    whole, recorder, use = build(yes, keep_payloads=True)
    bare, _, _ = build(yes, keep_payloads=False)
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
