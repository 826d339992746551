"""Two samples as counts on the same cells. Owns their validation, their padding and the merging of thin cells.

A column arrives as two rows of integers on cells that were frozen with the reference: first the ``ordered`` cells, from
low to high, then the unordered ones (null, NaN, the infinities, unseen, or the categories of a categorical column).
Nothing here chooses edges and nothing sees a value; no cell is ever dropped, so nulls count like everything else.

Rules kept here:
1. Integers only. A share, a weight or a negative number is a caller's mistake and raises.
2. Which cells are merged depends on the pooled counts alone, which are the same wherever the difference lies. When both
   samples come from one distribution, merging therefore leaves the level of a test as it is.
3. Merging can hide a difference but cannot make one: a divergence between merged cells is at most that between the
   original ones. A lower bound stays one; an upper bound speaks of the merged cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from roadworthy.base.errors import ParameterError
from roadworthy.stats.sample import FloatArray, IntArray

EXPECTED_ROWS = 5.0
"""The classical least expectation of a cell for the chi-squared approximation (Cochran, Biometrics 10, 1954)."""

EXPECTED_ROWS_OF_MANY = 10.0
"""The same for intervals, and where p-values near 0.05 / 1,000 decide because many columns are tested together."""

EXPECTED_ROWS_OF_ALARM = 20.0
"""The same where such p-values are asked of a divergence, whose far tail is the heavier the thinner the cells are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCounts:
    """One column: what the reference and the current window hold in each cell.

    Attributes:
        reference: rows of the reference in each cell; integers, shape (k,).
        current: rows of the current window in the same cells; integers, shape (k,).
        ordered: how many cells, counted from the first, follow one another on a scale; 0 for a categorical column.
        edges: the ``ordered - 1`` ascending values between the ordered cells, whose first and last are open; None where
            no distance on the scale is asked for.
    """

    reference: ArrayLike
    current: ArrayLike
    ordered: int = 0
    edges: Sequence[float] | None = None


class Columns(NamedTuple):
    """Several columns side by side, padded with empty cells; c columns, k cells.

    Attributes:
        reference: counts, shape (c, k).
        current: counts, shape (c, k).
        ordered: ordered cells of each column, shape (c,).
        edges: the edges of each column, as given.
    """

    reference: FloatArray
    current: FloatArray
    ordered: IntArray
    edges: tuple[FloatArray | None, ...]

    @property
    def reference_rows(self) -> FloatArray:
        """Rows of the reference, shape (c,)."""
        return np.asarray(self.reference.sum(axis=1), dtype=np.float64)

    @property
    def current_rows(self) -> FloatArray:
        """Rows of the current window, shape (c,)."""
        return np.asarray(self.current.sum(axis=1), dtype=np.float64)

    @property
    def noise(self) -> FloatArray:
        """1 / n + 1 / m, the factor by which every sampling variance shrinks, shape (c,); infinite without rows."""
        with np.errstate(divide="ignore"):
            return 1 / self.reference_rows + 1 / self.current_rows

    @property
    def filled(self) -> IntArray:
        """How many cells hold a row of either sample, shape (c,)."""
        return np.asarray(np.count_nonzero(self.reference + self.current, axis=1), dtype=np.intp)


def columns_of(counts: Sequence[CellCounts]) -> Columns:
    """Check every column and lay them side by side.

    Raises:
        ParameterError: counts that are no integers, negative, or of different shapes; more ordered cells than cells;
            edges that are not ascending or not one fewer than the ordered cells (RW-114).
    """
    pairs = [(_counts(each.reference), _counts(each.current)) for each in counts]
    width = max((reference.size for reference, _ in pairs), default=0)
    reference_rows, current_rows = np.zeros((len(pairs), width)), np.zeros((len(pairs), width))
    for row, (reference, current) in enumerate(pairs):
        if reference.shape != current.shape or not 0 <= counts[row].ordered <= reference.size:
            raise ParameterError(
                f"{reference.size} reference cells and {current.size} current cells, {counts[row].ordered} ordered.",
                remedy="Count both samples on the cells of the reference, the ordered ones first.",
            )
        reference_rows[row, : reference.size] = reference
        current_rows[row, : current.size] = current
    ordered = np.array([each.ordered for each in counts], dtype=np.intp)
    return Columns(reference_rows, current_rows, ordered, tuple(_edges(each) for each in counts))


def merged(columns: Columns, expected_rows: float = EXPECTED_ROWS) -> Columns:
    """Join thin cells until each is expected to hold ``expected_rows`` rows in the smaller of its two samples.

    1. A cell is full when its pooled count, shared out in proportion to n and m, gives the smaller sample that many.
    2. Ordered cells are joined with their successors until full; what is left over at the end joins the last full one.
    3. Unordered cells that are full stay alone; the others form one rest.
    4. A rest that is not full joins the last full ordered cell, or else the thinnest full unordered one. A column
       without any full cell becomes one cell, on which nothing can be told.

    Returns:
        Columns with one cell more, for the rest; a merged cell stands where its first member stood, the others are
        empty.
        Which merged cells are ordered is forgotten (``ordered`` is 0): divergences do not ask.
    """
    pooled = columns.reference + columns.current
    rows, width = pooled.shape
    least = np.minimum(columns.reference_rows, columns.current_rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        # 1. Without rows in one sample nothing is ever full.
        full_at = np.where(least > 0, expected_rows * pooled.sum(axis=1) / least, np.inf)
    rest = width
    group = np.full((rows, width), rest, dtype=np.intp)
    running, start = np.zeros(rows), np.zeros(rows, dtype=np.intp)
    last_full = np.full(rows, -1, dtype=np.intp)
    is_ordered = np.arange(width) < columns.ordered[:, None]
    for cell in range(int(columns.ordered.max(initial=0))):
        # 2. Walk up the scale in all columns at once; a group carries the position of its first member.
        group[:, cell] = np.where(is_ordered[:, cell], start, rest)
        running += np.where(is_ordered[:, cell], pooled[:, cell], 0.0)
        closes = is_ordered[:, cell] & (running >= full_at)
        last_full = np.where(closes, start, last_full)
        start, running = np.where(closes, cell + 1, start), np.where(closes, 0.0, running)
    left_over = is_ordered & (group > last_full[:, None])
    group = np.where(left_over, np.where(last_full >= 0, last_full, rest)[:, None], group)
    # 3. and 4.
    alone = ~is_ordered & (pooled >= full_at[:, None])
    group = np.where(alone, np.arange(width), group)
    thinnest = np.where(alone, pooled, np.inf).argmin(axis=1) if width else np.zeros(rows, dtype=np.intp)
    host = np.where(last_full >= 0, last_full, np.where(alone.any(axis=1), thinnest, rest))
    in_rest = group == rest
    rest_is_full = np.where(in_rest, pooled, 0.0).sum(axis=1) >= full_at
    group = np.where(in_rest & ~rest_is_full[:, None], host[:, None], group)
    return Columns(
        _gathered(columns.reference, group),
        _gathered(columns.current, group),
        np.zeros(rows, dtype=np.intp),
        columns.edges,
    )


def williams(columns: Columns) -> FloatArray:
    """By what factor thin cells raise a likelihood ratio of two samples (Williams, Biometrika 63, 1976); shape (c,)."""
    n, m = columns.reference_rows, columns.current_rows
    total, pooled = n + m, columns.reference + columns.current
    spread = np.divide(total[:, None], pooled, out=np.zeros_like(pooled), where=pooled > 0).sum(axis=1) - 1
    return np.asarray(
        1 + (total / n + total / m - 1) * spread / (6 * total * np.maximum(columns.filled - 1, 1)), dtype=np.float64
    )


def _gathered(counts: FloatArray, group: IntArray) -> FloatArray:
    # One place more than there are cells: the rest stands there, behind the others.
    rows, width = counts.shape
    place = np.arange(rows)[:, None] * (width + 1) + group
    flat = np.bincount(place.ravel(), weights=counts.ravel(), minlength=rows * (width + 1))
    return np.asarray(flat, dtype=np.float64).reshape(rows, width + 1)


def _counts(values: ArrayLike) -> FloatArray:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu" or (array < 0).any():
        raise ParameterError(
            "Cell counts are not a row of integers from 0.", remedy="Give the number of rows in each cell, no shares."
        )
    return array.astype(np.float64)


def _edges(counts: CellCounts) -> FloatArray | None:
    if counts.edges is None:
        return None
    edges = np.asarray(counts.edges, dtype=np.float64)
    if edges.shape != (max(counts.ordered - 1, 0),) or not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        raise ParameterError(
            f"{edges.size} edges for {counts.ordered} ordered cells, or edges that do not ascend.",
            remedy="Give the finite values between the ordered cells: one fewer than there are ordered cells.",
        )
    return edges
