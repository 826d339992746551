"""A plan as Ibis expressions, for DuckDB, PostgreSQL and Spark. Owns the queries and running them; ``dialect`` has the forms.

Two kinds of query answer a plan:
1. A wide one: a row for each group, with sums and extremes side by side, split where the engine's rows are full.
2. A tall one, for counts of many cells: each row of the table gives one number for each accumulator, the cell that it
   falls into; these numbers are unnested, grouped and counted. A column of 64 cells thus costs six comparisons a value
   instead of 64 sums.

Rules kept here:
1. What an engine answers are whole numbers, and doubles only as extremes. They are fetched with the backend's own cursor:
   Ibis' way to Arrow would cast them, and asks for pandas on some backends.
2. Groups and cells are numbers in the queries, so no text of the data comes back.
3. Whatever an engine raises leaves as a refusal: a count that failed is no count.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import singledispatch
from itertools import accumulate
from typing import Any

import ibis

from roadworthy.base.errors import ContractError, EngineRefused
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
from roadworthy.measure.volume.compile.dialect import Dialect, Expression, dialect_of, double, finite
from roadworthy.measure.volume.compile.fragment import Fragment, chunks, extremes, read_row, whole
from roadworthy.measure.volume.compile.ibis_rules import Reader, bad_row
from roadworthy.measure.volume.compile.near import near_of
from roadworthy.measure.volume.plan import ColumnKind, Kind, Plan
from roadworthy.measure.volume.state import State, state_of

_GROUP = "g"


def measure_ibis(plan: Plan, table: Expression, *, limit: int | None = None) -> State:
    """The state of an Ibis table, counted by its backend.

    Args:
        plan: what to count.
        table: on DuckDB, PostgreSQL or Spark.
        limit: how many columns a result may have; the engine's own limit when None.

    Raises:
        ContractError: the table lacks a column of the plan (RW-106).
        EngineRefused: a backend, a type or a rule that cannot be counted exactly, or a query that failed (RW-117).
    """
    prepared = Prepared(plan, table)
    parts = [fragment_of(item, prepared) for item in plan.accumulators]
    group = prepared.group()
    base = prepared.select()
    width = (limit or prepared.dialect.columns) - len(group)
    answers: dict[int, dict[Accumulator, Result]] = {}
    for chunk in chunks([part for part in parts if isinstance(part, Fragment)], width):
        columns = [column(base) for fragment in chunk for column in fragment.columns]
        named = {f"c{index}": column for index, column in enumerate(columns)}
        query = base.group_by(group).aggregate(**named) if group else base.aggregate(**named)
        for row in run(query):
            place = int(row[0]) if group else 0
            answers.setdefault(place, {}).update(read_row(chunk, row[len(group) :]))
    for tall in _batches([part for part in parts if isinstance(part, Tall)], width, prepared.dialect.cells):
        _count_cells(base, group, tall, answers)
    names = plan.groups
    return state_of(
        plan,
        {
            names[place]: tuple(found.get(item, item.empty) for item in plan.accumulators)
            for place, found in answers.items()
        },
    )


def kinds_of(table: Expression) -> tuple[ColumnKind, ...]:
    """Every column of an Ibis table and how it is read."""
    return tuple(ColumnKind(name=name, kind=_kind(dtype)) for name, dtype in table.schema().items())


def run(query: Expression) -> list[tuple[Any, ...]]:
    """The rows of a query, as the backend's own cursor gives them.

    Raises:
        EngineRefused: the engine could not run it (RW-117).
    """
    backend = query.get_backend()
    try:
        answer = backend.raw_sql(backend.compile(query))
        # Spark answers with a frame, the others with a cursor.
        rows = answer.collect() if backend.name == "pyspark" else answer.fetchall()
        if backend.name == "postgres":
            answer.close()
    except Exception as error:
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise EngineRefused(
            f"{backend.name} could not run the count: {said.rstrip('.')}.",
            remedy="Mend the data it names, or measure with duckdb or numpy.",
        ) from error
    return [tuple(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tall:
    """An accumulator of many cells.

    Attributes:
        accumulator: that it answers.
        width: how many cells.
        cell: from the prepared table and an offset, the row's cell plus the offset; null where it is in none.
    """

    accumulator: Accumulator
    width: int
    cell: Callable[[Expression, int], Expression]


class Prepared:
    """The SELECT below all queries; each method gives the name of a column of it, and adds what is not there yet."""

    def __init__(self, plan: Plan, table: Expression) -> None:
        self.plan = plan
        self.dialect: Dialect = dialect_of(table)
        self._table = table
        self._reader = Reader(table, self.dialect)
        self._listed: list[Expression] = []
        self._plain: dict[tuple[str, str], str] = {}
        missing = [name for name in plan.columns if name not in table.columns]
        if missing:
            raise ContractError(
                f"The table has no column {', '.join(missing)}.", remedy=f"Use one of: {', '.join(table.columns)}."
            )

    def raw(self, column: str) -> str:
        """As it is stored."""
        return self._once("raw", column, lambda: self._table[column])

    def number(self, column: str) -> str:
        """A number, flag or instant as a double, NaN and the infinities included."""
        if self.plan.kind_of(column) is Kind.INSTANT:
            return self._once("number", column, lambda: self._instant(column))
        dtype = self._table[column].type()
        if not (dtype.is_numeric() or dtype.is_boolean()):
            raise self._misread(column, "a number")
        return self._once("number", column, lambda: self._reader.number(column))

    def text(self, column: str) -> str:
        """A text as it is, a flag or a whole number as the text that all engines write."""
        dtype = self._table[column].type()
        if not (dtype.is_string() or dtype.is_boolean() or dtype.is_integer()):
            raise self._misread(column, "a text")
        return self._once("text", column, lambda: self._reader.text(column))

    def units(self, item: Moments) -> str:
        """The rounded units of a near value as a whole number; null for every other."""
        near, value = near_of(item), self._table_number(item.column)
        scaled = (value - double(item.centre)) * double(2.0**-item.unit_exponent)
        cases = [(value.between(double(near.lowest), double(near.highest)), self.dialect.whole(scaled))]
        if item.unit_exponent > 0:
            # A factor below 1 may bring the smallest differences to 0, at which PostgreSQL stops with an underflow.
            zero = value.between(double(near.zero_from), double(near.zero_to))
            cases.insert(0, (zero, ibis.literal(0, "int64")))
        return self._add(ibis.cases(*cases))

    def bad(self, item: Broken) -> str:
        """1 where the row breaks the rule, else 0."""
        return self._add(bad_row(item, self._reader).cast("int32"))

    def group(self) -> list[str]:
        """The name of the column with the place of the row's group; none when there is only one group."""
        split = self.plan.split
        if split is None:
            return []
        self.text(split.column)
        text = self._reader.text(split.column)
        places = [(text == value, ibis.literal(place, "int32")) for place, value in enumerate(split.values)]
        self._plain["group", ""] = _GROUP
        self._listed.append(ibis.cases(*places, else_=ibis.literal(len(places), "int32")).name(_GROUP))
        return [_GROUP]

    def select(self) -> Expression:
        """The prepared table."""
        return self._table.select(*(self._listed or [ibis.literal(0, "int32").name("p")]))

    def _table_number(self, column: str) -> Expression:
        self.number(column)
        return self._reader.number(column) if self.plan.kind_of(column) is Kind.NUMBER else self._instant(column)

    def _instant(self, column: str) -> Expression:
        if not (self._table[column].type().is_timestamp() or self._table[column].type().is_date()):
            raise self._misread(column, "an instant")
        return self.dialect.microseconds(self._table[column]).cast("float64")

    def _misread(self, column: str, what: str) -> EngineRefused:
        return EngineRefused(
            f"{self.dialect.name} does not read {column}, a {self._table[column].type()}, as {what}.",
            remedy="Convert the column at the source, or measure with numpy.",
        )

    def _once(self, form: str, column: str, make: Callable[[], Expression]) -> str:
        if (form, column) not in self._plain:
            self._plain[form, column] = self._add(make())
        return self._plain[form, column]

    def _add(self, value: Expression) -> str:
        name = f"p{len(self._listed)}"
        self._listed.append(value.name(name))
        return name


@singledispatch
def fragment_of(item: Accumulator, prepared: Prepared) -> Fragment | Tall:
    """The expressions of one accumulator; a fragment's columns are functions of the prepared table.

    Raises:
        EngineRefused: one that this compiler does not know, or a column that it cannot read (RW-117).
    """
    raise EngineRefused(f"{prepared.dialect.name} does not count {item.kind}.", remedy="Measure with numpy.")


@fragment_of.register
def _rows(item: Rows, prepared: Prepared) -> Fragment:  # noqa: ARG001  # one shape for all
    return _fragment(item, lambda base: base.count())


@fragment_of.register
def _special(item: Special, prepared: Prepared) -> Fragment:
    raw = prepared.raw(item.column)
    # Not by isnull(): on Spark, Ibis takes NaN for null.
    nulls = lambda base: base.count() - base[raw].count()  # noqa: E731  # a column, as the ones below
    if prepared.plan.kind_of(item.column) is not Kind.NUMBER:
        return Fragment(accumulator=item, columns=(nulls,), parameters=(), read=lambda found: (*whole(found), 0, 0, 0))
    value = prepared.number(item.column)
    return _fragment(
        item,
        nulls,
        lambda base: _count(base[value].isnan()),
        lambda base: _count(base[value] == double(float("-inf"))),
        lambda base: _count(base[value] == double(float("inf"))),
    )


@fragment_of.register
def _extremes(item: Extremes, prepared: Prepared) -> Fragment:
    name = prepared.number(item.column)
    columns = (lambda base: _finite(base[name]).min(), lambda base: _finite(base[name]).max())
    return Fragment(accumulator=item, columns=columns, parameters=(), read=extremes)


@fragment_of.register
def _moments(item: Moments, prepared: Prepared) -> Fragment:
    value, units, dialect = prepared.number(item.column), prepared.units(item), prepared.dialect

    def squares(base: Expression) -> Expression:
        size = base[units].cast("float64")
        return dialect.whole(size * size * double(2.0**-SQUARE_SHIFT))

    return _fragment(
        item,
        lambda base: base[units].count(),
        lambda base: dialect.exact_sum(base[units]),
        lambda base: dialect.exact_sum(squares(base)),
        lambda base: _finite(base[value]).count() - base[units].count(),
    )


@fragment_of.register
def _cells(item: Cells, prepared: Prepared) -> Tall:
    name, search = prepared.number(item.column), prepared.dialect.cell
    return Tall(
        accumulator=item,
        width=len(item.edges) + 1,
        cell=lambda base, offset: search(base[name], item.edges, offset),
    )


@fragment_of.register
def _labelled(item: LabelledCells, prepared: Prepared) -> Tall:
    score, label, search = prepared.number(item.score), prepared.number(item.label), prepared.dialect.cell
    cells = len(item.edges) + 1

    def cell(base: Expression, offset: int) -> Expression:
        positive = base[label] == double(1.0)
        unlabelled = base[label].isnull() | base[label].isnan()
        turns = ibis.cases((unlabelled, 2 * cells), (positive, cells), else_=0)
        return search(base[score], item.edges, offset) + turns

    return Tall(accumulator=item, width=3 * cells, cell=cell)


@fragment_of.register
def _values(item: Values, prepared: Prepared) -> Tall:
    name = prepared.text(item.column)

    def cell(base: Expression, offset: int) -> Expression:
        text = base[name]
        cases = [(text == value, ibis.literal(offset + place, "int32")) for place, value in enumerate(item.known)]
        return ibis.cases(*cases, (text.notnull(), ibis.literal(offset + len(item.known), "int32")))

    return Tall(accumulator=item, width=len(item.known) + 1, cell=cell)


@fragment_of.register
def _lengths(item: Lengths, prepared: Prepared) -> Fragment:
    name = prepared.text(item.column)

    def read(answer: Sequence[Any]) -> Result:
        empty, low, high = answer
        return (int(empty or 0), None if low is None else int(low), None if high is None else int(high))

    columns = (
        lambda base: _count(base[name].length() == 0),
        lambda base: base[name].length().min(),
        lambda base: base[name].length().max(),
    )
    return Fragment(accumulator=item, columns=columns, parameters=(), read=read)


@fragment_of.register
def _broken(item: Broken, prepared: Prepared) -> Fragment:
    name = prepared.bad(item)
    return _fragment(item, lambda base: base[name].sum())


def _fragment(item: Accumulator, *columns: Callable[[Expression], Expression]) -> Fragment:
    return Fragment(accumulator=item, columns=columns, parameters=(), read=whole)


def _finite(value: Expression) -> Expression:
    return ibis.cases((finite(value), value))


def _count(condition: Expression) -> Expression:
    return condition.cast("int32").sum()


def _batches(parts: Sequence[Tall], width: int, cells: int) -> Iterator[list[Tall]]:
    """As few statements as the limits on columns and cells allow."""
    batch: list[Tall] = []
    for part in parts:
        if batch and (len(batch) == width or sum(each.width for each in batch) + part.width > cells):
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch


def _count_cells(
    base: Expression, group: list[str], parts: Sequence[Tall], answers: dict[int, dict[Accumulator, Result]]
) -> None:
    offsets = list(accumulate((part.width for part in parts), initial=0))
    cells = [part.cell(base, offset) for part, offset in zip(parts, offsets, strict=False)]
    tall = base.select(*group, cell=ibis.array(cells).unnest())
    keys = [*group, "cell"]
    counts: dict[int, list[int]] = {place: [0] * offsets[-1] for place in answers}
    for row in run(tall.group_by(keys).aggregate(n=tall.count())):
        group_place, cell, number = row if group else (0, *row)
        if cell is not None:
            counts[int(group_place)][int(cell)] = int(number)
    for place, found in counts.items():
        for part, start in zip(parts, offsets, strict=False):
            answers[place][part.accumulator] = tuple(found[start : start + part.width])


def _kind(dtype: Expression) -> Kind:
    if dtype.is_boolean():
        return Kind.FLAG
    if dtype.is_numeric():
        return Kind.NUMBER
    if dtype.is_timestamp() or dtype.is_date():
        return Kind.INSTANT
    return Kind.TEXT if dtype.is_string() else Kind.OTHER
