"""A window against its reference, by column and by group. Owns the comparison and its verdicts; says nothing about harm.

Algorithm of ``compare_data``:
1. Cells are frozen on the reference, or taken from a window that was measured before; columns that either side lacks or
   reads in another way are set apart, since they are a fault of the feed and not a drift.
2. Each side that is still data is scanned once with the same plan, the current one split where groups are asked for.
3. The severity of each column of each group is judged by one rule over all of them; null, NaN, the infinities and unseen
   values have cells of their own, so a column that loses its values drifts.

Rules kept here:
1. The verdict is computed from two states alone, so a new tolerance, or the sum of other windows, needs no data.
2. What drifts opens an investigation and blocks nothing.
3. Instants move with the calendar, so that every window would drift: of a column of instants the nulls alone are judged,
   and its range is shown.
4. Texts that the reference saw seldom are judged together with the unseen ones: which of many rare values come up is
   chance. That they are WITHIN must hold for each by itself.
5. A group of the window is compared with the whole reference: a site that was always different shows as different.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.codec import to_json
from roadworthy.base.errors import ContractError, ParameterError
from roadworthy.base.interval import Interval
from roadworthy.measure.profile.columns import ColumnProfile, column_profiles
from roadworthy.measure.profile.profile import groups_of, require_split
from roadworthy.measure.profile.source import Source, split_by, table_source
from roadworthy.measure.profile.window_file import Window
from roadworthy.measure.table import Table
from roadworthy.measure.volume.accumulators import Cells, Special, Values
from roadworthy.measure.volume.plan import Kind
from roadworthy.measure.volume.profile_plan import profile_plan
from roadworthy.measure.volume.reference import CELLS, Reference, column_kinds, fit
from roadworthy.measure.volume.state import State
from roadworthy.stats.alarm import Alarm, AlertRule, Judgement, judge_columns
from roadworthy.stats.cells import CellCounts
from roadworthy.stats.difference import difference
from roadworthy.stats.drift import Effect, severity

DEFAULT_RULE = AlertRule(effect=Effect.PSI, tolerance=0.02, windows=100)
"""A PSI of 0.02 is a move of about 0.14 standard deviations of a normal column: less is seldom worth a look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnShift:
    """One column of one group in both windows.

    Attributes:
        name: of the column.
        group: of the current window; None for all its rows.
        reference: its profile there.
        current: its profile here.
        nulls_only: whether the judgement is about nulls alone, as for instants.
        judgement: severity with interval, and the three-valued alarm.
        null_change: share of nulls here less there, with interval.
    """

    name: str
    group: str | None
    reference: ColumnProfile
    current: ColumnProfile
    nulls_only: bool
    judgement: Judgement
    null_change: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A column that cannot be compared, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a window differs from the reference.

    Attributes:
        rule: that judged.
        reference_name: of the reference.
        current_name: of the window.
        by: the column that splits the window; None without a split.
        reference: frozen edges, units and values.
        reference_state: counts of the reference.
        current_state: counts of the window.
        columns: those that both have, in the reference's order, group after group.
        refused: columns of either that could not be compared.
    """

    rule: AlertRule
    reference_name: str
    current_name: str
    by: str | None
    reference: Reference = field(repr=False)
    reference_state: State = field(repr=False)
    current_state: State = field(repr=False)
    columns: tuple[ColumnShift, ...]
    refused: tuple[Refused, ...]

    def __repr__(self) -> str:
        """What it is about, and what it found."""
        counts = ", ".join(f"{len(self.of(alarm))} {alarm.value}" for alarm in Alarm)
        return f"Comparison({self.current_name!r} against {self.reference_name!r}: {counts})"

    @property
    def drifted(self) -> tuple[str, ...]:
        """The columns whose effect exceeds the tolerance, in any group; each once."""
        return tuple(dict.fromkeys(item.name for item in self.of(Alarm.EXCEEDS)))

    @property
    def groups(self) -> tuple[str | None, ...]:
        """The groups that were judged, in order; (None,) without a split."""
        return tuple(dict.fromkeys(item.group for item in self.columns))

    def of(self, alarm: Alarm) -> tuple[ColumnShift, ...]:
        """The columns with this answer."""
        return tuple(item for item in self.columns if item.judgement.alarm is alarm)

    def under(self, rule: AlertRule) -> "Comparison":
        """The same counts judged by another rule; no data is touched."""
        return compare_states(
            self.reference,
            self.reference_state,
            self.current_state,
            rule=rule,
            names=(self.reference_name, self.current_name),
            refused=self.refused,
            by=self.by,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; what is not known is null, instants are microseconds since 1970 (UTC)."""
        return {
            "rule": to_json(self.rule),
            "reference": {"name": self.reference_name, "rows": self.reference_state.rows},
            "current": {"name": self.current_name, "rows": self.current_state.rows},
            "by": self.by,
            "drifted": list(self.drifted),
            "columns": to_json(self.columns),
            "refused": to_json(self.refused),
            "reference_digest": self.reference.digest,
            "reference_state_digest": self.reference_state.digest,
            "current_state_digest": self.current_state.digest,
        }


def compare_tables(
    reference: Table,
    current: Table,
    *,
    rule: AlertRule = DEFAULT_RULE,
    cells: int = CELLS,
    columns: Sequence[str] | None = None,
    by: str | None = None,
    threads: int = 2,
) -> Comparison:
    """Compare a window with its reference in one scan of each.

    Args:
        reference: what is taken for normal; at least one row.
        current: the window; at least one row.
        rule: effect, tolerance and error budget.
        cells: of a number.
        columns: which to compare; all of the reference when None.
        by: a column of the window whose groups are judged apart, under one budget.
        threads: that read Parquet.

    Raises:
        ContractError: no such column (RW-106).
        ParameterError: not one column can be compared (RW-114).
        UnreadableData: a file broke while it was read (RW-103).
    """
    sides = table_source(reference, threads=threads), table_source(current, threads=threads)
    return compare_data(*sides, rule=rule, cells=cells, columns=columns, by=by)


def compare_data(
    reference: Source | Window,
    current: Source | Window,
    *,
    rule: AlertRule = DEFAULT_RULE,
    cells: int = CELLS,
    columns: Sequence[str] | None = None,
    by: str | None = None,
) -> Comparison:
    """Compare data or windows that were measured before, in any combination.

    Args:
        reference: what is taken for normal.
        current: the window.
        rule: effect, tolerance and error budget.
        cells: of a number, when they have to be frozen.
        columns: which to compare; all of the reference when None.
        by: a column of the window whose groups are judged apart, under one budget.

    Raises:
        ContractError: no such column (RW-106).
        ParameterError: two windows of different cells, a window that was not split by ``by``, or not one column that
            can be compared (RW-114).
        UnreadableData: a file broke while it was read (RW-103).
    """
    # 1. Freeze, on the columns that both have.
    frozen, refused = _shared(_frozen(reference, current, cells, columns), reference, current, columns, by)
    if not frozen.columns:
        raise ParameterError(
            f"{reference.name} and {current.name} have no column in common that is read alike.",
            remedy="Compare two windows of the same table.",
        )
    # 2. Scan what was not measured before.
    if isinstance(current, Window):
        require_split(current, by)
    before = reference.state if isinstance(reference, Window) else reference.count(profile_plan(frozen))
    if isinstance(current, Window):
        after = current.state
    else:
        after = current.count(profile_plan(frozen, split=split_by(current, by) if by is not None else None))
    # 3. Judge.
    names = reference.name, current.name
    return compare_states(frozen, before, after, rule=rule, names=names, refused=refused, by=by)


def compare_states(
    frozen: Reference,
    reference: State,
    current: State,
    *,
    rule: AlertRule = DEFAULT_RULE,
    names: tuple[str, str] = ("reference", "current"),
    refused: tuple[Refused, ...] = (),
    by: str | None = None,
) -> Comparison:
    """Compare two states of the same profile plan, without touching data.

    Args:
        frozen: the reference whose plan counted both; columns may have been left out of it since.
        reference: its own counts.
        current: the counts of the window, or of many that were joined.
        rule: effect, tolerance and error budget.
        names: how people call the two.
        refused: columns that were set apart before.
        by: the column that split the current state, to judge its groups apart; the reference is always taken as a
            whole.

    Raises:
        ParameterError: the states were not counted by this reference's plan (RW-114).
    """
    groups: tuple[str | None, ...] = (None,) if by is None else groups_of(current)
    before = column_profiles(reference, frozen)
    cells = [_cells(reference, frozen, item.name) for item in frozen.columns]
    supported = [_supported(shape, item.name, frozen, rule) for shape, item in zip(cells, frozen.columns, strict=True)]
    pairs = []
    counts = []
    for group in groups:
        pairs += [(group, *pair) for pair in zip(before, column_profiles(current, frozen, group), strict=True)]
        counts += [
            replace(shape, current=_row(current, frozen, item.name, group))
            for shape, item in zip(cells, frozen.columns, strict=True)
        ]
    judged = judge_columns(
        rule, [_lumped(each, kept) for each, kept in zip(counts, supported * len(groups), strict=True)]
    )
    return Comparison(
        rule=rule,
        reference_name=names[0],
        current_name=names[1],
        by=by,
        reference=frozen,
        reference_state=reference,
        current_state=current,
        columns=tuple(
            ColumnShift(
                name=old.name,
                group=group,
                reference=old,
                current=new,
                nulls_only=old.kind in _NULLS_ONLY,
                judgement=_confirmed(judgement, each, kept, rule),
                null_change=difference(old.null_share, new.null_share),
            )
            for (group, old, new), judgement, each, kept in zip(
                pairs, judged, counts, supported * len(groups), strict=True
            )
        ),
        refused=refused,
    )


_LEAST_SUPPORT = 50.0
_SEEN_FOR_CERTAIN = 5
_NULLS_ONLY = frozenset({Kind.INSTANT, Kind.OTHER})


def _frozen(
    reference: Source | Window, current: Source | Window, cells: int, columns: Sequence[str] | None
) -> Reference:
    """The cells: those of a window that was measured before, else fitted on the reference."""
    if isinstance(reference, Window) and isinstance(current, Window):
        if reference.reference.digest != current.reference.digest:
            raise ParameterError(
                f"{reference.name} and {current.name} were counted on different cells.",
                remedy="Measure the second with --reference and the file of the first.",
            )
        return reference.reference
    if isinstance(reference, Window):
        return reference.reference
    if isinstance(current, Window):
        # Whose cells they are does not matter, as long as they were frozen before the other side was counted.
        return current.reference
    return fit(reference.sample, cells=cells, columns=columns)


def _shared(
    frozen: Reference,
    reference: Source | Window,
    current: Source | Window,
    columns: Sequence[str] | None,
    by: str | None,
) -> tuple[Reference, tuple[Refused, ...]]:
    """The columns that can be compared, and the others with the reason."""
    there, here = _kinds(reference), _kinds(current)
    wanted = list(here | there) if columns is None else list(columns)
    refused = []
    for name in sorted(wanted, key=[*there, *here].index) if columns is None else wanted:
        if name not in there and name not in here:
            raise ContractError(f"There is no column {name!r} in {reference.name}.", remedy="Correct the name.")
        why = _obstacle(there.get(name), here.get(name), name == by)
        if why:
            refused.append(Refused(name=name, why=why))
    kept = {item.name for item in frozen.columns} & set(wanted) - {item.name for item in refused}
    return (
        Reference(
            columns=tuple(item for item in frozen.columns if item.name in kept),
            numbers=tuple(item for item in frozen.numbers if item.column in kept),
            values=tuple(item for item in frozen.values if item.column in kept),
        ),
        tuple(refused),
    )


def _obstacle(there: Kind | None, here: Kind | None, splits: bool) -> str:  # noqa: FBT001 - private, one caller
    if here is None:
        return "The window does not have it."
    if there is None:
        return "The reference does not have it."
    if there is not here:
        return f"It was read as {there.value} and is {here.value} now."
    return "Its values split the rows." if splits else ""


def _kinds(side: Source | Window) -> dict[str, Kind]:
    columns = side.reference.columns if isinstance(side, Window) else column_kinds(side.sample)
    return {item.name: item.kind for item in columns}


def _cells(state: State, frozen: Reference, name: str) -> CellCounts:
    """The reference's row of counts and the shape of the scale; its current row is filled in by the caller."""
    row = _row(state, frozen, name, None)
    edges = next((item.edges for item in frozen.numbers if item.column == name and item.kind is Kind.NUMBER), ())
    return CellCounts(reference=row, current=row, ordered=len(edges) + 1 if edges else 0, edges=edges)


def _supported(cells: CellCounts, name: str, frozen: Reference, rule: AlertRule) -> NDArray[np.bool_]:
    """Which cells of a column stand by themselves; of texts, those whose value the reference saw often enough."""
    row = np.asarray(cells.reference)
    keep = np.ones(row.size, dtype=np.bool_)
    value = next((item for item in frozen.values if item.column == name), None)
    if value is None or value.kind is not Kind.TEXT:
        return keep
    known, unseen = row[: len(value.known)], row[len(value.known)]
    if unseen == 0 and (known >= _SEEN_FOR_CERTAIN).all():
        # Nothing was picked: every value is here, and none by luck.
        return keep
    keep[: known.size] = known >= _support(rule)
    return keep


def _support(rule: AlertRule) -> float:
    """Rows that a text value needs to be looked at by itself.

    The values that a reference saw most often are winners: some of their lead is chance, and no window repeats it. With
    so many rows each, the lead is worth less than two thirds of the tolerance: about 0.65 / s of a PSI and 0.4 / sqrt(s)
    of a share, for a column of equally frequent values of which the upper half was picked, which is the worst case.
    """
    shares = rule.effect not in (Effect.PSI, Effect.JENSEN_SHANNON)
    return max(_LEAST_SUPPORT, 0.36 / rule.tolerance**2 if shares else 1 / rule.tolerance)


def _lumped(cells: CellCounts, keep: NDArray[np.bool_]) -> CellCounts:
    """The rare values and the unseen ones as one cell, so that a window with other rare values is no drift."""
    if keep.all():
        return cells
    rows = [np.asarray(row) for row in (cells.reference, cells.current)]
    # The cell of the unseen values stands after the known ones and before null.
    rare = ~keep
    rare[-2] = True
    reference, current = ([*row[~rare], row[rare].sum()] for row in rows)
    return replace(cells, reference=reference, current=current)


def _confirmed(judgement: Judgement, cells: CellCounts, keep: NDArray[np.bool_], rule: AlertRule) -> Judgement:
    """WITHIN must hold for every value by itself: what was lumped together could have moved unseen."""
    if judgement.alarm is not Alarm.WITHIN or keep.all():
        return judgement
    finest = severity(rule.effect, cells.reference, cells.current, ordered=0, confidence=rule.confidence)
    if finest.known and finest.upper <= rule.tolerance:
        return judgement
    return replace(judgement, alarm=Alarm.CANNOT_TELL)


def _row(state: State, frozen: Reference, name: str, group: str | None) -> list[int]:
    """Ordered cells first, then null, NaN and the infinities; for texts known values, the unseen and null."""
    special = [number or 0 for number in state.result(Special(column=name), group)]
    value = next((item for item in frozen.values if item.column == name), None)
    if value is not None:
        known = state.result(Values(column=name, known=value.known), group)
        return [*(number or 0 for number in known), special[0]]
    number = next((item for item in frozen.numbers if item.column == name), None)
    if number is not None and number.edges and number.kind is Kind.NUMBER:
        cells = state.result(Cells(column=name, edges=number.edges), group)
        return [*(count or 0 for count in cells), *special]
    # Instants, types that cannot be told apart, and numbers of which the reference had none.
    return [state.group_rows(group) - sum(special), *special]
