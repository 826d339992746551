"""One exchange from the first byte to the last. Owns the order of the stages, and that nothing leaves unrecorded.

1. Route: the path leads to an endpoint.
2. Identify. It comes before the body is read, so nobody unknown can make us hold ten megabytes; until here a refusal is
   only counted, or anyone could fill the disk with leaves.
3. Read the body within its limits; of an OpenAI route, the model in it names the use case. A body may take its time, so
   what follows is decided by the configuration that is in force after it, and the credential must still count.
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
1. A refusal at 3 to 10 is an outcome too: one leaf with its reason, durable before the refusal leaves. Of those for
   asking too often, one a second for each caller; see ``refusal_leaves``.
2. What the ledger did not take is refused with 503 and no leaf. After a failed outcome none is tried again, since the
   first may be durable: an intent has at most one outcome of ours, and the sweeper closes what has none.
3. A fault of ours ends in the server's bare 500, which holds nothing of the upstream's; its intent is swept.
"""

import hashlib
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from roadworthy.base.clock import now_us
from roadworthy.gateway.background import without_background
from roadworthy.gateway.exchange import Answer, Headers, Question, Reason, Refused
from roadworthy.gateway.json_routes import PROBLEM
from roadworthy.gateway.ledger_client import LedgerRefused
from roadworthy.gateway.load import Load
from roadworthy.gateway.own_answers import Ended, Errand, OwnAnswers
from roadworthy.gateway.records import Exchange
from roadworthy.gateway.refusal_leaves import RefusalLeaves
from roadworthy.gateway.release import answer_headers, refusal_headers, send_whole
from roadworthy.gateway.request_body import Call, CallerGone, Receive, Send, read_body, too_large
from roadworthy.gateway.routes import Asked, Endpoint, Router, Work, malformed, upstream_headers
from roadworthy.gateway.stages import Identify, Meter, Trace
from roadworthy.gateway.steps import Steps
from roadworthy.gateway.streaming import StreamRelay
from roadworthy.gateway.sweeper import Abandoned

_NOWHERE = Endpoint(label="none", work=Work.FORWARD, shape=PROBLEM, uses=())
_NO_ROUTE = "There is nothing at this path."
# In Python 3.11 reading a member of an enumeration is a call; these are read with every exchange.
_FORWARD, _READ, _CANCEL = Work.FORWARD, Work.READ_ANSWER, Work.CANCEL_ANSWER


class Pipeline:
    """The stages in their order, for one worker.

    Args:
        router: all declared endpoints.
        identify: who asks.
        steps: what is done with it.
        own: what the gateway answers itself.
        meter: counts.
        trace: begins spans.
        load: what is under way; shared with the pipeline that this one replaces, as are the next two.
        refusals: which of them get a leaf.
        streams: those under way.
        current: the pipeline in force, which may be another one by now.
    """

    def __init__(
        self,
        *,
        router: Router,
        identify: Identify,
        steps: Steps,
        own: OwnAnswers,
        meter: Meter,
        trace: Trace,
        load: Load,
        refusals: RefusalLeaves,
        streams: set[StreamRelay],
        current: "Callable[[], Pipeline]",
    ) -> None:
        self._router, self._identify, self._steps, self._own = router, identify, steps, own
        self._meter, self._trace, self._load, self._refusals = meter, trace, load, refusals
        self._streams, self._current = streams, current

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
                raise Refused(Reason.NO_ROUTE, 404, _NO_ROUTE)
            exchange.caller = await self._identify.caller(headers)  # 2
            exchange.policy = self._steps.authorise.version
            if len(endpoint.uses) == 1:
                exchange.use = endpoint.uses[0]
            body = b""
            if endpoint.work is not _READ and endpoint.work is not _CANCEL:
                body = await read_body(call, exchange, self._load)  # 3
            now = self._current()
            if now is not self:
                call = await now.found_again(call, exchange)
            status, reason = await now.serve(call, exchange, body)
        except Refused as refused:
            status, reason = await self._refuse(call, exchange, refused)
        except CallerGone:
            status, reason = 499, Reason.CLIENT_GONE.value
        finally:
            if not exchange.lasting:
                self._load.leave(exchange, self._meter)
            took_us = exchange.took_us()
            self._meter.exchange(exchange.use_case, exchange.route, status, exchange.rung, reason, took_us)
            span.end(status, {"operation": exchange.route, "model": exchange.model, "record": exchange.id})

    async def found_again(self, call: Call, exchange: Exchange) -> Call:
        """Steps 1 and 2 once more, for a request whose body was read while this pipeline took over.

        Raises:
            Refused: the path is declared no more (404), or the credential counts no more (401).
        """
        endpoint, argument = self._router.find(call.scope["method"], call.scope["raw_path"])
        exchange.policy = self._steps.authorise.version
        if endpoint is None or endpoint.work is not call.endpoint.work:
            raise Refused(Reason.NO_ROUTE, 404, _NO_ROUTE)
        exchange.caller = await self._identify.caller(call.headers)
        exchange.use = endpoint.uses[0] if len(endpoint.uses) == 1 else None
        return call._replace(endpoint=endpoint, argument=argument)

    async def serve(self, call: Call, exchange: Exchange, body: bytes) -> Ended:
        """Steps 3 to 12, after the body is there.

        Raises:
            Refused: no.
        """
        now_s = now_us() / 1e6
        assert exchange.caller is not None
        if now_s >= exchange.caller.expires_at_s:
            raise Refused(Reason.UNAUTHENTICATED, 401, "The credential ended while the request was read.")
        endpoint = call.endpoint
        if endpoint.work is not _FORWARD:
            return await self._own.by_work[endpoint.work](call, exchange, body)
        asked = endpoint.read(body)
        use = exchange.use = asked.use
        exchange.model, exchange.release = asked.model, use.admit.release
        if len(body) > use.body_bytes:
            raise too_large()
        self._load.enter(exchange, use, self._meter)
        return await self._forward(call, exchange, asked, body, now_s)

    async def _forward(self, call: Call, exchange: Exchange, asked: Asked, body: bytes, now_s: float) -> Ended:
        use, span, steps = asked.use, exchange.span, self._steps
        assert span is not None
        steps.permit(call, exchange, use, now_s)  # 4, 5, 6
        if asked.stream and use.cite is not None:
            raise malformed("The sources of this use case's answers are checked, so they are not streamed.")
        ask = steps.inspected(call, exchange, body, now_s)  # 7
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
            return await self._own.begin(call, exchange, Errand(ask, question, key), body)
        await steps.intend(exchange, body)  # 8
        answer = await steps.ask(exchange, ask, question, key)  # 9
        if answer.parts is not None:
            return await self._stream(call, exchange, answer)
        body = steps.cited(exchange, use, answer)  # 10
        exchange.usage_in, exchange.usage_out = call.endpoint.shape.usage(body)
        index = await steps.outcome(exchange, answer.status, "", body, len(body))  # 11
        await send_whole(call.send, answer.status, answer_headers(answer, exchange.id, index), body)  # 12
        return answer.status, ""

    async def _stream(self, call: Call, exchange: Exchange, answer: Answer) -> Ended:
        use, steps = exchange.use, self._steps
        assert use is not None
        if use.cite is not None:
            if answer.close is not None:
                await answer.close()
            raise Refused(Reason.UPSTREAM_FAILED, 502, "The AI system streams an answer whose sources must be checked.")

        async def keep(block: bytes) -> int:
            return await steps.ledger.put(*steps.recorder.part(exchange, block))

        async def settle(status: int, reason: str, body: bytes, released_bytes: int) -> int:
            exchange.usage_in, exchange.usage_out = call.endpoint.shape.usage(body)
            return await steps.outcome(exchange, status, reason, body, released_bytes)

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
        self._streams.add(relay)
        try:
            reason = await relay.run()
        finally:
            self._streams.discard(relay)
        steps.sweeper.lose(exchange)
        return answer.status, reason

    def cut_off(self) -> None:
        """End every stream whose use case is off."""
        for relay in list(self._streams):
            try:
                self._steps.switches.refuse_if_off(relay.use_case)
            except Refused as refused:
                relay.cut_off(refused)

    async def _refuse(self, call: Call, exchange: Exchange, refused: Refused) -> Ended:
        shape = call.endpoint.shape
        if call.endpoint is _NOWHERE:
            shape = self._router.shape_of(call.scope["raw_path"], PROBLEM)
        kind, body = shape.error(refused, exchange.id)
        index = -1
        if isinstance(refused, (LedgerRefused, Abandoned)):
            self._steps.sweeper.lose(exchange)
        elif self._is_recorded(exchange, refused):
            try:
                index = await self._steps.outcome(exchange, refused.status, refused.reason.value, body, len(body))
            except (LedgerRefused, Abandoned) as fault:
                refused = fault
                kind, body = shape.error(refused, exchange.id)
        close = not exchange.body_read
        headers = refusal_headers(refused, kind, exchange.id, index, rung=exchange.rung, close=close)
        await send_whole(call.send, refused.status, headers, body)
        return refused.status, refused.reason.value

    def _is_recorded(self, exchange: Exchange, refused: Refused) -> bool:
        if exchange.caller is None:
            return False
        return exchange.intent >= 0 or self._refusals.due(refused, exchange.caller.id, now_us() / 1e6)


def _target(scope: MutableMapping[str, Any]) -> bytes:
    path, query = scope["raw_path"], scope["query_string"]
    return bytes(path + b"?" + query if query else path)
