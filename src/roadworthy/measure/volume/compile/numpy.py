"""A plan over Arrow batches with numpy. Owns the fast path that needs no database; also the oracle of the others.

Every result is a whole number, so batches may come in any order and size and be counted by several threads; ``parquet``
reads files that way.
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from roadworthy.base.errors import ContractError
from roadworthy.measure.volume.accumulators import (
    Accumulator,
    Broken,
    LabelledCells,
    Lengths,
    Result,
    Rows,
    Special,
    Values,
)
from roadworthy.measure.volume.compile.numpy_numbers import (
    LabelledTally,
    NumberTally,
    doubles_with_gaps,
    is_counted_here,
)
from roadworthy.measure.volume.compile.numpy_rules import BatchReader, bad_rows
from roadworthy.measure.volume.compile.numpy_texts import TextTally
from roadworthy.measure.volume.plan import ALL, OTHER_GROUP, Kind, Plan
from roadworthy.measure.volume.state import State, no_rows, state_of


def measure_batches(plan: Plan, batches: Iterable[pa.RecordBatch]) -> State:
    """The state of all rows of the batches, which have the plan's columns in any order.

    Raises:
        ContractError: a batch lacks a column of the plan (RW-106).
        ParameterError: the plan does not count rows (RW-114).
        EngineRefused: an accumulator that this compiler does not know (RW-117).
    """
    total = no_rows(plan)
    for batch in batches:
        _require(plan, batch)
        total = total.join(_batch(plan, batch))
    return total


def _require(plan: Plan, batch: pa.RecordBatch) -> None:
    lacking = [name for name in plan.columns if name not in batch.schema.names]
    if lacking:
        raise ContractError(
            f"There is no column {lacking[0]!r} in the data.",
            remedy=f"Use one of: {', '.join(batch.schema.names)}.",
        )


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
    reader = BatchReader(batch)
    for item in plan.accumulators:
        if isinstance(item, Rows):
            found[item] = (batch.num_rows,)
        elif isinstance(item, Broken) and not _is_plain_rule(plan, batch, item):
            found[item] = (bad_rows(item, reader),)
        elif isinstance(item, LabelledCells):
            scores = doubles_with_gaps(batch.column(item.score), plan.kind_of(item.score))
            labels = doubles_with_gaps(batch.column(item.label), Kind.NUMBER)
            found[item] = LabelledTally(item).count(scores, labels)
        else:
            by_column.setdefault(item.columns()[0], []).append(item)
    for name, wanted in by_column.items():
        found.update(_column(batch.column(name), plan.kind_of(name), wanted))
    return tuple(found[item] for item in plan.accumulators)


def _is_plain_rule(plan: Plan, batch: pa.RecordBatch, item: Broken) -> bool:
    name = item.columns()[0]
    return is_counted_here(item, batch.column(name).type, plan.kind_of(name))


def _column(array: pa.Array, kind: Kind, wanted: Sequence[Accumulator]) -> dict[Accumulator, Result]:
    if any(isinstance(item, Values | Lengths) for item in wanted):
        return TextTally(wanted).count(array)
    if kind in (Kind.NUMBER, Kind.INSTANT):
        return NumberTally(wanted).count(array, kind)
    return {item: (array.null_count, 0, 0, 0) for item in wanted if isinstance(item, Special)}
