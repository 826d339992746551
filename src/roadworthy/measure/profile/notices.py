"""What in a profile deserves a look before anybody trusts the column. Owns the list of such notices; corrects nothing.

A notice is a question for a person and decides nothing: a constant column may be honest, and so may a zero. Where the
window is small enough, numbers that stand for "missing" are looked for too (``sentinel`` has the signs).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from roadworthy.measure.profile.columns import ColumnProfile
from roadworthy.measure.rule import Contract, Provenance
from roadworthy.measure.sentinel import find_sentinels
from roadworthy.measure.table import Table
from roadworthy.measure.volume.plan import Kind

SENTINEL_CELLS = 2_000_000
"""Rows times columns up to which sentinels are looked for: that takes the values themselves, not their counts."""
_NOTHING_DECLARED = Contract(
    path=Path(),
    contract_id="",
    version="",
    status="",
    table="",
    fields=(),
    rules=(),
    notes=(),
    provenance=Provenance(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to look at.

    Attributes:
        column: where.
        group: in the rows of which group; None for all.
        what: one sentence.
    """

    column: str
    group: str | None
    what: str


def notices_of(
    columns: Sequence[ColumnProfile], groups: Mapping[str, Sequence[ColumnProfile]], *, fitted: bool
) -> tuple[Notice, ...]:
    """What the counts of a window show; of its groups, what is missing or constant there and nowhere else.

    Args:
        columns: of the window.
        groups: their columns by name.
        fitted: whether the known values are those of this very window, so that an unseen one says nothing.
    """
    found, same = [], set()
    for item in columns:
        if what := _without_variety(item):
            same.add(item.name)
            found.append(Notice(column=item.name, group=None, what=what))
        found += [Notice(column=item.name, group=None, what=each) for each in _oddities(item, fitted=fitted)]
    found += [
        Notice(column=item.name, group=group, what=what)
        for group, inside in groups.items()
        for item in inside
        if item.name not in same and (what := _without_variety(item))
    ]
    return tuple(found)


def sentinel_notices(table: Table, by: str | None) -> tuple[Notice, ...] | None:
    """Numbers that look like "missing", by group; None when the window is too large to look at its values."""
    if table.row_count * len(table.columns) > SENTINEL_CELLS:
        return None
    return tuple(
        Notice(column=found.column, group=found.cohort or None, what=replace(found, cohort="").what)
        for found in find_sentinels(table, _NOTHING_DECLARED, by)
    )


def _without_variety(item: ColumnProfile) -> str:
    """A column that is null throughout, or has one value; "" for any other."""
    if item.rows and item.nulls == item.rows:
        return f"{item.name} is null in every row."
    numbers, values = item.numbers, item.values
    if numbers is not None and numbers.finite and numbers.smallest == numbers.largest:
        same = "one instant" if item.kind is Kind.INSTANT else f"{numbers.smallest:g}"
        return f"{item.name} has one value only, {same}, in {_of(numbers.finite, item.rows)}."
    if values is not None and not values.unseen:
        present = [value for value, count in values.counts if count]
        if len(present) == 1:
            return f"{item.name} has one value only, {present[0]}, in {_of(item.rows - item.nulls, item.rows)}."
    return ""


def _oddities(item: ColumnProfile, *, fitted: bool) -> list[str]:
    found = []
    if item.nan:
        found.append(f"{item.name} is NaN in {_rows(item.nan)}; NaN is counted apart from null and is in no mean.")
    if item.infinite:
        found.append(f"{item.name} is infinite in {_rows(item.infinite)}.")
    if item.numbers is not None and item.numbers.far:
        found.append(
            f"{item.name} lies more than half a million quartile ranges from its median in {_rows(item.numbers.far)}; "
            "they are left out of mean and deviation."
        )
    if item.values is not None and item.values.empty:
        found.append(f"{item.name} is an empty text in {_rows(item.values.empty)}, which is not null.")
    if item.values is not None and item.values.unseen and not fitted:
        found.append(f"{item.name} has a value that the reference did not know in {_rows(item.values.unseen)}.")
    return found


def _rows(count: int) -> str:
    return "one row" if count == 1 else f"{count:,} rows"


def _of(count: int, rows: int) -> str:
    return f"all {rows:,} rows" if count == rows else f"{count:,} of {rows:,} rows"
