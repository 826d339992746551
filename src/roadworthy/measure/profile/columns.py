"""What a state says about each column, in the column's own units. Owns the read model of a profile; measures nothing.

Rules kept here:
1. Counts are exact. A share carries a Wilson interval, because the rows are a sample of what will come.
2. A quantile is known up to its cell: it is given as the two edges that hold it, never as a made-up point.
3. Values too far for the frozen unit are left out of mean and deviation, and the profile says how many.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import t as student

from roadworthy.base.interval import Interval, unknown
from roadworthy.measure.volume.accumulators import SQUARE_SHIFT, Cells, Extremes, Lengths, Moments, Special, Values
from roadworthy.measure.volume.ordered import from_ordered
from roadworthy.measure.volume.plan import Kind
from roadworthy.measure.volume.profile_plan import moments_of
from roadworthy.measure.volume.reference import NumberReference, Reference, ValueReference
from roadworthy.measure.volume.state import State
from roadworthy.stats.proportions import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """A quantile, known up to its cell.

    Attributes:
        share: of the finite values, in (0, 1).
        low: the cell's lower edge, inclusive; the smallest value in the first cell.
        high: the cell's upper edge, exclusive; the largest value, inclusive, in the last cell.
    """

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSummary:
    """A number or instant column; instants are in microseconds since 1970 (UTC).

    Attributes:
        finite: values that are neither null, NaN nor infinite.
        mean: of the finite values that are not far, with Student's interval at 95 %; unknown below two, and for instants.
        deviation: the sample standard deviation of the same values; NaN below two.
        far: values beyond the frozen unit, left out of the two above.
        smallest: NaN without a finite value.
        largest: NaN without a finite value.
        edges: between the cells, rising.
        counts: one more than edges; empty when the reference had no two values to tell apart.
        quantiles: at 5, 25, 50, 75 and 95 %; empty without cells or values.
        coded: whether the reference had so few distinct values that each has a cell, which starts at it; the first cell
            and the last are then below and above them all.
    """

    finite: int
    mean: Interval
    deviation: float
    far: int
    smallest: float
    largest: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    quantiles: tuple[Bracket, ...]
    coded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSummary:
    """A text or flag column.

    Attributes:
        counts: known values with their counts, in the reference's order.
        unseen: values that the reference did not know.
        empty: texts without a character; None for flags.
        shortest: in code points; None for flags, and without a text.
        longest: in code points; None for flags, and without a text.
    """

    counts: tuple[tuple[str, int], ...]
    unseen: int
    empty: int | None
    shortest: int | None
    longest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column of one window.

    Attributes:
        name: of the column.
        kind: how it was read.
        rows: of the window.
        nulls: exact.
        null_share: of the rows, as a sample of what will come.
        nan: NaN, which is counted apart from null.
        infinite: of either sign.
        numbers: for numbers and instants.
        values: for texts and flags.
    """

    name: str
    kind: Kind
    rows: int
    nulls: int
    null_share: Interval
    nan: int
    infinite: int
    numbers: NumberSummary | None
    values: ValueSummary | None


_CONFIDENCE = 0.95
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def column_profiles(state: State, reference: Reference, group: str | None = None) -> tuple[ColumnProfile, ...]:
    """Every column of the reference, in its order, over all rows or those of one group.

    Raises:
        ParameterError: the state was not counted by the plan of this reference's profile (RW-114).
    """
    numbers = {item.column: item for item in reference.numbers}
    values = {item.column: item for item in reference.values}
    rows = state.group_rows(group)
    found = []
    for item in reference.columns:
        nulls, nan, below, above = _whole(state.result(Special(column=item.name), group))
        found.append(
            ColumnProfile(
                name=item.name,
                kind=item.kind,
                rows=rows,
                nulls=nulls,
                null_share=wilson(nulls, rows),
                nan=nan,
                infinite=below + above,
                numbers=_number(state, numbers[item.name], group) if item.name in numbers else None,
                values=_values(state, values[item.name], group) if item.name in values else None,
            )
        )
    return tuple(found)


def is_coded(edges: Sequence[float]) -> bool:
    """Whether edges were laid around few distinct values: the last cell then begins one step after the last value."""
    return len(edges) > 1 and edges[-1] == math.nextafter(edges[-2], math.inf)


def _number(state: State, item: NumberReference, group: str | None) -> NumberSummary:
    low, high = state.result(Extremes(column=item.column), group)
    smallest = math.nan if low is None else from_ordered(low)
    largest = math.nan if high is None else from_ordered(high)
    counts = _whole(state.result(Cells(column=item.column, edges=item.edges), group)) if item.edges else ()
    finite = state.group_rows(group) - sum(_whole(state.result(Special(column=item.column), group)))
    mean, deviation, far = unknown(), math.nan, 0
    if item.kind is Kind.NUMBER:
        mean, deviation, far = _moments(state, moments_of(item), group)
    return NumberSummary(
        finite=finite,
        mean=mean,
        deviation=deviation,
        far=far,
        smallest=smallest,
        largest=largest,
        edges=item.edges,
        counts=counts,
        quantiles=_quantiles(item.edges, counts, smallest, largest),
        coded=is_coded(item.edges),
    )


def _moments(state: State, item: Moments, group: str | None) -> tuple[Interval, float, int]:
    n, total, squares, far = _whole(state.result(item, group))
    if n == 0:
        return unknown(), math.nan, far
    unit = math.ldexp(1.0, item.unit_exponent)
    mean = item.centre + total / n * unit
    if n == 1:
        return Interval(estimate=mean, lower=math.nan, upper=math.nan, n=1), math.nan, far
    # Whole numbers until the one division: n * sum(q^2) - sum(q)^2 would cancel in doubles.
    spread = n * (squares << SQUARE_SHIFT) - total * total
    deviation = math.sqrt(max(spread, 0) / (n * (n - 1))) * unit
    half = float(student.ppf(0.5 + _CONFIDENCE / 2, n - 1)) * deviation / math.sqrt(n)
    return Interval(estimate=mean, lower=mean - half, upper=mean + half, n=n, confidence=_CONFIDENCE), deviation, far


def _values(state: State, item: ValueReference, group: str | None) -> ValueSummary:
    *known, unseen = _whole(state.result(Values(column=item.column, known=item.known), group))
    empty, shortest, longest = None, None, None
    if item.kind is Kind.TEXT:
        empty, shortest, longest = state.result(Lengths(column=item.column), group)
    return ValueSummary(
        counts=tuple(zip(item.known, known, strict=True)),
        unseen=unseen,
        empty=empty,
        shortest=shortest,
        longest=longest,
    )


def _quantiles(
    edges: tuple[float, ...], counts: tuple[int, ...], smallest: float, largest: float
) -> tuple[Bracket, ...]:
    total = sum(counts)
    if total == 0:
        return ()
    lows, highs = (smallest, *edges), (*edges, largest)
    found = []
    for share in _QUANTILES:
        reached, cell = 0, 0
        # The smallest value that at least this share of the values does not exceed.
        while reached + counts[cell] < share * total:
            reached += counts[cell]
            cell += 1
        found.append(Bracket(share=share, low=max(lows[cell], smallest), high=min(highs[cell], largest)))
    return tuple(found)


def _whole(result: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(number or 0 for number in result)
