"""What the model loses between the pilot and production, as a whole and by cohort, why, and whether that is harm."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, exact
from roadworthy.checks.scoring import (
    Declined,
    ScoredSet,
    all_inputs,
    metric_of,
    required_quality,
    required_source,
    score,
    specimen,
)
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext, Quality
from roadworthy.kit.params import higher
from roadworthy.measure.delta import Metric, ShiftVerdict, delta, delta_parts, shift_verdict
from roadworthy.measure.profile.compare import DEFAULT_RULE, compare_tables
from roadworthy.measure.table import open_table
from roadworthy.stats.decomposition import Decomposition

_PARTS = ("total", "mix_shift", "within_slices", "new_slices")
_REPLICATES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        confidence_share: two-sided level, for the whole and for all cohorts together, in (0, 1).
    """

    confidence_share: float = higher(0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Both sets, scored by the same endpoint.

    Attributes:
        pilot: its labelled rows.
        production: its labelled rows.
        moved: inputs that moved between the two; None when they could not be compared.
        quality: that is needed.
    """

    pilot: ScoredSet
    production: ScoredSet
    moved: tuple[str, ...] | None
    quality: Quality


class DeltaCheck(Check[Subject, Params]):
    """Measure the same metric by the same code on both sets; the loss is positive when production is worse.

    The pilot's own figure is measured on the rows that the pilot was judged on, so it carries the pilot's optimism; the
    loss therefore includes it, which is what a decision about production needs to know.
    """

    id: ClassVar[str] = "performance.delta"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Pilot-to-production delta"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA, Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 180.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = (
        "a pilot that knows the outcome and a production set that takes one for the other"
    )

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """Both sets of the manifest, scored now."""
        yield Subject(
            pilot=score(context, required_source(context, "pilot"), declined_as=Declined.BEST),
            production=score(context, required_source(context, "production")),
            moved=_moved(context),
            quality=required_quality(context),
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Two draws of the same."""
        yield _specimen(required_quality(context), informed=True)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A production set whose scores take one outcome for the other."""
        yield _specimen(required_quality(context), informed=False)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Measure both and their difference."""
        metric = metric_of(subject.quality)
        report = delta(
            subject.pilot.sample,
            subject.production.sample,
            metric,
            threshold=subject.quality.threshold,
            confidence=params.confidence_share,
            seed=run.seed,
        )
        whole, margin = _loss(report.difference, metric), subject.quality.margin_from_pilot
        verdict = shift_verdict(whole, margin, inputs_shifted=bool(subject.moved))
        losses = [(row.cohort, _loss(row.difference, metric)) for row in report.cohorts]
        return Observation(
            estimates=(
                Estimate(metric="quality_loss", interval=whole),
                *(Estimate(metric="quality_loss", interval=loss, cohort=name) for name, loss in losses),
                Estimate(metric="pilot_quality", interval=report.pilot),
                Estimate(metric="production_quality", interval=report.production),
                Estimate(metric="harmed", interval=_harmed(verdict, whole.n)),
            ),
            facts={
                "metric": metric.value,
                "margin": margin,
                "verdict": verdict.value,
                "inputs that moved": None if subject.moved is None else list(subject.moved),
                "parts of the loss": _parts(subject, metric, params, run),
                "cohorts": [_row(row.cohort, row.production, _loss(row.difference, metric)) for row in report.cohorts],
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """The loss, when it may exceed the margin, and where it is largest."""
        facts, loss = observation.facts, observation.estimates[0].interval
        if loss.known and loss.upper <= facts["margin"]:
            return ()
        if not loss.known:
            return (Finding(what="The delta cannot be computed.", remedy="Label rows of both outcomes in both sets."),)
        measured = [row for row in facts["cohorts"] if row["loss"] is not None]
        worst = max(measured, key=lambda row: row["loss"], default=None)
        where = f" It is largest at {worst['cohort']}: {worst['loss']:.3f}." if worst else ""
        where += _why(facts["parts of the loss"])
        return (
            Finding(
                what=f"Production {'loses' if facts['verdict'] == ShiftVerdict.HARMED.value else 'may lose'} {loss.estimate:.3f} [{loss.lower:.3f}, {loss.upper:.3f}] of "
                f"{facts['metric'].upper()} against the pilot; {facts['margin']:g} is acceptable.{where}",
                remedy="Find the cause: first the data of the worst cohort, then the mix of cases, then the model. "
                "Where the model was trained on the pilot rows, name held-out rows as the pilot set: the loss includes "
                "what the pilot flattered itself by.",
            ),
        )


def _moved(context: CheckContext) -> tuple[str, ...] | None:
    """Inputs of the model that moved, by the rule for drift; None where the sets share no column of one form."""
    pilot, production = required_source(context, "pilot"), required_source(context, "production")
    before, after = open_table(pilot.pattern), open_table(production.pattern)
    names = all_inputs(before, pilot).names
    try:
        return compare_tables(before, after, rule=DEFAULT_RULE, columns=names).drifted
    except ParameterError:
        return None


def _specimen(quality: Quality, *, informed: bool) -> Subject:
    return Subject(
        pilot=specimen(informed=True), production=specimen(informed=informed, seed=8), moved=(), quality=quality
    )


def _harmed(verdict: ShiftVerdict, n: int) -> Interval:
    """1 for harm, 0 for none, anything between when nobody can tell."""
    if verdict is ShiftVerdict.CANNOT_TELL:
        return Interval(estimate=0.5, lower=0.0, upper=1.0, n=n)
    return exact(float(verdict is ShiftVerdict.HARMED), n)


def _parts(subject: Subject, metric: Metric, params: Params, run: Run) -> dict[str, Any] | None:
    """The loss by cause; None unless both sets name their cohorts."""
    pilot, production = subject.pilot.sample, subject.production.sample
    if pilot.cohorts is None or production.cohorts is None:
        return None
    found: Decomposition = delta_parts(
        pilot,
        production,
        metric,
        threshold=subject.quality.threshold,
        confidence=params.confidence_share,
        seed=run.seed,
        replicates=_REPLICATES,
    )
    parts = {name: _loss(getattr(found, name), metric) for name in _PARTS}
    return {
        **{
            name.replace("_", " "): {
                "loss": _number(part.estimate),
                "lower": _number(part.lower),
                "upper": _number(part.upper),
            }
            for name, part in parts.items()
        },
        "rows of new slices": _number(found.new_share),
    }


def _why(parts: dict[str, Any] | None) -> str:
    """The part that most of the loss comes from, where it stands clear of nothing."""
    words = {
        "mix shift": "the mix of cohorts",
        "within slices": "change within cohorts",
        "new slices": "cohorts that the pilot never had",
    }
    clear = [name for name in words if parts and parts[name]["lower"] is not None and parts[name]["lower"] > 0]
    if not parts or not clear:
        return ""
    most = max(clear, key=lambda name: parts[name]["loss"])
    return f" Most of it, {parts[most]['loss']:.3f}, comes from {words[most]}."


def _loss(difference: Interval, metric: Metric) -> Interval:
    """Positive when production is worse, whichever way the metric points."""
    if not metric.higher_is_better:
        return difference
    return Interval(
        estimate=-difference.estimate,
        lower=-difference.upper,
        upper=-difference.lower,
        n=difference.n,
        confidence=difference.confidence,
    )


def _row(cohort: str, production: Interval, loss: Interval) -> dict[str, Any]:
    return {
        "cohort": cohort,
        "n": production.n,
        "production": _number(production.estimate),
        "loss": _number(loss.estimate),
        "loss lower": _number(loss.lower),
        "loss upper": _number(loss.upper),
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)
