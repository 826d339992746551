"""A profile of one window: freeze, scan once, read. Owns the entry point; comparing two windows is ``compare``'s."""

from dataclasses import dataclass, field
from typing import Any

from roadworthy.base.codec import to_json
from roadworthy.base.errors import ParameterError
from roadworthy.measure.profile.columns import ColumnProfile, column_profiles
from roadworthy.measure.profile.notices import Notice, notices_of, sentinel_notices
from roadworthy.measure.profile.source import Source, split_by, table_source
from roadworthy.measure.profile.window_file import Window
from roadworthy.measure.table import Table
from roadworthy.measure.volume.plan import OTHER_GROUP, Split
from roadworthy.measure.volume.profile_plan import profile_plan
from roadworthy.measure.volume.reference import CELLS, Reference, fit
from roadworthy.measure.volume.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProfile:
    """The columns of one group.

    Attributes:
        name: value of the column that splits; ``OTHER_GROUP`` for rows of no named value.
        rows: exact.
        columns: in stored order.
    """

    name: str
    rows: int
    columns: tuple[ColumnProfile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a window looks like.

    Attributes:
        name: of the window.
        rows: exact.
        columns: over all rows, in stored order.
        by: the column that splits the rows; None without a split.
        groups: that have rows, in order of their names, the others last; empty without a split.
        notices: what deserves a look.
        searched: whether the values were searched for numbers that stand for "missing", which takes a window of
            ordinary size and its data.
        reference: edges, units and known values, fitted on this very window unless another was given.
        state: everything that was counted; join it with others of the same reference, or judge it again.
    """

    name: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    by: str | None
    groups: tuple[GroupProfile, ...]
    notices: tuple[Notice, ...]
    searched: bool
    reference: Reference = field(repr=False)
    state: State = field(repr=False)

    def __repr__(self) -> str:
        """What it is about, without its numbers."""
        groups = f", by {self.by}: {len(self.groups)} groups" if self.by else ""
        return (
            f"Profile({self.name!r}, {self.rows:,} rows, {len(self.columns)} columns{groups}, "
            f"{len(self.notices)} notices)"
        )

    @property
    def window(self) -> Window:
        """What can be written to a file, joined and compared."""
        return Window(name=self.name, reference=self.reference, state=self.state)

    def column(self, name: str, group: str | None = None) -> ColumnProfile:
        """One column, over all rows or those of a group.

        Raises:
            ParameterError: no such column or group (RW-114).
        """
        columns = self.columns if group is None else next((g.columns for g in self.groups if g.name == group), ())
        found = next((item for item in columns if item.name == name), None)
        if found is None:
            where = f" in the group {group!r}" if group is not None else ""
            raise ParameterError(f"{self.name} has no column {name!r}{where}.", remedy="Use a name of the profile.")
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; NaN is null, instants are microseconds since 1970 (UTC)."""
        return {
            "name": self.name,
            "rows": self.rows,
            "columns": to_json(self.columns),
            "by": self.by,
            "groups": to_json(self.groups),
            "notices": to_json(self.notices),
            "searched": self.searched,
            "reference_digest": self.reference.digest,
            "state_digest": self.state.digest,
        }


def profile_table(
    table: Table,
    *,
    reference: Reference | None = None,
    by: str | None = None,
    cells: int = CELLS,
    threads: int = 2,
) -> Profile:
    """Profile a table in one scan (two when the reference has to be fitted, the second one over a sample).

    Args:
        table: at least one row.
        reference: frozen earlier; fitted on ``table`` when None.
        by: a column whose groups are shown apart.
        cells: of a number, when fitted.
        threads: that read Parquet.

    Raises:
        ContractError: the table lacks a column of the reference, or ``by`` (RW-106).
        UnreadableData: a file broke while it was read (RW-103).
    """
    return profile_source(table_source(table, threads=threads), reference=reference, by=by, cells=cells)


def profile_source(
    source: Source, *, on: Window | None = None, reference: Reference | None = None, by: str | None = None,
    cells: int = CELLS,
) -> Profile:  # fmt: skip
    """Profile any rows that can be counted.

    Args:
        source: of at least one row.
        on: a window whose cells are taken, and its split too when ``by`` names the same column, so that both join.
        reference: cells frozen earlier; ignored with ``on``.
        by: a column whose groups are shown apart.
        cells: of a number, when they have to be fitted.

    Raises:
        ContractError: the source lacks a column of the reference, or ``by`` (RW-106).
        UnreadableData: a file broke while it was read (RW-103).
    """
    given = on.reference if on is not None else reference
    frozen = fit(source.sample, cells=cells) if given is None else given
    state = source.count(profile_plan(frozen, split=_split(source, on, by)))
    suspects = sentinel_notices(source.sample, by) if source.sample.row_count == state.rows else None
    return _profile(Window(name=source.name, reference=frozen, state=state), by, suspects, fitted=given is None)


def profile_window(window: Window, *, by: str | None = None) -> Profile:
    """The profile of a window that was measured before; no data is touched.

    Raises:
        ParameterError: it was not split by ``by`` (RW-114).
    """
    require_split(window, by)
    return _profile(window, by, None, fitted=True)


def require_split(window: Window, by: str | None) -> None:
    """Refuse to split what was counted together.

    Raises:
        ParameterError: it was not split by ``by`` (RW-114).
    """
    split = window.state.plan.split
    if by is not None and (split is None or split.column != by):
        counted = "all rows together" if split is None else f"the groups of {split.column}"
        raise ParameterError(
            f"{window.name} was not split by {by}: it counted {counted}.",
            remedy=f"Measure it again with --by {by}.",
        )


def groups_of(state: State) -> tuple[str, ...]:
    """The groups of a state that have rows, the rest last."""
    return tuple(name for name in state.plan.groups if name in state.groups)


def group_words(name: str) -> str:
    """How a group is called: its value, or ``all others``."""
    return "all others" if name == OTHER_GROUP else name


def _split(source: Source, on: Window | None, by: str | None) -> Split | None:
    before = on.state.plan.split if on is not None else None
    if by is None or (before is not None and before.column == by):
        return before if by is not None else None
    return split_by(source, by)


def _profile(window: Window, by: str | None, suspects: tuple[Notice, ...] | None, *, fitted: bool) -> Profile:
    state = window.state
    columns = column_profiles(state, window.reference)
    groups = tuple(
        GroupProfile(
            name=name, rows=state.group_rows(name), columns=column_profiles(state, window.reference, name)
        )
        for name in (groups_of(state) if by is not None else ())
    )  # fmt: skip
    # The column that splits has one value in each group by design.
    inside = {group.name: [item for item in group.columns if item.name != by] for group in groups}
    notices = notices_of(columns, inside, fitted=fitted)
    # A sentinel says more of a constant column than that it is one.
    told = {(item.column, item.group) for item in suspects or ()}
    notices = tuple(item for item in notices if (item.column, item.group) not in told) + (suspects or ())
    return Profile(
        name=window.name,
        rows=state.rows,
        columns=columns,
        by=by,
        groups=groups,
        notices=notices,
        searched=suspects is not None,
        reference=window.reference,
        state=state,
    )
