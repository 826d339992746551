"""Numbers and instants of one Arrow column. Owns reading them as doubles and the counting kernel.

Algorithm of ``NumberTally.count``:
1. Nulls are Arrow's own tally and are left out.
2. The rest is looked at in blocks that fit the processor's cache.
3. A block's smallest and largest value tell whether it holds NaN or an infinity; only then are these searched.
4. Cells by ``grid``.
5. Moments in doubles that hold whole numbers, turned into 64-bit numbers where a sum of doubles could round.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roadworthy.base.errors import EngineRefused
from roadworthy.measure.volume.accumulators import (
    FAR,
    SQUARE_SHIFT,
    Accumulator,
    Cells,
    Extremes,
    LabelledCells,
    Moments,
    Result,
    Special,
)
from roadworthy.measure.volume.grid import CellFinder, FloatArray
from roadworthy.measure.volume.ordered import to_ordered
from roadworthy.measure.volume.plan import Kind

_BLOCK = 1 << 15
_EXACT_SUM = 2.0**53
_HALF_WORD = 32
_FINDERS = 4_096

find_cells = lru_cache(maxsize=_FINDERS)(CellFinder)


def doubles_with_gaps(array: pa.Array, kind: Kind) -> FloatArray:
    """A number, flag or instant column as doubles, shape (n,), with NaN where it is null.

    Raises:
        EngineRefused: the stored type is not a number, flag or instant (RW-117).
    """
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.int8())
    if array.null_count == 0:
        return _doubles(array, kind)
    values = np.full(len(array), np.nan)
    values[pc.is_valid(array).to_numpy(zero_copy_only=False)] = _doubles(array.drop_null(), kind)
    return values


class NumberTally:
    """Counts for the accumulators of one column."""

    def __init__(self, wanted: Sequence[Accumulator]) -> None:
        self._wanted = wanted

    def count(self, array: pa.Array, kind: Kind) -> dict[Accumulator, Result]:
        """A result for each accumulator."""
        # 1. Nulls.
        nulls = array.null_count
        values = _doubles(array.drop_null() if nulls else array, kind)
        special = np.array([nulls, 0, 0, 0], dtype=np.int64)
        results = {item: item.empty for item in self._wanted}
        # 2. Blocks.
        for start in range(0, values.size, _BLOCK):
            block = values[start : start + _BLOCK]
            # 3. Anything but finite numbers shows in the extremes: NaN spreads, infinities stand at the ends.
            low, high = float(block.min()), float(block.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                special += _special(block)
                block = block[np.isfinite(block)]
                if block.size == 0:
                    continue
                low, high = float(block.min()), float(block.max())
            for item in self._wanted:
                if not isinstance(item, Special):
                    results[item] = item.join(results[item], _block(item, block, low, high))
        return {
            item: tuple(int(number) for number in special) if isinstance(item, Special) else result
            for item, result in results.items()
        }


class LabelledTally:
    """Counts of scores by cell and label."""

    def __init__(self, wanted: LabelledCells) -> None:
        self._finder = find_cells(wanted.edges)

    def count(self, scores: FloatArray, labels: FloatArray) -> Result:
        """Counts for label 0, then label 1, then no label; NaN stands for null in both."""
        keep = np.isfinite(scores)
        code = np.where(np.isnan(labels), 2, labels == 1.0)[keep].astype(np.intp)
        cells = self._finder.cells
        return _whole(np.bincount(code * cells + self._finder.find(scores[keep]), minlength=3 * cells))


def _block(item: Accumulator, block: FloatArray, low: float, high: float) -> Result:
    if isinstance(item, Extremes):
        return (to_ordered(low), to_ordered(high))
    if isinstance(item, Cells):
        # 4. Cells.
        return _whole(find_cells(item.edges).count(block))
    if isinstance(item, Moments):
        # 5. Moments.
        return _moments(item, block, low, high)
    raise EngineRefused(f"numpy does not count {item.kind} of numbers.", remedy="Plan it for a column of texts.")


def _moments(item: Moments, block: FloatArray, low: float, high: float) -> Result:
    scale = math.ldexp(1.0, -item.unit_exponent)
    with np.errstate(over="ignore"):
        units = block - item.centre
        units *= scale
    np.rint(units, out=units)
    reach = max(abs((low - item.centre) * scale), abs((high - item.centre) * scale)) + 1
    far = 0
    if reach > FAR:
        near = np.abs(units) <= FAR
        far = int(units.size - np.count_nonzero(near))
        units = units[near]
        reach = FAR
    squares = units * units
    squares *= math.ldexp(1.0, -SQUARE_SHIFT)
    np.rint(squares, out=squares)
    top = reach * reach * math.ldexp(1.0, -SQUARE_SHIFT) + 1
    return (int(units.size), _exact_sum(units, reach), _exact_sum(squares, top), far)


def _exact_sum(values: FloatArray, reach: float) -> int:
    """The sum of whole numbers none of which is beyond ``reach`` <= 2**62."""
    if reach * max(values.size, 1) < _EXACT_SUM:
        return int(values.sum())
    whole = values.astype(np.int64)
    upper = whole >> _HALF_WORD
    return (int(upper.sum()) << _HALF_WORD) + int((whole - (upper << _HALF_WORD)).sum())


def _special(block: FloatArray) -> NDArray[np.int64]:
    return np.array(
        [0, np.count_nonzero(np.isnan(block)), np.count_nonzero(block == -np.inf), np.count_nonzero(block == np.inf)],
        dtype=np.int64,
    )


def _doubles(array: pa.Array, kind: Kind) -> FloatArray:
    stored = array.type
    try:
        return _read(array, stored, kind)
    except (pa.ArrowException, ValueError) as error:
        raise EngineRefused(
            f"A column of type {stored} is not a number.", remedy="Read it as text, or convert it at the source."
        ) from error


def _read(array: pa.Array, stored: pa.DataType, kind: Kind) -> FloatArray:
    if kind is Kind.INSTANT:
        zone = stored.tz if pa.types.is_timestamp(stored) else None
        array = pc.cast(pc.cast(array, pa.timestamp("us", tz=zone), safe=False), pa.int64())
    elif pa.types.is_decimal(stored):
        # By way of text, which rounds once; scaling a large decimal would round twice.
        array = pc.cast(pc.cast(array, pa.string()), pa.float64())
    if not pa.types.is_float64(array.type):
        # numpy rounds a 64-bit number to the nearest double, ties to even, as the standard asks.
        return np.asarray(array.to_numpy(zero_copy_only=False)).astype(np.float64)
    return np.asarray(array.to_numpy(zero_copy_only=True), dtype=np.float64)


def _whole(counts: NDArray[np.int64] | NDArray[np.intp]) -> Result:
    return tuple(counts.tolist())
