"""When the gate can open. Owns the schedule of the open gaps: critical path, likely dates, and the load of their owners.

Nothing here decides anything: the only random numbers of the gates live in this file, from a seed that is given.

Rules kept here:
1. A gap starts when all that it depends on is closed, and when its owner is free: one owner closes one gap at a time.
2. Efforts are person-days; an owner gives ``capacity`` of them each working day. Working days are Monday to Friday.
3. Equal gaps, start and seed give an equal plan, in any order of the gaps.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import InputError
from roadworthy.domain.criterion import Effort
from roadworthy.domain.gap import Gap
from roadworthy.gates.order import cheapest_order, require_acyclic

LONGEST_DAYS = 36_525.0
_LEAST_CAPACITY = 0.01
_MOST_CAPACITY = 100.0
_SAME = 1e-9
"""Relative difference below which two lengths of time are one: sums of doubles differ in their last digits."""

_WORKING_DAYS_A_WEEK = 5

_AT_ONCE_DAYS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """When one gap can be closed, in working days from the start, by likely effort.

    Attributes:
        criterion_id: whose gap.
        owner: who closes it.
        duration_days: likely effort over capacity.
        earliest_start_days, earliest_finish_days: when everything before it goes as is likely.
        latest_start_days, latest_finish_days: without delaying the end.
        slack_days: what it can lose without delaying the end.
        starts_on, finishes_on: first and last working day of it, at the earliest.
        criticality_share: share of the simulated courses in which it delays the end, in [0, 1].
        waits_for: gaps that come first, by dependency or because they occupy its owner.
    """

    criterion_id: str
    owner: str
    duration_days: float
    earliest_start_days: float
    earliest_finish_days: float
    latest_start_days: float
    latest_finish_days: float
    slack_days: float
    starts_on: date
    finishes_on: date
    criticality_share: float
    waits_for: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When all open gaps can be closed.

    Attributes:
        start_on: the day from which it is planned.
        seed, draws: of the simulation.
        slots: in order of their earliest start.
        critical_path: gaps that decide the end, first to last.
        likely_days: working days until the end by likely effort.
        likely_on: the day on which that falls.
        p50_on, p90_on: days by which half, and nine tenths, of the simulated courses have ended.
        effort_likely_days: person-days in sum.
        load_days: person-days by owner.
        cheapest_order: gaps with dependencies first and cheap progress first.
    """

    start_on: date
    seed: int
    draws: int
    slots: tuple[Slot, ...]
    critical_path: tuple[str, ...]
    likely_days: float
    likely_on: date
    p50_on: date
    p90_on: date
    effort_likely_days: float
    load_days: Mapping[str, float]
    cheapest_order: tuple[str, ...]


def plan(gaps: Sequence[Gap], *, start: date, seed: int, draws: int = 10_000, capacity: float = 1.0) -> Plan:
    """Plan the closing of gaps.

    1. put the gaps in line, owner by owner (``_line_up``); 2. forward and backward pass over the resulting network by
    likely effort (critical path method, Kelley and Walker 1959); 3. the same two passes over ``draws`` simulated courses
    at once, with efforts drawn from PERT-beta distributions; 4. a gap is critical in a course when its slack is nil.

    Args:
        gaps: open gaps; dependencies on others are closed already.
        start: first day; work begins on it, or on the Monday after a weekend.
        seed: of the simulation.
        draws: simulated courses, at least 1.
        capacity: person-days of each owner in a working day, in [0.01, 100].

    Raises:
        DependencyCycle: gaps wait for each other (RW-112).
        InputError: an effort is not in order, or ``draws`` or ``capacity`` out of range (RW-100).
    """
    _require(gaps, draws, capacity)
    ordered = sorted(gaps, key=lambda gap: gap.criterion_id)
    ids = {gap.criterion_id for gap in ordered}
    depends_on = {gap.criterion_id: tuple(d for d in gap.depends_on if d in ids) for gap in ordered}
    require_acyclic(depends_on)
    likely = {gap.criterion_id: np.array([gap.effort.likely_days / capacity]) for gap in ordered}
    # 1
    network = _line_up(ordered, depends_on, {gap: float(days[0]) for gap, days in likely.items()})
    # 2
    times = _passes(network, likely)
    # 3
    generator = np.random.default_rng(seed)
    drawn = {gap.criterion_id: _draw(gap.effort, generator, draws) / capacity for gap in ordered}
    simulated = _passes(network, drawn)
    p50_days, p90_days = np.quantile(simulated.end, [0.5, 0.9], method="inverted_cdf")
    slots = tuple(
        _slot(gap, network[gap.criterion_id], times, float(simulated.critical(gap.criterion_id).mean()), start)
        for gap in ordered
    )
    likely_days = float(times.end[0])
    return Plan(
        start_on=start,
        seed=seed,
        draws=draws,
        slots=tuple(sorted(slots, key=lambda slot: (slot.earliest_start_days, slot.criterion_id))),
        critical_path=_critical_path(network, times),
        likely_days=likely_days,
        likely_on=working_day(start, likely_days),
        p50_on=working_day(start, float(p50_days)),
        p90_on=working_day(start, float(p90_days)),
        effort_likely_days=sum(gap.effort.likely_days for gap in ordered),
        load_days=_load(ordered),
        cheapest_order=cheapest_order({g.criterion_id: g.effort.likely_days for g in ordered}, depends_on),
    )


def _require(gaps: Iterable[Gap], draws: int, capacity: float) -> None:
    if draws < 1 or not _LEAST_CAPACITY <= capacity <= _MOST_CAPACITY:
        raise InputError(
            f"{draws} draws with a capacity of {capacity:g} cannot be planned.",
            remedy=f"Give at least one draw, and {_LEAST_CAPACITY:g} to {_MOST_CAPACITY:g} person-days a day.",
        )
    for gap in gaps:
        effort = gap.effort
        if not 0 <= effort.low_days <= effort.likely_days <= effort.high_days <= LONGEST_DAYS:
            raise InputError(
                f"The effort {effort.low_days:g}, {effort.likely_days:g}, {effort.high_days:g} is not in order.",
                remedy="Give optimistic, likely and pessimistic person-days, for example 2,3,8.",
                where=gap.criterion_id,
            )


def _line_up(
    gaps: Sequence[Gap], depends_on: Mapping[str, Sequence[str]], days: Mapping[str, float]
) -> dict[str, tuple[str, ...]]:
    """Predecessors of every gap, dependencies and owner's previous gap together, in an order that can be worked off.

    Serial schedule generation: 1. eligible is whatever has all dependencies placed; 2. place the one that can start
    first; among equals the one with the longest path still ahead of it, then the smaller id; 3. its owner is busy until
    it ends, so it precedes the owner's next one. What takes half a day at most neither waits for its owner nor keeps
    them busy: nobody puts an hour's work off for weeks.
    """
    owner = {gap.criterion_id: gap.owner for gap in gaps}
    ahead = _longest_ahead(depends_on, days)
    finish: dict[str, float] = {}
    last: dict[str, str] = {}
    network: dict[str, tuple[str, ...]] = {}
    while len(network) < len(owner):
        # 1
        eligible = [gap for gap in owner if gap not in network and all(d in network for d in depends_on[gap])]
        before = {gap: {*depends_on[gap], *_queue(gap, owner[gap], days, last)} for gap in eligible}
        start = {gap: max((finish[other] for other in before[gap]), default=0.0) for gap in eligible}
        # 2
        chosen = min(eligible, key=lambda gap: (start[gap], -ahead[gap], gap))
        # 3
        network[chosen] = tuple(sorted(before[chosen]))
        finish[chosen] = start[chosen] + days[chosen]
        if days[chosen] > _AT_ONCE_DAYS:
            last[owner[chosen]] = chosen
    return network


def _queue(gap: str, owner: str, days: Mapping[str, float], last: Mapping[str, str]) -> tuple[str, ...]:
    """The owner's previous gap, for which this one has to wait; none for what takes half a day at most."""
    return (last[owner],) if owner in last and days[gap] > _AT_ONCE_DAYS else ()


def _longest_ahead(depends_on: Mapping[str, Sequence[str]], days: Mapping[str, float]) -> dict[str, float]:
    """Length of the longest chain of dependents that starts with each gap, its own duration included."""
    ahead: dict[str, float] = {}
    while len(ahead) < len(depends_on):
        for gap in depends_on:
            dependents = [other for other, waits in depends_on.items() if gap in waits]
            if gap not in ahead and all(other in ahead for other in dependents):
                ahead[gap] = days[gap] + max((ahead[other] for other in dependents), default=0.0)
    return ahead


@dataclass(frozen=True, slots=True)
class _Times:
    """Both passes over all courses at once; every array has one element for each course."""

    duration: Mapping[str, NDArray[np.float64]]
    earliest_finish: dict[str, NDArray[np.float64]]
    latest_finish: dict[str, NDArray[np.float64]]
    end: NDArray[np.float64]

    def slack(self, gap: str) -> NDArray[np.float64]:
        slack = self.latest_finish[gap] - self.earliest_finish[gap]
        return np.where(slack <= _SAME * (1 + self.end), 0.0, slack)

    def critical(self, gap: str) -> NDArray[np.bool_]:
        critical: NDArray[np.bool_] = self.slack(gap) == 0.0
        return critical


def _passes(network: dict[str, tuple[str, ...]], days: Mapping[str, NDArray[np.float64]]) -> _Times:
    courses = next(iter(days.values())).shape if days else (1,)
    earliest: dict[str, NDArray[np.float64]] = {}
    end = np.zeros(courses)
    for gap, before in network.items():
        start = np.zeros(courses)
        for other in before:
            start = np.maximum(start, earliest[other])
        earliest[gap] = start + days[gap]
        end = np.maximum(end, earliest[gap])
    latest = {gap: end.copy() for gap in network}
    for gap in reversed(network):
        for other in network[gap]:
            latest[other] = np.minimum(latest[other], latest[gap] - days[gap])
    return _Times(days, earliest, latest, end)


def _draw(effort: Effort, generator: np.random.Generator, draws: int) -> NDArray[np.float64]:
    """Efforts from the PERT-beta distribution (Malcolm et al. 1959): a beta whose mode is the likely effort, weight 4."""
    low, likely, high = effort.low_days, effort.likely_days, effort.high_days
    span = high - low
    if span <= 0:
        return np.full(draws, likely)
    return low + span * generator.beta(1 + 4 * (likely - low) / span, 1 + 4 * (high - likely) / span, draws)


def _critical_path(network: Mapping[str, tuple[str, ...]], times: _Times) -> tuple[str, ...]:
    """From the gap that ends last backwards, each time to the predecessor that ends last; ties go to the smaller id."""

    def ends_last(gaps: Iterable[str]) -> str:
        return min(gaps, key=lambda gap: (-float(times.earliest_finish[gap][0]), gap))

    if not network:
        return ()
    path = [ends_last(network)]
    while network[path[-1]]:
        path.append(ends_last(network[path[-1]]))
    return tuple(reversed(path))


def _slot(gap: Gap, waits_for: tuple[str, ...], times: _Times, criticality_share: float, start: date) -> Slot:
    duration = float(times.duration[gap.criterion_id][0])
    earliest_finish = float(times.earliest_finish[gap.criterion_id][0])
    slack = float(times.slack(gap.criterion_id)[0])
    earliest_start = earliest_finish - duration
    return Slot(
        criterion_id=gap.criterion_id,
        owner=gap.owner,
        duration_days=duration,
        earliest_start_days=earliest_start,
        earliest_finish_days=earliest_finish,
        latest_start_days=earliest_start + slack,
        latest_finish_days=earliest_finish + slack,
        slack_days=slack,
        # It starts on the day after the last full day before it; work of no length, on the day on which it ends.
        starts_on=min(
            working_day(start, float(np.floor(earliest_start + _SAME)) + 1), working_day(start, earliest_finish)
        ),
        finishes_on=working_day(start, earliest_finish),
        criticality_share=criticality_share,
        waits_for=waits_for,
    )


def _load(gaps: Iterable[Gap]) -> dict[str, float]:
    load: dict[str, float] = {}
    for gap in gaps:
        load[gap.owner] = load.get(gap.owner, 0.0) + gap.effort.likely_days
    return dict(sorted(load.items()))


def working_day(start: date, days: float) -> date:
    """The day on which ``days`` working days of work end: anything up to 1 ends on the first working day.

    Raises:
        InputError: the calendar ends before (RW-100).
    """
    count = max(1, int(np.ceil(days - _SAME)))
    try:
        monday = start - timedelta(days=start.weekday())
        offset = min(start.weekday(), _WORKING_DAYS_A_WEEK) + count - 1
        weeks, weekday = divmod(offset, _WORKING_DAYS_A_WEEK)
        return monday + timedelta(weeks=weeks, days=weekday)
    except OverflowError as error:
        raise InputError(
            f"{days:g} working days from {start.isoformat()} lie beyond the calendar.", remedy="Plan less at a time."
        ) from error
