"""A rule as SQL. Owns what makes a row bad, in DuckDB's words; counting and judging belong to ``quality``.

Rules kept here:
1. A predicate is true for a bad row and never null, so that it can be summed.
2. Values are bound. Numbers that are pasted as decimal literals lose their last bit in some cases.
3. NaN counts as missing and is then not also invalid; infinity is an invalid number.
4. Every instant is read as UTC and compared as microseconds since 1970.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from roadworthy.base.errors import ContractError
from roadworthy.measure.rule import Kind, Limits, Rule, Value
from roadworthy.measure.table import ROW, Table, open_table, quote

_MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# UTF-8 that was read as Latin-1 or Windows-1252 shows as a capital A with tilde or circumflex, or a small a with
# circumflex, before a character of the upper half; U+FFFD and the C1 controls are what other wrong turns leave behind.
_CP1252_UPPER = "\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d"
_CP1252_UPPER += "\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178"
MOJIBAKE = (
    "[\u00c2\u00c3][\u00a0-\u00bf" + _CP1252_UPPER + "]|\u00e2[\u20ac\u201a\u2020\u02c6\u2030]|[\ufffd\u0080-\u009f]"
)
_CASTS = {
    "number": "DOUBLE",
    "integer": "DOUBLE",
    "date": "TIMESTAMP",
    "timestamp": "TIMESTAMPTZ",
    "time": "TIME",
    "boolean": "BOOLEAN",
}
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_NUMBERS = (*_WHOLE, "FLOAT", "DOUBLE", "DECIMAL")


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


def is_numeric(type_name: str) -> bool:
    """Whether a DuckDB type holds numbers."""
    return type_name.startswith(_NUMBERS)


def microseconds(at: datetime) -> int:
    """Microseconds since 1970 of an aware instant."""
    span = at - _EPOCH
    return (span.days * 86_400 + span.seconds) * _MICROSECONDS + span.microseconds


def row_predicate(rule: Rule, table: Table, at: datetime) -> Predicate:
    """What makes a row bad under a rule that can be told from the row alone, or with its reference.

    Args:
        rule: of one of the kinds that look at rows, except duplicates.
        table: for the types of the columns.
        at: the instant of the assessment, aware.

    Raises:
        ContractError: a column is missing, or the rule is not about rows (RW-106).
    """
    for name in rule.columns:
        table.type_of(name)
    if rule.kind is Kind.EXPRESSION:
        # As with an SQL CHECK: a row for which the condition cannot be told is not bad.
        return Predicate(sql=f"NOT COALESCE(CAST(({rule.text}) AS BOOLEAN), true)")
    build = _BUILDERS.get(rule.kind)
    if build is None:
        raise ContractError(
            f"The rule {rule.rule_id} ({rule.kind.value}) does not look at single rows.",
            remedy="Ask for its single figure instead.",
        )
    return build(_Ask(rule, table, at))


def repeated_rows(rule: Rule) -> Predicate:
    """Rows beyond the first of each combination of the rule's columns; uses a window, so it cannot stand in WHERE."""
    columns = ", ".join(quote(name) for name in rule.columns)
    complete = " AND ".join(f"{quote(name)} IS NOT NULL" for name in rule.columns)
    return Predicate(sql=f"({complete} AND row_number() OVER (PARTITION BY {columns} ORDER BY {ROW}) > 1)")


def epoch_us(name: str) -> str:
    """SQL for a column's instant in microseconds; null where it is no instant."""
    return f"epoch_us(TRY_CAST({quote(name)} AS TIMESTAMPTZ))"


def missing(name: str, table: Table) -> str:
    """SQL that is true where a column holds no value: null, or NaN in a floating column."""
    column = quote(name)
    return (
        f"({column} IS NULL OR isnan({column}))"
        if table.type_of(name) in {"DOUBLE", "FLOAT"}
        else f"({column} IS NULL)"
    )


def _null(ask: _Ask) -> Predicate:
    return Predicate(sql=missing(ask.rule.columns[0], ask.table))


def _missing_text(ask: _Ask) -> Predicate:
    empty = missing(ask.rule.columns[0], ask.table)
    listed = _in(ask.rule.columns[0], ask.rule.values)
    return Predicate(sql=f"({empty} OR COALESCE({listed.sql}, false))", parameters=listed.parameters)


def _type(ask: _Ask) -> Predicate:
    name = ask.rule.columns[0]
    value = f"TRY_CAST({quote(name)} AS {_CASTS[ask.rule.text]})"
    bad = f"{value} IS NULL"
    if ask.rule.text in {"number", "integer"}:
        bad += f" OR isinf({value})"
    if ask.rule.text == "integer":
        bad += f" OR {value} <> floor({value})"
    return _where_present(name, ask.table, Predicate(sql=bad))


def _range(ask: _Ask) -> Predicate:
    name = ask.rule.columns[0]
    if ask.rule.text in {"date", "timestamp", "time"}:
        cast = "TIME" if ask.rule.text == "time" else "TIMESTAMPTZ"
        outside = _outside(f"TRY_CAST({quote(name)} AS {cast})", f"CAST(? AS {cast})", ask.rule.limits or Limits())
    else:
        outside = _outside(f"TRY_CAST({quote(name)} AS DOUBLE)", "CAST(? AS DOUBLE)", ask.rule.limits or Limits())
    return _where_present(name, ask.table, outside)


def _length(ask: _Ask) -> Predicate:
    length = f"length(CAST({quote(ask.rule.columns[0])} AS VARCHAR))"
    return _where_present(
        ask.rule.columns[0], ask.table, _outside(length, "CAST(? AS BIGINT)", ask.rule.limits or Limits())
    )


def _outside(value: str, mark: str, limits: Limits) -> Predicate:
    parts: list[str] = []
    parameters: list[object] = []
    if limits.lower is not None:
        parts.append(f"{value} {'<' if limits.lower_inclusive else '<='} {mark}")
        parameters.append(limits.lower)
    if limits.upper is not None:
        parts.append(f"{value} {'>' if limits.upper_inclusive else '>='} {mark}")
        parameters.append(limits.upper)
    # What is not comparable (a text in a number column) is a matter of type, not of range.
    return Predicate(sql=f"COALESCE({' OR '.join(parts) or 'false'}, false)", parameters=tuple(parameters))


def _set(ask: _Ask) -> Predicate:
    inside = _in(ask.rule.columns[0], ask.rule.values)
    outside = Predicate(sql=f"NOT COALESCE({inside.sql}, false)", parameters=inside.parameters)
    return _where_present(ask.rule.columns[0], ask.table, outside)


def _pattern(ask: _Ask) -> Predicate:
    search = f"NOT regexp_matches(CAST({quote(ask.rule.columns[0])} AS VARCHAR), ?)"
    return _where_present(ask.rule.columns[0], ask.table, Predicate(sql=search, parameters=(ask.rule.text,)))


def _encoding(ask: _Ask) -> Predicate:
    search = f"regexp_matches(CAST({quote(ask.rule.columns[0])} AS VARCHAR), ?)"
    return _where_present(ask.rule.columns[0], ask.table, Predicate(sql=search, parameters=(MOJIBAKE,)))


def _sentinel(ask: _Ask) -> Predicate:
    listed = _in(ask.rule.columns[0], ask.rule.values)
    return Predicate(sql=f"COALESCE({listed.sql}, false)", parameters=listed.parameters)


def _reference(ask: _Ask) -> Predicate:
    if ask.rule.reference is None:
        raise ContractError(f"The rule {ask.rule.rule_id} has no reference.", remedy="Write references: file#column.")
    file, column = ask.rule.reference
    other = open_table(file)
    numeric = is_numeric(other.type_of(column)) and is_numeric(ask.table.type_of(ask.rule.columns[0]))
    cast = "DOUBLE" if numeric else "VARCHAR"
    known = other.query(
        f"SELECT DISTINCT CAST({quote(column)} AS {cast}) FROM data WHERE {quote(column)} IS NOT NULL ORDER BY 1"
    )
    absent = f"CAST({quote(ask.rule.columns[0])} AS {cast}) NOT IN (SELECT unnest(CAST(? AS {cast}[])))"
    return _where_present(
        ask.rule.columns[0], ask.table, Predicate(sql=absent, parameters=([row[0] for row in known],))
    )


def _age(ask: _Ask) -> Predicate:
    when, now_us = epoch_us(ask.rule.columns[0]), microseconds(ask.at)
    # A row from the future was stamped by a wrong clock; its age says nothing.
    sql = f"COALESCE({when} < ? OR {when} > ?, true)"
    return Predicate(sql=sql, parameters=(now_us - _span_us(ask.rule), now_us))


def _lateness(ask: _Ask) -> Predicate:
    event, arrived = (epoch_us(name) for name in ask.rule.columns)
    # Arriving before it happened is as wrong as arriving late.
    return Predicate(
        sql=f"COALESCE({arrived} - {event} > ? OR {arrived} < {event}, true)", parameters=(_span_us(ask.rule),)
    )


def _span_us(rule: Rule) -> int:
    return round((rule.max_age_s or 0.0) * _MICROSECONDS)


def _in(name: str, values: tuple[Value, ...]) -> Predicate:
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    cast = "DOUBLE" if numeric else "VARCHAR"
    texts = [value if numeric else str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    marks = ", ".join(f"CAST(? AS {cast})" for _ in texts)
    return Predicate(sql=f"TRY_CAST({quote(name)} AS {cast}) IN ({marks})", parameters=tuple(texts))


def _where_present(name: str, table: Table, bad: Predicate) -> Predicate:
    return Predicate(sql=f"(NOT {missing(name, table)} AND ({bad.sql}))", parameters=bad.parameters)


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
    Kind.REFERENCE: _reference,
    Kind.AGE: _age,
    Kind.LATENESS: _lateness,
}
