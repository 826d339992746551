"""Two versions of one data set: what changed. Owns the comparison and its report; which version is right is not its matter.

Algorithm of ``compare_versions``:
1. Both versions become canonical text (``fingerprint``), so that formats and stored types are no change by themselves.
2. Columns: added, removed, renamed (an added one holds exactly the values of a removed one), of another type.
3. Rows, by key: added, removed, changed, same. Without a key, as multisets over the shared columns: what is only here or
   only there.
4. Cells, by column: with a key, every changed pair; without, the difference of the value counts.
5. Codes that are new or gone, in columns of at most ``CODES`` values, and the signs of ``change_signs``.
6. What the removed rows have in common, with a key: a code that nine tenths of them hold but the others mostly do not,
   and twins, that is a kept row under the same first key columns that differs in at most ``TWIN_COLUMNS`` columns.
7. Rows by group, when groups are named.

Rules kept here:
1. A key that repeats in either version is refused: pairing would be a guess.
2. Everything is counted on all rows; only the examples are cut to ``EXAMPLES``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from roadworthy.base.errors import ContractError, ParameterError, UnreadableData
from roadworthy.measure.passport.change_signs import ENOUGH, Pair, shown, signs_of_counts, signs_of_pairs
from roadworthy.measure.passport.fingerprint import Fingerprint, canonical_text, fingerprint
from roadworthy.measure.table import ROW, Table, quote

CODES = 50
EXAMPLES = 5
TWIN_COLUMNS = 5
_MOST = 0.9
_SIDES = ("before", "after")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeCount:
    """A value that only one of the versions has, and how often it has it."""

    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChange:
    """A column of both versions that is not the same.

    Attributes:
        name: in the older version.
        type_before: of its values.
        type_after: of its values.
        nulls_before: rows without a value.
        nulls_after: rows without a value.
        cells: how many cells of paired rows differ; None without a key.
        pairs: the most frequent changes of cells; empty without a key.
        codes_new: values that the older version does not have; empty for columns with many values.
        codes_gone: values that the newer version does not have.
        signs: what it looks like, in sentences.
    """

    name: str
    type_before: str
    type_after: str
    nulls_before: int
    nulls_after: int
    cells: int | None
    pairs: tuple[Pair, ...]
    codes_new: tuple[CodeCount, ...]
    codes_gone: tuple[CodeCount, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """Rows of one group in both versions."""

    group: tuple[str, ...]
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReport:
    """What changed between two versions.

    Attributes:
        before: fingerprint of the older version.
        after: fingerprint of the newer one.
        key: by which rows were paired; empty when they were compared as multisets.
        columns_added: only in the newer version.
        columns_removed: only in the older one.
        columns_renamed: pairs of old and new name whose values are the same; also listed as removed and added.
        rows_added: rows of the newer version without a partner.
        rows_removed: rows of the older version without a partner.
        rows_changed: pairs that differ in a shared column; None without a key.
        columns: shared columns that are not the same, by name.
        removed_rows: what the removed rows have in common, in sentences.
        groups_by: the columns of the groups.
        groups: rows by group where the numbers differ; empty when no group was named.
    """

    before: Fingerprint
    after: Fingerprint
    key: tuple[str, ...]
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    columns_renamed: tuple[tuple[str, str], ...]
    rows_added: int
    rows_removed: int
    rows_changed: int | None
    columns: tuple[ColumnChange, ...]
    removed_rows: tuple[str, ...]
    groups_by: tuple[str, ...]
    groups: tuple[GroupChange, ...]

    @property
    def same(self) -> bool:
        """Whether both versions say the same."""
        return self.before.digest == self.after.digest

    def column(self, name: str) -> ColumnChange | None:
        """The change of one column, or None when it is the same."""
        return next((item for item in self.columns if item.name == name), None)

    def lines(self) -> tuple[str, ...]:
        """The report as sentences, most important first."""
        if self.same:
            return (f"The same {self.before.rows:,} rows in {len(self.before.columns)} columns.",)
        how = f"by {', '.join(self.key)}" if self.key else "as multisets"
        changed = "" if self.rows_changed is None else f", {self.rows_changed:,} changed"
        said = [f"{self.before.rows:,} rows became {self.after.rows:,} ({how}):"]
        said[0] += f" {self.rows_removed:,} removed, {self.rows_added:,} added{changed}."
        said.extend(self.removed_rows)
        said.extend(f"Column {old} is now called {new}." for old, new in self.columns_renamed)
        renamed = {name for pair in self.columns_renamed for name in pair}
        for word, names in (("removed", self.columns_removed), ("added", self.columns_added)):
            rest = [name for name in names if name not in renamed]
            if rest:
                said.append(f"Columns {word}: {', '.join(rest)}.")
        said.extend(_column_line(change) for change in self.columns)
        by = " / ".join(self.groups_by)
        said.extend(f"{by} {' / '.join(g.group)}: {g.before:,} rows became {g.after:,}." for g in self.groups)
        return tuple(said)


def compare_versions(
    before: Table, after: Table, *, key: Sequence[str] = (), groups: Sequence[str] = ()
) -> ChangeReport:
    """Say what changed.

    Args:
        before: the older version.
        after: the newer one.
        key: columns that identify a row; ``(ROW,)`` pairs by position; empty compares multisets.
        groups: columns whose combinations are counted in both.

    Raises:
        ContractError: a column of ``key`` or ``groups`` is not in both versions (RW-106).
        ParameterError: the key repeats, or positions are asked for and the numbers of rows differ (RW-114).
        UnreadableData: a column has no canonical text (RW-103).
    """
    prints = (fingerprint(before), fingerprint(after))
    names = [{column.name for column in one.columns} for one in prints]
    shared = sorted(names[0] & names[1])
    for name in (*key, *groups):
        if name not in shared and name != ROW:
            raise ContractError(
                f"The column {name!r} is not in both versions.",
                remedy=f"Use columns of: {', '.join(shared)}.",
                where=f"{before.name}, {after.name}",
            )
    # 1. Canonical text.
    with duckdb.connect(":memory:") as connection:
        try:
            for side, table in zip(_SIDES, (before, after), strict=True):
                _load(connection, side, table)
            pairing = _Pairing(connection=connection, key=tuple(key), shared=tuple(shared))
            pairing.require_unique()
            # 3. Rows.
            removed, added, changed = pairing.rows()
            return ChangeReport(
                before=prints[0],
                after=prints[1],
                key=tuple(key),
                columns_added=tuple(sorted(names[1] - names[0])),
                columns_removed=tuple(sorted(names[0] - names[1])),
                columns_renamed=_renamed(*prints),
                rows_added=added,
                rows_removed=removed,
                rows_changed=changed,
                columns=tuple(
                    change for name in shared if name not in key and (change := _change(pairing, name, *prints))
                ),
                removed_rows=_removed_rows(pairing, removed),
                groups_by=tuple(groups),
                groups=_groups(connection, groups),
            )
        except duckdb.Error as error:
            raise UnreadableData(
                f"The versions cannot be compared: {str(error).splitlines()[0]}",
                remedy="Compare smaller parts, or fewer columns.",
                where=f"{before.name}, {after.name}",
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairing:
    connection: duckdb.DuckDBPyConnection
    key: tuple[str, ...]
    shared: tuple[str, ...]

    @property
    def others(self) -> list[str]:
        return [quote(name) for name in self.shared if name not in self.key]

    @property
    def joined(self) -> str:
        # Null keys pair with null keys.
        return " AND ".join(f"before.{quote(name)} IS NOT DISTINCT FROM after.{quote(name)}" for name in self.key)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def require_unique(self) -> None:
        if self.key == (ROW,) and len({self.ask(f"SELECT COUNT(*) FROM {side}")[0] for side in _SIDES}) > 1:
            raise ParameterError(
                "The versions have different numbers of rows, so positions pair nothing.", remedy="Name a key, or none."
            )
        if not self.key:
            return
        columns = ", ".join(quote(name) for name in self.key)
        for side in _SIDES:
            ((rows, keys),) = self.ask(
                f"SELECT SUM(n), COUNT(*) FROM (SELECT COUNT(*) AS n FROM {side} GROUP BY {columns})"
            )
            if rows != keys:
                raise ParameterError(
                    f"The key {', '.join(self.key)} repeats {rows - keys:,} times in the version {side}.",
                    remedy="Add columns to the key, or compare without one.",
                )

    def rows(self) -> tuple[int, int, int | None]:
        if self.key:
            differs = " OR ".join(f"before.{name} IS DISTINCT FROM after.{name}" for name in self.others) or "false"
            ((removed, added, changed),) = self.ask(
                f"SELECT COUNT(*) FILTER (after.{ROW} IS NULL), COUNT(*) FILTER (before.{ROW} IS NULL), "
                f"COUNT(*) FILTER (before.{ROW} IS NOT NULL AND after.{ROW} IS NOT NULL AND ({differs})) "
                f"FROM before FULL JOIN after ON {self.joined}"
            )
            return removed, added, changed
        columns = ", ".join(self.others) or "NULL"
        ((removed,),) = self.ask(
            f"SELECT COUNT(*) FROM (SELECT {columns} FROM before EXCEPT ALL SELECT {columns} FROM after)"
        )
        ((added,),) = self.ask(
            f"SELECT COUNT(*) FROM (SELECT {columns} FROM after EXCEPT ALL SELECT {columns} FROM before)"
        )
        return removed, added, None

    def pairs(self, name: str) -> list[Pair]:
        if not self.key:
            return []
        column = quote(name)
        found = self.ask(
            f"SELECT before.{column}, after.{column}, COUNT(*) AS n FROM before JOIN after ON {self.joined} "
            f"WHERE before.{column} IS DISTINCT FROM after.{column} GROUP BY 1, 2 ORDER BY n DESC, 1, 2"
        )
        return [Pair(before=old, after=new, count=n) for old, new, n in found]

    def counts(self, name: str) -> tuple[dict[str | None, int], dict[str | None, int]]:
        first, second = (
            dict(self.ask(f"SELECT {quote(name)}, COUNT(*) FROM {side} GROUP BY 1 ORDER BY 1")) for side in _SIDES
        )
        return first, second


def _load(connection: duckdb.DuckDBPyConnection, side: str, table: Table) -> None:
    texts = ", ".join(f"{canonical_text(column)} AS {quote(column.name)}" for column in table.columns)
    connection.register("rows_in", table.to_arrow())
    connection.execute(f"CREATE TABLE {side} AS SELECT row_number() OVER () - 1 AS {ROW}, {texts} FROM rows_in")
    connection.unregister("rows_in")


def _renamed(before: Fingerprint, after: Fingerprint) -> tuple[tuple[str, str], ...]:
    # 2. Same values, other name; a column without values could be any other.
    gone = [column for column in before.columns if column.distinct and after.column(column.name) is None]
    come = [column for column in after.columns if column.distinct and before.column(column.name) is None]
    return tuple(
        (old.name, new.name)
        for old in gone
        for new in come
        if (old.hash, old.nulls, old.distinct) == (new.hash, new.nulls, new.distinct)
    )


def _change(pairing: _Pairing, name: str, before: Fingerprint, after: Fingerprint) -> ColumnChange | None:
    old, new = before.column(name), after.column(name)
    assert old is not None  # a shared column
    assert new is not None  # a shared column
    # 4. Cells.
    pairs = pairing.pairs(name)
    if old == new and not pairs:
        return None
    counts = pairing.counts(name)
    # 5. Codes and signs.
    coded = max(old.distinct, new.distinct) <= CODES
    change = ColumnChange(
        name=name,
        type_before=old.type.value,
        type_after=new.type.value,
        nulls_before=old.nulls,
        nulls_after=new.nulls,
        cells=sum(pair.count for pair in pairs) if pairing.key else None,
        pairs=tuple(pairs[:EXAMPLES]),
        codes_new=_only(counts[1], counts[0]) if coded else (),
        codes_gone=_only(counts[0], counts[1]) if coded else (),
        signs=signs_of_pairs(pairs) if pairing.key else signs_of_counts(*counts),
    )
    # A column whose values only came, or only went, changed with its rows and is told there.
    told = pairs if pairing.key else _both_ways(*counts)
    return change if told or change.codes_new or change.codes_gone or old.type is not new.type else None


def _both_ways(before: dict[str | None, int], after: dict[str | None, int]) -> bool:
    steps = [after.get(value, 0) - before.get(value, 0) for value in before.keys() | after.keys()]
    return min(steps) < 0 < max(steps)


def _removed_rows(pairing: _Pairing, removed: int) -> tuple[str, ...]:
    if not pairing.key or removed < ENOUGH:
        return ()
    # 6. What they have in common.
    said = []
    rows = f"(SELECT before.* FROM before ANTI JOIN after ON {pairing.joined})"
    for name in pairing.shared:
        counts = pairing.counts(name)[0]
        if 1 < len(counts) <= CODES:
            ((value, count),) = pairing.ask(
                f"SELECT {quote(name)}, COUNT(*) AS n FROM {rows} GROUP BY 1 ORDER BY n DESC, 1 LIMIT 1"
            )
            others = (counts[value] - count) / max(1, sum(counts.values()) - removed)
            if count >= _MOST * removed and others <= _MOST - 0.2:
                said.append(
                    f"{count:,} of {removed:,} removed rows have {name} {shown(value)}, as {counts[value]:,} of "
                    f"{sum(counts.values()):,} rows had."
                )
    said.extend(_twins(pairing, rows, removed))
    return tuple(said)


def _twins(pairing: _Pairing, rows: str, removed: int) -> tuple[str, ...]:
    first = pairing.key[:-1]
    if not first:
        return ()
    together = " AND ".join(f"gone.{quote(name)} IS NOT DISTINCT FROM kept.{quote(name)}" for name in first)
    rest = [name for name in pairing.shared if name not in first]
    differs = [f"gone.{quote(name)} IS DISTINCT FROM kept.{quote(name)}" for name in rest]
    found = pairing.ask(
        f"SELECT MIN_BY([{', '.join(differs)}], {' + '.join(f'CAST({test} AS INTEGER)' for test in differs)}) "
        f"FROM {rows} AS gone JOIN after AS kept ON {together} GROUP BY gone.{ROW}"
    )
    twins = [flags for (flags,) in found if sum(flags) <= TWIN_COLUMNS]
    if len(twins) < _MOST * removed:
        return ()
    columns = [name for k, name in enumerate(rest) if any(flags[k] for flags in twins)]
    said = f"{len(twins):,} of {removed:,} removed rows have a twin that was kept: the same {', '.join(first)}"
    return (f"{said}, other only in some of {', '.join(columns)}.",)


def _only(counts: dict[str | None, int], others: dict[str | None, int]) -> tuple[CodeCount, ...]:
    found = [
        CodeCount(code=code, count=count) for code, count in counts.items() if code is not None and code not in others
    ]
    return tuple(sorted(found, key=lambda item: (-item.count, item.code)))


def _groups(connection: duckdb.DuckDBPyConnection, groups: Sequence[str]) -> tuple[GroupChange, ...]:
    if not groups:
        return ()
    # 7. Groups.
    columns = ", ".join(quote(name) for name in groups)
    found = connection.execute(
        f"SELECT SUM(before), SUM(after), {columns} FROM (SELECT 1 AS before, 0 AS after, {columns} FROM before "
        f"UNION ALL SELECT 0, 1, {columns} FROM after) GROUP BY {columns} HAVING SUM(before) <> SUM(after) "
        f"ORDER BY {columns}"
    ).fetchall()
    return tuple(
        GroupChange(group=tuple(shown(value) for value in names), before=int(old), after=int(new))
        for old, new, *names in found
    )


def _column_line(change: ColumnChange) -> str:
    parts = []
    if change.type_before != change.type_after:
        parts.append(f"{change.type_before} became {change.type_after}.")
    if change.cells:
        examples = "; ".join(pair.text for pair in change.pairs)
        parts.append(f"{change.cells:,} cells changed: {examples}.")
    parts.extend(change.signs)
    for word, codes in (("New", change.codes_new), ("Gone", change.codes_gone)):
        if codes:
            listed = ", ".join(f"{item.code} ({item.count:,})" for item in codes[:EXAMPLES])
            parts.append(f"{word}: {listed}{' and more' if len(codes) > EXAMPLES else ''}.")
    if not parts:
        parts.append(f"other values ({change.nulls_before:,} nulls before, {change.nulls_after:,} after).")
    return f"{change.name}: {' '.join(parts)}"
