"""A plan as DuckDB SQL. Owns the fragments in DuckDB's own words, and running them on a ``Table``.

A statement reads the table through a subquery in which everything is prepared once: a column as a finite double or as
text, the bad rows of a rule. The aggregates around it look at what was prepared.

Rules kept here:
1. Edges and values are bound, never written as decimal literals, which lose the last bit of some doubles.
2. DuckDB's histogram closes its cells on the right and puts NaN into the first one. So it gets only finite values, and
   each edge is replaced by the double just below it: ``x > before(e)`` is ``x >= e``.
3. A cast of a double to a whole number rounds half to even here, four times as fast as ``round_even``.
4. Decimals and 128-bit numbers become doubles by way of text, which rounds once; DuckDB's own cast rounds twice.
5. Nothing approximate is used: no sketch, no floating sum.
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import singledispatch
from typing import Any

from roadworthy.base.errors import EngineRefused
from roadworthy.measure.predicates import row_predicate
from roadworthy.measure.table import Table, quote
from roadworthy.measure.volume.accumulators import (
    SQUARE_SHIFT,
    Accumulator,
    Broken,
    Cells,
    Extremes,
    LabelledCells,
    Lengths,
    Moments,
    Result,
    Rows,
    Special,
    Values,
)
from roadworthy.measure.volume.compile.fragment import Fragment, chunks, extremes, read_row, whole
from roadworthy.measure.volume.compile.near import near_of
from roadworthy.measure.volume.plan import ALL, OTHER_GROUP, Kind, Plan
from roadworthy.measure.volume.state import State, state_of

_COLUMNS_A_STATEMENT = 400
_WIDE_TYPES = ("DECIMAL", "HUGEINT", "UHUGEINT")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def measure_duckdb(plan: Plan, table: Table) -> State:
    """The state of a table, counted by DuckDB itself.

    Raises:
        ContractError: the table lacks a column of the plan (RW-106).
        EngineRefused: an accumulator that this compiler does not know (RW-117).
    """
    prepared = Prepared(plan, table)
    fragments = [fragment_of(item, prepared) for item in plan.accumulators]
    group = prepared.group()
    source, below = prepared.subquery()
    answers: dict[str, dict[Accumulator, Result]] = {}
    for chunk in chunks(fragments, _COLUMNS_A_STATEMENT):
        selection = ", ".join([group, *(column for fragment in chunk for column in fragment.columns)])
        parameters = [*(value for fragment in chunk for value in fragment.parameters), *below]
        for row in table.query(f"SELECT {selection} FROM {source} GROUP BY {group}", parameters):
            answers.setdefault(row[0], {}).update(read_row(chunk, row[1:]))
    groups = {name: tuple(found[item] for item in plan.accumulators) for name, found in answers.items()}
    return state_of(plan, groups)


class Prepared:
    """The subquery below the aggregates; each method gives the name of a column of it, and adds what is not there yet."""

    def __init__(self, plan: Plan, table: Table) -> None:
        self.plan = plan
        self._table = table
        # A name that the table has itself would hide the prepared column: DuckDB's names know no case.
        taken = {name.lower() for name in table.column_names}
        self._prefix = "p"
        while any(name.startswith(self._prefix) for name in taken):
            self._prefix += "_"
        self._listed: list[str] = []
        self._plain: dict[str, str] = {}
        self._parameters: list[object] = []

    def raw(self, column: str) -> str:
        """As it is stored."""
        self._table.type_of(column)
        return self._once(quote(column))

    def number(self, column: str) -> str:
        """A number or flag as a double, NaN and the infinities included."""
        name = quote(column)
        if self._table.type_of(column).startswith(_WIDE_TYPES):
            return self._once(f"CAST(CAST({name} AS VARCHAR) AS DOUBLE)")
        return self._once(f"CAST({name} AS DOUBLE)")

    def finite(self, column: str) -> str:
        """A number or instant as a double; null where it is null, NaN or infinite."""
        if self.plan.kind_of(column) is Kind.INSTANT:
            self._table.type_of(column)
            return self._once(f"CAST(epoch_us({quote(column)}) AS DOUBLE)")
        value = self.number(column)
        return self._once(f"CASE WHEN isfinite({value}) THEN {value} END")

    def text(self, column: str) -> str:
        """A text or flag as text."""
        self._table.type_of(column)
        return self._once(f"CAST({quote(column)} AS VARCHAR)")

    def units(self, item: Moments) -> str:
        """The rounded units of a near value; null for every other."""
        near, value = near_of(item), self.finite(item.column)
        return self._bound(
            f"CASE WHEN {value} BETWEEN ?::DOUBLE AND ?::DOUBLE "
            f"THEN CAST(({value} - ?::DOUBLE) * ?::DOUBLE AS BIGINT) END",
            (near.lowest, near.highest, item.centre, math.ldexp(1.0, -item.unit_exponent)),
        )

    def bad(self, item: Broken) -> str:
        """Whether the row breaks the rule; never null."""
        found = row_predicate(item.rule, self._table, _EPOCH + timedelta(microseconds=item.at_us))
        return self._bound(found.sql, found.parameters)

    def group(self) -> str:
        """The name of the row's group."""
        split = self.plan.split
        if split is None:
            return self._bound("?::VARCHAR", (ALL,))
        column = self.text(split.column)
        known = f"{column} IN (SELECT unnest(?::VARCHAR[]))"
        return self._bound(f"CASE WHEN {known} THEN {column} ELSE ? END", (list(split.values), OTHER_GROUP))

    def subquery(self) -> tuple[str, list[object]]:
        """The SQL and the values for its question marks."""
        return f"(SELECT {', '.join(self._listed)} FROM data)", self._parameters

    def _once(self, sql: str) -> str:
        if sql not in self._plain:
            self._plain[sql] = self._bound(sql, ())
        return self._plain[sql]

    def _bound(self, sql: str, parameters: Sequence[object]) -> str:
        name = f"{self._prefix}{len(self._listed)}"
        self._listed.append(f"{sql} AS {name}")
        self._parameters.extend(parameters)
        return name


@singledispatch
def fragment_of(item: Accumulator, prepared: Prepared) -> Fragment:  # noqa: ARG001  # what the others read
    """The SQL of one accumulator.

    Raises:
        EngineRefused: one that this compiler does not know (RW-117).
    """
    raise EngineRefused(f"duckdb does not count {item.kind}.", remedy="Measure with numpy.")


@fragment_of.register
def _rows(item: Rows, prepared: Prepared) -> Fragment:  # noqa: ARG001  # one shape for all
    return Fragment(accumulator=item, columns=("COUNT(*)",), parameters=(), read=whole)


@fragment_of.register
def _special(item: Special, prepared: Prepared) -> Fragment:
    columns = [f"COUNT(*) - COUNT({prepared.raw(item.column)})", "0", "0", "0"]
    if prepared.plan.kind_of(item.column) is Kind.NUMBER:
        value = prepared.number(item.column)
        columns[1:] = [_count(f"isnan({value})"), *(_count(f"{value} = '{sign}inf'::DOUBLE") for sign in ("-", ""))]
    return Fragment(accumulator=item, columns=tuple(columns), parameters=(), read=whole)


@fragment_of.register
def _extremes(item: Extremes, prepared: Prepared) -> Fragment:
    value = prepared.finite(item.column)
    return Fragment(accumulator=item, columns=(f"MIN({value})", f"MAX({value})"), parameters=(), read=extremes)


@fragment_of.register
def _moments(item: Moments, prepared: Prepared) -> Fragment:
    value, units = prepared.finite(item.column), prepared.units(item)
    # The square is a product of doubles, as everywhere; the units are far below 2**53, so they are exact as doubles.
    size = f"CAST({units} AS DOUBLE)"
    columns = (
        f"COUNT({units})",
        f"SUM({units})",
        f"SUM(CAST({size} * {size} * ?::DOUBLE AS BIGINT))",
        f"COUNT({value}) - COUNT({units})",
    )
    return Fragment(accumulator=item, columns=columns, parameters=(math.ldexp(1.0, -SQUARE_SHIFT),), read=whole)


@fragment_of.register
def _cells(item: Cells, prepared: Prepared) -> Fragment:
    value = prepared.finite(item.column)
    return Fragment(
        accumulator=item,
        columns=(f"COUNT({value})", f"histogram({value}, ?::DOUBLE[])"),
        parameters=(_before(item.edges),),
        read=_cell_reader(item.edges),
    )


@fragment_of.register
def _labelled(item: LabelledCells, prepared: Prepared) -> Fragment:
    score, label = prepared.finite(item.score), prepared.number(item.label)
    wanted = (f"NOT isnan({label}) AND {label} <> 1", f"{label} = 1", f"{label} IS NULL OR isnan({label})")
    values = [f"(CASE WHEN {condition} THEN {score} END)" for condition in wanted]
    columns = tuple(part for value in values for part in (f"COUNT({value})", f"histogram({value}, ?::DOUBLE[])"))
    cells = _cell_reader(item.edges)

    def read(answer: Sequence[Any]) -> Result:
        return (*cells(answer[0:2]), *cells(answer[2:4]), *cells(answer[4:6]))

    return Fragment(accumulator=item, columns=columns, parameters=(_before(item.edges),) * 3, read=read)


@fragment_of.register
def _values(item: Values, prepared: Prepared) -> Fragment:
    value = prepared.text(item.column)
    # The histogram's cell for "all others" has the empty text for a name, so the empty text is counted apart.
    named = [text for text in item.known if text]

    def read(answer: Sequence[Any]) -> Result:
        present, empty, counts = answer
        found = counts or {}
        known = [int(empty or 0) if text == "" else int(found.get(text, 0)) for text in item.known]
        return (*known, int(present) - sum(known))

    columns = (f"COUNT({value})", _count(f"{value} = ''"), f"histogram_exact({value}, ?::VARCHAR[])")
    return Fragment(accumulator=item, columns=columns, parameters=(named,), read=read)


@fragment_of.register
def _lengths(item: Lengths, prepared: Prepared) -> Fragment:
    length = f"length({prepared.text(item.column)})"

    def read(answer: Sequence[Any]) -> Result:
        empty, low, high = answer
        return (int(empty or 0), None if low is None else int(low), None if high is None else int(high))

    columns = (_count(f"{length} = 0"), f"MIN({length})", f"MAX({length})")
    return Fragment(accumulator=item, columns=columns, parameters=(), read=read)


@fragment_of.register
def _broken(item: Broken, prepared: Prepared) -> Fragment:
    return Fragment(accumulator=item, columns=(_count(prepared.bad(item)),), parameters=(), read=whole)


def _count(condition: str) -> str:
    # A sum over a cast is several times faster here than COUNT(*) FILTER.
    return f"SUM(CAST({condition} AS INTEGER))"


def _before(edges: Sequence[float]) -> list[float]:
    return [math.nextafter(edge, -math.inf) for edge in edges]


def _cell_reader(edges: Sequence[float]) -> Callable[[Sequence[Any]], Result]:
    keys = _before(edges)

    def read(answer: Sequence[Any]) -> Result:
        total, counts = answer
        found = counts or {}
        below = [int(found.get(key, 0)) for key in keys]
        return (*below, int(total or 0) - sum(below))

    return read
