"""The quality threshold, met or not on the rows at hand."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from roadworthy.base.interval import Interval
from roadworthy.checks.scoring import ScoredSet, metric_of, required_quality, required_source, score, specimen
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext, Quality
from roadworthy.kit.params import higher
from roadworthy.measure.delta import Metric, performance
from roadworthy.stats.sample_size import samples_needed_scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        confidence_share: two-sided level of the interval, in (0, 1).
    """

    confidence_share: float = higher(0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Scored production rows and the threshold."""

    production: ScoredSet
    quality: Quality


class ThresholdCheck(Check[Subject, Params]):
    """Measure the declared metric over all production rows; the interval's end decides, not the point."""

    id: ClassVar[str] = "performance.threshold"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Output quality threshold"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 180.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "scores that take one outcome for the other"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The production feed, scored now."""
        quality = required_quality(context)
        yield Subject(production=score(context, required_source(context, "production")), quality=quality)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Scores that know the outcome."""
        yield Subject(production=specimen(informed=True), quality=required_quality(context))

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """Scores that do not."""
        yield Subject(production=specimen(informed=False), quality=required_quality(context))

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Measure, and say how many more labels it would take when the interval straddles the bound."""
        metric, sample = metric_of(subject.quality), subject.production.sample
        interval = performance(
            sample.labels,
            sample.scores,
            metric,
            threshold=subject.quality.threshold,
            confidence=params.confidence_share,
            clusters=sample.clusters,
            seed=run.seed,
        )
        return Observation(
            estimates=(Estimate(metric="quality", interval=interval),),
            facts={
                "metric": metric.value,
                "bound": subject.quality.bound,
                "rows": subject.production.rows,
                "rows without a label": subject.production.unlabelled,
                "rows declined": subject.production.declined,
                "more labels needed": _more_labels(interval, subject.quality.bound),
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """What is missing: quality, or labels to tell."""
        facts, interval = observation.facts, observation.estimates[0].interval
        if not interval.known:
            return (Finding(what="The metric cannot be computed.", remedy="Label rows of both outcomes."),)
        higher_is_better = Metric(facts["metric"]).higher_is_better
        met = interval.lower >= facts["bound"] if higher_is_better else interval.upper <= facts["bound"]
        if met:
            return ()
        figure = f"{facts['metric'].upper()} {interval.estimate:.3f} [{interval.lower:.3f}, {interval.upper:.3f}]"
        missed = interval.upper < facts["bound"] if higher_is_better else interval.lower > facts["bound"]
        if missed:
            return (
                Finding(
                    what=f"{figure} misses the bound of {facts['bound']:g}.",
                    remedy="Improve the model or its data; the bound moves only by a signed revision.",
                ),
            )
        return (Finding(what=f"{figure} straddles the bound of {facts['bound']:g}.", remedy=_advice(interval, facts)),)


def _advice(interval: Interval, facts: Mapping[str, Any]) -> str:
    """More labels only help a model whose estimate stands on the right side; on the other they would show the miss."""
    better = interval.estimate - facts["bound"]
    if (better if Metric(facts["metric"]).higher_is_better else -better) <= 0:
        return "Improve the model or its data: the estimate itself is on the wrong side, and more labels would show it."
    return f"Label about {facts['more labels needed']} more rows, once: looking after every few invites a lucky pass."


def _more_labels(interval: Interval, bound: float) -> int | None:
    """How many more rows would pull the interval off the bound; None when none would, 0 when it is off already."""
    if not interval.known:
        return None
    if not interval.lower < bound < interval.upper:
        return 0
    needed = samples_needed_scaled(interval, bound)
    return None if needed is None else max(0, needed - interval.n)
