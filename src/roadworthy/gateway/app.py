"""The gateway as an ASGI application. Owns putting the pipeline together, its start, its end and its replacement.

Rules kept here:
1. Configuration that is read again becomes a new pipeline. A request whose body is still being read goes over to it;
   what was permitted already ends where it began. Ledger, open intents, background answers and all bounds live on.
2. At the end everything that is open is closed in the ledger: background answers are cancelled, intents are abandoned.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roadworthy.gateway.background import BackgroundAnswers
from roadworthy.gateway.config import JsonRoute, OpenAiRoute, OpenInferenceRoute, Route, UseCase
from roadworthy.gateway.json_routes import PROBLEM, json_endpoints
from roadworthy.gateway.ledger_client import LedgerRefused
from roadworthy.gateway.load import Load
from roadworthy.gateway.node_log import NodeLog
from roadworthy.gateway.open_inference_routes import open_inference_endpoints
from roadworthy.gateway.openai_routes import openai_endpoints
from roadworthy.gateway.own_answers import FEEDBACK_RPS, OwnAnswers
from roadworthy.gateway.pipeline import Pipeline
from roadworthy.gateway.rate import CallerRate
from roadworthy.gateway.records import Recorder
from roadworthy.gateway.refusal_leaves import RefusalLeaves
from roadworthy.gateway.request_body import Receive, Send
from roadworthy.gateway.routes import Declared, Endpoint, Router, Work
from roadworthy.gateway.stages import (
    Admit,
    Answerer,
    Ask,
    Authorise,
    Cite,
    Identify,
    Inspect,
    Ledger,
    Meter,
    Switches,
    Trace,
    UseCaseStages,
)
from roadworthy.gateway.steps import Steps
from roadworthy.gateway.streaming import StreamRelay
from roadworthy.gateway.sweeper import Sweeper

_RETRY_S = 1.0
_MARGIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStages:
    """Everything that a configuration decides.

    Attributes:
        identify: who asks.
        authorise: what they may.
        switches: what is off.
        meter: counts.
        trace: begins spans.
        served: every use case with its declared routes.
    """

    identify: Identify
    authorise: Authorise
    switches: Switches
    meter: Meter
    trace: Trace
    served: Sequence[tuple[UseCaseStages, Sequence[Route]]]


def use_case_stages(
    use_case_id: str,
    config: UseCase,
    *,
    admit: Admit,
    inspect: Inspect | None,
    cite: Cite | None,
    answerer: Answerer,
    human: Ask | None,
    longest_s: float,
) -> UseCaseStages:
    """One use case from its block of gateway.yaml and its stages; ``longest_s`` is what its ladder takes at most."""
    return UseCaseStages(
        id=use_case_id,
        tier=config.tier,
        mode=config.record,
        keep_payloads=config.keep_payloads,
        purposes=frozenset(config.purposes),
        purpose_header=config.purpose_header.lower().encode(),
        scope_header=config.scope_header.lower().encode(),
        body_bytes=config.limits.body_bytes,
        in_flight=config.limits.in_flight,
        deadline_s=longest_s + _MARGIN_S,
        admit=admit,
        inspect=inspect,
        cite=cite,
        answerer=answerer,
        human=human,
    )


def build_router(served: Sequence[tuple[UseCaseStages, Sequence[Route]]]) -> Router:
    """All endpoints of all use cases. Under one OpenAI prefix, several use cases are told apart by the model."""
    declared: list[Declared] = []
    by_prefix: dict[str, list[tuple[str, UseCaseStages]]] = {}
    for use, routes in served:
        for route in routes:
            if isinstance(route, OpenAiRoute):
                by_prefix.setdefault(route.prefix, []).extend((model, use) for model in route.models)
            elif isinstance(route, OpenInferenceRoute):
                declared += open_inference_endpoints(route, use)
            else:
                assert isinstance(route, JsonRoute)
                declared += json_endpoints(route, use)
    for prefix, models in by_prefix.items():
        declared += openai_endpoints(prefix, models)
    uses = tuple(use for use, _ in served)
    declared.append(
        Declared("POST", b"/feedback", Endpoint(label="feedback", work=Work.FEEDBACK, shape=PROBLEM, uses=uses))
    )
    return Router(declared)


class Application:
    """The data plane of one worker, as a raw ASGI application.

    Args:
        stages: what the configuration decides.
        recorder: builds this worker's leaves.
        ledger: makes them durable.
        node: name of the node, the actor of what the worker says of itself.
    """

    def __init__(self, stages: GatewayStages, *, recorder: Recorder, ledger: Ledger, node: str) -> None:
        self._recorder, self._ledger = recorder, ledger
        self._node_log = NodeLog(node=node, epoch=recorder.epoch, ledger=ledger, pseudonym=recorder.pseudonym)
        self.sweeper = Sweeper(recorder, ledger)
        self.background = BackgroundAnswers()
        self.load = Load()
        self._refusals, self._streams = RefusalLeaves(), set[StreamRelay]()
        self._feedback_rate = CallerRate(FEEDBACK_RPS)
        self._pipeline = self._build(stages)
        self._announcing: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Exchanges under way, also in the background."""
        return sum(self.load.by_use.values())

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """ASGI 3: HTTP and lifespan; anything else is closed."""
        if scope["type"] == "http":
            await self._pipeline.handle(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def start(self) -> None:
        """Connect to the ledger and say that the worker began, as soon as somebody listens."""
        self._ledger.start()
        self.sweeper.start()
        self._announcing = asyncio.get_running_loop().create_task(self._announce())

    async def close(self) -> None:
        """End what is open, say so, and leave the ledger."""
        if self._announcing is not None:
            self._announcing.cancel()
            await asyncio.gather(self._announcing, return_exceptions=True)
        await self.background.close()
        await self.sweeper.close()
        try:
            await self._node_log.note("", "", "gateway worker ended", {})
        except LedgerRefused:
            # The ledger went first. The next worker's leaf shows that this one ended.
            pass
        finally:
            await self._ledger.close()

    def replace(self, stages: GatewayStages) -> None:
        """Serve new requests by another configuration."""
        self._pipeline = self._build(stages)

    def cut_off(self) -> None:
        """End every stream whose use case is off by now."""
        self._pipeline.cut_off()

    def _build(self, stages: GatewayStages) -> Pipeline:
        steps = Steps(
            authorise=stages.authorise,
            switches=stages.switches,
            recorder=self._recorder,
            ledger=self._ledger,
            sweeper=self.sweeper,
        )
        own = OwnAnswers(
            steps,
            background=self.background,
            load=self.load,
            feedback_rate=self._feedback_rate,
            meter=stages.meter,
        )
        return Pipeline(
            router=build_router(stages.served),
            identify=stages.identify,
            steps=steps,
            own=own,
            meter=stages.meter,
            trace=stages.trace,
            load=self.load,
            refusals=self._refusals,
            streams=self._streams,
            current=lambda: self._pipeline,
        )

    async def _announce(self) -> None:
        while True:
            if await self._ledger.ready(_RETRY_S):
                try:
                    await self._node_log.note("", "", "gateway worker started", {})
                except LedgerRefused:
                    await asyncio.sleep(_RETRY_S)
                else:
                    return

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
