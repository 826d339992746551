"""A contract drafted from clean data. Owns the whole of the inference; the parts have modules of their own.

Algorithm of ``infer_contract``:
1. Read every column as distinct values.
2. Propose rules: for each column nulls, then a closed set with a form and range to fall back to, lengths; then keys,
   dependencies and orders between columns, and freshness.
3. Promise those together that fresh clean rows will keep (``promise``).
4. Write the contract as a draft: a person approves it, after reading what each rule rests on.

Rules kept here:
1. Columns and their types are promised without tolerance: they are structure, not statistics.
2. Every rule says how many rows back it, and what could not be promised becomes a note.
3. Nothing is inferred from what the data is called.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from roadworthy.base.clock import format_instant
from roadworthy.base.errors import EmptyData
from roadworthy.measure.infer.candidate import Candidate, rule_on
from roadworthy.measure.infer.column import ColumnValues, read_columns
from roadworthy.measure.infer.dependencies import dependencies
from roadworthy.measure.infer.keys import keys
from roadworthy.measure.infer.options import InferOptions
from roadworthy.measure.infer.orders import orders
from roadworthy.measure.infer.promise import Chosen, choose
from roadworthy.measure.infer.shapes import length, shape
from roadworthy.measure.infer.values import closed_set, few_nulls, value_range
from roadworthy.measure.reading import microseconds
from roadworthy.measure.rule import (
    NONE_ALLOWED,
    Contract,
    Dimension,
    Field,
    Kind,
    Provenance,
    Rule,
    Severity,
    Source,
)
from roadworthy.measure.table import Table, file_digest

_VERSION = "0.1.0"
# Rules are chosen by how few rows they rest on, and luck is chosen with them; docs/contracts-inferred.md shows from how many
# rows on that no longer matters.
_FEW_ROWS = 300
_FEW = " From so few rows the estimate is optimistic: take more, or expect more alarms."
_SECOND_US = 1_000_000
_TYPED = frozenset({"number", "integer", "date", "timestamp", "time", "boolean"})


def infer_contract(table: Table, options: InferOptions | None = None) -> Contract:
    """Draft a contract from a table that is known to be clean.

    Args:
        table: the clean data; text files are best opened with ``as_text``, so that no other row decides how a value
            is read.
        options: what to promise; the defaults when None.

    Returns:
        A contract of status ``draft`` that ``to_odcs_yaml`` writes and ``load_contract`` reads as an equal one.

    Raises:
        EmptyData: no column has plain values (RW-104).
        UnreadableData: the file broke while it was read (RW-103).
    """
    chosen_options = options or InferOptions()
    # 1. Columns.
    columns = read_columns(table)
    if not any(column.filled for column in columns):
        raise EmptyData(f"{table.name} holds no value to infer from.", remedy="Deliver clean rows.", where=table.name)
    # 2. Proposals.
    proposed = [
        *(candidate for column in columns for candidate in _of_column(column, chosen_options)),
        *keys(columns, chosen_options),
        *dependencies(columns, chosen_options),
        *orders(columns, chosen_options),
    ]
    # 3. Promises.
    chosen = choose(proposed, table.row_count, chosen_options)
    # 4. The draft.
    return _contract(table, columns, chosen, chosen_options)


def _of_column(column: ColumnValues, options: InferOptions) -> Iterator[Candidate]:
    nulls = few_nulls(column, options)
    if nulls is not None:
        yield nulls
    listed = closed_set(column, options)
    otherwise = (shape(column, options), length(column, options), value_range(column, options))
    if listed is not None:
        yield listed.with_instead(*otherwise)
    else:
        yield from (candidate for candidate in otherwise if candidate is not None)


def _contract(table: Table, columns: Sequence[ColumnValues], chosen: Chosen, options: InferOptions) -> Contract:
    name = table.paths[0].stem if table.paths else "data"
    sets = {rule.under: rule.values for rule in chosen.rules if rule.kind is Kind.SET}
    by_column = {column.name: column for column in columns}
    types = {each: by_column[each].logical_type if each in by_column else "" for each in table.column_names}
    rules: list[Rule] = []
    for each, logical_type in types.items():
        rules.extend(_declared(each, logical_type))
        rules.extend(rule for rule in chosen.rules if rule.under == each)
    rules.extend(rule for rule in chosen.rules if not rule.under)
    rules.extend(_fresh(columns, options))
    return Contract(
        path=Path(f"{name}.odcs.yaml"),
        contract_id=name,
        version=_VERSION,
        status="draft",
        table=name,
        fields=tuple(
            Field(name=each, logical_type=logical_type, valid_values=sets.get(each, ()))
            for each, logical_type in types.items()
        ),
        rules=tuple(rules),
        notes=tuple(_notes(table, by_column, chosen)),
        provenance=_provenance(table, chosen, options),
    )


def _declared(name: str, logical_type: str) -> Iterator[Rule]:
    """What the loader makes of a column and its type."""
    base = Rule(
        rule_id=f"schema.{name}.column",
        dimension=Dimension.SCHEMA,
        kind=Kind.COLUMN,
        columns=(name,),
        bound=NONE_ALLOWED,
        line=1,
        severity=Severity.ERROR,
        under=name,
        text=logical_type,
    )
    yield base
    if logical_type in _TYPED:
        yield replace(base, rule_id=f"validity.{name}.type", dimension=Dimension.VALIDITY, kind=Kind.TYPE)
    if logical_type == "string":
        encoding = replace(base, rule_id=f"validity.{name}.encoding", dimension=Dimension.VALIDITY, kind=Kind.ENCODING)
        yield replace(encoding, severity=Severity.WARNING, text="")


def _fresh(columns: Sequence[ColumnValues], options: InferOptions) -> Iterator[Rule]:
    """The newest value may be as old as it was, and the widest gap that was seen on top of it."""
    if options.as_of is None:
        return
    now_us = microseconds(options.as_of)
    for column in columns:
        if not column.moment or column.filled < options.least_rows:
            continue
        moments = np.sort(column.numbers)
        age_us = now_us - float(moments[-1])
        if age_us < 0 or len(moments) < 2:
            continue
        gap_us = float(np.diff(moments).max())
        yield replace(
            rule_on(column, Kind.NEWEST_AGE, Dimension.FRESHNESS, "freshness"),
            under="",
            max_age_s=float(np.ceil((age_us + gap_us) / _SECOND_US)),
            description=(
                f"Inferred from {column.filled} rows: the newest was {age_us / _SECOND_US:.0f} s old, "
                f"the widest gap between two values is {gap_us / _SECOND_US:.0f} s."
            ),
        )


def _notes(table: Table, columns: dict[str, ColumnValues], chosen: Chosen) -> Iterator[str]:
    refused: dict[str, list[str]] = {}
    for candidate in chosen.refused:
        if candidate.rule.kind is Kind.NULL:
            # The rule about their share stands in its place.
            continue
        said = f"not promised: {candidate.rule.rule_id} ({candidate.words}; {int(candidate.lone.sum())} lone rows)."
        refused.setdefault(candidate.rule.under, []).append(said)
    for name in table.column_names:
        column = columns.get(name)
        if column is None:
            yield f"{name}: lists, structures and bytes are not looked into."
        elif not column.filled:
            yield f"{name}: no value, so nothing is known about it."
        else:
            word = column.logical_type or "text with broken encoding"
            yield f"{name}: {word}, by all {column.filled} rows with a value; {len(column.values)} different values."
        yield from (f"{name}: {said}" for said in refused.get(name, ()))
    yield from (f"table: {said}" for said in refused.get("", ()))


def _provenance(table: Table, chosen: Chosen, options: InferOptions) -> Provenance:
    share, batch = 100 * options.alarm_share, 100 * options.batch_alarm_share
    return Provenance(
        created="" if options.as_of is None else format_instant(options.as_of),
        purpose=f"Drafted from {table.row_count} clean rows. Read each rule's reason, then approve it or strike it out.",
        limitations_text=(
            f"For rows drawn like these: at most {share:g} % break a rule about rows (estimated at most "
            f"{100 * chosen.alarm_share:.2f} %, from {chosen.lone_rows} lone rows), and at most {batch:g} % of tables of "
            f"{table.row_count} rows or more break a bound. Types and columns are promised without tolerance."
            f"{_FEW if table.row_count < _FEW_ROWS else ''}"
        ),
        sources=tuple(Source(origin=path.name, path=None, sha256=file_digest(path)) for path in table.paths),
    )
