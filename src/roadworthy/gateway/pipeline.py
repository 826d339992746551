"""One exchange from the first byte to the last. Owns the order of the stages, and that nothing leaves unrecorded.

1. Route: the path leads to an endpoint.
2. Identify. It comes before the body is read, so nobody unknown can make us hold ten megabytes; until here a refusal is
   only counted, or anyone could fill the disk with leaves.
3. Read the body within its limits; of an OpenAI route, the model in it names the use case.
4. Switch: is the use case on?
5. Purpose, data scope, authorisation.
6. Admission: the certificate.
7. Input filter; what it holds back goes to a person where the ladder has one, and is refused where it has none.
8. Intent, durable before anybody else is contacted.
9. The ladder answers.
10. Cited sources.
11. Outcome, durable before the answer leaves.
12. Release.

Rules kept here:
1. A refusal at 3 to 10 is an outcome too: one leaf with its reason, durable before the refusal leaves.
2. What the ledger did not take is refused with 503 and no leaf. After a failed outcome none is tried again, since the
   first may be durable: an intent has at most one outcome of ours, and the sweeper closes what has none.
3. A fault of ours ends in the server's bare 500, which holds nothing of the upstream's; its intent is swept.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from roadworthy.base.clock import now_us
from roadworthy.domain.exchange import RecordMode, RungKind, Verdict
from roadworthy.gateway.background import BackgroundAnswers, KeptAnswer, without_background
from roadworthy.gateway.exchange import Answer, Failure, Headers, Question, Reason, Refused, UpstreamFailed
from roadworthy.gateway.feedback import read_feedback
from roadworthy.gateway.json_routes import PROBLEM
from roadworthy.gateway.ledger_client import LedgerRefused
from roadworthy.gateway.openai_routes import models_body
from roadworthy.gateway.records import Exchange, Recorder, attempts_text
from roadworthy.gateway.release import answer_headers, own_headers, refusal_headers, send_whole
from roadworthy.gateway.routes import Asked, Endpoint, Router, Work, malformed, upstream_headers
from roadworthy.gateway.stages import Ask, Authorise, Identify, Ledger, Meter, Switches, Trace, UseCaseStages
from roadworthy.gateway.streaming import StreamRelay
from roadworthy.gateway.sweeper import Abandoned, Sweeper

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Ended = tuple[int, str]
"""Status and reason, for the meter."""

_TIMEOUTS = frozenset(
    {Failure.CONNECT_TIMEOUT, Failure.FIRST_BYTE_TIMEOUT, Failure.IDLE_TIMEOUT, Failure.TOTAL_TIMEOUT}
)
_NOWHERE = Endpoint(label="none", work=Work.FORWARD, shape=PROBLEM, uses=())
_JSON = b"application/json"
# In Python 3.11 reading a member of an enumeration is a call; these are read with every exchange.
_FORWARD, _INTENT_ONLY, _PRIMARY, _REFUSE = Work.FORWARD, RecordMode.INTENT_ONLY, RungKind.PRIMARY, RungKind.REFUSE
_PRIMARY_NAME = RungKind.PRIMARY.value


class Call(NamedTuple):
    """A request as the server hands it over."""

    endpoint: Endpoint
    argument: bytes
    scope: MutableMapping[str, Any]
    headers: Headers
    receive: Receive
    send: Send


class _Errand(NamedTuple):
    """A question that is asked later."""

    ask: Ask
    question: Question
    key: bytes


class _CallerGone(Exception):  # it ends an exchange that had not begun
    """The caller left before its request was whole."""


class Pipeline:
    """The stages in their order, for one worker.

    Args:
        router: all declared endpoints.
        identify: who asks.
        authorise: what they may.
        switches: what is off.
        recorder: builds leaves.
        ledger: makes them durable.
        sweeper: knows the open intents.
        background: keeps answers that are fetched later.
        meter: counts.
        trace: begins spans.
        in_flight: exchanges under way by use case; shared with the pipeline that this one replaces.
    """

    def __init__(
        self,
        *,
        router: Router,
        identify: Identify,
        authorise: Authorise,
        switches: Switches,
        recorder: Recorder,
        ledger: Ledger,
        sweeper: Sweeper,
        background: BackgroundAnswers,
        meter: Meter,
        trace: Trace,
        in_flight: dict[str, int],
    ) -> None:
        self._router, self._identify, self._authorise, self._switches = router, identify, authorise, switches
        self._recorder, self._ledger, self._sweeper, self._background = recorder, ledger, sweeper, background
        self._meter, self._trace = meter, trace
        self._in_flight = in_flight
        self._own = {
            Work.MODELS: self._models,
            Work.READ_ANSWER: self._read_answer,
            Work.CANCEL_ANSWER: self._cancel_answer,
            Work.FEEDBACK: self._feedback,
        }

    async def handle(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request of an ASGI server."""
        began_s = time.perf_counter()
        headers: Headers = scope["headers"]
        path: bytes = scope["raw_path"]
        endpoint, argument = self._router.find(scope["method"], path)  # 1
        call = Call(endpoint or _NOWHERE, argument, scope, headers, receive, send)
        exchange = Exchange(call.endpoint.label, began_s)
        exchange.span = span = self._trace.begin(headers)
        exchange.trace = span.trace_id
        status, reason = 500, "fault"
        try:
            if endpoint is None:
                raise Refused(Reason.NO_ROUTE, 404, "There is nothing at this path.")
            exchange.caller = await self._identify.caller(headers)  # 2
            exchange.policy = self._authorise.version
            if len(endpoint.uses) == 1:
                exchange.use = endpoint.uses[0]
            do = self._forward if endpoint.work is _FORWARD else self._own[endpoint.work]
            status, reason = await do(call, exchange)
        except Refused as refused:
            status, reason = await self._refuse(call, exchange, refused)
        except _CallerGone:
            status, reason = 499, Reason.CLIENT_GONE.value
        finally:
            took_us = exchange.took_us()
            self._meter.exchange(exchange.use_case, exchange.route, status, exchange.rung, reason, took_us)
            span.end(status, {"operation": exchange.route, "model": exchange.model, "record": exchange.id})

    # ── steps 3 to 12 ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _forward(self, call: Call, exchange: Exchange) -> Ended:
        body = await self._body(call, exchange)  # 3
        asked = call.endpoint.read(body)
        use = exchange.use = asked.use
        exchange.model, exchange.release = asked.model, use.admit.release
        if len(body) > use.body_bytes:
            raise _too_large()
        under_way = self._in_flight.get(use.id, 0)
        if under_way >= use.in_flight:
            raise Refused(Reason.OVERLOADED, 503, "Too many requests are under way.", retry_after_s=1)
        self._in_flight[use.id] = under_way + 1
        self._meter.gauge_in_flight(use.id, 1)
        try:
            return await self._serve(call, exchange, asked, body)
        finally:
            self._in_flight[use.id] -= 1
            self._meter.gauge_in_flight(use.id, -1)

    async def _serve(self, call: Call, exchange: Exchange, asked: Asked, body: bytes) -> Ended:
        use, span = asked.use, exchange.span
        assert span is not None
        now_s = now_us() / 1e6
        self._permit(call, exchange, use, now_s)  # 4, 5, 6
        if asked.stream and use.cite is not None:
            raise malformed("The sources of this use case's answers are checked, so they are not streamed.")
        ask = self._inspect(call, exchange, body, now_s)  # 7
        sent = body if asked.background is None else without_background(asked.background)
        question = Question(
            call.scope["method"].encode(),
            _target(call.scope),
            upstream_headers(call.headers, use, span),
            sent,
            asked.stream,
        )
        key = hashlib.sha256(sent).digest()
        if asked.background is not None:
            return await self._begin_background(call, exchange, _Errand(ask, question, key), body)
        await self._intend(exchange, body)  # 8
        answer = await self._ask(exchange, ask, question, key)  # 9
        if answer.parts is not None:
            return await self._stream(call, exchange, answer)
        body = self._cited(exchange, use, answer)  # 10
        exchange.usage_in, exchange.usage_out = call.endpoint.shape.usage(body)
        index = await self._outcome(exchange, answer.status, "", body, len(body))  # 11
        await send_whole(call.send, answer.status, answer_headers(answer, exchange.id, index), body)  # 12
        return answer.status, ""

    async def _body(self, call: Call, exchange: Exchange) -> bytes:
        most = max(use.body_bytes for use in call.endpoint.uses)
        message = await call.receive()
        if message["type"] == "http.disconnect":
            raise _CallerGone
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            body = await self._longer_body(call, body, most)
        if len(body) > most:
            raise _too_large()
        exchange.body_read = True
        return body

    @staticmethod
    async def _longer_body(call: Call, first: bytes, most: int) -> bytes:
        declared = next((value for name, value in call.headers if name == b"content-length"), b"")
        if declared.isdigit() and int(declared) > most:
            raise _too_large()
        body = bytearray(first)
        while True:
            message = await call.receive()
            if message["type"] == "http.disconnect":
                raise _CallerGone
            body += message.get("body", b"")
            if len(body) > most:
                raise _too_large()
            if not message.get("more_body", False):
                return bytes(body)

    def _permit(self, call: Call, exchange: Exchange, use: UseCaseStages, now_s: float) -> None:
        assert exchange.caller is not None
        self._switches.refuse_if_off(use.id)  # 4
        self._authorised(call, exchange, use)  # 5
        exchange.admission = use.admit.check(exchange.caller, exchange.scope, now_s)  # 6
        exchange.release = use.admit.release

    def _authorised(self, call: Call, exchange: Exchange, use: UseCaseStages) -> None:
        """Read purpose and scope from the headers. Without a purpose, the only one that the use case has is meant."""
        assert exchange.caller is not None
        purpose = scope = b""
        for name, value in call.headers:
            if name == use.purpose_header:
                purpose = value
            elif name == use.scope_header:
                scope = value
        exchange.purpose, exchange.scope = purpose.decode("latin-1"), scope.decode("latin-1")
        if not purpose and len(use.purposes) == 1:
            (exchange.purpose,) = use.purposes
        if exchange.purpose not in use.purposes:
            raise Refused(Reason.FORBIDDEN, 403, "Name one of the use case's purposes in the purpose header.")
        self._authorise.check(exchange.caller, use.id, exchange.purpose, exchange.scope)

    @staticmethod
    def _inspect(call: Call, exchange: Exchange, body: bytes, now_s: float) -> Ask:
        use = exchange.use
        assert use is not None
        if use.inspect is None or not call.endpoint.inspected:
            return use.answerer.answer
        verdict, rules = use.inspect.check(body, now_s)
        exchange.filter, exchange.rules = verdict.value, ",".join(rules)
        if verdict is not Verdict.QUARANTINE:
            return use.answerer.answer
        if use.human is None:
            raise Refused(Reason.QUARANTINED, 422, "The input breaks the data contract of this use case.")
        return use.human

    async def _intend(self, exchange: Exchange, body: bytes) -> None:
        sent = self._ledger.put(*self._recorder.intent(exchange, body))
        try:
            exchange.intent = await sent
        except LedgerRefused as refused:
            if refused.reason is not Reason.OVERLOADED:
                # It may be durable without our knowing; only a busy ledger says for sure that it is not.
                self._sweeper.give_back(exchange)
            raise
        self._sweeper.open(exchange)

    @staticmethod
    async def _ask(exchange: Exchange, ask: Ask, question: Question, key: bytes) -> Answer:
        try:
            answer = await ask(question, key)
        except UpstreamFailed as failed:
            exchange.attempts = exchange.attempts or failed.failure.value
            status = 504 if failed.failure in _TIMEOUTS else 502
            raise Refused(Reason.UPSTREAM_FAILED, status, "The AI system did not answer.", retry_after_s=1) from failed
        exchange.rung = _PRIMARY_NAME if answer.rung is _PRIMARY else answer.rung.value
        exchange.review = answer.review
        if answer.attempts:
            exchange.attempts = attempts_text(answer.attempts)
        if answer.rung is _REFUSE:
            what = answer.notice or "No answer can be given at the moment."
            wait = next((value for name, value in answer.headers if name == b"retry-after"), b"1")
            retry_after_s = int(wait) if wait.isdigit() else 1
            raise Refused(Reason.FALLBACK_EXHAUSTED, answer.status, what, retry_after_s=retry_after_s)
        return answer

    @staticmethod
    def _cited(exchange: Exchange, use: UseCaseStages, answer: Answer) -> bytes:
        if use.cite is None or not answer.body:
            return answer.body
        assert exchange.caller is not None
        body, denied = use.cite.check(exchange.caller, answer.body)
        if denied:
            found = [exchange.rules] if exchange.rules else []
            exchange.rules = ",".join(found + [f"cited:{source}" for source in denied])
        return body

    async def _outcome(self, exchange: Exchange, status: int, reason: str, body: bytes, released_bytes: int) -> int:
        """Write the outcome; its index, or -1 when nothing waits for it."""
        record = self._recorder.outcome(
            exchange, status=status, reason=reason, body=body, released_bytes=released_bytes
        )
        if exchange.intent < 0:
            return await self._ledger.put(*record)
        self._sweeper.take(exchange)
        if exchange.use is not None and exchange.use.mode is _INTENT_ONLY:
            self._put_unwaited(exchange, record)
            return -1
        try:
            return await self._ledger.put(*record)
        except BaseException:
            self._sweeper.give_back(exchange)
            raise

    def _put_unwaited(self, exchange: Exchange, record: tuple[bytes, bytes]) -> None:
        def settled(future: "asyncio.Future[int]") -> None:
            if future.cancelled() or future.exception() is not None:
                self._sweeper.give_back(exchange)

        try:
            self._ledger.put(*record).add_done_callback(settled)
        except LedgerRefused:
            self._sweeper.give_back(exchange)

    async def _stream(self, call: Call, exchange: Exchange, answer: Answer) -> Ended:
        use = exchange.use
        assert use is not None
        if use.cite is not None:
            if answer.close is not None:
                await answer.close()
            raise Refused(Reason.UPSTREAM_FAILED, 502, "The AI system streams an answer whose sources must be checked.")

        async def keep(block: bytes) -> int:
            return await self._ledger.put(*self._recorder.part(exchange, block))

        async def settle(status: int, reason: str, body: bytes, released_bytes: int) -> int:
            exchange.usage_in, exchange.usage_out = call.endpoint.shape.usage(body)
            return await self._outcome(exchange, status, reason, body, released_bytes)

        relay = StreamRelay(
            exchange,
            answer,
            endpoint=call.endpoint,
            head=answer_headers(answer, exchange.id, -1),
            receive=call.receive,
            send=call.send,
            keep=keep,
            settle=settle,
        )
        reason = await relay.run()
        self._sweeper.lose(exchange)
        return answer.status, reason

    async def _refuse(self, call: Call, exchange: Exchange, refused: Refused) -> Ended:
        shape = call.endpoint.shape
        if call.endpoint is _NOWHERE:
            shape = self._router.shape_of(call.scope["raw_path"], PROBLEM)
        kind, body = shape.error(refused, exchange.id)
        index = -1
        if isinstance(refused, (LedgerRefused, Abandoned)):
            self._sweeper.lose(exchange)
        elif exchange.caller is not None:
            try:
                index = await self._outcome(exchange, refused.status, refused.reason.value, body, len(body))
            except (LedgerRefused, Abandoned) as fault:
                refused = fault
                kind, body = shape.error(refused, exchange.id)
        close = not exchange.body_read
        headers = refusal_headers(refused, kind, exchange.id, index, rung=exchange.rung, close=close)
        await send_whole(call.send, refused.status, headers, body)
        return refused.status, refused.reason.value

    # ── what the gateway answers itself ──────────────────────────────────────────────────────────────────────────────

    async def _models(self, call: Call, exchange: Exchange) -> Ended:
        await self._body(call, exchange)
        visible = []
        for model, use in call.endpoint.by_model.items():
            try:
                self._authorised(call, exchange, use)
            except Refused:
                continue
            visible.append(model)
        body = models_body(visible, unquote(call.argument.decode("latin-1")))
        index = await self._outcome(exchange, 200, "", body, len(body))
        await send_whole(call.send, 200, own_headers(_JSON, exchange.id, index), body)
        return 200, ""

    async def _feedback(self, call: Call, exchange: Exchange) -> Ended:
        given = read_feedback(await self._body(call, exchange), call.endpoint)
        exchange.use = given.use
        self._authorised(call, exchange, given.use)
        record = self._recorder.feedback(
            exchange, record=given.record, rating=given.rating, comment=given.comment.encode("utf-8", "replace")
        )
        index = await self._ledger.put(*record)
        await send_whole(call.send, 201, own_headers(_JSON, exchange.id, index), b'{"object":"feedback"}')
        return 201, ""

    async def _begin_background(self, call: Call, exchange: Exchange, errand: _Errand, body: bytes) -> Ended:
        kept = self._background.begin(exchange)
        try:
            await self._intend(exchange, body)  # 8
        except BaseException:
            self._background.forget(kept)
            raise
        queued = kept.body
        kept.task = asyncio.get_running_loop().create_task(self._fetch(call, exchange, kept, errand))
        await send_whole(call.send, 200, own_headers(_JSON, exchange.id, -1), queued)
        return 200, ""

    async def _fetch(self, call: Call, exchange: Exchange, kept: KeptAnswer, errand: _Errand) -> None:
        use = exchange.use
        assert use is not None
        status, reason = 200, ""
        try:
            kept.body = kept.state("in_progress")
            answer = await self._ask(exchange, *errand)  # 9
            answer.body = self._cited(exchange, use, answer)  # 10
            status, body = answer.status, kept.renamed(answer)
            exchange.usage_in, exchange.usage_out = call.endpoint.shape.usage(body)
        except Refused as refused:
            status, reason = refused.status, refused.reason.value
            body = kept.failed(reason, refused.what)
        except asyncio.CancelledError:
            # Whoever cancels waits for the end of this task, and the end is recorded like any other.
            reason, body = Reason.CLIENT_GONE.value, kept.state("cancelled")
        try:
            await self._outcome(exchange, status, reason, body, len(body))  # 11
        except (LedgerRefused, Abandoned) as fault:
            body = kept.failed(fault.reason.value, fault.what)
        self._background.finish(kept, body)  # 12

    async def _read_answer(self, call: Call, exchange: Exchange) -> Ended:
        return await self._show(call, exchange, self._find(call, exchange))

    async def _cancel_answer(self, call: Call, exchange: Exchange) -> Ended:
        kept = self._find(call, exchange)
        await self._background.cancel(kept)
        return await self._show(call, exchange, kept)

    def _find(self, call: Call, exchange: Exchange) -> KeptAnswer:
        assert exchange.caller is not None
        kept = self._background.find(call.argument.decode("latin-1"), exchange.caller.id)
        first = kept.exchange
        exchange.use = first.use
        # What was allowed when it was asked may be forbidden by now.
        self._switches.refuse_if_off(first.use_case)
        self._authorise.check(exchange.caller, first.use_case, first.purpose, first.scope)
        return kept

    @staticmethod
    async def _show(call: Call, exchange: Exchange, kept: KeptAnswer) -> Ended:
        # The answer has its record; that it is read again is no new exchange.
        exchange.body_read = True
        await send_whole(call.send, 200, own_headers(_JSON, kept.exchange.id, -1), kept.body)
        return 200, ""


def _target(scope: MutableMapping[str, Any]) -> bytes:
    path, query = scope["raw_path"], scope["query_string"]
    return bytes(path + b"?" + query if query else path)


def _too_large() -> Refused:
    return Refused(Reason.TOO_LARGE, 413, "The body is larger than this use case takes.")
