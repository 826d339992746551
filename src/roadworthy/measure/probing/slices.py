"""Where a model is worse than elsewhere. Owns slices, declared or searched for, and their figures against the rest.

A slice is the rows that meet one or two conditions on columns: a value, a range, or that nothing is there.

Algorithm of ``measure_slices``:
1. Slices with fewer rows than the smallest n, on either side, are listed as too small, and not measured. The size
   depends on the columns alone, so leaving them out does not choose by outcome.
2. Each other slice is measured, and the rest of the rows likewise, at the confidence at which all k slices hold
   together (Bonferroni). The shortfall is the rest minus the slice, positive when the slice is worse, its interval
   combined from the two (``stats.difference``).
3. A slice is worse when the lower end of its shortfall is above the tolerance. The level then goes to the slices that
   are left, and they are judged again, until none is added: Holm's step-down. Printed intervals stay those of step 2.
4. A slice is not worse when the upper end is at or below the tolerance; else nobody can tell.
``search_slices`` makes every value and quarter of every column, and every pair of these, and corrects for all of them.

Rules kept here:
1. Shares have exact (Clopper-Pearson) intervals: with hundreds of slices the level lies far out in the tail, where
   approximate ones promise too much.
2. The smallest n is 59 unless said otherwise: 59 rows without an error are the fewest that show, one-sided at 95 %,
   an error below 5 % (0.95 to the power of 59 is 0.0485). For sensitivity it counts positives, for specificity
   negatives, for the predictive value positive decisions: the rows that the figure rests on; for the AUC both classes
   must have ten.
3. Rows must be independent: a resampling of clusters has no tail fine enough for the level of hundreds of slices, so a
   sample whose clusters repeat is refused, not measured too optimistically.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval
from roadworthy.measure.delta import Metric, Sample, performance
from roadworthy.measure.probing.inputs import Inputs, is_missing, is_number
from roadworthy.stats.difference import difference
from roadworthy.stats.multiplicity import simultaneous_confidence
from roadworthy.stats.proportions import clopper_pearson
from roadworthy.stats.sample import BoolArray

SMALLEST_N = 59
_ENOUGH_OF_EACH_CLASS = 10
_RANGES = 4
_MOST_VALUES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a row must meet.

    Attributes:
        column: where.
        value: equal to this, when neither range nor missing.
        low: at least this, for a range; None without a lower end.
        high: below this, for a range; None without an upper end.
        missing: nothing is there.
    """

    column: str
    value: str | float | None = None
    low: float | None = None
    high: float | None = None
    missing: bool = False

    def __str__(self) -> str:
        """In words, as in ``20 <= age < 40``."""
        if self.missing:
            return f"{self.column} missing"
        if self.low is None and self.high is None:
            value = f"{self.value:g}" if isinstance(self.value, float) else self.value
            return f"{self.column} = {value}"
        start = "" if self.low is None else f"{self.low:g} <= "
        end = "" if self.high is None else f" < {self.high:g}"
        return f"{start}{self.column}{end}"

    def rows(self, columns: Inputs) -> BoolArray:
        """Which rows meet it.

        Raises:
            ParameterError: no such column, or a range on a column without numbers (RW-114).
        """
        values = columns.column(self.column)
        nulls = is_missing(values)
        if self.missing:
            return nulls
        if self.low is None and self.high is None:
            number = is_number(values) and not isinstance(self.value, str)
            same = values == self.value if number else values.astype(np.str_) == str(self.value)
            return np.asarray(same & ~nulls, dtype=np.bool_)
        if not is_number(values):
            raise ParameterError(f"{self.column} has no numbers to compare with a range.", remedy="Name a value.")
        inside = ~nulls
        inside &= True if self.low is None else values >= self.low
        inside &= True if self.high is None else values < self.high
        return np.asarray(inside, dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Rows that meet all conditions, of which there is at least one."""

    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        """In words."""
        return " and ".join(str(condition) for condition in self.conditions)

    def rows(self, columns: Inputs) -> BoolArray:
        """Which rows belong to it.

        Raises:
            ParameterError: no condition, or one that does not fit the columns (RW-114).
        """
        if not self.conditions:
            raise ParameterError("A slice without a condition.", remedy="Give at least one.")
        return np.asarray(np.logical_and.reduce([part.rows(columns) for part in self.conditions]), dtype=np.bool_)


class Standing(Enum):
    """How a slice stands to the rest, with all slices looked at together."""

    WORSE = "worse"
    NOT_WORSE = "not worse"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFigure:
    """One slice that was measured.

    Attributes:
        slice: which.
        figure: the metric there, at the simultaneous level.
        shortfall: the rest minus the slice, positive when the slice is worse, at the same level.
        standing: against the tolerance.
    """

    slice: Slice
    figure: Interval
    shortfall: Interval
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallSlice:
    """A slice that was not measured: how many rows the figure would rest on, there and elsewhere."""

    slice: Slice
    n: int
    n_elsewhere: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceReport:
    """All slices that were asked about.

    Attributes:
        metric: that was measured.
        whole: over all rows, at the wanted confidence.
        figures: the slice with the largest shortfall first.
        too_small: in the order of asking.
        smallest_n: that a slice needs.
        tolerance: shortfall that is acceptable.
        level: simultaneous confidence of each interval.
    """

    metric: Metric
    whole: Interval
    figures: tuple[SliceFigure, ...]
    too_small: tuple[SmallSlice, ...]
    smallest_n: int
    tolerance: float
    level: float

    @property
    def worse(self) -> tuple[SliceFigure, ...]:
        """The slices that are worse than the rest, the worst first."""
        return tuple(figure for figure in self.figures if figure.standing is Standing.WORSE)


def measure_slices(
    columns: Inputs,
    sample: Sample,
    slices: Sequence[Slice],
    metric: Metric,
    *,
    threshold: float = 0.5,
    tolerance: float = 0.0,
    smallest_n: int = SMALLEST_N,
    confidence: float = 0.95,
) -> SliceReport:
    """Measure slices that were declared beforehand.

    Args:
        columns: by which slices are told, n rows; they need not be inputs of the model.
        sample: labels and scores of the same rows.
        slices: without repetition; the level is shared among those that are large enough.
        metric: what to measure.
        threshold: scores at or above it are positive decisions; not used by AUC and Brier.
        tolerance: shortfall that is acceptable, in units of the metric.
        smallest_n: rows that a slice, and the rest, must have.
        confidence: two-sided level for all slices together, in (0, 1).

    Raises:
        ParameterError: lengths that differ, clusters that repeat, or a slice that does not fit the columns (RW-114).
    """
    if sample.clusters is not None and np.unique(sample.clusters).size < sample.clusters.size:
        raise ParameterError(
            "Slices need independent rows, and clusters of this sample repeat.",
            remedy="Keep one row of each cluster, drawn at random.",
        )
    if sample.labels.shape != (columns.row_count,) or sample.scores.shape != sample.labels.shape:
        raise ParameterError(
            f"{sample.labels.size} labels and {sample.scores.size} scores do not fit {columns.row_count} rows.",
            remedy="Give one of each a row.",
        )
    whole = performance(sample.labels, sample.scores, metric, threshold=threshold, confidence=confidence)
    # 1. Large enough on both sides.
    relevant = _relevant(sample, metric, threshold)
    small: list[SmallSlice] = []
    members: list[tuple[Slice, BoolArray]] = []
    for part in slices:
        rows = part.rows(columns)
        n, elsewhere = int((rows & relevant).sum()), int((~rows & relevant).sum())
        balanced = metric is not Metric.AUC or _both_classes(sample.labels, rows)
        if min(n, elsewhere) >= smallest_n and balanced:
            members.append((part, rows))
        else:
            small.append(SmallSlice(slice=part, n=n, n_elsewhere=elsewhere))
    # 2. All together.
    level = simultaneous_confidence(confidence, max(1, len(members)))

    def measure(rows: BoolArray, at: float) -> tuple[Interval, Interval]:
        there, rest = (_figure(sample, kept, metric, threshold, at) for kept in (rows, ~rows))
        return there, _shortfall(there, rest, metric)

    measured = [measure(rows, level) for _, rows in members]
    # 3. Holm's steps.
    worse = _step_down([rows for _, rows in members], measured, measure, tolerance, confidence)
    figures = [
        SliceFigure(slice=part, figure=there, shortfall=gap, standing=_standing(gap, tolerance, worse=k in worse))  # 4
        for k, ((part, _), (there, gap)) in enumerate(zip(members, measured, strict=True))
    ]
    # What could not be computed stands last, and is still there.
    figures.sort(key=lambda row: (not row.shortfall.known, -row.shortfall.estimate if row.shortfall.known else 0.0))
    return SliceReport(
        metric=metric,
        whole=whole,
        figures=tuple(figures),
        too_small=tuple(small),
        smallest_n=smallest_n,
        tolerance=tolerance,
        level=level,
    )


def candidate_slices(columns: Inputs, *, depth: int = 2) -> tuple[Slice, ...]:
    """Every value or quarter of every column, missing included, and with ``depth`` 2 every pair from two columns.

    A number with more than four distinct values is cut at its quartiles. Of a text's values the 20 most frequent count;
    a rarer one would hardly reach the smallest n.

    Raises:
        ParameterError: a depth other than 1 or 2 (RW-114).
    """
    if depth not in {1, 2}:
        raise ParameterError(f"A search of depth {depth}.", remedy="Search one or two columns at a time.")
    by_column = [_conditions(name, columns.column(name)) for name in columns.names]
    single = [Slice(conditions=(condition,)) for conditions in by_column for condition in conditions]
    if depth == 1:
        return tuple(single)
    pairs = [
        Slice(conditions=(one, other))
        for first, second in combinations(by_column, 2)
        for one in first
        for other in second
    ]
    return (*single, *pairs)


def search_slices(
    columns: Inputs,
    sample: Sample,
    metric: Metric,
    *,
    depth: int = 2,
    threshold: float = 0.5,
    tolerance: float = 0.0,
    smallest_n: int = SMALLEST_N,
    confidence: float = 0.95,
) -> SliceReport:
    """Look at all candidates, and correct for every one that was measured.

    Raises:
        ParameterError: as for ``measure_slices`` and ``candidate_slices`` (RW-114).
    """
    return measure_slices(
        columns,
        sample,
        candidate_slices(columns, depth=depth),
        metric,
        threshold=threshold,
        tolerance=tolerance,
        smallest_n=smallest_n,
        confidence=confidence,
    )


def _conditions(name: str, values: NDArray[Any]) -> list[Condition]:
    nulls = is_missing(values)
    present = values[~nulls]
    found: list[Condition] = [Condition(column=name, missing=True)] if nulls.any() else []
    if is_number(values):
        distinct = np.unique(present)
        if distinct.size <= _RANGES:
            return [*found, *(Condition(column=name, value=float(value)) for value in distinct)]
        cuts = [float(cut) for cut in np.unique(np.quantile(present, np.arange(1, _RANGES) / _RANGES, method="higher"))]
        # A cut at the smallest value would leave nothing below it.
        cuts = [cut for cut in cuts if cut > distinct[0]]
        ends = [None, *cuts, None]
        return [
            *found,
            *(Condition(column=name, low=low, high=high) for low, high in pairwise(ends)),
        ]
    levels, counts = np.unique(present.astype(np.str_), return_counts=True)
    frequent = levels[np.argsort(-counts, kind="stable")[:_MOST_VALUES]]
    return [*found, *(Condition(column=name, value=str(level)) for level in frequent)]


def _relevant(sample: Sample, metric: Metric, threshold: float) -> BoolArray:
    """The rows that the metric rests on."""
    if metric is Metric.SENSITIVITY:
        return np.asarray(sample.labels == 1, dtype=np.bool_)
    if metric is Metric.SPECIFICITY:
        return np.asarray(sample.labels == 0, dtype=np.bool_)
    if metric is Metric.PPV:
        return np.asarray(sample.scores >= threshold, dtype=np.bool_)
    return np.ones(sample.labels.shape, dtype=np.bool_)


def _both_classes(labels: NDArray[Any], rows: BoolArray) -> bool:
    positive = labels == 1
    cells = (rows & positive, rows & ~positive, ~rows & positive, ~rows & ~positive)
    return min(int(cell.sum()) for cell in cells) >= _ENOUGH_OF_EACH_CLASS


def _figure(sample: Sample, rows: BoolArray, metric: Metric, threshold: float, level: float) -> Interval:
    found = performance(sample.labels[rows], sample.scores[rows], metric, threshold=threshold, confidence=level)
    if metric in {Metric.AUC, Metric.BRIER} or not found.known:
        return found
    return clopper_pearson(round(found.estimate * found.n), found.n, level)


def _shortfall(there: Interval, rest: Interval, metric: Metric) -> Interval:
    return difference(there, rest) if metric.higher_is_better else difference(rest, there)


def _step_down(
    members: Sequence[BoolArray],
    measured: Sequence[tuple[Interval, Interval]],
    measure: Callable[[BoolArray, float], tuple[Interval, Interval]],
    tolerance: float,
    confidence: float,
) -> set[int]:
    worse: set[int] = set()
    gaps = {k: gap for k, (_, gap) in enumerate(measured)}
    while added := {k for k, gap in gaps.items() if gap.known and gap.lower > tolerance}:
        worse |= added
        # Only a shortfall above the tolerance can be added by a lower level.
        left = [k for k in gaps if k not in worse and gaps[k].known and gaps[k].estimate > tolerance]
        level = simultaneous_confidence(confidence, max(1, len(members) - len(worse)))
        gaps = {k: measure(members[k], level)[1] for k in left}
    return worse


def _standing(gap: Interval, tolerance: float, *, worse: bool) -> Standing:
    if worse:
        return Standing.WORSE
    return Standing.NOT_WORSE if gap.known and gap.upper <= tolerance else Standing.CANNOT_TELL
