"""What is frozen when the reference is taken. Owns edges, known values and units, and how they are fitted to a table.

Edges that follow the data of each window make windows incomparable, and one far value squeezes everything else into one
cell. So they are fitted once, on the reference, and carried with their digest.

Algorithm of ``fit``:
1. At most ``SAMPLE_ROWS`` rows are drawn by a fixed rule on their number; the same table gives the same rows.
2. A number or instant gets the edges at its quantiles, each an observed value, so that ties stay in one cell. A column
   with fewer distinct values than cells gets a cell for each value.
3. Its centre is the median; its unit is 2**-24 of the spread (interquartile range, else the range, else 1).
4. A text gets its most frequent values.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_of
from roadworthy.measure.table import ROW, Table, quote
from roadworthy.measure.volume.plan import ColumnKind, Kind

SAMPLE_ROWS = 100_000
CELLS = 64
KNOWN_VALUES = 100
_UNIT_BITS = 24
# Knuth's multiplicative hash spreads consecutive row numbers; the reference does not need a random sample, only one that
# does not follow a pattern of the file.
_SPREAD = 2_654_435_761
_TURN = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberReference:
    """A number or instant column.

    Attributes:
        column: its name.
        kind: number or instant.
        edges: rising; empty when the reference has no finite value or a single one.
        centre: the median, in the column's unit.
        unit_exponent: moments are counted in ``2**unit_exponent`` of that unit.
        spread: interquartile range in the column's unit, for effects measured in distances; 0 when it is.
    """

    column: str
    kind: Kind
    edges: tuple[float, ...]
    centre: float
    unit_exponent: int
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueReference:
    """A text or flag column and its most frequent values, the most frequent first."""

    column: str
    kind: Kind
    known: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Everything that was frozen.

    Attributes:
        columns: every column of the reference table and how it is read.
        numbers: number and instant columns.
        values: text and flag columns.
    """

    columns: tuple[ColumnKind, ...]
    numbers: tuple[NumberReference, ...]
    values: tuple[ValueReference, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical form; goes into every piece of evidence that rests on it."""
        return digest_of(_exact(to_json(self)))


def kind_of(type_name: str) -> Kind:
    """How a DuckDB type is read."""
    name = type_name.split("(", maxsplit=1)[0]
    if name in _NUMBERS:
        return Kind.NUMBER
    if name == "DATE" or name.startswith("TIMESTAMP"):
        return Kind.INSTANT
    return {"VARCHAR": Kind.TEXT, "ENUM": Kind.TEXT, "BOOLEAN": Kind.FLAG}.get(name, Kind.OTHER)


def column_kinds(table: Table) -> tuple[ColumnKind, ...]:
    """Every column of a table and how it is read."""
    return tuple(ColumnKind(name=column.name, kind=kind_of(column.type)) for column in table.columns)


def fit(table: Table, *, cells: int = CELLS, columns: Sequence[str] | None = None) -> Reference:
    """Freeze edges, units and known values of a reference table.

    Args:
        table: at least one row.
        cells: how many cells a number gets, at least 2.
        columns: which to fit; all when None.

    Raises:
        ContractError: no such column (RW-106).
    """
    chosen = set(table.column_names if columns is None else columns)
    for name in chosen:
        table.type_of(name)
    kinds = tuple(item for item in column_kinds(table) if item.name in chosen)
    measured = [item for item in kinds if item.kind in (Kind.NUMBER, Kind.INSTANT)]
    samples = _draw(table, measured)
    numbers = [_fit_number(item, values, cells) for item, values in zip(measured, samples, strict=True)]
    values = [_fit_values(table, item) for item in kinds if item.kind in (Kind.TEXT, Kind.FLAG)]
    return Reference(columns=kinds, numbers=tuple(numbers), values=tuple(values))


def edges_at_quantiles(values: NDArray[np.float64], cells: int) -> tuple[float, ...]:
    """At most ``cells - 1`` rising edges, each an observed value above the smallest; empty for fewer than two values."""
    distinct, counts = np.unique(values + 0.0, return_counts=True)
    if distinct.size <= cells:
        return tuple(distinct[1:].tolist())
    # 2. The observed value at which each share of the rows is reached.
    wanted = np.arange(1, cells) * (values.size / cells)
    places = np.searchsorted(np.cumsum(counts), wanted, side="left")
    return tuple(np.unique(distinct[places[places > 0]]).tolist())


def _draw(table: Table, items: Sequence[ColumnKind]) -> list[NDArray[np.float64]]:
    """The sampled values of each column; NaN for null."""
    if not items:
        return []
    reads = ", ".join(
        f"CAST({quote(item.name) if item.kind is Kind.NUMBER else f'epoch_us({quote(item.name)})'} AS DOUBLE)"
        for item in items
    )
    drawn = table.arrow(f"SELECT {reads} FROM data WHERE {_sample(table)}")
    return [column.to_numpy(zero_copy_only=False).astype(np.float64) for column in drawn.columns]


def _fit_number(item: ColumnKind, sampled: NDArray[np.float64], cells: int) -> NumberReference:
    values = sampled[np.isfinite(sampled)]
    if values.size == 0:
        return NumberReference(
            column=item.name, kind=item.kind, edges=(), centre=0.0, unit_exponent=-_UNIT_BITS, spread=0.0
        )
    lower, centre, upper = (float(end) for end in np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf"))
    spread = (upper - lower) or float(values.max() - values.min()) or max(abs(centre), 1.0)
    exponent = math.frexp(spread)[1] if math.isfinite(spread) else math.frexp(upper)[1]
    return NumberReference(
        column=item.name,
        kind=item.kind,
        edges=edges_at_quantiles(values, cells),
        centre=centre,
        unit_exponent=exponent - _UNIT_BITS,
        spread=upper - lower,
    )


def _fit_values(table: Table, item: ColumnKind) -> ValueReference:
    name = quote(item.name)
    rows = table.query(
        f"SELECT CAST({name} AS VARCHAR) AS v, COUNT(*) AS c FROM data WHERE {name} IS NOT NULL AND {_sample(table)} "
        f"GROUP BY v ORDER BY c DESC, v LIMIT {KNOWN_VALUES}"
    )
    return ValueReference(column=item.name, kind=item.kind, known=tuple(row[0] for row in rows))


def _sample(table: Table) -> str:
    # 1. All rows of a small table, else those whose spread number falls below a threshold.
    if table.row_count <= SAMPLE_ROWS:
        return "true"
    threshold = int(_TURN * SAMPLE_ROWS / table.row_count)
    return f"({ROW} * {_SPREAD}) % {_TURN} < {threshold}"


def _exact(value: object) -> object:
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {name: _exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return value


_NUMBERS = frozenset(
    {
        "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
        "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
        "FLOAT", "DOUBLE", "DECIMAL",
    }
)  # fmt: skip
