"""Performance on production-representative data, judged by the worst cohort."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from roadworthy.base.interval import Interval
from roadworthy.checks.scoring import ScoredSet, metric_of, required_quality, required_source, score, specimen
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run, Watch
from roadworthy.kit.context import CheckContext, Quality
from roadworthy.kit.params import higher
from roadworthy.measure.delta import delta


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        confidence_share: two-sided level that all cohorts reach together, in (0, 1).
    """

    confidence_share: float = higher(0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Scored production rows and the quality that is needed."""

    production: ScoredSet
    quality: Quality


class ProductionCheck(Check[Subject, Params]):
    """Score the production-representative rows through the endpoint and measure each cohort.

    The worst cohort decides: an average hides the hospital at which the model does not work. All cohorts' intervals
    hold together at the stated confidence, so that the worst of many is not bad luck. Rows of one cluster, for example a
    patient, count together.
    """

    id: ClassVar[str] = "performance.production"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Performance on production-representative data"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 180.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "one of two cohorts whose scores take one outcome for the other"
    watch: ClassVar[Watch | None] = Watch(harm=True, labels=True)

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The production feed, scored now."""
        quality = required_quality(context)
        yield Subject(production=score(context, required_source(context, "production")), quality=quality)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Two cohorts whose scores know the outcome."""
        yield Subject(production=specimen(informed=True), quality=required_quality(context))

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same, but one cohort's scores take one outcome for the other."""
        good, bad = specimen(informed=True), specimen(informed=False)
        north = np.asarray(good.sample.cohorts) == "north"
        mixed = np.where(north, good.sample.scores, bad.sample.scores)
        yield Subject(
            production=replace(good, sample=replace(good.sample, scores=mixed)), quality=required_quality(context)
        )

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Measure the whole and every cohort; a set without cohorts is its own worst cohort."""
        metric, sample = metric_of(subject.quality), subject.production.sample
        report = delta(
            sample,
            sample,
            metric,
            threshold=subject.quality.threshold,
            confidence=params.confidence_share,
            seed=run.seed,
        )
        measured = [row.production for row in report.cohorts if row.production.known]
        unmeasured = [row.cohort for row in report.cohorts if not row.production.known]
        unmeasured += subject.production.unjudged_cohorts
        lowest = _worst(measured or [report.production], higher_is_better=metric.higher_is_better)
        if unmeasured:
            lowest = _with_a_gap(lowest, higher_is_better=metric.higher_is_better)
        name = report.worst.cohort if report.worst else "all rows"
        return Observation(
            estimates=(
                Estimate(metric="worst_cohort_quality", interval=lowest),
                Estimate(metric="quality", interval=report.production),
                *(Estimate(metric="quality", interval=row.production, cohort=row.cohort) for row in report.cohorts),
            ),
            facts={
                "metric": metric.value,
                "worst cohort": name,
                "unmeasured cohorts": unmeasured,
                "rows": subject.production.rows,
                "rows without a label": subject.production.unlabelled,
                "rows declined": subject.production.declined,
                "cohorts": [
                    {
                        "cohort": row.cohort,
                        "n": row.production.n,
                        "estimate": _number(row.production.estimate),
                        "lower": _number(row.production.lower),
                        "upper": _number(row.production.upper),
                    }
                    for row in report.cohorts
                ],
                "bound": subject.quality.bound,
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """The worst cohort, and those that could not be measured."""
        facts = observation.facts
        findings = [
            Finding(
                what=f"Cohort {name} cannot be measured: too few rows, or one outcome only.",
                remedy="Label more rows there, until both outcomes occur.",
            )
            for name in facts["unmeasured cohorts"]
        ]
        lowest = observation.estimates[0].interval
        brier = facts["metric"] == "brier"
        misses = lowest.known and (lowest.upper > facts["bound"] if brier else lowest.lower < facts["bound"])
        if misses:
            findings.append(
                Finding(
                    what=f"{facts['metric'].upper()} is {lowest.estimate:.3f} [{lowest.lower:.3f}, {lowest.upper:.3f}] "
                    f"at {facts['worst cohort']}, against a bound of {facts['bound']:g}.",
                    remedy="Look at that cohort's data first; then recalibrate or retrain with its rows, or leave it out.",
                )
            )
        return tuple(findings)


def _worst(cohorts: Sequence[Interval], *, higher_is_better: bool) -> Interval:
    """The worst of all cohorts, end by end.

    The cohort with the worst estimate need not have the worst end: a small one may look well and know nothing. Taking
    each end's worst means that the bound is met only where every cohort meets it, and missed as soon as one does.
    """
    worst = min if higher_is_better else max
    return Interval(
        estimate=worst(each.estimate for each in cohorts),
        lower=worst(each.lower for each in cohorts),
        upper=worst(each.upper for each in cohorts),
        n=min(each.n for each in cohorts),
        confidence=cohorts[0].confidence,
    )


def _with_a_gap(lowest: Interval, *, higher_is_better: bool) -> Interval:
    """An unmeasured cohort may be as bad as can be: a miss elsewhere stays a miss, nothing can be met any more."""
    lower, upper = (0.0, lowest.upper) if higher_is_better else (lowest.lower, 1.0)
    return Interval(estimate=lowest.estimate, lower=lower, upper=upper, n=lowest.n, confidence=lowest.confidence)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)
