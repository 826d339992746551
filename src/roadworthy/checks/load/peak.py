"""Load at 150 % of the declared peak, with latency counted from the intended send time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from roadworthy.checks.judged_load import Subject, explain_run, objective_of, observe_run, requests_of, specimen
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import higher
from roadworthy.probes.load.schedule import at_peak, constant
from roadworthy.probes.stand_in import Manner, stand_in

_CONTROL_RPS, _CONTROL_S = 200.0, 3.0
# A tenth of it is the least upper end of p99; well above the stand-in's own hiccups, below any usual promise.
_GENEROUS_MS = 800.0
# Sending jitters by a millisecond; without a margin a window would fall one request short of the factor by chance.
_MARGIN = 1.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        duration_s: length of the run; 60 s hold one window of every length.
        factor: multiple of the declared peak.
    """

    duration_s: float = higher(60.0)
    factor: float = higher(1.5)


class PeakLoadCheck(Check[Subject, Params]):
    """Send production-shaped requests at 1.5 times the declared peak of the busiest second, ten seconds and minute.

    Arrivals are open loop: they come whether or not earlier ones were answered, as users do, and a stalled server is
    charged for everybody it kept waiting. When the generator itself falls behind, its figures are refused.

    Requests that wait in one queue are slow together, so the interval of p99 counts them for what they are worth as
    independent ones. A run with too few slow spells gives no verdict; raise ``duration_s`` then.
    """

    id: ClassVar[str] = "load.peak"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Load at 150 % of the declared peak"
    reads: ClassVar[frozenset[Part]] = frozenset()
    alone: ClassVar[bool] = True
    budget_s: ClassVar[float] = 7_200.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "an endpoint that takes twice the promised latency to answer anything"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The declared target, its peak, and bodies made from production rows."""
        objective = objective_of(context)
        yield Subject(requests=requests_of(context), objective=objective)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A prompt stand-in under a small load."""
        with stand_in(Manner.SOUND) as it:
            yield specimen(it.infer_url, constant(_CONTROL_RPS, _CONTROL_S), limit_ms=_GENEROUS_MS)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A stand-in that is twice as slow as promised."""
        limit_ms = context.target.p99_ms if context.target and context.target.p99_ms else 50.0
        with stand_in(Manner.SOUND, delay_s=limit_ms * 2 / 1000) as it:
            yield specimen(it.infer_url, constant(_CONTROL_RPS, _CONTROL_S), limit_ms=limit_ms)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Send the schedule and judge what came back; refuse the figures when the generator lagged."""
        times_s = subject.times_s
        if times_s is None:
            times_s = at_peak(subject.objective.peak, params.duration_s, run.seed, factor=params.factor * _MARGIN)
        return observe_run(subject, times_s, run, facts={})

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Which objective was missed, and what to look at."""
        return explain_run(observation)
