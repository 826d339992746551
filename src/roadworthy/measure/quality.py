"""A contract run against a table. Owns the assessment and its report; opens no gate and keeps no history.

Algorithm of ``assess``:
1. Compare declared with present columns; a rule about an absent column cannot be told.
2. One scan counts, for every rule about single rows, the bad ones, as sums of casts.
3. Grouping questions (repeated rows) and single figures (newest value, row count, queries) run apart.
4. Judge each count against its bound, exactly.
5. Look for what no contract asks: numbers that stand for "missing", cohorts in another unit.

Rules kept here:
1. Three verdicts. What could not be computed is UNKNOWN and never met, and so is a rule on a column without any value,
   unless it asks for values.
2. Counts cover the whole data set, so their interval is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from roadworthy.base.interval import Interval, exact, unknown
from roadworthy.measure.contract_sql import QUERY_LIMIT_S, ask_contract
from roadworthy.measure.predicates import complete, instant, repeated_rows, row_predicate
from roadworthy.measure.reading import microseconds
from roadworthy.measure.references import rows_of_reference
from roadworthy.measure.rule import Contract, Dimension, Kind, Rule
from roadworthy.measure.schema import fits
from roadworthy.measure.sentinel import SentinelFinding, find_sentinels
from roadworthy.measure.table import ROW, Table, quote
from roadworthy.measure.unit_swap import UnitSwapFinding, find_unit_swaps

_FIGURES = frozenset({Kind.COLUMN, Kind.NEWEST_AGE, Kind.ROW_COUNT, Kind.RECONCILED, Kind.QUERY})
_ASK_FOR_VALUES = frozenset({Kind.NULL, Kind.MISSING_TEXT, Kind.COLUMN})
_EXAMPLES = 5


class Verdict(Enum):
    """Whether a rule is kept."""

    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A bad row: its number from 0, and the values of the rule's columns as text ("" for null)."""

    row: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """What one rule gave.

    Attributes:
        rule: that was run.
        verdict: against the rule's bound.
        rows: how many rows it looked at.
        bad_rows: how many are bad; None for figures and for what cannot be told.
        bad_share: the same as a share, exact; unknown where ``bad_rows`` is None.
        what: one sentence for a person.
        examples: the first few bad rows.
    """

    rule: Rule
    verdict: Verdict
    rows: int
    bad_rows: int | None
    bad_share: Interval
    what: str
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """The assessment of one table at one instant.

    Attributes:
        table: its name.
        rows: its size.
        assessed_at: the instant that ages are counted to.
        results: one for each rule, in the contract's order.
        sentinels: numbers that look like "missing".
        unit_swaps: cohorts that look as if measured in another unit.
        undeclared: columns that the contract does not know.
        empty_columns: declared columns without any value.
        notes: what the contract says but no program runs.
    """

    table: str
    rows: int
    assessed_at: datetime
    results: tuple[RuleResult, ...]
    sentinels: tuple[SentinelFinding, ...]
    unit_swaps: tuple[UnitSwapFinding, ...]
    undeclared: tuple[str, ...]
    empty_columns: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def met(self) -> bool:
        """Whether there are rules, all are met, and nothing else was found."""
        all_met = bool(self.results) and all(result.verdict is Verdict.MET for result in self.results)
        return all_met and not self.sentinels and not self.unit_swaps

    def of(self, dimension: Dimension) -> tuple[RuleResult, ...]:
        """The results of one dimension."""
        return tuple(result for result in self.results if result.rule.dimension is dimension)

    def result(self, rule_id: str) -> RuleResult | None:
        """The result of one rule, or None."""
        return next((result for result in self.results if result.rule.rule_id == rule_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlaggedRow:
    """A row that breaks rules: number from 0, key values as text, and the ids of the rules in the contract's order."""

    row: int
    key: tuple[str, ...]
    rules: tuple[str, ...]


def assess(
    table: Table,
    contract: Contract,
    *,
    at: datetime,
    cohort: str | None = None,
    query_limit_s: float = QUERY_LIMIT_S,
) -> QualityReport:
    """Run every rule of a contract.

    Args:
        table: the data.
        contract: what was promised about it.
        at: the instant that ages are counted to, aware.
        cohort: a column by whose values sentinels and units are looked at apart.
        query_limit_s: seconds after which a query of the contract is interrupted.

    Raises:
        ContractError: a query of the contract is not valid SQL or takes too long, or ``cohort`` is no column (RW-106).
        MissingFile: a referenced file is not there (RW-102).
        UnreadableData: a file broke while it was read (RW-103).
    """
    # 1. What can be computed at all.
    empty = frozenset(table.empty_columns())
    excluded = {rule.rule_id: reason for rule in contract.rules if (reason := _obstacle(rule, table, empty))}
    runnable = [rule for rule in contract.rules if rule.rule_id not in excluded]
    # 2. One scan for rows, 3. the rest apart.
    counts = _count_bad(table, [rule for rule in runnable if rule.kind not in _FIGURES | {Kind.DUPLICATE}], at)
    counts |= {rule.rule_id: _count_repeated(table, rule) for rule in runnable if rule.kind is Kind.DUPLICATE}
    # 4. Verdicts.
    results = []
    for rule in contract.rules:
        if rule.rule_id in excluded:
            results.append(_not_told(rule, table, excluded[rule.rule_id]))
        elif rule.kind in _FIGURES:
            results.append(_judge_figure(rule, table, at, query_limit_s))
        else:
            results.append(_judge_rows(rule, table, counts[rule.rule_id], at))
    # 5. What was not asked.
    declared = [item.name for item in contract.fields]
    return QualityReport(
        table=table.name,
        rows=table.row_count,
        assessed_at=at,
        results=tuple(results),
        sentinels=find_sentinels(table, contract, cohort),
        unit_swaps=find_unit_swaps(table, contract, cohort),
        undeclared=tuple(name for name in table.column_names if name not in declared),
        empty_columns=tuple(name for name in declared if name in empty),
        notes=contract.notes,
    )


def flagged_rows(table: Table, contract: Contract, *, at: datetime, limit: int | None = None) -> tuple[FlaggedRow, ...]:
    """The rows that break at least one rule about rows, in order of their number.

    Bounds are not applied: a row is bad even where a few bad rows are allowed.

    Args:
        table: the data.
        contract: what was promised about it.
        at: the instant that ages are counted to, aware.
        limit: at most so many rows; None for all.

    Raises:
        ContractError: a reference has no such column (RW-106).
    """
    empty = frozenset(table.empty_columns())
    rules = [r for r in contract.rules if r.kind not in _FIGURES and not _obstacle(r, table, empty)]
    if not rules:
        return ()
    predicates = [repeated_rows(r, table) if r.kind is Kind.DUPLICATE else row_predicate(r, table, at) for r in rules]
    key = [name for name in contract.key if name in table.column_names]
    selection = ", ".join([ROW, *(_as_text(name) for name in key)])
    flags = ", ".join(f"{predicate.sql} AS f{index}" for index, predicate in enumerate(predicates))
    any_flag = " OR ".join(f"f{index}" for index in range(len(rules)))
    sql = f"SELECT * FROM (SELECT {selection}, {flags} FROM data) WHERE {any_flag} ORDER BY {ROW}"
    parameters: list[object] = [value for predicate in predicates for value in predicate.parameters]
    if limit is not None:
        sql, parameters = f"{sql} LIMIT ?", [*parameters, limit]
    return tuple(
        FlaggedRow(
            row=row[0],
            key=_texts(row[1 : 1 + len(key)]),
            rules=tuple(rule.rule_id for rule, bad in zip(rules, row[1 + len(key) :], strict=True) if bad),
        )
        for row in table.query(sql, parameters)
    )


def _obstacle(rule: Rule, table: Table, empty: frozenset[str]) -> str:
    if rule.kind is Kind.COLUMN:
        return ""
    absent = [name for name in rule.columns if name not in table.column_names]
    if absent:
        return f"the column {', '.join(absent)} is not in the data"
    hollow = [name for name in rule.columns if name in empty]
    if hollow and rule.kind not in _ASK_FOR_VALUES:
        return f"the column {', '.join(hollow)} holds nothing but nulls"
    return ""


def _count_bad(table: Table, rules: Sequence[Rule], at: datetime) -> dict[str, int]:
    if not rules:
        return {}
    predicates = [row_predicate(rule, table, at) for rule in rules]
    sums = ", ".join(f"SUM(CAST({predicate.sql} AS INTEGER))" for predicate in predicates)
    parameters = [value for predicate in predicates for value in predicate.parameters]
    (row,) = table.query(f"SELECT {sums} FROM data", parameters)
    return {rule.rule_id: int(count) for rule, count in zip(rules, row, strict=True)}


def _count_repeated(table: Table, rule: Rule) -> int:
    columns = ", ".join(quote(name) for name in rule.columns)
    groups = f"SELECT COUNT(*) AS size FROM data WHERE {complete(rule, table)} GROUP BY {columns}"
    ((count,),) = table.query(f"SELECT COALESCE(SUM(size - 1), 0) FROM ({groups})")
    return int(count)


def _judge_rows(rule: Rule, table: Table, bad: int, at: datetime) -> RuleResult:
    rows = table.row_count
    verdict = Verdict.MET if rule.bound.holds(bad, rows) else Verdict.NOT_MET
    return RuleResult(
        rule=rule,
        verdict=verdict,
        rows=rows,
        bad_rows=bad,
        bad_share=exact(bad / rows, rows),
        what=f"{bad} of {rows} rows break it; allowed: {rule.bound.text()}.",
        examples=_examples(rule, table, at) if bad else (),
    )


def _examples(rule: Rule, table: Table, at: datetime) -> tuple[Example, ...]:
    predicate = repeated_rows(rule, table) if rule.kind is Kind.DUPLICATE else row_predicate(rule, table, at)
    shown = ", ".join([ROW, *(_as_text(name) for name in rule.columns)])
    sql = f"SELECT * EXCLUDE (bad) FROM (SELECT {shown}, {predicate.sql} AS bad FROM data) WHERE bad"
    found = table.query(f"{sql} ORDER BY {ROW} LIMIT {_EXAMPLES}", predicate.parameters)
    return tuple(Example(row=row[0], values=_texts(row[1:])) for row in found)


def _as_text(name: str) -> str:
    # DuckDB writes the text, so that it does not depend on Python's types; another name keeps the column itself usable.
    return f"CAST({quote(name)} AS VARCHAR) AS {quote(name + ' as text')}"


def _texts(values: Sequence[str | None]) -> tuple[str, ...]:
    return tuple("" if value is None else value for value in values)


def _not_told(rule: Rule, table: Table, reason: str) -> RuleResult:
    rows = table.row_count
    return RuleResult(
        rule=rule,
        verdict=Verdict.UNKNOWN,
        rows=rows,
        bad_rows=None,
        bad_share=unknown(rows),
        what=f"Cannot tell: {reason}.",
    )


def _judge_figure(rule: Rule, table: Table, at: datetime, query_limit_s: float) -> RuleResult:
    rows = table.row_count
    good: bool | None
    if rule.kind is Kind.COLUMN:
        good, what = fits(rule, table)
    elif rule.kind is Kind.ROW_COUNT:
        good, what = rule.bound.holds(rows, rows), f"{rows} rows; wanted: {rule.bound.text()}."
    elif rule.kind is Kind.NEWEST_AGE:
        good, what = _newest(rule, table, at)
    elif rule.kind is Kind.RECONCILED:
        good, what = _reconciled(rule, table)
    else:
        good, what = ask_contract(rule, table, query_limit_s)
    if good is None:
        return _not_told(rule, table, what)
    return RuleResult(
        rule=rule,
        verdict=Verdict.MET if good else Verdict.NOT_MET,
        rows=rows,
        bad_rows=None,
        bad_share=unknown(rows),
        what=what,
    )


def _newest(rule: Rule, table: Table, at: datetime) -> tuple[bool | None, str]:
    ((newest,),) = table.query(f"SELECT MAX({instant(rule.columns[0], table)}) FROM data")
    if newest is None:
        return None, f"{rule.columns[0]} holds no instant"
    age_s = (microseconds(at) - newest) / 1e6
    allowed_s = rule.max_age_s or 0.0
    # A newest value from the future means a wrong clock, on one side or the other.
    return 0.0 <= age_s <= allowed_s, f"The newest value is {age_s:.0f} s old; allowed: 0 to {allowed_s:.0f} s."


def _reconciled(rule: Rule, table: Table) -> tuple[bool, str]:
    other = rows_of_reference(rule)
    missed = abs(table.row_count - other)
    return rule.bound.holds(missed, other), (
        f"{table.row_count} rows against {other} in {rule.reference.path.name if rule.reference else ''}; "
        f"allowed difference: {rule.bound.text()}."
    )
