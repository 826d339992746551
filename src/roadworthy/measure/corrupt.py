"""Documented damage with a known truth. Owns the corruptions that must-fail fixtures and the demonstration plant.

A check that has never failed is not evidence. Each kind here is something that really happens to feeds:

==============  ====================================================================================
kind            what happens to the chosen rows of the chosen column
==============  ====================================================================================
NULL            the value is lost
UNIT_SWAP       the number is multiplied, as when a site reports in another unit
STALE           the instant moves into the past, as when an old extract is delivered again
DUPLICATE       the row is delivered a second time, at the end
ENCODING        UTF-8 is read as Latin-1; a text of plain letters first gets an accented one
SCHEMA          the column is renamed (all rows)
RETYPE          the column arrives as text (all rows)
RANGE           the number lands far above everything seen
REFERENTIAL     the value refers to something that does not exist
==============  ====================================================================================

Rules kept here: the seed decides which rows; the share is rounded up, so that a share above 0 damages at least one row;
the input is never changed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

import numpy as np
import pyarrow as pa

from roadworthy.base.errors import ContractError, ParameterError

UNIT_FACTOR = 10.0
STALE_BY = timedelta(days=400)


class Corruption(Enum):
    """The kinds of damage; see the module."""

    NULL = "null"
    UNIT_SWAP = "unit swap"
    STALE = "stale"
    DUPLICATE = "duplicate"
    ENCODING = "encoding"
    SCHEMA = "schema"
    RETYPE = "retype"
    RANGE = "range"
    REFERENTIAL = "referential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What was planted.

    Attributes:
        kind: of damage.
        column: that was damaged.
        rows: numbers, from 0, in the damaged table; for DUPLICATE those of the repeats.
    """

    kind: Corruption
    column: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrupted:
    """The damaged rows and what is wrong with them."""

    table: pa.Table
    truth: Truth


def corrupt(
    table: pa.Table, kind: Corruption, column: str, *, seed: int, share: float, factor: float = UNIT_FACTOR
) -> Corrupted:
    """Damage a copy of a table.

    Args:
        table: Arrow rows.
        kind: of damage.
        column: where; for DUPLICATE the key that is then repeated.
        seed: decides which rows.
        share: of rows, in (0, 1]; SCHEMA and RETYPE always damage all.
        factor: by which UNIT_SWAP multiplies.

    Raises:
        ContractError: no such column (RW-106).
        ParameterError: a share outside (0, 1], or a column that this damage cannot happen to (RW-114).
    """
    if column not in table.column_names:
        raise ContractError(f"There is no column {column!r} to damage.", remedy=f"Use one of {table.column_names}.")
    if not 0.0 < share <= 1.0:
        raise ParameterError(f"A share of {share} is not in (0, 1].", remedy="Give a share such as 0.05.")
    rows = _choose(table.num_rows, seed, share)
    if kind is Corruption.DUPLICATE:
        repeats = tuple(range(table.num_rows, table.num_rows + len(rows)))
        damaged = pa.concat_tables([table, table.take(pa.array(rows))])
        return Corrupted(table=damaged, truth=Truth(kind=kind, column=column, rows=repeats))
    if kind in {Corruption.SCHEMA, Corruption.RETYPE}:
        return Corrupted(
            table=_reshape(table, kind, column),
            truth=Truth(kind=kind, column=column, rows=tuple(range(table.num_rows))),
        )
    values = table.column(column).to_pylist()
    change = _change(kind, [value for value in values if value is not None], factor)
    try:
        for row in rows:
            values[row] = change(values[row], row)
    except TypeError as error:
        raise ParameterError(
            f"The column {column!r} cannot suffer {kind.value!r} damage.",
            remedy="Choose a column of the fitting type and without nulls.",
        ) from error
    # A swapped unit or a value out of range need not fit a column of whole numbers.
    stored = table.schema.field(column).type
    kept = pa.float64() if kind in {Corruption.UNIT_SWAP, Corruption.RANGE} and pa.types.is_integer(stored) else stored
    position = table.column_names.index(column)
    damaged = table.set_column(position, column, pa.array(values, type=kept))
    return Corrupted(table=damaged, truth=Truth(kind=kind, column=column, rows=tuple(rows)))


def _choose(count: int, seed: int, share: float) -> list[int]:
    drawn = np.random.default_rng(seed).choice(count, size=math.ceil(share * count), replace=False)
    return [int(row) for row in np.sort(drawn)]


def _reshape(table: pa.Table, kind: Corruption, column: str) -> pa.Table:
    position = table.column_names.index(column)
    if kind is Corruption.SCHEMA:
        names = list(table.column_names)
        names[position] = f"{column}_v2"
        return table.rename_columns(names)
    texts = [None if value is None else str(value) for value in table.column(column).to_pylist()]
    return table.set_column(position, column, pa.array(texts, type=pa.string()))


def _change(kind: Corruption, present: list[Any], factor: float) -> Callable[[Any, int], Any]:
    changes: dict[Corruption, Callable[[Any, int], Any]] = {
        Corruption.NULL: lambda _value, _row: None,
        Corruption.UNIT_SWAP: lambda value, _row: value * factor,
        Corruption.STALE: lambda value, _row: value - STALE_BY,
        Corruption.ENCODING: lambda value, _row: _mojibake(value),
        Corruption.RANGE: lambda _value, row: _beyond(present, row),
        Corruption.REFERENTIAL: lambda value, row: _dangling(value, present, row),
    }
    return changes[kind]


def _mojibake(value: str) -> str:
    accented = value if not value.isascii() else value + "é"
    return accented.encode("utf-8").decode("latin-1")


def _beyond(present: list[Any], row: int) -> float:
    width = max(present) - min(present)
    return float(max(present) + 10 * width + 1 + row)


def _dangling(value: Any, present: list[Any], row: int) -> Any:
    return f"no such thing {row}" if isinstance(value, str) else max(present) + 1 + row
