"""What is frozen when the reference is taken. Owns edges, known values and units, and how they are fitted to a table.

Edges that follow the data of each window make windows incomparable, and one far value squeezes everything else into one
cell. So they are fitted once, on the reference, and carried with their digest.

Algorithm of ``fit``:
1. About ``SAMPLE_ROWS`` rows are drawn by a fixed rule on their number; the same table gives the same rows. Of a large
   Parquet table only some row groups are read, evenly spread over it; one with fewer rows than ``READ_ROWS`` gives the
   same sample in every format.
2. A number or instant gets the edges at its quantiles, each an observed value, so that ties stay in one cell. A column
   of few distinct values gets a cell for each. Either way one cell lies below all of them and one above.
3. Its centre is the median; its unit is 2**-24 of the spread (interquartile range, else the range, else 1).
4. A text gets its most frequent values.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow.parquet import ParquetFile

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_of
from roadworthy.measure.table import ROW, Table, quote
from roadworthy.measure.volume.compile.numpy_numbers import doubles_with_gaps
from roadworthy.measure.volume.plan import ColumnKind, Kind, exact_json
from roadworthy.measure.volume.row_groups import Run, batches_of, opened, readable, runs_of

SAMPLE_ROWS = 1 << 14
"""Edges need no more: each of 64 cells holds about 250 rows of the sample, and all rows are counted afterwards."""
READ_ROWS = 1 << 20
"""A Parquet table of more rows is sampled from some of its row groups only."""
CELLS = 64
KNOWN_VALUES = 100
_UNIT_BITS = 24
# Knuth's multiplicative hash spreads consecutive row numbers; the reference does not need a random sample, only one that
# does not follow a pattern of the file.
_SPREAD = 2_654_435_761
_TURN = 1 << 32
_LEAST_GROUPS = 16
_MEASURED = frozenset({Kind.NUMBER, Kind.INSTANT})

FloatArray = NDArray[np.float64]
_Sample: TypeAlias = FloatArray | Counter[str]
"""Of a column of numbers its values, NaN for null; of another one how often each text is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberReference:
    """A number or instant column.

    Attributes:
        column: its name.
        kind: number or instant.
        edges: rising; empty when the reference has no finite value.
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
        return digest_of(exact_json(to_json(self)))


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


def fit(table: Table, *, cells: int = CELLS, columns: Sequence[str] | None = None, threads: int = 2) -> Reference:
    """Freeze edges, units and known values of a reference table.

    Args:
        table: at least one row.
        cells: how many cells a number gets, at least 2.
        columns: which to fit; all when None.
        threads: that read Parquet.

    Raises:
        ContractError: no such column (RW-106).
        UnreadableData: a file is broken or changed while it was read (RW-103).
    """
    chosen = set(table.column_names if columns is None else columns)
    for name in chosen:
        table.type_of(name)
    kinds = tuple(item for item in column_kinds(table) if item.name in chosen)
    told = [item for item in kinds if item.kind is not Kind.OTHER]
    if readable(table.paths, [item.name for item in told]):
        fitted = _fit_files(table, told, cells, threads)
    else:
        fitted = [_fitted(item, sample, cells) for item, sample in zip(told, _by_query(table, told), strict=True)]
    return Reference(
        columns=kinds,
        numbers=tuple(item for item in fitted if isinstance(item, NumberReference)),
        values=tuple(item for item in fitted if isinstance(item, ValueReference)),
    )


def edges_at_quantiles(values: FloatArray, cells: int) -> tuple[float, ...]:
    """Rising edges for finite values, so that there are at most ``cells`` cells; at least two when there is a value.

    Few distinct values are taken for codes: each gets a cell, with one cell below them all and one above, so that a code
    that was never seen before the first or after the last one does not hide among them.
    """
    return _edges(np.sort(values), cells)


def _edges(ordered: FloatArray, cells: int) -> tuple[float, ...]:
    """The edges for sorted values."""
    if ordered.size == 0:
        return ()
    starts = np.flatnonzero(np.append(True, ordered[1:] > ordered[:-1]))
    distinct = ordered[starts] + 0.0
    if distinct.size <= max(cells - 2, 1):
        return tuple(np.unique([*distinct, np.nextafter(distinct[-1], np.inf)]).tolist())
    # 2. The observed value at which each share of the rows is reached, never the smallest; the cells beyond the smallest
    #    and the largest stay nearly empty until something moves there.
    inner = max(cells - 2, 1)
    wanted = np.ceil(np.arange(1, inner) * (ordered.size / inner)).astype(np.intp) - 1
    quantiles = np.maximum(ordered[wanted] + 0.0, distinct[1])
    return tuple(np.unique([distinct[0], *quantiles, np.nextafter(distinct[-1], np.inf)]).tolist())


def _fitted(item: ColumnKind, sample: _Sample, cells: int) -> NumberReference | ValueReference:
    if isinstance(sample, Counter):
        return _fit_values(item, sample)
    return _fit_number(item, sample, cells)


def _fit_files(
    table: Table, items: Sequence[ColumnKind], cells: int, threads: int
) -> list[NumberReference | ValueReference]:
    """Parquet files, read without a database, which would number every row first; each thread takes some columns."""
    runs = _spread(runs_of(table.paths, 0), table.row_count)
    threshold = _threshold(sum(run.rows for run in runs))
    rows = [_sampled_rows(run, threshold) for run in runs]

    def some(hand: int) -> list[NumberReference | ValueReference]:
        mine = items[hand::threads]
        return [_fitted(item, sample, cells) for item, sample in zip(mine, _from_files(runs, rows, mine), strict=True)]

    with ThreadPoolExecutor(max_workers=threads) as pool:
        dealt = list(pool.map(some, range(threads)))
    return [dealt[place % threads][place // threads] for place in range(len(items))]


def _from_files(runs: Sequence[Run], rows: Sequence[NDArray[np.intp]], items: Sequence[ColumnKind]) -> list[_Sample]:
    """The drawn rows of some columns, a column at a time, as in the scan: a batch of one column is all that is held."""
    found: list[list[FloatArray]] = [[np.empty(0)] for _ in items]
    uses: list[Counter[str]] = [Counter() for _ in items]
    for run, places in zip(runs, rows, strict=True):
        with opened(run.path) as file:
            for item, values, counts in zip(items, found, uses, strict=True):
                for part in _taken(file, run, item.name, places):
                    if item.kind in _MEASURED:
                        values.append(doubles_with_gaps(part, item.kind))
                    else:
                        _count(counts, part)
    return [
        np.concatenate(values) if item.kind in _MEASURED else counts
        for item, values, counts in zip(items, found, uses, strict=True)
    ]


def _spread(runs: Sequence[Run], rows: int) -> Sequence[Run]:
    """All row groups, or every n-th so that about ``READ_ROWS`` rows or ``_LEAST_GROUPS`` groups are left."""
    step = max(1, min(-(-rows // READ_ROWS), len(runs) // _LEAST_GROUPS))
    return runs[step // 2 :: step]


def _sampled_rows(run: Run, threshold: int) -> NDArray[np.intp]:
    """Which rows of a run are drawn, counted from its first."""
    found = []
    for start in range(0, run.rows, READ_ROWS):
        rows = np.arange(start, min(start + READ_ROWS, run.rows), dtype=np.uint64) + np.uint64(run.first_row)
        # The product may pass 64 bits; the 32 that count are right all the same.
        drawn = rows * np.uint64(_SPREAD) & np.uint64(_TURN - 1) < threshold
        found.append(np.flatnonzero(drawn) + start)
    return np.concatenate(found)


def _taken(file: ParquetFile, run: Run, name: str, rows: NDArray[np.intp]) -> Iterator[pa.Array]:
    """The drawn values of one column."""
    start = 0
    for batch in batches_of(file, run, [name]):
        low, high = np.searchsorted(rows, [start, start + batch.num_rows])
        yield batch.column(0).take(pa.array(rows[low:high] - start))
        start += batch.num_rows


def _count(uses: Counter[str], column: pa.Array) -> None:
    """Add how often each text of a column is used."""
    for item in pc.value_counts(pc.cast(column, pa.string()).drop_null()):
        uses[item["values"].as_py()] += item["counts"].as_py()


def _by_query(table: Table, items: Sequence[ColumnKind]) -> list[_Sample]:
    """The drawn rows of everything else: all columns of numbers at once, since each query reads the whole table."""
    where = "true"
    if table.row_count > SAMPLE_ROWS:
        where = f"({ROW} * {_SPREAD}) % {_TURN} < {_threshold(table.row_count)}"
    samples: dict[str, _Sample] = {}
    numbers = [item for item in items if item.kind in _MEASURED]
    if numbers:
        reads = ", ".join(f"CAST({_stored_number(item)} AS DOUBLE)" for item in numbers)
        drawn = table.arrow(f"SELECT {reads} FROM data WHERE {where}")
        for item, column in zip(numbers, drawn.columns, strict=True):
            samples[item.name] = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    for item in items:
        if item.kind not in _MEASURED:
            name = quote(item.name)
            rows = table.query(
                f"SELECT CAST({name} AS VARCHAR) AS v, COUNT(*) AS c FROM data WHERE {name} IS NOT NULL AND {where} "
                f"GROUP BY v ORDER BY c DESC, v LIMIT {KNOWN_VALUES}"
            )
            samples[item.name] = Counter(dict(rows))
    return [samples[item.name] for item in items]


def _stored_number(item: ColumnKind) -> str:
    return quote(item.name) if item.kind is Kind.NUMBER else f"epoch_us({quote(item.name)})"


def _fit_number(item: ColumnKind, sampled: FloatArray, cells: int) -> NumberReference:
    values = np.sort(sampled[np.isfinite(sampled)])
    if values.size == 0:
        return NumberReference(
            column=item.name, kind=item.kind, edges=(), centre=0.0, unit_exponent=-_UNIT_BITS, spread=0.0
        )
    lower, centre, upper = (float(values[math.ceil(values.size * share) - 1]) + 0.0 for share in (0.25, 0.5, 0.75))
    spread = (upper - lower) or float(values[-1] - values[0]) or max(abs(centre), 1.0)
    exponent = math.frexp(spread)[1] if math.isfinite(spread) else math.frexp(upper)[1]
    return NumberReference(
        column=item.name,
        kind=item.kind,
        edges=_edges(values, cells),
        centre=centre,
        unit_exponent=exponent - _UNIT_BITS,
        spread=upper - lower,
    )


def _fit_values(item: ColumnKind, uses: Counter[str]) -> ValueReference:
    ranked = sorted(uses.items(), key=lambda use: (-use[1], use[0]))
    return ValueReference(column=item.name, kind=item.kind, known=tuple(text for text, _ in ranked[:KNOWN_VALUES]))


def _threshold(rows: int) -> int:
    return _TURN if rows <= SAMPLE_ROWS else int(_TURN * SAMPLE_ROWS / rows)


_NUMBERS = frozenset(
    {
        "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
        "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
        "FLOAT", "DOUBLE", "DECIMAL",
    }
)  # fmt: skip
