"""The gap register and its plan, as people read them. Owns joining gaps with their slots; scheduling belongs to ``gates``.

Rules kept here:
1. The register is sorted by what delays the gate most: criticality, then start; a deferred gap stands last.
2. Days are ISO text, because the canonical form of an instant is not one of a day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from roadworthy.domain.criterion import Effort
from roadworthy.domain.decision import Decision, State
from roadworthy.domain.gap import Gap, GapKind
from roadworthy.domain.people import Role
from roadworthy.gates.plan import Plan, Slot
from roadworthy.reports.words import day_words, effort_words, enum_words, in_words, kind_words, number, state_word

_ROUGH_DAYS = 10.0
"""From so many person-days on, fractions of one would only look exact."""

_ROLES = {role.value: enum_words(role) for role in Role}


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRow:
    """One open gap with its place in the plan.

    Attributes:
        criterion_id: whose gap.
        title: of the criterion.
        state: why it is open.
        state_word: the same for people.
        reason: of the decision, one sentence.
        kind: what it takes.
        kind_words: the same for people.
        remedy: what to do first.
        owner: person, team or role.
        effort: person-days.
        effort_words: ``2–8 d``.
        depends_on: open gaps that come first.
        after_same_owner: gaps that only come first because the same owner does them.
        unblocks: gaps that depend on it.
        slack_days: working days that it can lose without delaying the end.
        slack_words: ``none`` or ``3.5 d``.
        criticality_share: share of simulated courses in which it delays the end, in [0, 1].
        on_critical_path: by likely effort.
        starts_on, finishes_on: ISO days, at the earliest.
        finish_words: ``9 Dec``.
        deadline_at: when it must be closed.
        late: whether the plan finishes it after its deadline.
        deferred: why later, when somebody decided so.
        blocking: whether it keeps the gate closed; a waived one does not.
    """

    criterion_id: str
    title: str
    state: State
    state_word: str
    reason: str
    kind: GapKind
    kind_words: str
    remedy: str
    owner: str
    effort: Effort
    effort_words: str
    depends_on: tuple[str, ...]
    after_same_owner: tuple[str, ...]
    unblocks: tuple[str, ...]
    slack_days: float
    slack_words: str
    criticality_share: float
    on_critical_path: bool
    starts_on: str
    finishes_on: str
    finish_words: str
    deadline_at: datetime | None
    late: bool
    deferred: str | None
    blocking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the cheapest way to open the gate."""

    criterion_id: str
    title: str
    remedy: str
    owner: str
    effort_words: str
    unblocks: tuple[str, ...]
    waits_for: tuple[str, ...]
    on_critical_path: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """When all open gaps can be closed.

    Attributes:
        start_on, p50_on, p90_on: ISO days; half, and nine tenths, of the simulated courses have ended by the last two.
        p50_words, p90_words: ``9 Dec``.
        person_days: likely effort in sum.
        person_days_words: the same, rounded for reading.
        critical_path: gaps that decide the end, first to last.
        cheapest: the cheapest way to open the gate.
        load_days: person-days by owner.
        draws: simulated courses.
        deferred: gaps that somebody put off; the dates hold only once they are taken up.
    """

    start_on: str
    p50_on: str
    p90_on: str
    p50_words: str
    p90_words: str
    person_days: float
    person_days_words: str
    critical_path: tuple[str, ...]
    cheapest: tuple[Step, ...]
    load_days: Mapping[str, float]
    draws: int
    deferred: tuple[str, ...]


def gap_rows(gaps: Sequence[Gap], plan: Plan, decision: Decision) -> tuple[GapRow, ...]:
    """The register.

    Args:
        gaps: open gaps; the plan was made of the same ones.
        plan: their schedule.
        decision: which of them block.
    """
    slots = {slot.criterion_id: slot for slot in plan.slots}
    waited_for = {gap.criterion_id: _waited_for_by(gap, gaps) for gap in gaps}
    rows = [
        _row(
            gap,
            slots[gap.criterion_id],
            waited_for[gap.criterion_id],
            plan,
            blocking=gap.criterion_id in decision.blocking,
        )
        for gap in gaps
    ]
    rows.sort(key=lambda row: (row.deferred is not None, -row.criticality_share, row.starts_on, row.criterion_id))
    return tuple(rows)


def _waited_for_by(gap: Gap, gaps: Sequence[Gap]) -> tuple[str, ...]:
    return tuple(other.criterion_id for other in gaps if gap.criterion_id in other.depends_on)


def _row(gap: Gap, slot: Slot, unblocks: tuple[str, ...], plan: Plan, *, blocking: bool) -> GapRow:
    late = gap.deadline_at is not None and slot.finishes_on > gap.deadline_at.date()
    return GapRow(
        criterion_id=gap.criterion_id,
        title=gap.title,
        state=gap.state,
        state_word=state_word(gap.state),
        reason=in_words(gap.reason),
        kind=gap.kind,
        kind_words=kind_words(gap.kind),
        remedy=in_words(gap.remedy),
        owner=owner_words(gap.owner),
        effort=gap.effort,
        effort_words=effort_words(gap.effort),
        depends_on=gap.depends_on,
        after_same_owner=tuple(other for other in slot.waits_for if other not in gap.depends_on),
        unblocks=unblocks,
        slack_days=slot.slack_days,
        slack_words=f"{number(round(slot.slack_days, 1))} d" if slot.slack_days > 0 else "none",
        criticality_share=slot.criticality_share,
        on_critical_path=gap.criterion_id in plan.critical_path,
        starts_on=slot.starts_on.isoformat(),
        finishes_on=slot.finishes_on.isoformat(),
        finish_words=day_words(slot.finishes_on, plan.start_on),
        deadline_at=gap.deadline_at,
        late=late,
        deferred=gap.deferred,
        blocking=blocking,
    )


def plan_summary(rows: Sequence[GapRow], plan: Plan, decision: Decision) -> PlanSummary | None:
    """The plan of the register; None when no gap is open."""
    if not rows:
        return None
    by_id = {row.criterion_id: row for row in rows}
    order = [criterion_id for criterion_id in decision.unblock_order if criterion_id in by_id]
    return PlanSummary(
        start_on=plan.start_on.isoformat(),
        p50_on=plan.p50_on.isoformat(),
        p90_on=plan.p90_on.isoformat(),
        p50_words=day_words(plan.p50_on, plan.start_on),
        p90_words=day_words(plan.p90_on, plan.start_on),
        person_days=plan.effort_likely_days,
        person_days_words=_days_words(plan.effort_likely_days),
        critical_path=plan.critical_path,
        cheapest=tuple(_step(by_id[criterion_id]) for criterion_id in order),
        load_days={owner_words(owner): days for owner, days in plan.load_days.items()},
        draws=plan.draws,
        deferred=tuple(row.criterion_id for row in rows if row.deferred is not None),
    )


def _step(row: GapRow) -> Step:
    return Step(
        criterion_id=row.criterion_id,
        title=row.title,
        remedy=row.remedy,
        owner=row.owner,
        effort_words=row.effort_words,
        unblocks=row.unblocks,
        waits_for=row.depends_on,
        on_critical_path=row.on_critical_path,
    )


def owner_words(owner: str) -> str:
    """A role as words; the name of a person or team as it is."""
    return _ROLES.get(owner, owner)


def _days_words(days: float) -> str:
    if days == 1:
        return "1 person-day"
    return f"{number(days if days < _ROUGH_DAYS else round(days))} person-days"
