"""From gateway.yaml to stages. Owns which part is made for which key; how each works is the part's own business.

A ``Generation`` is what one reading of the file made. It is replaced as a whole when the file is read again; exchanges
that began in the old one end there, so it is closed only after the longest of them is over. Which certificates ended goes
from one to the next through a file of the node.
"""

import asyncio
from collections.abc import MutableMapping
from importlib import import_module
from typing import Protocol

from roadworthy.base.errors import DependencyError
from roadworthy.domain.exchange import Caller
from roadworthy.gateway.admission import Admit
from roadworthy.gateway.app import GatewayStages, use_case_stages
from roadworthy.gateway.certificate_file import Past
from roadworthy.gateway.citations import cite_of
from roadworthy.gateway.config import GatewayConfig, InputFilter, Telemetry, UseCase
from roadworthy.gateway.human_queue import HumanQueue
from roadworthy.gateway.identity.api_keys import ApiKeys
from roadworthy.gateway.identity.identify import Identify, identify_of, unix_s
from roadworthy.gateway.ladder import Ladder, build_ladder
from roadworthy.gateway.metrics import Meter
from roadworthy.gateway.node_files import NodeFiles
from roadworthy.gateway.pinned_file import read_pinned
from roadworthy.gateway.policy import load_policy
from roadworthy.gateway.rate import CallerRate
from roadworthy.gateway.release_watch import ReleaseWatch
from roadworthy.gateway.stages import Authorise, Inspect, UseCaseStages
from roadworthy.gateway.switches import Switches
from roadworthy.gateway.tracing import Export, SpanRecord, Tracer

_OTEL = "roadworthy.gateway.tracing_otel"
_INSPECTION = "roadworthy.gateway.inspection"
_REFRESH_S = 30.0


class PacedAdmit(Admit):
    """Admission with a limit for each caller, which counts before the certificate is asked.

    Args:
        use_case_id: whose.
        use_case: its block.
        workers: processes that share the limits.
        past: certificates that ended before.
    """

    def __init__(self, use_case_id: str, use_case: UseCase, *, workers: int, past: Past) -> None:
        release = next(iter(use_case.upstreams.values())).release or ""
        super().__init__(use_case_id, use_case.tier, use_case.admission, release=release, workers=workers, past=past)
        rate_rps = use_case.limits.caller_rps
        self._rate = None if rate_rps is None else CallerRate(rate_rps / workers)

    def check(self, caller: Caller, scope: str, now_s: float) -> str:
        """As ``Admit.check``.

        Raises:
            Refused: not admitted (403), or too often (429).
        """
        if self._rate is not None:
            self._rate.check(caller.id, now_s)
        return super().check(caller, scope, now_s)


class Generation:
    """The stages of one reading of the configuration.

    Args:
        config: what was read.
        meter: of this worker.
        switches: of this worker.
        export: takes spans; None when nobody collects them.
        queues: review queues, which outlive this generation.

    Raises:
        RoadworthyError: a file that the configuration names cannot be used.
    """

    def __init__(
        self,
        config: GatewayConfig,
        *,
        meter: Meter,
        switches: Switches,
        export: Export | None,
        queues: MutableMapping[str, HumanQueue],
    ) -> None:
        self.config = config
        self.identify = identify_of(config.identity)
        self.administrators = None if config.admin_keys is None else Identify(ApiKeys(config.admin_keys, unix_s()))
        ended = NodeFiles(config.ledger.folder).ended
        self.admits = {
            name: PacedAdmit(name, each, workers=config.workers, past=Past(name, ended))
            for name, each in config.use_cases.items()
        }
        self.ladders = {name: build_ladder(name, each, queues=queues) for name, each in config.use_cases.items()}
        authorise, self.policy_digest = read_pinned(config.policy, load_policy)
        self.stages = GatewayStages(
            identify=self.identify,
            authorise=authorise,
            switches=switches,
            meter=meter,
            trace=Tracer(share=config.telemetry.sample_share, export=export),
            served=[(self._use_case(name, each, authorise), each.routes) for name, each in config.use_cases.items()],
        )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def longest_s(self) -> float:
        """How long an exchange may take at most."""
        return max(ladder.longest_s for ladder in self.ladders.values())

    def begin(self) -> None:
        """Start what works in the background, in the running loop."""
        self.identify.begin()
        loop = asyncio.get_running_loop()
        for name, use_case in self.config.use_cases.items():
            primary = next(iter(use_case.upstreams.values()))
            if primary.release_from is not None:
                every_s = use_case.admission.refresh_s if use_case.admission else _REFRESH_S
                url = primary.url.rstrip("/") + primary.release_from
                watch = ReleaseWatch(url, self.admits[name].learn, every_s=every_s)
                self._tasks.append(loop.create_task(watch.run()))

    async def close(self) -> None:
        """End the background work and every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.identify.close()
        for ladder in self.ladders.values():
            await ladder.close()

    def certificates(self) -> dict[str, dict[str, object]]:
        """State of every admission, by use case, judged now."""
        now_s = unix_s()
        return {name: admit.status(now_s) for name, admit in self.admits.items()}

    def upstreams(self) -> dict[str, dict[str, str]]:
        """State of every breaker, by use case and upstream."""
        return {
            name: {upstream: state.value for upstream, state in ladder.breaker_states().items()}
            for name, ladder in self.ladders.items()
        }

    def _use_case(self, name: str, config: UseCase, authorise: Authorise) -> UseCaseStages:
        ladder: Ladder = self.ladders[name]
        return use_case_stages(
            name,
            config,
            admit=self.admits[name],
            inspect=None if config.filter is None else _inspect(config.filter),
            cite=None if config.citations is None else cite_of(config.citations, authorise),
            answerer=ladder,
            human=ladder.human,
            longest_s=ladder.longest_s,
        )


def _inspect(declared: InputFilter) -> Inspect:
    """The input filter. Its module brings the data engine: sixty megabytes that a worker without filters does not need."""
    found: Inspect = import_module(_INSPECTION).inspect_of(declared)
    return found


class Exporter(Protocol):
    """Takes spans that ended, until it is closed."""

    def __call__(self, record: SpanRecord) -> None:
        """Take one span."""

    def close(self) -> None:
        """Send what is queued, and end; it blocks."""


def exporter(telemetry: Telemetry, node: str) -> Exporter | None:
    """Who takes spans; None when no collector is named.

    Raises:
        DependencyError: a collector is named and opentelemetry is not installed (RW-600).
    """
    if telemetry.otlp_url is None:
        return None
    try:
        module = import_module(_OTEL)
    except ImportError as error:
        remedy = "Install roadworthy with the extra otel, or drop telemetry.otlp_url."
        raise DependencyError("opentelemetry is not installed.", remedy=remedy) from error
    export: Exporter = module.OtelExport(telemetry.otlp_url, node)
    return export
