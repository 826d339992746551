"""Finding the cell of many numbers at once. Owns the two-level search; exact, whatever the edges.

Algorithm of ``CellFinder.find``, which costs a handful of passes instead of a binary search for each value:
1. A uniform grid over the edges: ``k(x) = trunc((x - first) * scale)``, clipped. Subtraction, multiplication by a positive
   number and truncation never change an order, so ``k(e) < k(x)`` implies ``e < x`` and ``k(e) > k(x)`` implies ``e > x``.
2. A table says how many edges lie in the grid cells before ``k(x)``: all of them are below x.
3. One comparison with the next edge settles the grid cells that hold at most one edge.
4. The values in the few grid cells that hold several edges are searched in the ordinary way.
"""

import math

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import ParameterError

FloatArray = NDArray[np.float64]
CellArray = NDArray[np.intp]

_GRID = 4096
_CROWDED_SHARE = 0.25
"""Above this share of values in crowded grid cells, the ordinary search is the faster one."""


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
        span = float(self._edges[-1]) - float(self._edges[0])
        self._scale = _GRID / span if span > 0 else math.inf
        self._gridded = math.isfinite(span) and math.isfinite(self._scale) and self._scale > 0
        if self._gridded:
            self._build()

    def find(self, values: FloatArray) -> CellArray:
        """The cell of each finite value, shape (n,), from 0 to ``cells - 1``."""
        if not self._gridded:
            return np.searchsorted(self._edges, values, side="right")
        # 1. The grid cell.
        grid = self._grid_cell(values)
        # 2. Edges in earlier grid cells,  3. and the next one.
        cell: CellArray = self._before.take(grid)
        cell = cell + (values >= self._next.take(cell))
        if self._crowded_any:
            # 4. Several edges in one grid cell.
            crowded = self._crowded.take(grid)
            count = int(np.count_nonzero(crowded))
            if count > _CROWDED_SHARE * values.size:
                return np.searchsorted(self._edges, values, side="right")
            if count:
                cell[crowded] = np.searchsorted(self._edges, values[crowded], side="right")
        return cell

    def count(self, values: FloatArray) -> NDArray[np.int64]:
        """How many finite values are in each cell, shape (cells,)."""
        return np.bincount(self.find(values), minlength=self.cells).astype(np.int64)

    def _grid_cell(self, values: FloatArray) -> CellArray:
        with np.errstate(over="ignore"):
            place = values - self._edges[0]
            place *= self._scale
        # An overflow is infinite and lands in the last grid cell, where it belongs.
        np.clip(place, 0, _GRID - 1, out=place)
        cells: CellArray = place.astype(np.intp)
        return cells

    def _build(self) -> None:
        grid = self._grid_cell(self._edges)
        inside = np.bincount(grid, minlength=_GRID)
        self._before: CellArray = (np.cumsum(inside) - inside).astype(np.intp)
        self._next: FloatArray = np.append(self._edges, np.inf)
        self._crowded: NDArray[np.bool_] = inside > 1
        self._crowded_any = bool(self._crowded.any())
