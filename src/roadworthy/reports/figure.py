"""One measured number beside its bound. Owns choosing which number speaks for a criterion, and how it reads.

Judging belongs to ``domain.criterion``: the verdict shown here is computed by it, never taken from the evidence.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from roadworthy.domain.criterion import Comparator, Criterion, Estimate, Predicate, Verdict, judge
from roadworthy.reports.words import decimals_for, metric_words, number, quantity, shown_unit, side_words

_WORST_FIRST = (Verdict.NOT_MET, Verdict.CANNOT_TELL, Verdict.MET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """An estimate with its interval, and the bound that it is held against.

    Attributes:
        metric: name of the number, as predicates call it.
        name: the same in words.
        estimate, lower, upper: in ``unit``; NaN when not known.
        n: how many independent units it rests on.
        confidence: two-sided level of the interval as a share; 1 for a count.
        unit: ``1`` for a ratio, a share or a score.
        cohort: part of the population; None for all of it.
        comparator: which side of the bound passes; None without a bound.
        bound: in ``unit``; None when nothing is held against it.
        n_min: fewest units that may decide; None without a bound.
        verdict: what the interval says of the bound; None without a bound.
        text: ``0.687 [0.611, 0.762]``, with its unit.
        bound_text: ``at least 0.800``; empty without a bound.
    """

    metric: str
    name: str
    estimate: float
    lower: float
    upper: float
    n: int
    confidence: float
    unit: str
    cohort: str | None
    comparator: Comparator | None
    bound: float | None
    n_min: int | None
    verdict: Verdict | None
    text: str
    bound_text: str

    @property
    def known(self) -> bool:
        """Whether estimate and both ends are finite."""
        return math.isfinite(self.estimate) and math.isfinite(self.lower) and math.isfinite(self.upper)

    @property
    def drawable(self) -> bool:
        """Whether a picture says more than the text: an interval, or a score, against a finite bound."""
        counted = self.lower == self.upper and self.unit != "1"
        return self.known and not counted and self.bound is not None and math.isfinite(self.bound)


def figure_of(estimate: Estimate, predicate: Predicate | None) -> Figure:
    """The figure of one estimate, held against a predicate when there is one."""
    interval = estimate.interval
    unit = shown_unit(estimate.metric, estimate.unit)
    bound = predicate.bound if predicate is not None else math.nan
    decimals = decimals_for((interval.estimate, interval.lower, interval.upper), bound, unit)
    return Figure(
        metric=estimate.metric,
        name=metric_words(estimate.metric),
        estimate=interval.estimate,
        lower=interval.lower,
        upper=interval.upper,
        n=interval.n,
        confidence=interval.confidence,
        unit=estimate.unit,
        cohort=estimate.cohort,
        comparator=predicate.comparator if predicate is not None else None,
        bound=predicate.bound if predicate is not None else None,
        n_min=predicate.n_min if predicate is not None else None,
        verdict=judge(predicate, (estimate,)) if predicate is not None else None,
        text=_text(estimate, unit, decimals),
        bound_text=bound_words(predicate) if predicate is not None else "",
    )


def bound_words(predicate: Predicate) -> str:
    """``at most 50 ms``; says so when the manifest leaves the bound open."""
    if not math.isfinite(predicate.bound):
        return f"{side_words(predicate.comparator)} a bound that is not set"
    unit = shown_unit(predicate.metric, predicate.unit)
    # A score keeps the decimals that people write it with: 0.80, not 0.8.
    decimals = 2 if unit == "1" and round(predicate.bound, 2) == predicate.bound != round(predicate.bound) else None
    return f"{side_words(predicate.comparator)} {quantity(predicate.bound, unit, decimals)}"


def deciding_figure(criterion: Criterion, estimates: Iterable[Estimate]) -> Figure | None:
    """The number that speaks for a criterion: of its predicates the worst off, the first of equals.

    None when the criterion sets no bound, or none of its metrics was measured over the whole population.
    """
    numbers = tuple(estimates)
    whole = {estimate.metric: estimate for estimate in numbers if estimate.cohort is None}
    measured = [predicate for predicate in criterion.acceptance if predicate.metric in whole]
    if not measured:
        return None
    worst = min(measured, key=lambda predicate: _WORST_FIRST.index(judge(predicate, numbers)))
    return figure_of(whole[worst.metric], worst)


def figures(criteria: Iterable[Criterion], estimates: Iterable[Estimate]) -> tuple[Figure, ...]:
    """Every estimate, in its order, beside the bound that one of the criteria sets for it."""
    predicates: dict[str, Predicate] = {}
    for criterion in criteria:
        for predicate in criterion.acceptance:
            predicates.setdefault(predicate.metric, predicate)
    return tuple(
        figure_of(estimate, predicates.get(estimate.metric) if estimate.cohort is None else None)
        for estimate in estimates
    )


def _text(estimate: Estimate, unit: str, decimals: int) -> str:
    interval = estimate.interval
    point = quantity(interval.estimate, unit, decimals)
    if interval.lower == interval.upper == interval.estimate or not interval.known:
        return point
    scale = 100 if unit == "%" else 1
    lower, upper = (number(end * scale, decimals) for end in (interval.lower, interval.upper))
    return f"{point} [{lower}, {upper}]"
