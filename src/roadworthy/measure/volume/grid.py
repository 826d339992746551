"""Finding the cell of many numbers at once. Owns the two-level search; exact, whatever the edges.

Algorithm of ``CellFinder.find``, which costs a handful of passes instead of a binary search for each value:
1. A grid over the edges: a whole number k(x) that never falls where x grows, so that ``k(e) < k(x)`` implies ``e < x``
   and ``k(e) > k(x)`` implies ``e > x``. Evenly spaced, ``k(x) = trunc((x - first) * scale)``; or, where that puts many
   edges close together, by the leading bits of the double, which is evenly spaced for orders of magnitude.
2. A table says how many edges lie in the grid cells before ``k(x)``: all of them are below x.
3. One comparison with the next edge settles the grid cells that hold at most one edge.
4. The values in the few grid cells that hold several edges are searched in the ordinary way.

``CellFinder.count`` looks at two neighbours at once: their cells, a byte each, make a number of two bytes, and the counts
of these numbers add up to those of the cells in half the steps.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.measure.volume.scratch import BLOCK, SCRATCH

FloatArray = NDArray[np.float64]
CellArray = NDArray[np.integer[Any]]

_GRID = 4096
_CROWDED_SHARE = 0.25
"""Above this share of values in crowded grid cells, the ordinary search is the faster one."""
_SMALL = float(2**31 - 1)
_BYTE = 256
_PAIRED_CELLS = 128
_PAIRED_ROWS = 1 << 13
"""Below these rows, or above these cells, the table of pairs costs more than it saves."""


class _Grid(ABC):
    """A mapping of finite doubles to whole numbers that never falls; those outside of [0, _GRID) are clipped later."""

    @abstractmethod
    def place(self, values: FloatArray, low: float, high: float, /) -> NDArray[np.int64]:
        """Step 1 for at most a block of values between ``low`` and ``high``; a view of ``SCRATCH.whole``."""


class _Even(_Grid):
    """Evenly spaced between the first and the last edge."""

    def __init__(self, first: float, scale: float) -> None:
        self._first = first
        self._scale = scale

    def place(self, values: FloatArray, low: float, high: float, /) -> NDArray[np.int64]:
        place, small = SCRATCH.first[: values.size], SCRATCH.small[: values.size]
        reach = max(abs((low - self._first) * self._scale), abs((high - self._first) * self._scale))
        # An overflow is infinite and lands in the first or last grid cell, where it belongs.
        with np.errstate(over="ignore"):
            np.subtract(values, self._first, out=place)
            np.multiply(place, self._scale, out=place)
        if not reach < _SMALL:
            np.clip(place, 0, _GRID - 1, out=place)
        # By way of 32 bits: the processor turns several doubles at once into these, and into 64 bits one by one.
        np.copyto(small, place, casting="unsafe")
        whole = SCRATCH.whole[: values.size]
        np.copyto(whole, small)
        return whole


class _ByBits(_Grid):
    """By sign, exponent and leading digits, as far as these tell the first edge from the last."""

    def __init__(self, first: float, last: float) -> None:
        ends = np.array([first, last]) + 0.0
        low, high = (int(number) for number in _ordered(ends, np.empty(2, np.int64), np.empty(2)))
        self._shift = max((high - low).bit_length() - (_GRID.bit_length() - 1), 0)
        self._origin = low >> self._shift

    def place(self, values: FloatArray, _low: float, _high: float, /) -> NDArray[np.int64]:
        whole = _ordered(values, SCRATCH.whole[: values.size], SCRATCH.first[: values.size])
        whole >>= self._shift
        # Clipped first: the difference of two far numbers does not fit 64 bits.
        np.clip(whole, self._origin, self._origin + _GRID - 1, out=whole)
        whole -= self._origin
        return whole


def _ordered(values: FloatArray, whole: NDArray[np.int64], room: FloatArray) -> NDArray[np.int64]:
    # The bits of negative doubles fall where they grow: all but the sign are turned over. Adding 0 takes the sign of -0.
    bits = np.add(values, 0.0, out=room).view(np.int64)
    np.right_shift(bits, 63, out=whole)
    np.bitwise_and(whole, np.iinfo(np.int64).max, out=whole)
    np.bitwise_xor(whole, bits, out=whole)
    return whole


class CellFinder:
    """Cells closed on the left: the cell of x is the number of edges that are not above x.

    Args:
        edges: strictly increasing and finite, shape (k,), k >= 1.
    """

    def __init__(self, edges: tuple[float, ...]) -> None:
        self._edges: FloatArray = np.asarray(edges, dtype=np.float64)
        if self._edges.size == 0:
            raise ParameterError("Cells need at least one edge.", remedy="Fit the edges on a column with values.")
        self.cells = self._edges.size + 1
        self._type: np.dtype[np.integer[Any]] = np.dtype(np.uint8 if self.cells <= _BYTE else np.intp)
        self._grid, inside = _finest(self._edges)
        before = np.cumsum(inside) - inside
        self._before: CellArray = before.astype(self._type)
        self._next: FloatArray = np.append(self._edges, np.inf)[before]
        self._crowded: NDArray[np.bool_] = inside > 1
        self._crowded_any = bool(self._crowded.any())

    def find(self, values: FloatArray) -> CellArray:
        """The cell of each finite value, shape (n,), from 0 to ``cells - 1``."""
        found = np.empty(values.size, self._type)
        for start in range(0, values.size, BLOCK):
            block = values[start : start + BLOCK]
            self._fill(block, float(block.min()), float(block.max()), found[start : start + BLOCK])
        return found

    def count(self, values: FloatArray, low: float, high: float) -> NDArray[np.int64]:
        """How many values are in each cell, shape (cells,).

        Args:
            values: finite, shape (n,), 1 <= n <= ``BLOCK``.
            low: the smallest of them.
            high: the largest of them.
        """
        narrow = self.cells <= _BYTE
        found: CellArray = SCRATCH.cell[: values.size] if narrow else np.empty(values.size, self._type)
        self._fill(values, low, high, found)
        if self.cells > _PAIRED_CELLS or values.size < _PAIRED_ROWS:
            return np.bincount(found, minlength=self.cells).astype(np.int64)
        even = values.size // 2 * 2
        pairs = np.bincount(found[:even].view(np.uint16), minlength=self.cells * _BYTE)
        table = pairs.reshape(self.cells, _BYTE)[:, : self.cells]
        counts: NDArray[np.int64] = table.sum(axis=0) + table.sum(axis=1)
        if even < values.size:
            counts[found[even]] += 1
        return counts

    def _fill(self, values: FloatArray, low: float, high: float, found: CellArray) -> None:
        # 1. The grid cell.
        grid = self._grid.place(values, low, high)
        # 2. Edges in earlier grid cells,  3. and the next one.
        self._before.take(grid, out=found, mode="clip")
        upper = self._next.take(grid, out=SCRATCH.first[: values.size], mode="clip")
        above = np.greater_equal(values, upper, out=SCRATCH.flag[: values.size])
        np.add(found, above.view(np.uint8), out=found, casting="unsafe")
        if self._crowded_any:
            # 4. Several edges in one grid cell.
            crowded = self._crowded.take(grid, out=above, mode="clip")
            count = int(np.count_nonzero(crowded))
            if count > _CROWDED_SHARE * values.size:
                found[:] = np.searchsorted(self._edges, values, side="right")
            elif count:
                found[crowded] = np.searchsorted(self._edges, values[crowded], side="right")


def _finest(edges: FloatArray) -> tuple[_Grid, NDArray[np.intp]]:
    """The grid that leaves the fewest edges together, and how many edges each of its cells holds."""
    first, last = float(edges[0]), float(edges[-1])
    grids: list[_Grid] = [_ByBits(first, last)]
    scale = _GRID / (last - first) if last > first else math.inf
    if 0 < scale < math.inf:
        grids.insert(0, _Even(first, scale))
    spread = [(grid, _inside(grid, edges)) for grid in grids]
    return min(spread, key=lambda item: int(item[1][item[1] > 1].sum()))


def _inside(grid: _Grid, edges: FloatArray) -> NDArray[np.intp]:
    counts = np.zeros(_GRID, np.intp)
    for start in range(0, edges.size, BLOCK):
        block = edges[start : start + BLOCK]
        place = grid.place(block, float(block[0]), float(block[-1]))
        counts += np.bincount(np.clip(place, 0, _GRID - 1), minlength=_GRID)
    return counts
