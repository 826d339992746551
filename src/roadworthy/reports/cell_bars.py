"""Frozen cells as a picture that a person can read. Owns the way from cells of any width to bars; draws none.

Cells at quantiles hold about the same number of rows each, so drawn as they are they would show a wall. Here:

1. Few distinct numbers, texts and flags get a bar each, with their name.
2. Any other number gets bars of equal width between the first edge and the last, a quarter of that way more on each side
   where there are values; a cell's rows are spread evenly over its width. So the bars are densities, exact in area from
   edge to edge, and both windows are drawn on the same cells.
3. What lies further out is drawn in the outermost bar, whose label says so.

Null, NaN, the infinities and unseen values are in no bar of a number: the tables name them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from roadworthy.measure.profile.columns import NumberSummary, ValueSummary
from roadworthy.reports.words import number

MOST_NAMED = 8
_FEWEST_BARS, _MOST_BARS = 8, 24
_BEYOND_SHARE = 0.25
_UNSEEN, _REST = "not known before", "all others"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellBars:
    """What is drawn; all shares are of the drawn rows of their window.

    Attributes:
        title: name of the column.
        names: of the bars; empty when they lie on a scale.
        low: label of the scale's left end.
        high: label of its right end.
        reference: shares of the reference; None when there is no other window.
        current: shares of the window.
    """

    title: str
    names: tuple[str, ...]
    low: str
    high: str
    reference: tuple[float, ...] | None
    current: tuple[float, ...]


def number_bars(title: str, current: NumberSummary, reference: NumberSummary | None = None) -> CellBars | None:
    """The bars of a number; None without cells or values."""
    sides = [side for side in (reference, current) if side is not None]
    if not current.edges or not any(sum(side.counts) for side in sides):
        return None
    if current.coded and len(current.edges) - 1 <= MOST_NAMED:
        return _coded(title, current, reference)
    smallest = min((side.smallest for side in sides if side.finite), default=current.edges[0])
    largest = max((side.largest for side in sides if side.finite), default=current.edges[-1])
    way = (current.edges[-1] - current.edges[0]) * _BEYOND_SHARE or 1.0
    low = min(max(smallest, current.edges[0] - way), current.edges[0])
    high = max(min(largest, current.edges[-1] + way), current.edges[-1])
    bounds = (low, *current.edges, high)
    if not (math.isfinite(high - low) and high > low):
        return None
    bars = min(max(round(2 * sum(current.counts) ** (1 / 3)), _FEWEST_BARS), _MOST_BARS)
    return CellBars(
        title=title,
        names=(),
        low=f"{number(low)} or less" if smallest < low else number(low),
        high=f"{number(high)} or more" if largest > high else number(high),
        reference=None if reference is None else spread(bounds, reference.counts, bars),
        current=spread(bounds, current.counts, bars),
    )


def value_bars(title: str, current: ValueSummary, reference: ValueSummary | None = None) -> CellBars | None:
    """The bars of a text or flag: the most frequent values, then all others, then what the reference did not know."""
    sides = [side for side in (reference, current) if side is not None]
    totals = [sum(count for _, count in side.counts) + side.unseen for side in sides]
    if not any(totals):
        return None
    shown = min(len(current.counts), MOST_NAMED)
    names = [name or "empty text" for name, _ in current.counts[:shown]]
    rows = [[count for _, count in side.counts[:shown]] for side in sides]
    rests = [sum(count for _, count in side.counts[shown:]) for side in sides]
    for name, counts in ((_REST, rests), (_UNSEEN, [side.unseen for side in sides])):
        if any(counts):
            names.append(name)
            rows = [[*row, count] for row, count in zip(rows, counts, strict=True)]
    shares = [_shares(row) for row in rows]
    return CellBars(
        title=title,
        names=tuple(names),
        low="",
        high="",
        reference=None if reference is None else shares[0],
        current=shares[-1],
    )


def spread(bounds: Sequence[float], counts: Sequence[int], bars: int) -> tuple[float, ...]:
    """Shares of ``bars`` bars of equal width between the first bound and the last; a cell without width is a point."""
    width = (bounds[-1] - bounds[0]) / bars
    found = [0.0] * bars
    for low, high, count in zip(bounds, bounds[1:], counts, strict=False):
        first, last = (min(max(int((end - bounds[0]) / width), 0), bars - 1) for end in (low, high))
        for bar in range(first, last + 1):
            left, right = bounds[0] + bar * width, bounds[0] + (bar + 1) * width
            # The whole cell in one bar, a point included, needs no quotient.
            part = 1.0 if first == last else (min(high, right) - max(low, left)) / (high - low)
            found[bar] += count * max(part, 0.0)
    return _shares(found)


def _coded(title: str, current: NumberSummary, reference: NumberSummary | None) -> CellBars:
    sides = [side for side in (reference, current) if side is not None]
    names = [number(edge) for edge in current.edges[:-1]]
    rows = [list(side.counts) for side in sides]
    # Below the first code and above the last one there is nothing in most windows.
    if any(row[0] for row in rows):
        names.insert(0, f"below {names[0]}")
    else:
        rows = [row[1:] for row in rows]
    if any(row[-1] for row in rows):
        names.append(f"above {names[-1]}")
    else:
        rows = [row[:-1] for row in rows]
    shares = [_shares(row) for row in rows]
    return CellBars(
        title=title,
        names=tuple(names),
        low="",
        high="",
        reference=None if reference is None else shares[0],
        current=shares[-1],
    )


def _shares(counts: Sequence[float]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(count / total if total else 0.0 for count in counts)
