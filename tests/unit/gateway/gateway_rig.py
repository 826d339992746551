"""A gateway without a network: fakes of all stages, a ledger in memory, and ASGI calls made by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from roadworthy.domain.exchange import Caller, RecordMode, Verdict
from roadworthy.domain.risk import Tier
from roadworthy.gateway.app import Application, GatewayStages
from roadworthy.gateway.config import JsonRoute, OpenAiRoute, OpenInferenceRoute
from roadworthy.gateway.exchange import Answer, Attempt, Failure, Question, Reason, Refused, UpstreamFailed
from roadworthy.gateway.ledger_client import LedgerRefused
from roadworthy.gateway.records import Recorder
from roadworthy.gateway.sealing import Sealer, unseal
from roadworthy.gateway.stages import UseCaseStages

PAYLOAD_KEY = bytes(range(32))
EPOCH = 1_700_000_000_000_000
ALICE = Caller(
    id="alice",
    credential="key-1",
    roles=frozenset({"clinician"}),
    cohort="north",
    scopes=frozenset({"own"}),
    purposes=frozenset({"care"}),
    expires_at_s=4e9,
)


class MemoryLedger:
    """The ledger client's interface over a list. Faults are switched on by hand."""

    def __init__(self, events: list[str] | None = None) -> None:
        self.leaves: list[dict[str, Any]] = []
        self.raw: list[tuple[bytes, bytes]] = []
        self.events = events if events is not None else []
        self.down = False
        self.fail_kinds: set[str] = set()
        self.gate: asyncio.Event | None = None
        self.tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Nothing to connect to."""

    async def ready(self, timeout_s: float) -> bool:
        if self.down:
            await asyncio.sleep(timeout_s)
        return not self.down

    async def close(self) -> None:
        """Nothing to close."""

    def put(self, leaf: bytes, sealed: bytes) -> "asyncio.Future[int]":
        if self.down:
            raise LedgerRefused
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if self.gate is None:
            loop.call_soon(self._settle, future, leaf, sealed)
        else:
            self.tasks.append(loop.create_task(self._later(future, leaf, sealed)))
        return future

    async def _later(self, future, leaf, sealed) -> None:
        await self.gate.wait()
        self._settle(future, leaf, sealed)

    def _settle(self, future, leaf, sealed) -> None:
        members = json.loads(leaf)
        if members["kind"] in self.fail_kinds:
            if not future.done():
                future.set_exception(LedgerRefused())
            return
        self.leaves.append(members)
        self.raw.append((leaf, sealed))
        self.events.append(members["kind"])
        if not future.done():
            future.set_result(len(self.leaves) - 1)

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [leaf for leaf in self.leaves if leaf["kind"] in kinds]

    def payload(self, leaf: dict[str, Any]) -> bytes:
        sealed = self.raw[self.leaves.index(leaf)][1]
        return unseal(PAYLOAD_KEY, sealed, leaf["id"].encode())[1]


class FakeIdentify:
    def __init__(self) -> None:
        self.alice: Caller | None = ALICE

    async def caller(self, headers) -> Caller:
        if (b"authorization", b"Bearer good") in headers and self.alice is not None:
            return self.alice
        if (b"authorization", b"Bearer bob") in headers:
            return Caller(
                id="bob",
                credential="key-2",
                roles=frozenset(),
                cohort="",
                scopes=frozenset(),
                purposes=frozenset(),
                expires_at_s=4e9,
            )
        raise Refused(Reason.UNAUTHENTICATED, 401, "Give a credential that counts.")


class FakeAuthorise:
    version = "sha256:policy"

    def __init__(self) -> None:
        self.denied: set[str] = set()

    def check(self, caller, use_case, purpose, scope) -> None:
        if use_case in self.denied or scope == "secret":
            raise Refused(Reason.FORBIDDEN, 403, "The policy does not allow this.")


class FakeAdmit:
    release = "sha256:release"

    def __init__(self) -> None:
        self.refused: Refused | None = None

    def check(self, caller, scope, now_s) -> str:
        if self.refused is not None:
            raise self.refused
        return "certificate:c-1"

    def data_scopes(self, admission) -> frozenset[str] | None:
        return frozenset({"own"}) if admission == "certificate:c-1" else None


class FakeInspect:
    def __init__(self, verdict: Verdict = Verdict.ADMIT, rules: tuple[str, ...] = ()) -> None:
        self.verdict, self.rules = verdict, rules

    def check(self, body, now_s):
        return self.verdict, self.rules


class FakeCite:
    def check(self, caller, use_case, purpose, admitted_scopes, body):
        assert (use_case, purpose, admitted_scopes) == ("triage", "care", frozenset({"own"}))
        if b"secret-7" in body:
            return body.replace(b"secret-7", b"redacted"), ("secret-7",)
        return body, ()


class FakeAnswerer:
    """Answers what it is told; keeps the questions."""

    def __init__(self, events: list[str] | None = None) -> None:
        self.questions: list[Question] = []
        self.events = events if events is not None else []
        self.reply: Callable[[Question], Answer] = lambda _question: answer_of(b'{"choices":[]}')
        self.before: asyncio.Event | None = None

    async def answer(self, question: Question, key: bytes) -> Answer:
        assert len(key) == 32
        self.questions.append(question)
        self.events.append("upstream")
        if self.before is not None:
            await self.before.wait()
        return self.reply(question)


class FakeMeter:
    def __init__(self) -> None:
        self.counted: list[tuple[str, str, int, str, str]] = []
        self.in_flight = 0

    def exchange(self, use_case, route, status, rung, reason, took_us) -> None:
        assert took_us >= 0
        self.counted.append((use_case, route, status, rung, reason))

    def gauge_in_flight(self, use_case, delta) -> None:
        self.in_flight += delta


class FakeSpan:
    header = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
    state = b"vendor=1"
    trace_id = "a" * 32

    def __init__(self) -> None:
        self.ended: list[int] = []

    def end(self, status, attributes) -> None:
        self.ended.append(status)


class FakeTrace:
    def __init__(self) -> None:
        self.spans: list[FakeSpan] = []

    def begin(self, headers) -> FakeSpan:
        self.spans.append(FakeSpan())
        return self.spans[-1]


class FakeSwitches:
    def __init__(self) -> None:
        self.off: set[str] = set()

    def refuse_if_off(self, use_case) -> None:
        if use_case in self.off:
            raise Refused(Reason.SWITCHED_OFF, 503, "It is switched off.", retry_after_s=30)


def answer_of(body: bytes, **changes: Any) -> Answer:
    """An answer of the primary, by one attempt."""
    fields = {"status": 200, "headers": [(b"content-type", b"application/json")], "body": body}
    return Answer(**{**fields, "attempts": [Attempt("primary", "200", 1_200)], **changes})


class FakeStream:
    """A stream of parts that ends as it is told."""

    def __init__(self, parts: list[bytes], failure: Failure | None = None) -> None:
        self.parts, self.failure = parts, failure
        self.closed = 0
        self.hold: asyncio.Event | None = None

    async def _flow(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
            await asyncio.sleep(0)
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise UpstreamFailed(self.failure, sent=True)

    async def close(self) -> None:
        self.closed += 1

    def answer(self) -> Answer:
        head = [(b"content-type", b"text/event-stream")]
        return answer_of(b"", headers=head, parts=self._flow(), close=self.close)


class Reply:
    """What came out of an ASGI call."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def ended(self) -> bool:
        return bool(self.messages) and self.messages[-1].get("more_body") is False

    def json(self) -> Any:
        return json.loads(self.body)


class Rig:
    """An application with fakes in every place."""

    def __init__(self, **changes: Any) -> None:
        self.events: list[str] = []
        self.ledger = MemoryLedger(self.events)
        self.answerer = FakeAnswerer(self.events)
        self.identify, self.admit, self.authorise = FakeIdentify(), FakeAdmit(), FakeAuthorise()
        self.switches, self.meter, self.trace = FakeSwitches(), FakeMeter(), FakeTrace()
        self.gone = asyncio.Event()
        fields: dict[str, Any] = {
            "id": "triage",
            "tier": Tier.R2,
            "mode": RecordMode.STRICT,
            "keep_payloads": True,
            "purposes": frozenset({"care"}),
            "purpose_header": b"x-purpose",
            "scope_header": b"x-data-scope",
            "body_bytes": 4_096,
            "in_flight": 8,
            "deadline_s": 60.0,
            "admit": self.admit,
            "inspect": None,
            "cite": None,
            "answerer": self.answerer,
        }
        self.use = UseCaseStages(**{**fields, **changes})
        self.routes = [
            OpenAiRoute(protocol="openai", models=["m-1", "org/m-2"]),
            OpenInferenceRoute(protocol="open-inference", model="heart"),
            JsonRoute(protocol="json", path="/predict"),
        ]
        self.recorder = Recorder(node="node-1", epoch=EPOCH, sealer=Sealer(PAYLOAD_KEY), pseudonym_key=b"p" * 32)
        self.app = Application(self.stages(), recorder=self.recorder, ledger=self.ledger, node="node-1")

    def stages(self, *more: UseCaseStages) -> GatewayStages:
        served = [(self.use, self.routes), *((use, [OpenAiRoute(protocol="openai", models=[use.id])]) for use in more)]
        return GatewayStages(
            identify=self.identify,
            authorise=self.authorise,
            switches=self.switches,
            meter=self.meter,
            trace=self.trace,
            served=served,
        )

    async def call(self, method: str, path: str, body: bytes = b"", **options: Any) -> Reply:
        """One request. ``chunks`` sends the body in pieces, ``key`` names the credential, ``headers`` adds some."""
        chunks = options.get("chunks") or [body]
        key = options.get("key", "good")
        headers = [(b"host", b"gateway"), *options.get("headers", [])]
        if key:
            headers.append((b"authorization", b"Bearer " + key.encode()))
        raw, _, query = path.encode().partition(b"?")
        scope = {"type": "http", "method": method, "raw_path": raw, "query_string": query, "headers": headers}
        waiting, reply = list(chunks), options.get("reply") or Reply()

        async def receive():
            if waiting:
                part = waiting.pop(0)
                if part is None:
                    return {"type": "http.disconnect"}
                return {"type": "http.request", "body": part, "more_body": bool(waiting)}
            await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.body" and message.get("body"):
                self.events.append("released")
            reply.messages.append(message)

        await self.app(scope, receive, options.get("send", send))
        return reply

    async def chat(self, stream: bool = False, **options: Any) -> Reply:
        body = {"model": "m-1", "messages": [{"role": "user", "content": "hi"}]}
        if stream:
            body["stream"] = True
        return await self.call("POST", "/v1/chat/completions", json.dumps(body).encode(), **options)


def event(text: str, finish: str | None = None) -> bytes:
    """One event of a chat completion."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}, separators=(",", ":")).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def run_call(rig: Rig, method: str, path: str, body: bytes = b"", **options: Any) -> Reply:
    """One request in an event loop of its own."""
    return asyncio.run(rig.call(method, path, body, **options))


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that comes within two seconds."""
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came")
