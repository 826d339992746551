"""What the model loses between the pilot and production, with its interval, as a whole and by cohort."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from roadworthy.base.interval import Interval
from roadworthy.checks.scoring import Declined, ScoredSet, metric_of, required_quality, score, specimen
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext, Quality
from roadworthy.kit.params import higher
from roadworthy.measure.delta import Metric, delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        confidence_share: two-sided level, for the whole and for all cohorts together, in (0, 1).
    """

    confidence_share: float = higher(0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Both sets, scored by the same endpoint, and the quality that is needed."""

    pilot: ScoredSet
    production: ScoredSet
    quality: Quality


class DeltaCheck(Check[Subject, Params]):
    """Measure the same metric by the same code on both sets; the loss is positive when production is worse.

    The pilot's own figure is measured on the rows that the pilot was judged on, so it carries the pilot's optimism; the
    loss therefore includes it, which is what a decision about production needs to know.
    """

    id: ClassVar[str] = "performance.delta"
    version: ClassVar[int] = 1
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
            pilot=score(context, context.data["pilot"], declined_as=Declined.BEST),
            production=score(context, context.data["production"]),
            quality=required_quality(context),
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Two draws of the same."""
        yield Subject(
            pilot=specimen(informed=True), production=specimen(informed=True, seed=8), quality=required_quality(context)
        )

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A production set whose scores take one outcome for the other."""
        yield Subject(
            pilot=specimen(informed=True), production=specimen(informed=False), quality=required_quality(context)
        )

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Measure both and their difference."""
        metric = metric_of(subject.quality)
        report = delta(
            subject.pilot.sample,
            subject.production.sample,
            metric,
            threshold=subject.quality.threshold,
            confidence=params.confidence_share,
        )
        losses = [(row.cohort, _loss(row.difference, metric)) for row in report.cohorts]
        return Observation(
            estimates=(
                Estimate(metric="quality_loss", interval=_loss(report.difference, metric)),
                *(Estimate(metric="quality_loss", interval=loss, cohort=name) for name, loss in losses),
                Estimate(metric="pilot_quality", interval=report.pilot),
                Estimate(metric="production_quality", interval=report.production),
            ),
            facts={
                "metric": metric.value,
                "margin": subject.quality.margin_from_pilot,
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
        return (
            Finding(
                what=f"Production loses {loss.estimate:.3f} [{loss.lower:.3f}, {loss.upper:.3f}] of "
                f"{facts['metric'].upper()} against the pilot; {facts['margin']:g} is acceptable.{where}",
                remedy="Find the cause: first the data of the worst cohort, then the mix of cases, then the model. "
                "Where the model was trained on the pilot rows, name held-out rows as the pilot set: the loss includes "
                "what the pilot flattered itself by.",
            ),
        )


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
    def number(value: float) -> float | None:
        return None if np.isnan(value) else round(value, 6)

    return {
        "cohort": cohort,
        "n": production.n,
        "production": number(production.estimate),
        "loss": number(loss.estimate),
        "loss lower": number(loss.lower),
        "loss upper": number(loss.upper),
    }
