"""The endpoint is up, says what it is, and answers its contract."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from roadworthy.base.errors import ParameterError, TargetError
from roadworthy.base.interval import exact
from roadworthy.checks.scoring import feature_rows, target_model
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.measure.table import open_table
from roadworthy.probes.open_inference import OpenInference, Row
from roadworthy.probes.stand_in import COLUMNS, Manner, stand_in

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Nothing to tighten: every probe must succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model, and one row that it takes."""

    model: OpenInference
    row: Row
    columns: tuple[str, ...]


class HealthCheck(Check[Subject, Params]):
    """Ask whether the server lives, is ready, describes its model, and scores one good row within the protocol."""

    id: ClassVar[str] = "endpoint.health"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Endpoint health and protocol"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 30.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "an endpoint that answers a maintenance page with status 200"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The declared target, with the first row of the pilot set. Raises when nothing listens there at all."""
        source = context.data["pilot"]
        row = feature_rows(open_table(source.pattern), source)[0]
        model = target_model(context, timeout_s=_TIMEOUT_S)
        model.live()
        yield Subject(model=model, row=row, columns=source.features)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A sound stand-in."""
        with stand_in(Manner.SOUND) as it:
            yield Subject(model=OpenInference(it.model_url, timeout_s=_TIMEOUT_S), row=_good(), columns=COLUMNS)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A stand-in that is under maintenance."""
        with stand_in(Manner.BROKEN) as it:
            yield Subject(model=OpenInference(it.model_url, timeout_s=_TIMEOUT_S), row=_good(), columns=COLUMNS)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Five probes, each on its own."""
        model = subject.model
        probes: dict[str, Callable[[], bool]] = {
            "server is live": model.live,
            "server is ready": model.ready,
            "model is ready": model.model_ready,
            "metadata follows the protocol": lambda: bool(model.metadata().inputs),
            "one good row gets one score": lambda: len(model.predict([subject.row], columns=subject.columns)) == 1,
        }
        rows = []
        for name, probe in probes.items():
            try:
                holds, detail = probe(), ""
            except (TargetError, ParameterError) as error:
                # A good row that does not fit what the model says of itself is a broken contract as well.
                holds, detail = False, error.what
            rows.append({"probe": name, "holds": holds, "detail": detail})
        failed = sum(1 for row in rows if not row["holds"])
        return Observation(
            estimates=(Estimate(metric="probes_failed", interval=exact(failed, len(rows)), unit="probe"),),
            facts={"probes": rows},
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """One finding per probe that failed."""
        return tuple(
            Finding(
                what=f"Not so: {row['probe']}. {row['detail']}".strip(),
                remedy="Look into the server's log; the endpoint must speak the Open Inference Protocol, version 2.",
            )
            for row in observation.facts["probes"]
            if not row["holds"]
        )


def _good() -> Row:
    return dict.fromkeys(COLUMNS, 0.5)
