"""A rule as SQL. Owns what makes a row bad, in DuckDB's words; counting and judging belong to ``quality``.

``inline`` says the same in Python. What a value is read as (number, instant, time of day, text) is fixed by
``reading``, so that the two cannot drift apart.

Rules kept here:
1. A predicate is true for a bad row and never null, so that it can be summed.
2. Values are bound. Numbers that are pasted as decimal literals lose their last bit in some cases.
3. NaN counts as missing and is then not also invalid; infinity is an invalid number.
4. Every instant is read as UTC and compared as microseconds since 1970.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from roadworthy.base.errors import ContractError
from roadworthy.measure.comparison import Clause, Comparison, Reading, Relation, Term
from roadworthy.measure.reading import (
    CLOCK,
    DAY_US,
    INSTANT,
    MOJIBAKE,
    NUMBER,
    TRUTH,
    clock_of,
    instant_of,
    microseconds,
    number_of,
)
from roadworthy.measure.references import read_reference
from roadworthy.measure.rule import Kind, Limits, Rule, Value
from roadworthy.measure.stored import is_numeric, is_text
from roadworthy.measure.table import ROW, Table, literal, quote

_MICROSECONDS = 1_000_000
_NESTED = ("STRUCT", "MAP", "UNION", "BLOB", "BIT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """An SQL condition on a row of ``data`` and the values for its question marks."""

    sql: str
    parameters: tuple[object, ...] = ()


class _Ask(NamedTuple):
    """What a builder may need: the rule, the table for its types, the instant for ages."""

    rule: Rule
    table: Table
    at: datetime

    @property
    def column(self) -> str:
        return self.rule.columns[0]


def row_predicate(rule: Rule, table: Table, at: datetime) -> Predicate:
    """What makes a row bad under a rule that can be told from the row alone, or with its reference.

    Args:
        rule: of one of the kinds that look at rows, except duplicates.
        table: for the types of the columns.
        at: the instant of the assessment, aware.

    Raises:
        ContractError: a column is missing, or the rule is not about rows (RW-106).
        MissingFile: its reference is not there (RW-102).
    """
    for name in rule.columns:
        table.type_of(name)
    build = _BUILDERS.get(rule.kind)
    if build is None:
        raise ContractError(
            f"The rule {rule.rule_id} ({rule.kind.value}) does not look at single rows.",
            remedy="Ask for its single figure instead.",
        )
    return build(_Ask(rule, table, at))


def repeated_rows(rule: Rule, table: Table) -> Predicate:
    """Rows beyond the first of each combination of the rule's columns.

    The window stands in a query of its own: DuckDB 1.5 hands the other columns of a windowed row on with -0.0 turned
    into 0.0, which other predicates of the same query would then see.
    """
    columns = ", ".join(quote(name) for name in rule.columns)
    turns = (
        f"SELECT {ROW}, row_number() OVER (PARTITION BY {columns} ORDER BY {ROW}) AS turn "
        f"FROM data WHERE {complete(rule, table)}"
    )
    return Predicate(sql=f"({ROW} IN (SELECT {ROW} FROM ({turns}) WHERE turn > 1))")


def complete(rule: Rule, table: Table) -> str:
    """SQL that is true where none of the rule's columns is missing."""
    return " AND ".join(f"NOT {missing(name, table)}" for name in rule.columns)


def missing(name: str, table: Table) -> str:
    """SQL that is true where a column holds no value: null, or NaN in a floating column."""
    column = quote(name)
    return (
        f"({column} IS NULL OR isnan({column}))"
        if table.type_of(name) in {"DOUBLE", "FLOAT"}
        else f"({column} IS NULL)"
    )


def number(name: str, table: Table) -> str:
    """SQL for a column's number as a double; null where it is none."""
    column, stored = quote(name), table.type_of(name)
    if is_numeric(stored) or stored == "BOOLEAN":
        return f"CAST({column} AS DOUBLE)"
    return _shaped(column, stored, NUMBER, "TRY_CAST({} AS DOUBLE)", "DOUBLE")


def instant(name: str, table: Table) -> str:
    """SQL for a column's instant in microseconds since 1970; null where it is none."""
    column, stored = quote(name), table.type_of(name)
    if stored.startswith(("TIMESTAMP", "DATE")):
        return f"epoch_us(CAST({column} AS TIMESTAMPTZ))"
    return _shaped(column, stored, INSTANT, "epoch_us(TRY_CAST({} AS TIMESTAMPTZ))", "BIGINT")


def clock(name: str, table: Table) -> str:
    """SQL for a column's microseconds since midnight, UTC for instants; null where it holds none."""
    column, stored = quote(name), table.type_of(name)
    if stored.startswith("TIMESTAMP"):
        at = f"epoch_us(CAST({column} AS TIMESTAMPTZ))"
        return f"((({at} % {DAY_US}) + {DAY_US}) % {DAY_US})"
    if stored == "TIME":
        return f"epoch_us({column})"
    return _shaped(column, stored, CLOCK, "epoch_us(TRY_CAST({} AS TIME))", "BIGINT")


def text(name: str, table: Table) -> str:
    """SQL for a column as text; null for lists, structures and bytes."""
    column, stored = quote(name), table.type_of(name)
    if stored.endswith("]") or stored.startswith(_NESTED):
        return "CAST(NULL AS VARCHAR)"
    if stored == "FLOAT":
        column = f"CAST({column} AS DOUBLE)"
    if stored.startswith("TIMESTAMP_"):
        column = f"CAST({column} AS TIMESTAMP)"
    return f"CAST({column} AS VARCHAR)"


def _shaped(column: str, stored: str, shape: str, cast: str, type_name: str) -> str:
    if not is_text(stored):
        return f"CAST(NULL AS {type_name})"
    words = f"CAST({column} AS VARCHAR)"
    return f"CASE WHEN regexp_full_match({words}, {literal(shape)}) THEN {cast.format(words)} END"


def _null(ask: _Ask) -> Predicate:
    return Predicate(sql=missing(ask.column, ask.table))


def _missing_text(ask: _Ask) -> Predicate:
    listed = _in(ask.column, ask.table, ask.rule.values)
    return Predicate(sql=f"({missing(ask.column, ask.table)} OR {listed.sql})", parameters=listed.parameters)


def _type(ask: _Ask) -> Predicate:
    name, table, wanted = ask.column, ask.table, ask.rule.text
    if wanted in {"number", "integer"}:
        value = number(name, table)
        bad = f"{value} IS NULL OR isinf({value})"
        if wanted == "integer":
            bad += f" OR {value} <> floor({value})"
    elif wanted == "boolean":
        bad = _no_truth(name, table)
    else:
        bad = f"{clock(name, table) if wanted == 'time' else instant(name, table)} IS NULL"
    return _where_present(ask, Predicate(sql=bad))


def _no_truth(name: str, table: Table) -> str:
    stored = table.type_of(name)
    if is_text(stored):
        return f"NOT regexp_full_match({text(name, table)}, {literal(TRUTH)})"
    return f"COALESCE({number(name, table)} NOT IN (0, 1), true)"


def _range(ask: _Ask) -> Predicate:
    name, table, wanted = ask.column, ask.table, ask.rule.text
    limits = ask.rule.limits or Limits()
    if wanted in {"date", "timestamp"}:
        outside = _outside(instant(name, table), "CAST(? AS BIGINT)", limits, instant_of)
    elif wanted == "time":
        outside = _outside(clock(name, table), "CAST(? AS BIGINT)", limits, clock_of)
    else:
        outside = _outside(number(name, table), "CAST(? AS DOUBLE)", limits, number_of)
    return _where_present(ask, outside)


def _length(ask: _Ask) -> Predicate:
    length = f"length({text(ask.column, ask.table)})"
    return _where_present(ask, _outside(length, "CAST(? AS DOUBLE)", ask.rule.limits or Limits(), number_of))


def _outside(value: str, mark: str, limits: Limits, read: Callable[[object], float | None]) -> Predicate:
    parts: list[str] = []
    parameters: list[object] = []
    if limits.lower is not None:
        parts.append(f"{value} {'<' if limits.lower_inclusive else '<='} {mark}")
        parameters.append(read(limits.lower))
    if limits.upper is not None:
        parts.append(f"{value} {'>' if limits.upper_inclusive else '>='} {mark}")
        parameters.append(read(limits.upper))
    # What is not comparable (a text in a number column) is a matter of type, not of range.
    return Predicate(sql=f"COALESCE({' OR '.join(parts) or 'false'}, false)", parameters=tuple(parameters))


def _set(ask: _Ask) -> Predicate:
    inside = _in(ask.column, ask.table, ask.rule.values)
    return _where_present(ask, Predicate(sql=f"NOT {inside.sql}", parameters=inside.parameters))


def _pattern(ask: _Ask) -> Predicate:
    search = f"NOT COALESCE(regexp_matches({text(ask.column, ask.table)}, ?), false)"
    return _where_present(ask, Predicate(sql=search, parameters=(ask.rule.text,)))


def _encoding(ask: _Ask) -> Predicate:
    search = f"COALESCE(regexp_matches({text(ask.column, ask.table)}, ?), false)"
    return _where_present(ask, Predicate(sql=search, parameters=(MOJIBAKE,)))


def _sentinel(ask: _Ask) -> Predicate:
    return _in(ask.column, ask.table, ask.rule.values)


def _unit(ask: _Ask) -> Predicate:
    # A value whose row does not say the unit is as useless as one in another unit.
    other = f"COALESCE({text(ask.rule.columns[1], ask.table)} <> CAST(? AS VARCHAR), true)"
    return _where_present(ask, Predicate(sql=other, parameters=ask.rule.values))


def _reference(ask: _Ask) -> Predicate:
    known = read_reference(ask.rule)
    reads = {Reading.NUMBER: number, Reading.INSTANT: instant, Reading.TEXT: text}
    own = [reads[kind](name, ask.table) for kind, name in zip(known.readings, ask.rule.columns, strict=True)]
    casts = {Reading.NUMBER: "DOUBLE", Reading.INSTANT: "BIGINT", Reading.TEXT: "VARCHAR"}
    lists = [f"unnest(CAST(? AS {casts[kind]}[]))" for kind in known.readings]
    # A value that cannot be read as the other table's kind refers to nothing.
    absent = f"NOT COALESCE({_together(own)} IN (SELECT {_together(lists)}), false)"
    keys = sorted(known.keys)
    parameters = tuple([key[position] for key in keys] for position in range(len(ask.rule.columns)))
    return Predicate(sql=f"({complete(ask.rule, ask.table)} AND {absent})", parameters=parameters)


def _together(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"row({', '.join(parts)})"


def _age(ask: _Ask) -> Predicate:
    when, now_us = instant(ask.column, ask.table), microseconds(ask.at)
    # A row from the future was stamped by a wrong clock; its age says nothing.
    sql = f"COALESCE({when} < ? OR {when} > ?, true)"
    return Predicate(sql=sql, parameters=(now_us - span_us(ask.rule), now_us))


def _lateness(ask: _Ask) -> Predicate:
    event, arrived = (instant(name, ask.table) for name in ask.rule.columns)
    # Arriving before it happened is as wrong as arriving late.
    return Predicate(
        sql=f"COALESCE({arrived} - {event} > ? OR {arrived} < {event}, true)", parameters=(span_us(ask.rule),)
    )


def _comparison(ask: _Ask) -> Predicate:
    comparison = ask.rule.comparison
    if comparison is None:
        raise ContractError(f"The rule {ask.rule.rule_id} compares nothing.", remedy="Write an expression.")
    clauses = [_clause(clause, comparison, ask.table) for clause in comparison.clauses]
    # As with an SQL CHECK: a row for which the condition cannot be told is not bad.
    sql = " OR ".join(f"COALESCE(NOT ({clause.sql}), false)" for clause in clauses)
    return Predicate(sql=f"({sql})", parameters=tuple(value for clause in clauses for value in clause.parameters))


def _clause(clause: Clause, comparison: Comparison, table: Table) -> Predicate:
    left, right = (_side(side, comparison.reading, table) for side in (clause.left, clause.right))
    parameters = (*left.parameters, *right.parameters)
    if comparison.tolerance and clause.relation is Relation.EQUAL:
        sql = f"abs({left.sql} - {right.sql}) <= CAST(? AS DOUBLE)"
        return Predicate(sql=sql, parameters=(*parameters, comparison.tolerance))
    return Predicate(sql=f"{left.sql} {clause.relation.value} {right.sql}", parameters=parameters)


def _side(terms: tuple[Term, ...], reading: Reading, table: Table) -> Predicate:
    if reading is Reading.NUMBER:
        parts = [_product(term, table) for term in terms]
        total = " + ".join(part.sql for part in parts)
        parameters = tuple(value for part in parts for value in part.parameters)
        # Infinities and NaN say nothing about an order; the sum is written twice, so its parameters are too.
        return Predicate(sql=f"CASE WHEN isfinite({total}) THEN {total} END", parameters=(*parameters, *parameters))
    (term,) = terms
    if term.column is not None:
        reads = {Reading.INSTANT: instant, Reading.CLOCK: clock, Reading.TEXT: text}
        return Predicate(sql=reads[reading](term.column, table))
    if reading is Reading.TEXT:
        return Predicate(sql="CAST(? AS VARCHAR)", parameters=(term.text,))
    value = instant_of(term.text) if reading is Reading.INSTANT else clock_of(term.text)
    return Predicate(sql="CAST(? AS BIGINT)", parameters=(value,))


def _product(term: Term, table: Table) -> Predicate:
    if term.column is None:
        value = term.factor if term.text is None else number_of(term.text)
        return Predicate(sql="CAST(? AS DOUBLE)", parameters=(value,))
    return Predicate(sql=f"CAST(? AS DOUBLE) * {number(term.column, table)}", parameters=(term.factor,))


def span_us(rule: Rule) -> int:
    """The span of a rule about time, in microseconds."""
    return round((rule.max_age_s or 0.0) * _MICROSECONDS)


def _in(name: str, table: Table, values: tuple[Value, ...]) -> Predicate:
    """Listed numbers are looked for among numbers, listed words among texts; never null."""
    numbers = [float(value) for value in values if not isinstance(value, bool | str | None)]
    texts = [
        value if isinstance(value, str) else str(value).lower() for value in values if isinstance(value, bool | str)
    ]
    parts = []
    if numbers:
        parts.append(f"{number(name, table)} IN ({', '.join('CAST(? AS DOUBLE)' for _ in numbers)})")
    if texts:
        parts.append(f"{text(name, table)} IN ({', '.join('CAST(? AS VARCHAR)' for _ in texts)})")
    return Predicate(sql=f"COALESCE({' OR '.join(parts) or 'false'}, false)", parameters=(*numbers, *texts))


def _where_present(ask: _Ask, bad: Predicate) -> Predicate:
    return Predicate(sql=f"(NOT {missing(ask.column, ask.table)} AND ({bad.sql}))", parameters=bad.parameters)


_BUILDERS: dict[Kind, Callable[[_Ask], Predicate]] = {
    Kind.NULL: _null,
    Kind.MISSING_TEXT: _missing_text,
    Kind.TYPE: _type,
    Kind.RANGE: _range,
    Kind.SET: _set,
    Kind.PATTERN: _pattern,
    Kind.LENGTH: _length,
    Kind.ENCODING: _encoding,
    Kind.SENTINEL: _sentinel,
    Kind.UNIT: _unit,
    Kind.REFERENCE: _reference,
    Kind.AGE: _age,
    Kind.LATENESS: _lateness,
    Kind.COMPARISON: _comparison,
}
