"""Rules about more than one row: duplicates and references. Owns the exact grouping and joining queries.

These are no accumulators: whether a row repeats another cannot be added up over parts of a table. So each is a query
apart, on DuckDB or on a dialect of Ibis, and all of them count alike.

Rules kept here:
1. A row with a missing part of the key is neither a duplicate nor a row that points to nothing.
2. A key is compared as the other table stores it: as a number, an instant or a text.
"""

from datetime import UTC, datetime

import ibis

from roadworthy.base.errors import ParameterError
from roadworthy.measure.predicates import complete, row_predicate
from roadworthy.measure.references import reference_of
from roadworthy.measure.rule import Kind, Rule
from roadworthy.measure.table import Table, quote
from roadworthy.measure.volume.compile.dialect import Expression, dialect_of
from roadworthy.measure.volume.compile.ibis import run
from roadworthy.measure.volume.compile.ibis_rules import Reader

_ANY = datetime(1970, 1, 1, tzinfo=UTC)
"""References have no instant; the builder of predicates asks for one."""


def repeated_duckdb(rule: Rule, table: Table) -> int:
    """Rows beyond the first of each combination of the rule's columns.

    Raises:
        ContractError: no such column (RW-106).
        ParameterError: not a rule about duplicates (RW-114).
    """
    _require(rule, Kind.DUPLICATE)
    filled = complete(rule, table)
    columns = ", ".join(quote(name) for name in rule.columns)
    groups = f"SELECT COUNT(*) AS size FROM data WHERE {filled} GROUP BY {columns}"
    ((count,),) = table.query(f"SELECT COALESCE(SUM(size - 1), 0) FROM ({groups})")
    return int(count)


def repeated_ibis(rule: Rule, table: Expression) -> int:
    """As ``repeated_duckdb``, on an Ibis table.

    Raises:
        EngineRefused: the backend is not known, or the query failed (RW-117).
        ParameterError: not a rule about duplicates (RW-114).
    """
    _require(rule, Kind.DUPLICATE)
    keys = _complete(rule, table).select(**{f"k{place}": name for place, name in enumerate(rule.columns)})
    sizes = keys.group_by(list(keys.columns)).aggregate(size=keys.count())
    ((rows, groups),) = run(sizes.aggregate(rows=sizes.size.sum(), groups=sizes.count()))
    return int(rows or 0) - int(groups)


def unreferenced_duckdb(rule: Rule, table: Table) -> int:
    """Rows whose key does not occur in the rule's other table.

    Raises:
        MissingFile: the other table's file is not there (RW-102).
        ContractError: no such column (RW-106).
        ParameterError: not a rule about references (RW-114).
    """
    _require(rule, Kind.REFERENCE)
    absent = row_predicate(rule, table, _ANY)
    ((count,),) = table.query(f"SELECT COALESCE(SUM(CAST({absent.sql} AS INTEGER)), 0) FROM data", absent.parameters)
    return int(count)


def unreferenced_ibis(rule: Rule, table: Expression, other: Expression) -> int:
    """As ``unreferenced_duckdb``, on two Ibis tables of one backend.

    Args:
        rule: its reference names the columns of ``other``; its path is not opened.
        table: whose rows point.
        other: where they point to.

    Raises:
        EngineRefused: the backend is not known, or does not read a key exactly (RW-117).
        ParameterError: not a rule about references (RW-114).
    """
    _require(rule, Kind.REFERENCE)
    columns = reference_of(rule).columns
    rows, keys = _complete(rule, table), other
    kinds = [other[name].type() for name in columns]
    own, known = Reader(rows, dialect_of(table)), Reader(keys, dialect_of(other))
    left = rows.select(
        **{
            f"k{place}": _read(own, name, kind)
            for place, (name, kind) in enumerate(zip(rule.columns, kinds, strict=True))
        }
    )
    right = keys.select(
        **{f"o{place}": _read(known, name, kind) for place, (name, kind) in enumerate(zip(columns, kinds, strict=True))}
    ).distinct()
    matches = [left[f"k{place}"] == right[f"o{place}"] for place in range(len(columns))]
    ((count,),) = run(left.anti_join(right, matches).aggregate(n=ibis._.count()))
    return int(count)


def _read(reader: Reader, name: str, kind: Expression) -> Expression:
    if kind.is_numeric() and not kind.is_boolean():
        return reader.number(name)
    return reader.instant(name) if kind.is_timestamp() or kind.is_date() else reader.text(name)


def _complete(rule: Rule, table: Expression) -> Expression:
    reader = Reader(table, dialect_of(table))
    return table.filter([~reader.missing(name) for name in rule.columns])


def _require(rule: Rule, kind: Kind) -> None:
    if rule.kind is not kind:
        raise ParameterError(
            f"The rule {rule.rule_id} is about {rule.kind.value}, not {kind.value}.",
            remedy="Count it as an accumulator, or by its own query.",
        )
