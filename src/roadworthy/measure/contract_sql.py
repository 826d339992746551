"""The SQL that a contract brings. Owns its variables, its time limit and its single answer; other rules are typed.

A query of a contract is the one part of it that we did not write and cannot read, so it gets a closed connection (see
``table``) and a clock. It stays with the batch: no record can be asked.
"""

import threading
from fractions import Fraction
from typing import Any

import duckdb

from roadworthy.base.errors import ContractError
from roadworthy.measure.rule import Rule
from roadworthy.measure.table import Table, quote

QUERY_LIMIT_S = 60.0


def ask_contract(rule: Rule, table: Table, limit_s: float) -> tuple[bool | None, str]:
    """Run the query of a rule and hold its one number against the bound.

    Args:
        rule: of the kind QUERY.
        table: the data.
        limit_s: seconds after which the query is interrupted.

    Returns:
        Whether the bound holds (None when the query gives null), and a sentence.

    Raises:
        ContractError: not valid, not one number, or not finished in time (RW-106).
    """
    found = _within(table, _statement(rule), rule, limit_s)
    if len(found) != 1 or len(found[0]) != 1:
        raise ContractError(
            f"The query of {rule.rule_id} does not give one value.",
            remedy="Select one number, for example a COUNT(*).",
            where=f"line {rule.line}",
        )
    value = found[0][0]
    if value is None:
        return None, "the query gives null"
    try:
        number = Fraction(str(value))
    except ValueError as error:
        raise ContractError(
            f"The query of {rule.rule_id} gives {value!r}, which is no finite number.",
            remedy="Select one number, for example a COUNT(*).",
            where=f"line {rule.line}",
        ) from error
    return rule.bound.accepts(number), f"The query gives {value}; wanted: {rule.bound.text()}."


def _statement(rule: Rule) -> str:
    text = rule.text.strip().rstrip(";")
    for name in ("table", "object", "schema"):
        text = text.replace("${" + name + "}", "data")
    if rule.columns:
        for name in ("column", "property"):
            text = text.replace("${" + name + "}", quote(rule.columns[0]))
    name = str(rule.values[0]) if rule.values and rule.values[0] else ""
    prefix = f"WITH {quote(name)} AS (SELECT * FROM data) " if name and name != "data" else ""
    return f"{prefix}SELECT * FROM ({text})"


def _within(table: Table, sql: str, rule: Rule, limit_s: float) -> list[tuple[Any, ...]]:
    cursor = table._connection.cursor()  # noqa: SLF001  # interrupting needs the very cursor that runs
    clock = threading.Timer(limit_s, cursor.interrupt)
    clock.daemon = True
    clock.start()
    try:
        return table._select(cursor, sql, ()).fetchall()  # noqa: SLF001  # as above: one SELECT, nothing else
    except duckdb.InterruptException as error:
        raise ContractError(
            f"The query of {rule.rule_id} was stopped after {limit_s:g} s.",
            remedy="Join on a condition, ask a smaller question, or write a typed rule.",
            where=f"line {rule.line}",
        ) from error
    except duckdb.Error as error:
        raise ContractError(
            f"The query of {rule.rule_id} failed: {str(error).splitlines()[0].rstrip('.')}.",
            remedy="Correct the query in the contract.",
            where=f"line {rule.line}",
        ) from error
    finally:
        # A clock that strikes between cancel and close must find an open cursor.
        clock.cancel()
        clock.join()
        cursor.close()
