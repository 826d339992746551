from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.errors import DependencyCycle, InputError
from roadworthy.domain.criterion import Effort
from roadworthy.domain.decision import State
from roadworthy.domain.gap import Gap, GapKind
from roadworthy.gates.plan import plan, working_day

MONDAY = date(2026, 11, 23)


def gap(id_, days, *depends_on, owner=None, low=None, high=None):
    effort = Effort(low_days=days if low is None else low, likely_days=days, high_days=days if high is None else high)
    return Gap(
        criterion_id=id_,
        title=id_,
        state=State.MISSING,
        reason="-",
        kind=GapKind.RUN,
        remedy="-",
        owner=owner or f"owner of {id_}",
        effort=effort,
        depends_on=depends_on,
        deadline_at=None,
        deferred=None,
    )


def planned(*gaps, **changes):
    return plan(gaps, **({"start": MONDAY, "seed": 1, "draws": 200} | changes))


def slot(found, id_):
    return next(each for each in found.slots if each.criterion_id == id_)


def test_a_diamond():
    """The longer branch decides the end; the shorter has slack."""
    found = planned(gap("A", 1), gap("B", 5, "A"), gap("C", 2, "A"), gap("D", 1, "B", "C"))
    assert found.critical_path == ("A", "B", "D")
    assert (found.likely_days, found.likely_on) == (7.0, date(2026, 12, 1))
    loose = slot(found, "C")
    assert (loose.earliest_start_days, loose.earliest_finish_days) == (1.0, 3.0)
    assert (loose.latest_start_days, loose.latest_finish_days, loose.slack_days) == (4.0, 6.0, 3.0)
    assert (loose.starts_on, loose.finishes_on) == (date(2026, 11, 24), date(2026, 11, 25))
    assert loose.criticality_share == 0.0
    assert [slot(found, each).criticality_share for each in "ABD"] == [1.0, 1.0, 1.0]
    assert [slot(found, each).slack_days for each in "ABD"] == [0.0, 0.0, 0.0]
    assert [each.criterion_id for each in found.slots] == ["A", "B", "C", "D"]


def test_one_owner_does_one_thing_at_a_time():
    """Equal start: the gap with the longest path ahead of it goes first."""
    found = planned(gap("A", 1, owner="x"), gap("B", 1, owner="x"), gap("C", 4, "B"))
    assert slot(found, "A").waits_for == ("B",)
    assert found.critical_path == ("B", "C")
    assert found.load_days == {"owner of C": 4, "x": 2}
    assert found.effort_likely_days == 6


def test_nobody_idles_for_a_gap_that_cannot_start():
    """What can start now goes before what is more urgent but must wait."""
    found = planned(gap("A", 3), gap("B", 9, "A", owner="x"), gap("C", 2, owner="x"))
    assert slot(found, "C").earliest_start_days == 0.0
    assert slot(found, "B").earliest_start_days == 3.0
    assert slot(found, "B").waits_for == ("A", "C")


def test_capacity_stretches_and_shrinks():
    """Half a day of work in a day takes twice as long."""
    assert planned(gap("A", 3), capacity=0.5).likely_days == 6.0
    assert planned(gap("A", 3), capacity=2.0).likely_days == 1.5


def test_without_spread_the_simulation_is_the_likely_course():
    """Three equal efforts leave nothing to draw."""
    found = planned(gap("A", 3), gap("B", 3, "A"))
    assert found.p50_on == found.p90_on == found.likely_on == date(2026, 11, 30)


def test_spread_moves_the_dates_apart():
    """Half the courses, and nine tenths; PERT-beta has its mean at (low + 4 likely + high) / 6."""
    found = planned(gap("A", 10, low=8, high=60), draws=10_000)
    assert found.likely_on < found.p50_on < found.p90_on
    generator = np.random.default_rng(7)
    mean = (8 + 52 * generator.beta(1 + 4 * 2 / 52, 1 + 4 * 50 / 52, 10_000)).mean()
    assert mean == pytest.approx((8 + 40 + 60) / 6, rel=0.02)
    assert abs((working_day(MONDAY, mean) - found.p50_on).days) <= 7


def test_criticality_is_a_share_of_courses():
    """Two like branches: each is critical about half of the time, and one of them always."""
    found = planned(gap("A", 5, low=1, high=9), gap("B", 5, low=1, high=9), draws=4000)
    shares = [slot(found, each).criticality_share for each in "AB"]
    assert shares == [pytest.approx(0.5, abs=0.05)] * 2
    assert sum(shares) == pytest.approx(1.0)


def test_the_order_of_the_gaps_does_not_matter():
    """Nor does a dependency on a gap that is closed."""
    gaps = [gap("A", 2, high=5, owner="x"), gap("B", 2, "Z", owner="x"), gap("C", 1, "A", high=4)]
    assert planned(*gaps) == planned(*reversed(gaps))


def test_the_seed_decides():
    """The same seed gives the same plan."""
    gaps = [gap("A", 20, low=1, high=99)]
    assert planned(*gaps, seed=3) == planned(*gaps, seed=3)
    assert planned(*gaps, seed=3).p90_on != planned(*gaps, seed=8).p90_on


def test_no_gaps_need_no_time():
    """The plan of an open gate is empty."""
    found = planned()
    assert (found.slots, found.critical_path, found.likely_days) == ((), (), 0.0)
    assert found.p90_on == MONDAY


def test_cheapest_order_is_part_of_the_plan():
    """As the decision orders it."""
    assert planned(gap("A", 5), gap("B", 1, "A"), gap("C", 2)).cheapest_order == ("C", "A", "B")


def test_a_circle_is_an_error():
    """Its members are named."""
    with pytest.raises(DependencyCycle, match="A waits for B waits for A"):
        planned(gap("A", 1, "B"), gap("B", 1, "A"))


@pytest.mark.parametrize("changes", [{"draws": 0}, {"capacity": 0.0}, {"capacity": float("nan")}, {"capacity": 101.0}])
def test_impossible_settings_are_refused(changes):
    """With the remedy."""
    with pytest.raises(InputError):
        planned(gap("A", 1), **changes)


@pytest.mark.parametrize("effort", [(2, 1, 3), (1, 3, 2), (-1, 1, 1), (float("nan"), 1, 1), (1, 1, 1e9)])
def test_an_effort_out_of_order_is_refused(effort):
    """Optimistic, likely, pessimistic; the gap is named."""
    low, likely, high = effort
    broken = replace(gap("A", 1), effort=Effort(low_days=low, likely_days=likely, high_days=high))
    with pytest.raises(InputError) as caught:
        planned(broken)
    assert caught.value.where == "A"


@pytest.mark.parametrize(
    ("start", "days", "ends"),
    [
        (MONDAY, 0.0, MONDAY),
        (MONDAY, 1.0, MONDAY),
        (MONDAY, 1.0 + 1e-12, MONDAY),
        (MONDAY, 1.1, date(2026, 11, 24)),
        (MONDAY, 5.0, date(2026, 11, 27)),
        (MONDAY, 6.0, date(2026, 11, 30)),
        (date(2026, 11, 27), 2.0, date(2026, 11, 30)),
        (date(2026, 11, 28), 1.0, date(2026, 11, 30)),
        (date(2026, 11, 29), 1.0, date(2026, 11, 30)),
    ],
)
def test_working_days_are_monday_to_friday(start, days, ends):
    """A day that is begun is a day."""
    assert working_day(start, days) == ends


def test_a_plan_beyond_the_calendar_is_refused():
    """A century at a hundredth of a day."""
    with pytest.raises(InputError, match="beyond the calendar"):
        planned(gap("A", 36_000), capacity=0.01)


def longest_path(network, days):
    """Oracle: every path of the network, one by one."""
    after = {id_: [other for other, before in network.items() if id_ in before] for id_ in network}

    def paths(id_):
        yield from ([id_, *rest] for other in after[id_] for rest in paths(other))
        yield [id_]

    return max(((sum(days[i] for i in path), path) for id_ in network for path in paths(id_)), default=(0, []))


@given(
    st.lists(st.tuples(st.integers(0, 8), st.sets(st.integers(0, 6)), st.sampled_from("xyz")), max_size=7),
)
def test_the_end_is_the_longest_path(rows):
    """Against brute force over all paths, dependencies and owners together; owners never do two things at once."""
    gaps = [
        gap(f"G{n}", float(days), *(f"G{m}" for m in before if m < n), owner=owner)
        for n, (days, before, owner) in enumerate(rows)
    ]
    found = planned(*gaps, draws=1)
    network = {each.criterion_id: each.waits_for for each in found.slots}
    days = {each.criterion_id: each.duration_days for each in found.slots}
    assert found.likely_days == longest_path(network, days)[0]
    assert sum(days[id_] for id_ in found.critical_path) == found.likely_days
    assert all(one in network[other] for one, other in pairwise(found.critical_path))
    for each in gaps:
        assert set(each.depends_on) <= set(network[each.criterion_id])
    for owner in "xyz":
        spans = sorted(
            (s.earliest_start_days, s.earliest_finish_days)
            for s in found.slots
            if s.owner == owner and s.duration_days > 0.5
        )
        assert all(one[1] <= other[0] for one, other in pairwise(spans))
    for each in found.slots:
        through = found.likely_days - each.slack_days
        assert through == longest_through(network, days, each.criterion_id)


def test_an_hours_work_waits_for_nobody():
    """A check that can run from day 2 on is not put off behind its owner's sixty days."""
    found = planned(gap("A", 60.0, owner="x"), gap("B", 2.0, owner="y"), gap("R", 0.1, "B", owner="x"))
    slots = {each.criterion_id: each for each in found.slots}
    assert slots["R"].earliest_start_days == 2.0
    assert slots["A"].earliest_start_days == 0.0
    assert found.likely_days == 60.0


def test_work_of_no_length_does_not_end_before_it_begins():
    """Both days are the same."""
    found = planned(gap("A", 3.0), gap("B", 0.0, "A"))
    slot = next(each for each in found.slots if each.criterion_id == "B")
    assert slot.starts_on == slot.finishes_on


def longest_through(network, days, id_):
    """Oracle: the longest path that passes through one gap."""

    def before(gap_id):
        return max((before(other) + days[other] for other in network[gap_id]), default=0)

    def after(gap_id):
        return max((days[o] + after(o) for o, waits in network.items() if gap_id in waits), default=0)

    return before(id_) + days[id_] + after(id_)
