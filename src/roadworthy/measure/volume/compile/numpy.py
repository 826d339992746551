"""A plan over Arrow batches with numpy. Owns the fast path that needs no database; also the oracle of the others.

Every result is a whole number, so batches may come in any order and size and be counted by several threads.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from roadworthy.base.errors import UnreadableData
from roadworthy.measure.volume.accumulators import Accumulator, LabelledCells, Lengths, Result, Rows, Special, Values
from roadworthy.measure.volume.compile.numpy_numbers import (
    LabelledTally,
    NumberTally,
    doubles_with_gaps,
)
from roadworthy.measure.volume.compile.numpy_texts import TextTally
from roadworthy.measure.volume.plan import ALL, OTHER_GROUP, Kind, Plan
from roadworthy.measure.volume.state import State, join_all, no_rows, state_of

_BATCH_ROWS = 1 << 18
"""Rows of one batch: large enough to spread the cost of a call, small enough to stay out of memory's way."""


def measure_batches(plan: Plan, batches: Iterable[pa.RecordBatch]) -> State:
    """The state of all rows of the batches, which have the plan's columns in any order.

    Raises:
        ParameterError: the plan does not count rows (RW-114).
        EngineRefused: an accumulator that this compiler does not know (RW-117).
    """
    total = no_rows(plan)
    for batch in batches:
        total = total.join(_batch(plan, batch))
    return total


def measure_parquet(plan: Plan, paths: Sequence[Path], *, threads: int = 2) -> State:
    """The state of Parquet files, a row group at a time, by several threads.

    Memory: about ``threads`` row groups of one column each.

    Raises:
        UnreadableData: a file is broken or lacks a column (RW-103).
    """
    tasks = [(path, group) for path in paths for group in range(_row_groups(path))]

    def one(task: tuple[Path, int]) -> State:
        path, group = task
        try:
            with pq.ParquetFile(path, memory_map=True) as file:
                batches = file.iter_batches(_BATCH_ROWS, [group], list(plan.columns), use_threads=False)
                return measure_batches(plan, batches)
        except (pa.ArrowException, OSError) as error:
            raise _broken(path, error) from error

    with ThreadPoolExecutor(max_workers=threads) as pool:
        return join_all(plan, pool.map(one, tasks))


def _row_groups(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_row_groups)
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> UnreadableData:
    first = str(error).splitlines()[0].rstrip(".")
    return UnreadableData(f"Cannot read {path.name}: {first}.", remedy="Write the file again.", where=str(path))


def _batch(plan: Plan, batch: pa.RecordBatch) -> State:
    return state_of(plan, {name: _results(plan, part) for name, part in _parts(plan, batch) if part.num_rows})


def _parts(plan: Plan, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows of each group."""
    if plan.split is None:
        yield ALL, batch
        return
    groups = plan.split.values
    code = pc.index_in(pc.cast(batch.column(plan.split.column), pa.string()), pa.array(groups, pa.string()))
    for index, name in enumerate(groups):
        yield name, batch.filter(pc.equal(code, index))
    yield OTHER_GROUP, batch.filter(pc.is_null(code))


def _results(plan: Plan, batch: pa.RecordBatch) -> tuple[Result, ...]:
    """A result for each accumulator; every column is read once for all that look at it."""
    found: dict[Accumulator, Result] = {}
    by_column: dict[str, list[Accumulator]] = {}
    for item in plan.accumulators:
        if isinstance(item, Rows):
            found[item] = (batch.num_rows,)
        elif isinstance(item, LabelledCells):
            scores = doubles_with_gaps(batch.column(item.score), plan.kind_of(item.score))
            labels = doubles_with_gaps(batch.column(item.label), Kind.NUMBER)
            found[item] = LabelledTally(item).count(scores, labels)
        else:
            by_column.setdefault(item.columns()[0], []).append(item)
    for name, wanted in by_column.items():
        found.update(_column(batch.column(name), plan.kind_of(name), wanted))
    return tuple(found[item] for item in plan.accumulators)


def _column(array: pa.Array, kind: Kind, wanted: Sequence[Accumulator]) -> dict[Accumulator, Result]:
    if any(isinstance(item, Values | Lengths) for item in wanted):
        return TextTally(wanted).count(array)
    if kind in (Kind.NUMBER, Kind.INSTANT):
        return NumberTally(wanted).count(array, kind)
    return {item: (array.null_count, 0, 0, 0) for item in wanted if isinstance(item, Special)}
