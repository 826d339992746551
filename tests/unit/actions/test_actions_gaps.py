"""What people decide about gaps."""

import math
from dataclasses import replace
from typing import Any

import pytest
from actions_world import PRODUCER, PROFILE, START, World

from roadworthy.actions.gaps import assign_gap, defer_gap, invalidate
from roadworthy.base.errors import DependencyCycle, InputError, UnknownCriterion
from roadworthy.domain.criterion import Effort
from roadworthy.domain.gap import Assignment
from roadworthy.domain.use_case import Part
from roadworthy.domain.waiver import Deferral, Invalidation
from roadworthy.gates.plan import LONGEST_DAYS

ASSIGNMENT = Assignment(
    criterion_id="T1",
    owner="platform",
    effort=Effort(low_days=1, likely_days=2, high_days=3),
    depends_on=None,
    deadline_at=None,
    assigned_by="ben",
    assigned_at=START.replace(hour=13),
)
DEFERRAL = Deferral(
    criterion_id="T1",
    reason="no staff",
    work="the load test",
    cost_days=3,
    target_stage="adopt",
    decided_by="ada",
    decided_at=START.replace(hour=13),
)


def assign(world: World, **changes: Any) -> None:
    world.write_undated(assign_gap, profile=PROFILE, assignment=replace(ASSIGNMENT, **changes))


def test_each_verb_writes_exactly_one_entry(world: World) -> None:
    """And the case file has what was said."""
    before = world.size
    event = Invalidation(happened_at=START, criterion_ids=("T1",), parts=frozenset(), reason="incident 7")
    assign(world)
    world.write_undated(defer_gap, profile=PROFILE, deferral=DEFERRAL)
    world.write(invalidate, profile=PROFILE, invalidation=event, actor=PRODUCER, at=START.replace(hour=14))
    case = world.case()
    assert world.size == before + 3
    assert case.assignments == {"T1": ASSIGNMENT}
    assert case.deferrals == {"T1": DEFERRAL}
    assert case.invalidations == [event]


@pytest.mark.parametrize("effort", [(3, 2, 1), (0, 1, 2), (1, 2, math.nan), (-1, 1, 2)])
def test_an_effort_out_of_order_is_refused(world: World, effort: tuple[float, float, float]) -> None:
    """Optimistic, likely, pessimistic."""
    low, likely, high = effort
    with pytest.raises(InputError, match="not in order"):
        assign(world, effort=Effort(low_days=low, likely_days=likely, high_days=high))


@pytest.mark.parametrize("longest", [LONGEST_DAYS * 1.01, math.inf])
def test_an_effort_that_no_plan_takes_is_refused_before_it_stops_every_plan(world: World, longest: float) -> None:
    """A hundred years is the most, for the planner as here."""
    before = world.size
    with pytest.raises(InputError, match="longer than 36525 days"):
        assign(world, effort=Effort(low_days=1, likely_days=2, high_days=longest))
    assert world.size == before
    assign(world, effort=Effort(low_days=1, likely_days=2, high_days=LONGEST_DAYS))


@pytest.mark.parametrize("changes", [{"criterion_id": "X9"}, {"depends_on": ("X9",)}])
def test_an_unknown_criterion_is_refused(world: World, changes: dict[str, Any]) -> None:
    """RW-107, with those that there are."""
    with pytest.raises(UnknownCriterion) as caught:
        assign(world, **changes)
    assert caught.value.remedy == "Known: T1, G1, A1."


@pytest.mark.parametrize("depends_on", [("T1",), ("G1",)])
def test_a_circle_is_refused_before_it_stops_every_plan(world: World, depends_on: tuple[str, ...]) -> None:
    """T1 on itself, and T1 on G1, which the pack makes wait for T1."""
    before = world.size
    with pytest.raises(DependencyCycle) as caught:
        assign(world, depends_on=depends_on)
    assert caught.value.code == "RW-112"
    assert world.size == before


def test_a_circle_over_two_assignments_is_refused_and_a_cleared_dependency_is_not(world: World) -> None:
    """What people set before counts, in place of the pack's."""
    assign(world, criterion_id="G1", depends_on=("A1",))
    with pytest.raises(DependencyCycle):
        assign(world, criterion_id="A1", depends_on=("G1",))
    assign(world, criterion_id="G1", depends_on=())
    assign(world, criterion_id="A1", depends_on=("G1",))
    assert world.case().assignments["A1"].depends_on == ("G1",)


@pytest.mark.parametrize("changes", [{"reason": " "}, {"work": ""}, {"cost_days": 0}, {"cost_days": math.inf}])
def test_a_deferral_without_its_price_is_refused(world: World, changes: dict[str, Any]) -> None:
    """Reason, work and cost."""
    before = world.size
    with pytest.raises(InputError, match="deferral names"):
        world.write_undated(defer_gap, profile=PROFILE, deferral=replace(DEFERRAL, **changes))
    assert world.size == before


@pytest.mark.parametrize("cost_days", [-1.0, math.nan, LONGEST_DAYS * 1.01])
def test_a_deferral_whose_price_is_no_number_of_days_is_refused(world: World, cost_days: float) -> None:
    """Negative, NaN, or more than can be planned."""
    with pytest.raises(InputError, match="deferral names"):
        world.write_undated(defer_gap, profile=PROFILE, deferral=replace(DEFERRAL, cost_days=cost_days))


def test_an_event_about_nothing_is_refused(world: World) -> None:
    """It names criteria or parts."""
    nothing = Invalidation(happened_at=START, criterion_ids=(), parts=frozenset(), reason="something")
    with pytest.raises(InputError, match="neither"):
        world.write(invalidate, profile=PROFILE, invalidation=nothing, actor=PRODUCER)
    part = replace(nothing, parts=frozenset({Part.MODEL}))
    world.write(invalidate, profile=PROFILE, invalidation=part, actor=PRODUCER)
    assert world.store.records()[-1].subject == "model"


def test_an_event_about_an_unknown_criterion_is_refused(world: World) -> None:
    """RW-107."""
    event = Invalidation(happened_at=START, criterion_ids=("X9",), parts=frozenset(), reason="incident")
    with pytest.raises(UnknownCriterion):
        world.write(invalidate, profile=PROFILE, invalidation=event, actor=PRODUCER)
