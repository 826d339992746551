"""What the gateway answers itself: models, feedback, and answers that are fetched later.

Rules kept here:
1. An answer in the background is asked for like any other, and holds its place and its question until it has ended,
   however it ends: an answer that never came reads as failed.
2. Reading it needs what asking needed, as it is then: switch, policy, certificate. So polling counts against the rates.
3. The first reading of what the AI system said is an outcome of its own, without an intent, with ``record`` naming the
   exchange; it is durable before the answer leaves. Polling before and reading again leave nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import unquote

from roadworthy.base.clock import now_us
from roadworthy.gateway.background import BackgroundAnswers, KeptAnswer
from roadworthy.gateway.exchange import Question, Reason, Refused
from roadworthy.gateway.feedback import read_feedback
from roadworthy.gateway.ledger_client import LedgerRefused
from roadworthy.gateway.load import Load
from roadworthy.gateway.openai_routes import models_body
from roadworthy.gateway.rate import CallerRate
from roadworthy.gateway.records import Exchange
from roadworthy.gateway.release import own_headers, send_whole
from roadworthy.gateway.request_body import Call
from roadworthy.gateway.routes import Work
from roadworthy.gateway.stages import Ask, Meter
from roadworthy.gateway.steps import Steps
from roadworthy.gateway.sweeper import Abandoned

FEEDBACK_RPS = 5.0
"""Of one caller at one worker; each feedback is a leaf."""
Ended = tuple[int, str]
"""Status and reason, for the meter."""
_JSON = b"application/json"


class Errand(NamedTuple):
    """A question that is asked later."""

    ask: Ask
    question: Question
    key: bytes


class OwnAnswers:
    """The endpoints that forward nothing.

    Args:
        steps: of the configuration.
        background: answers that are fetched later.
        load: what is under way.
        feedback_rate: how often a caller may judge.
        meter: counts.
    """

    def __init__(
        self, steps: Steps, *, background: BackgroundAnswers, load: Load, feedback_rate: CallerRate, meter: Meter
    ) -> None:
        self._steps, self._background, self._load = steps, background, load
        self._feedback_rate, self._meter = feedback_rate, meter
        self.by_work: dict[Work, Callable[[Call, Exchange, bytes], Awaitable[Ended]]] = {
            Work.MODELS: self._models,
            Work.READ_ANSWER: self._read,
            Work.CANCEL_ANSWER: self._cancel,
            Work.FEEDBACK: self._feedback,
        }

    async def begin(self, call: Call, exchange: Exchange, errand: Errand, body: bytes) -> Ended:
        """Ask in the background, and say that it is queued.

        Raises:
            Refused: too much is kept (429, 503), or the ledger did not take the intent (503).
        """
        kept = self._background.begin(exchange)
        try:
            await self._steps.intend(exchange, body)  # 8
        except BaseException:
            self._background.forget(kept)
            raise
        queued, exchange.lasting = kept.body, True

        def ended() -> None:
            self._load.leave(exchange, self._meter)
            self._steps.sweeper.lose(exchange)

        self._background.start(kept, self._fetch(call, exchange, kept, errand), ended)
        await send_whole(call.send, 200, own_headers(_JSON, exchange.id, -1), queued)
        return 200, ""

    async def _fetch(self, call: Call, exchange: Exchange, kept: KeptAnswer, errand: Errand) -> None:
        use = exchange.use
        assert use is not None
        status, reason = 200, ""
        try:
            kept.body = kept.state("in_progress")
            answer = await self._steps.ask(exchange, *errand)  # 9
            if answer.close is not None:
                await answer.close()
            answer.body = self._steps.cited(exchange, use, answer)  # 10
            status, body = answer.status, kept.renamed(answer)
            exchange.usage_in, exchange.usage_out = call.endpoint.shape.usage(body)
        except Refused as refused:
            status, reason = refused.status, refused.reason.value
            body = kept.failed(reason, refused.what)
        except asyncio.CancelledError:
            # Whoever cancels waits for the end of this task, and the end is recorded like any other.
            reason, body = Reason.CLIENT_GONE.value, kept.state("cancelled")
        try:
            await self._steps.outcome(exchange, status, reason, body, len(body))  # 11
        except (LedgerRefused, Abandoned) as fault:
            reason, body = fault.reason.value, kept.failed(fault.reason.value, fault.what)
        self._background.finish(kept, body, answered=not reason)  # 12

    async def _models(self, call: Call, exchange: Exchange, _body: bytes) -> Ended:
        visible = []
        for model, use in call.endpoint.by_model.items():
            try:
                self._steps.authorised(call, exchange, use)
            except Refused:
                continue
            visible.append(model)
        body = models_body(visible, unquote(call.argument.decode("latin-1")))
        index = await self._steps.outcome(exchange, 200, "", body, len(body))
        await send_whole(call.send, 200, own_headers(_JSON, exchange.id, index), body)
        return 200, ""

    async def _feedback(self, call: Call, exchange: Exchange, body: bytes) -> Ended:
        assert exchange.caller is not None
        self._feedback_rate.check(exchange.caller.id, now_us() / 1e6)
        given = read_feedback(body, call.endpoint)
        exchange.use = given.use
        self._steps.authorised(call, exchange, given.use)
        record = self._steps.recorder.feedback(
            exchange, record=given.record, rating=given.rating, comment=given.comment.encode("utf-8", "replace")
        )
        index = await self._steps.ledger.put(*record)
        await send_whole(call.send, 201, own_headers(_JSON, exchange.id, index), b'{"object":"feedback"}')
        return 201, ""

    async def _read(self, call: Call, exchange: Exchange, _body: bytes) -> Ended:
        return await self._show(call, exchange, self._find(call, exchange))

    async def _cancel(self, call: Call, exchange: Exchange, _body: bytes) -> Ended:
        kept = self._find(call, exchange)
        await self._background.cancel(kept)
        return await self._show(call, exchange, kept)

    def _find(self, call: Call, exchange: Exchange) -> KeptAnswer:
        caller = exchange.caller
        assert caller is not None
        exchange.body_read = True
        kept = self._background.find(call.argument.decode("latin-1"), caller)
        first = kept.exchange
        # The use case as it is configured now: what was allowed when it was asked may be forbidden by now.
        use = next((each for each in call.endpoint.uses if each.id == first.use_case), None)
        if use is None:
            raise Refused(Reason.NO_ROUTE, 404, "The use case of this response is served no more.")
        exchange.use, exchange.model = use, first.model
        self._steps.switches.refuse_if_off(use.id)
        self._steps.authorise.check(caller, use.id, first.purpose, first.scope)
        exchange.purpose, exchange.scope = first.purpose, first.scope
        exchange.admission = use.admit.check(caller, first.scope, now_us() / 1e6)
        exchange.release = first.release
        return kept

    async def _show(self, call: Call, exchange: Exchange, kept: KeptAnswer) -> Ended:
        body, index = kept.body, -1
        if kept.answered and not kept.read:
            index = await self._steps.outcome(exchange, 200, "", body, len(body), about=kept.exchange.id)
            kept.read = True
        await send_whole(call.send, 200, own_headers(_JSON, kept.exchange.id, index), body)
        return 200, ""
