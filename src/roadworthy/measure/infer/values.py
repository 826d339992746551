"""Rules about the values of one column: closed set, range, nulls. Owns these three; texts' shapes belong to ``shapes``.

Rules kept here:
1. A set is closed when it has few values for its rows (``rows_per_value_least``, ``set_values_most``) and the chance of
   a new value can be promised.
2. A range reaches beyond what was seen by ``margin_share`` of the span, not beyond zero when no value lies there, and its
   ends are rounded outward. Without a margin the newest of n values is expected outside in 2 of n + 1 cases.
3. Instants have an earliest value only: time goes on.
4. A column whose nulls are too many for a rule about rows gets one about their share.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadworthy.measure.comparison import Comparison, Reading, parse_clauses
from roadworthy.measure.infer.candidate import Candidate, rule_on
from roadworthy.measure.infer.column import ColumnValues
from roadworthy.measure.infer.options import InferOptions
from roadworthy.measure.reading import DAY_US
from roadworthy.measure.rule import Dimension, Kind, Value
from roadworthy.measure.table import quote

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN_DIGITS = 2


def closed_set(column: ColumnValues, options: InferOptions) -> Candidate | None:
    """A list of allowed values, or None when there are too many for the rows."""
    distinct = len(column.values)
    few = distinct <= options.set_values_most and column.filled >= options.rows_per_value_least * distinct
    if not few or column.filled < options.least_rows or column.moment or column.logical_type in {"boolean", "time", ""}:
        return None
    listed = tuple(sorted(_as_value(column, index) for index in range(distinct)))  # type: ignore[type-var]  # of one kind
    return Candidate(
        rule=replace(rule_on(column, Kind.SET, Dimension.VALIDITY, "invalidValues"), values=listed),
        lone=column.rows_of(column.counts == 1),
        paired=column.rows_of(column.counts == 2),
        backing=column.filled,
        words=f"{distinct} values, {int((column.counts == 1).sum())} of them in one row only",
    )


def _as_value(column: ColumnValues, index: int) -> Value:
    if not column.quantity:
        return column.texts[index]
    number = float(column.numbers[index])
    return int(number) if number.is_integer() else number


def value_range(column: ColumnValues, options: InferOptions) -> Candidate | None:
    """Ends for numbers, an earliest instant for instants; None where neither makes sense."""
    found = column.numbers
    usable = column.quantity or column.moment
    # Whole numbers that never repeat count things: the next one lies beyond the last.
    counter = column.logical_type == "integer" and not column.repeated
    if not usable or counter or column.filled < options.least_rows or not np.isfinite(found).all() or len(found) < 3:
        return None
    if column.moment:
        low, _ = _reach(found, options.margin_share)
        source = f"{quote(column.name)} >= '{_day(low)}'"
        ends = lone_ends(found, column.counts, options.margin_share, floor=-math.inf)
        # The latest value bounds nothing.
        early = found < np.median(found)
        ends = Ends(ends.lone & early, ends.paired & early)
        words, reading = "earliest value with its margin", Reading.INSTANT
    else:
        low, high = rounded_outward(*_reach(found, options.margin_share), found)
        source = f"{quote(column.name)} BETWEEN {_plain(low)} AND {_plain(high)}"
        ends, reading = lone_ends(found, column.counts, options.margin_share), Reading.NUMBER
        words = f"seen {_plain(float(found.min()))} to {_plain(float(found.max()))}"
    rule = replace(
        rule_on(column, Kind.COMPARISON, Dimension.VALIDITY, "range"),
        comparison=Comparison(clauses=parse_clauses(source), reading=reading, source=source),
    )
    margin = f"margin {100 * options.margin_share:g} % of the span"
    return Candidate(
        rule=rule,
        lone=column.rows_of(ends.lone),
        paired=column.rows_of(ends.paired),
        backing=column.filled,
        words=f"{words}, {margin}",
    )


def few_nulls(column: ColumnValues, options: InferOptions) -> Candidate | None:
    """No nulls, or few; when they are too many to call each a bad row, a bound on their share."""
    rows = len(column.codes)
    if rows < options.least_rows or not column.filled:
        return None
    missing = column.codes < 0
    nulls = int(missing.sum())
    required = Candidate(
        rule=rule_on(column, Kind.NULL, Dimension.COMPLETENESS, "nullValues"),
        lone=missing,
        backing=rows - nulls,
        words=f"{nulls} nulls among {rows}",
    )
    if not nulls:
        return required
    name = quote(column.name)
    share = replace(
        rule_on(column, Kind.QUERY, Dimension.COMPLETENESS, "nullShare"),
        text=f"SELECT 100.0 * (COUNT(*) - COUNT({name})) / COUNT(*) FROM data",
        values=("",),
    )
    return required.with_instead(replace(required, rule=share, about_rows=False))


class Ends(NamedTuple):
    """Which distinct values would lie outside of the range of the others; shapes as the values.

    Attributes:
        lone: outside of the range of all others.
        paired: inside, but outside once one other row is gone too.
    """

    lone: NDArray[np.bool_]
    paired: NDArray[np.bool_]


def lone_ends(
    found: NDArray[np.float64], counts: NDArray[np.int64], margin_share: float, *, floor: float = 0.0
) -> Ends:
    """What the ends of a range rest on: at most the two least and the two greatest values.

    Args:
        found: distinct numbers, at least three.
        counts: rows of each; a value in two rows is in the range of the others.
        margin_share: of the span of the others, added at both ends.
        floor: where a lower end stops that would otherwise pass it.
    """
    lone, paired = np.zeros(len(found), dtype=np.bool_), np.zeros(len(found), dtype=np.bool_)
    order = np.argsort(found)
    for last, next_ in ((order[0], order[1]), (order[-1], order[-2])):
        alone = counts[last] == 1
        out = _outside(found, [last], margin_share, floor)[last]
        (lone if alone else paired)[last] = out and counts[last] <= 2
        if alone and counts[next_] == 1 and len(found) > 3:
            both = _outside(found, [last, next_], margin_share, floor)
            paired[last] |= both[last]
            paired[next_] |= both[next_]
    return Ends(lone, paired & ~lone)


def _outside(found: NDArray[np.float64], gone: list[np.intp], margin_share: float, floor: float) -> NDArray[np.bool_]:
    low, high = _reach(np.delete(found, gone), margin_share, floor=floor)
    return np.asarray((found < low) | (found > high))


def _reach(found: NDArray[np.float64], margin_share: float, *, floor: float = 0.0) -> tuple[float, float]:
    low, high = float(found.min()), float(found.max())
    margin = (high - low) * margin_share
    return (max(low - margin, floor) if low >= floor else low - margin), high + margin


def rounded_outward(low: float, high: float, found: NDArray[np.float64]) -> tuple[float, float]:
    """Ends with as many digits as the span deserves, never tighter and never across zero."""
    span = float(found.max() - found.min())
    step = Decimal(1).scaleb(math.floor(math.log10(span)) - _SPAN_DIGITS + 1)
    down = math.floor(Decimal(low) / step) * step
    up = math.ceil(Decimal(high) / step) * step
    return float(down), float(up)


def _day(micros: float) -> str:
    """The day of an instant, never before the first that a contract can write."""
    days = max(math.floor(micros / DAY_US), (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).days)
    return (_EPOCH + timedelta(days=days)).date().isoformat()


def _plain(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
