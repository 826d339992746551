"""Rows that are the same row again. Owns byte-equal and normalised-equal duplicates over chosen columns.

What is merely similar is left to ``near`` (documents) and ``entities`` (records).

Algorithm of ``exact_duplicates``:
1. Give each cell a code: equal codes for equal stored values, or for equal normal forms (see ``normalise``). Each
   distinct value is looked at once, however often it occurs.
2. Fold the codes of the columns into one code a row, column by column, so that memory stays at two integers a row.
3. Rows with equal codes are a cluster.

Rules kept here:
1. A null equals a null, as in a row that was delivered twice; at the normalised level an empty text is a null too.
2. A row with nothing in any of the columns says nothing about identity: it is counted apart and joins no cluster.
3. Byte-equal means equal as stored: -0.0 is not 0.0, ``A`` is not ``a``; a NaN equals a NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pyarrow as pa

from roadworthy.base.errors import ContractError, ParameterError
from roadworthy.measure.duplicates.clusters import Clusters, RowNumbers, group_by_code
from roadworthy.measure.duplicates.normalise import normal_value

_ABSENT = -1


class Level(Enum):
    """How strictly two cells are compared."""

    BYTES = "bytes"
    NORMALISED = "normalised"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactReport:
    """What was found.

    Attributes:
        level: how cells were compared.
        columns: over which columns.
        clusters: of all rows; rows without content stand alone.
        rows_without_content: rows in which every chosen column is null (or, normalised, empty).
    """

    level: Level
    columns: tuple[str, ...]
    clusters: Clusters
    rows_without_content: int


def exact_duplicates(table: pa.Table, *, level: Level, columns: Sequence[str] | None = None) -> ExactReport:
    """Find rows that agree in all the columns.

    Args:
        table: the rows.
        level: how to compare.
        columns: which columns decide; all when None. Leave out row numbers and load stamps, which differ by design.

    Raises:
        ContractError: no such column, or one of a nested type (RW-106).
        ParameterError: no column is named (RW-114).
    """
    chosen = tuple(table.column_names if columns is None else columns)
    if not chosen:
        raise ParameterError("No column decides on duplicates.", remedy="Name at least one column.")
    cells = [_codes(table, name, level) for name in chosen]  # 1
    codes = cells[0]
    for column in cells[1:]:  # 2
        codes = _folded(codes, column)
    absent = np.logical_and.reduce([column == _ABSENT for column in cells])
    # A code of its own for each row without content: below all others, so that it meets none of them.
    codes = np.where(absent, -1 - np.arange(codes.size, dtype=np.int64), codes + 1)
    return ExactReport(
        level=level, columns=chosen, clusters=group_by_code(codes), rows_without_content=int(absent.sum())
    )  # 3


def _codes(table: pa.Table, name: str, level: Level) -> RowNumbers:
    if name not in table.column_names:
        raise ContractError(f"There is no column {name!r}.", remedy=f"Use one of: {', '.join(table.column_names)}.")
    column = table.column(name).combine_chunks()
    if pa.types.is_nested(column.type):
        raise ContractError(
            f"Column {name!r} is nested ({column.type}).", remedy="Flatten it, or leave it out of the comparison."
        )
    if pa.types.is_null(column.type):
        return np.full(len(column), _ABSENT, dtype=np.int64)
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    indices = np.asarray(encoded.indices.fill_null(_ABSENT).to_numpy(zero_copy_only=False), dtype=np.int64)
    values = encoded.dictionary.to_pylist()
    # The last place is where the index -1 of a null points.
    lookup = np.array([*_distinct(values, level), _ABSENT], dtype=np.int64)
    return lookup[indices]


def _distinct(values: list[Any], level: Level) -> list[int]:
    if level is Level.BYTES:
        return list(range(len(values)))
    seen: dict[str, int] = {}
    forms = (normal_value(value) for value in values)
    return [_ABSENT if form is None else seen.setdefault(form, len(seen)) for form in forms]


def _folded(codes: RowNumbers, column: RowNumbers) -> RowNumbers:
    """One code for each pair of codes, below the number of rows, so that the next product cannot overflow."""
    width = int(column.max(initial=0)) + 2
    _, folded = np.unique(codes * width + (column + 1), return_inverse=True)
    return np.asarray(folded, dtype=np.int64)
