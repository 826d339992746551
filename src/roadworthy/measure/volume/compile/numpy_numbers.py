"""Numbers and instants of one Arrow column. Owns reading them as doubles and the counting kernel.

Algorithm of ``NumberTally.count``:
1. Nulls are Arrow's own tally and are left out.
2. The rest is looked at in blocks that fit the processor's cache.
3. A block's smallest and largest value tell whether it holds NaN or an infinity; only then are these searched.
4. Cells by ``grid``.
5. Moments in doubles that hold whole numbers, turned into 64-bit numbers where a sum of doubles could round.

Rules kept here: every step writes into ``SCRATCH``; a step that makes an array of its own costs more than it counts.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roadworthy.base.errors import EngineRefused
from roadworthy.measure.reading import number_of
from roadworthy.measure.rule import Kind as RuleKind
from roadworthy.measure.rule import Limits
from roadworthy.measure.volume.accumulators import (
    FAR,
    SQUARE_SHIFT,
    Accumulator,
    Broken,
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
from roadworthy.measure.volume.scratch import BLOCK, SCRATCH

_EXACT_SUM = 2.0**53
_HALF_WORD = 32
_FINDERS = 1_024

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
        """A result for each accumulator.

        Raises:
            EngineRefused: the stored type is not a number or instant, or an accumulator is not for numbers (RW-117).
        """
        # 1. Nulls.
        special = np.array([array.null_count, 0, 0, 0], dtype=np.int64)
        counters = [_counter(item) for item in self._wanted if not isinstance(item, Special)]
        # 2. Blocks.
        for block in _present(array, kind):
            # 3. Anything but finite numbers shows in the extremes: NaN spreads, infinities stand at the ends.
            low, high = float(block.min()), float(block.max())
            finite = block
            if not (math.isfinite(low) and math.isfinite(high)):
                special += _special(block)
                finite = block[np.isfinite(block)]
                if finite.size == 0:
                    continue
                low, high = float(finite.min()), float(finite.max())
            for counter in counters:
                counter.add(finite, low, high)
        for counter in counters:
            counter.add_special(special)
        results: dict[Accumulator, Result] = {counter.item: counter.result() for counter in counters}
        results.update({item: _whole(special) for item in self._wanted if isinstance(item, Special)})
        return results


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


class _Counter(ABC):
    """What one accumulator has counted so far."""

    item: Accumulator

    @abstractmethod
    def add(self, block: FloatArray, low: float, high: float, /) -> None:
        """Count a block of at least one finite value, whose extremes are known."""

    def add_special(self, special: NDArray[np.int64]) -> None:  # noqa: B027  # most look at finite values only
        """Count nulls, NaN, -infinities and infinities of the whole column, after all blocks."""

    @abstractmethod
    def result(self) -> Result:
        """What was counted."""


class _ExtremesCounter(_Counter):
    def __init__(self, item: Extremes) -> None:
        self.item = item
        self._low, self._high = math.inf, -math.inf

    def add(self, _block: FloatArray, low: float, high: float, /) -> None:
        self._low, self._high = min(self._low, low), max(self._high, high)

    def result(self) -> Result:
        return (to_ordered(self._low), to_ordered(self._high)) if self._low <= self._high else self.item.empty


class _CellsCounter(_Counter):
    """4. Cells."""

    def __init__(self, item: Cells) -> None:
        self.item = item
        self._finder = find_cells(item.edges)
        self._counts = np.zeros(self._finder.cells, dtype=np.int64)

    def add(self, block: FloatArray, low: float, high: float, /) -> None:
        self._counts += self._finder.count(block, low, high)

    def result(self) -> Result:
        return _whole(self._counts)


class _MomentsCounter(_Counter):
    """5. Moments."""

    def __init__(self, item: Moments) -> None:
        self.item = item
        self._centre = item.centre
        self._scale = math.ldexp(1.0, -item.unit_exponent)
        self._sums = [0, 0, 0, 0]

    def add(self, block: FloatArray, low: float, high: float, /) -> None:
        units = SCRATCH.first[: block.size]
        with np.errstate(over="ignore"):
            np.subtract(block, self._centre, out=units)
            np.multiply(units, self._scale, out=units)
        np.rint(units, out=units)
        reach = max(abs((low - self._centre) * self._scale), abs((high - self._centre) * self._scale)) + 1
        far = 0
        if reach > FAR:
            near = np.abs(units) <= FAR
            far = int(units.size - np.count_nonzero(near))
            units = units[near]
            reach = FAR
        squares = np.multiply(units, units, out=SCRATCH.second[: units.size])
        np.multiply(squares, math.ldexp(1.0, -SQUARE_SHIFT), out=squares)
        np.rint(squares, out=squares)
        top = reach * reach * math.ldexp(1.0, -SQUARE_SHIFT) + 1
        found = (units.size, _exact_sum(units, reach), _exact_sum(squares, top), far)
        self._sums = [total + more for total, more in zip(self._sums, found, strict=True)]

    def result(self) -> Result:
        return tuple(self._sums)


class _NullCounter(_Counter):
    """Null and NaN."""

    def __init__(self, item: Broken) -> None:
        self.item = item
        self._bad = 0

    def add(self, _block: FloatArray, _low: float, _high: float, /) -> None:
        pass

    def add_special(self, special: NDArray[np.int64]) -> None:
        self._bad += int(special[0] + special[1])

    def result(self) -> Result:
        return (self._bad,)


class _RangeCounter(_Counter):
    """Values outside of a range; where the extremes of a block are inside, all of it is."""

    def __init__(self, item: Broken) -> None:
        self.item = item
        limits = item.rule.limits or Limits()
        self._lower, self._upper = number_of(limits.lower), number_of(limits.upper)
        self._below = np.less if limits.lower_inclusive else np.less_equal
        self._above = np.greater if limits.upper_inclusive else np.greater_equal
        self._crossed = self._lower is not None and self._upper is not None and self._lower >= self._upper
        self._bad = 0

    def add(self, block: FloatArray, low: float, high: float, /) -> None:
        self._bad += self._outside(block, low, high)

    def add_special(self, special: NDArray[np.int64]) -> None:
        for count, value in zip(special[2:].tolist(), (-math.inf, math.inf), strict=True):
            self._bad += count * self._outside(np.array([value]), value, value)

    def result(self) -> Result:
        return (self._bad,)

    def _outside(self, values: FloatArray, low: float, high: float) -> int:
        # A value on both sides at once, where the limits are the wrong way round, is one bad row all the same.
        bad = np.zeros(values.size, np.bool_) if self._crossed else None
        total = 0
        for end, test, extreme in ((self._lower, self._below, low), (self._upper, self._above, high)):
            if end is None or not test(extreme, end):
                continue
            outside = test(values, end, out=SCRATCH.flag[: values.size])
            total += int(np.count_nonzero(outside))
            if bad is not None:
                bad |= outside
        return total if bad is None else int(np.count_nonzero(bad))


_RULES: dict[RuleKind, Callable[[Broken], _Counter]] = {RuleKind.NULL: _NullCounter, RuleKind.RANGE: _RangeCounter}
_TIMES = frozenset({"date", "timestamp", "time"})


def is_counted_here(item: Broken, stored: pa.DataType, kind: Kind) -> bool:
    """Whether ``NumberTally`` can count the bad rows of a rule: null or a range of numbers, in a column of numbers.

    With the extremes of each block at hand these rules cost next to nothing.
    """
    return kind is Kind.NUMBER and _is_plain(stored) and item.rule.kind in _RULES and item.rule.text not in _TIMES


def _counter(item: Accumulator) -> _Counter:
    if isinstance(item, Broken) and item.rule.kind in _RULES:
        return _RULES[item.rule.kind](item)
    if isinstance(item, Extremes):
        return _ExtremesCounter(item)
    if isinstance(item, Cells):
        return _CellsCounter(item)
    if isinstance(item, Moments):
        return _MomentsCounter(item)
    raise EngineRefused(f"numpy does not count {item.kind} of numbers.", remedy="Plan it for a column of texts.")


def _present(array: pa.Array, kind: Kind) -> Iterator[FloatArray]:
    """The values that are not null, as doubles, in blocks of at least one value."""
    if array.null_count and not _is_plain(array.type):
        array = array.drop_null()
    valid = None
    if array.null_count:
        # What stands under a null is never looked at, but taking nulls out block by block costs a third of Arrow's way.
        valid = _valid(array)
        bits = [None, array.buffers()[1]]
        array = pa.Array.from_buffers(array.type, len(array), bits, null_count=0, offset=array.offset)
    values = _doubles(array, kind)
    for start in range(0, values.size, BLOCK):
        block = values[start : start + BLOCK]
        if valid is not None:
            block = np.compress(valid[start : start + BLOCK], block)
        if block.size:
            yield block


def _is_plain(stored: pa.DataType) -> bool:
    return bool(pa.types.is_floating(stored) or pa.types.is_integer(stored))


def _valid(array: pa.Array) -> NDArray[np.bool_]:
    """Arrow's validity bits, a byte each, shape (n,)."""
    skipped, first = divmod(array.offset, 8)
    bits = np.frombuffer(array.buffers()[0], np.uint8, offset=skipped)
    return np.unpackbits(bits, count=first + len(array), bitorder="little")[first:].view(np.bool_)


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
