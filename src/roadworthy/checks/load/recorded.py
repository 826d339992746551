"""Load at 150 % of the declared peak with recorded arrivals: as bursty as real users are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import ManifestError
from roadworthy.checks.judged_load import Subject, explain_run, objective_of, observe_run, requests_of, specimen
from roadworthy.checks.scoring import required_target
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import higher
from roadworthy.probes.load.recording import read_arrivals
from roadworthy.probes.load.schedule import recorded_at_peak
from roadworthy.probes.stand_in import Manner, stand_in

# Gaps in milliseconds: short volleys and uneven pauses, 8 requests in 80 ms on average.
_GAPS_MS = (3, 2, 41, 3, 9, 2, 4, 16)
_CONTROL_S = 6.0
# A tenth of it is the least upper end of p99; well above the stand-in's own hiccups, below any usual promise.
_GENEROUS_MS = 800.0
# Sending jitters by a millisecond; without a margin a window would fall one request short of the factor by chance.
_MARGIN = 1.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        duration_s: longest replay, at least 60 s; a longer record is cut to its busiest stretch.
        factor: multiple of the declared peak.
    """

    duration_s: float = higher(300.0)
    factor: float = higher(1.5)


class RecordedLoadCheck(Check[Subject, Params]):
    """Replay recorded arrivals so that the busiest second, ten seconds and minute reach 1.5 times the declared peak.

    Real users come in bursts that no formula makes. The record keeps its pattern and only its clock is changed: one scale
    for all, the smallest at which every window reaches its rate. Latency, failures and generator are judged as by
    ``load.peak``.
    """

    id: ClassVar[str] = "load.recorded"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Load at 150 % of the declared peak with recorded arrivals"
    reads: ClassVar[frozenset[Part]] = frozenset()
    alone: ClassVar[bool] = True
    budget_s: ClassVar[float] = 7_200.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "an endpoint that takes twice the promised latency to answer anything"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The declared target, its peak, its recorded arrivals, and bodies made from production rows."""
        objective = objective_of(context)
        arrivals = required_target(context).arrivals
        if arrivals is None:
            raise ManifestError(
                "No recorded arrivals are declared.",
                remedy="Add target.arrivals: a CSV file with a column TIMESTAMP, or with one column only.",
                where="target.arrivals",
            )
        recorded_s = read_arrivals(context.root / arrivals)
        yield Subject(requests=requests_of(context), objective=objective, recorded_s=recorded_s)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A prompt stand-in under small volleys."""
        with stand_in(Manner.SOUND) as it:
            yield specimen(it.infer_url, _volleys(_CONTROL_S), limit_ms=_GENEROUS_MS)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A stand-in that is twice as slow as promised."""
        limit_ms = context.target.p99_ms if context.target and context.target.p99_ms else 50.0
        with stand_in(Manner.SOUND, delay_s=limit_ms * 2 / 1000) as it:
            yield specimen(it.infer_url, _volleys(_CONTROL_S), limit_ms=limit_ms)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Replay the record and judge what came back; refuse the figures when the generator lagged."""
        if subject.times_s is not None:
            return observe_run(subject, subject.times_s, run, facts={})
        recorded_s = np.zeros(0) if subject.recorded_s is None else subject.recorded_s
        times_s, scale = recorded_at_peak(
            recorded_s, subject.objective.peak, params.duration_s, factor=params.factor * _MARGIN
        )
        facts: dict[str, Any] = {
            "recorded arrivals": int(recorded_s.size),
            "replayed arrivals": int(times_s.size),
            "recorded seconds in one": round(scale, 4),
        }
        return observe_run(subject, times_s, run, facts=facts)

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Which objective was missed, and what to look at."""
        return explain_run(observation)


def _volleys(duration_s: float) -> NDArray[np.float64]:
    gaps_s = np.array(_GAPS_MS, dtype=np.float64) / 1000
    times_s: NDArray[np.float64] = np.cumsum(np.tile(gaps_s, round(duration_s / float(gaps_s.sum()))))
    return times_s
