"""The gap register and its plan."""

from dataclasses import replace

import pytest
from reports_fixture import bare_world, closed_world, open_world
from reports_world import GOVERNANCE

from roadworthy.domain.criterion import Effort
from roadworthy.domain.gap import GapKind
from roadworthy.reports.register import owner_words


@pytest.fixture(scope="module")
def card():
    """The closed gate."""
    return closed_world().scorecard()


def test_what_delays_most_comes_first_and_deferred_last(card):
    """Sorted by criticality."""
    shares = [row.criticality_share for row in card.gaps if row.deferred is None]
    assert shares == sorted(shares, reverse=True)
    assert [row.criterion_id for row in card.gaps if row.deferred] == ["A4"]
    assert card.gaps[-1].criterion_id == "A4"


def test_dependencies_run_both_ways(card):
    """What it waits for, and what waits for it."""
    rows = {row.criterion_id: row for row in card.gaps}
    assert rows["G3"].depends_on == ("T1",)
    assert set(rows["T1"].unblocks) == {"G3", "T3", "T5"}
    assert rows["T3"].depends_on == ("T1",)
    assert not set(rows["T3"].after_same_owner) & set(rows["T3"].depends_on)


def test_an_assignment_shows(card):
    """Its owner, effort and deadline; and that the deadline will not hold."""
    row = next(row for row in card.gaps if row.criterion_id == "D4")
    assert (row.owner, row.effort_words, row.late) == ("Dan O'Neill <data>", "1–4 d", True)
    assert row.kind is GapKind.FIX
    assert row.remedy == "Have site C send the agreed unit."


def test_a_waived_gap_stays_open_and_does_not_block(card):
    """A waiver closes nothing."""
    row = next(row for row in card.gaps if row.criterion_id == "G5")
    assert not row.blocking
    assert "G5" not in [step.criterion_id for step in card.plan.cheapest]


def test_the_cheapest_way_is_the_gate_s_own(card):
    """The same order, with words."""
    assert tuple(step.criterion_id for step in card.plan.cheapest) == closed_world().decide().unblock_order
    assert card.plan.cheapest[0].effort_words == "0.05–0.2 d"


def test_the_critical_path_is_marked(card):
    """In the rows as in the plan."""
    assert {row.criterion_id for row in card.gaps if row.on_critical_path} == set(card.plan.critical_path)
    assert all(row.slack_words == "none" for row in card.gaps if row.on_critical_path)
    assert any(row.slack_words.endswith(" d") for row in card.gaps)


def test_the_plan_in_words(card):
    """Days and effort."""
    assert card.plan.p50_on < card.plan.p90_on
    assert card.plan.person_days_words == "46 person-days"
    assert card.plan.deferred == ("A4",)
    assert sum(card.plan.load_days.values()) == pytest.approx(card.plan.person_days)


@pytest.mark.parametrize(("days", "text"), [(1.0, "1 person-day"), (0.5, "0.5 person-days"), (12.6, "13 person-days")])
def test_person_days(days, text):
    """One is singular, and many are rounded."""
    effort = Effort(low_days=days, likely_days=days, high_days=days)
    card = bare_world(replace(GOVERNANCE[0], effort=effort)).scorecard()
    assert card.plan.person_days_words == text


def test_no_gap_no_plan():
    """Nothing to plan."""
    card = open_world().scorecard()
    assert (card.gaps, card.plan) == ((), None)


def test_an_owner_that_is_a_role_reads_as_words():
    """Nobody is called business_owner."""
    assert (owner_words("business_owner"), owner_words("platform_team")) == ("business owner", "platform_team")
