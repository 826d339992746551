"""What a row of the scorecard says."""

from dataclasses import replace
from datetime import timedelta

import pytest
from reports_fixture import bare_world, closed_world, open_world
from reports_world import AT, DATA, GOVERNANCE, TECHNICAL, World, count, measured

from roadworthy.domain.decision import State
from roadworthy.domain.evidence import Claim, Finding, RunOutcome
from roadworthy.domain.people import Role


@pytest.fixture(scope="module")
def rows():
    """The closed gate, by criterion."""
    return {row.criterion_id: row for row in closed_world().scorecard().rows}


def test_the_fixture_has_every_state(rows):
    """Otherwise the tests of this room would prove less than they seem to."""
    assert {row.state for row in rows.values()} == set(State)


def test_a_satisfied_number(rows):
    """The count, its bound, the time left."""
    row = rows["T16"]
    assert (row.figure.name, row.figure.text, row.figure.bound_text) == ("probes failed", "0", "at most 0")
    assert (row.said, row.detail, row.command) == ("", "", "")
    assert row.life.words == "84 d left"
    assert row.life.used_share == pytest.approx(6 / 90)


def test_a_miss_says_what_was_found(rows):
    """The first finding, and how many more there are."""
    row = rows["D1"]
    assert row.figure.text == "0.687 [0.611, 0.762]"
    assert row.detail.startswith("Quality at site C is 0.687")
    assert row.detail.endswith("And 1 more.")
    assert len(row.remedies) == 2
    assert rows["D4"].detail == "radius in mm: 61 of 369 rows break it."


def test_a_doubt_says_what_is_lacking(rows):
    """The figure stands beside it and is not repeated."""
    assert rows["D2"].detail == "More data is needed: the interval straddles the bound."


def test_too_few_says_how_many():
    """Of how many."""
    world = World(DATA[1])
    world.at = AT
    world.run("performance.threshold", [measured("quality", 0.95, 0.9, 0.99, 60)])
    row = world.scorecard().rows[0]
    assert (row.state, row.detail) == (State.INDETERMINATE, "More data is needed: 60 of at least 100.")


def test_a_stale_row_keeps_its_number_and_says_why(rows):
    """Stale is not unknown; but the time is over."""
    row = rows["T3"]
    assert row.figure.text == "31.4 ms [29.8, 34.1]"
    assert "changed since: config" in row.detail
    assert (row.life.words, row.life.left_days, row.life.used_share) == ("no longer valid", 0.0, 1.0)
    assert row.command == "roadworthy inspect"


def test_what_is_too_old_is_expired():
    """Past its end, by the clock of the view."""
    row = closed_world().scorecard(AT + timedelta(days=85)).rows[7]
    assert (row.criterion_id, row.state, row.life.words) == ("T16", State.STALE, "expired")


def test_missing_rows_say_what_to_do(rows):
    """Run, sign, or nothing that a command could do."""
    assert (rows["D14"].said, rows["D14"].command) == (
        "The check data_quality.datasheet has never run for it.",
        "roadworthy inspect",
    )
    assert (rows["A4"].said, rows["A4"].command) == ("Nobody has signed it as change lead.", "roadworthy sign A4")
    assert (rows["G1"].said, rows["G1"].command) == ("No instrument of this version can prove it.", "")
    assert all(rows[name].life.left_days is None for name in ("D14", "A4", "G1"))


def test_a_signature_names_its_person(rows):
    """Who, in which role, in whose words."""
    assert rows["G2"].said == "Signed by Ada Okonjo, business owner: “I answer for this system and for what it costs.”"
    assert rows["D3"].said.startswith("Declared not applicable by Dan O'Neill <data>, data owner")


def test_a_waiver_shows_what_it_covers(rows):
    """The state beneath stays visible, the end stands in the life."""
    row = rows["G5"]
    assert (row.state, row.underlying, row.waiver_id) == (State.WAIVED, State.MISSING, "W-1")
    assert row.said == "Nobody has signed it as legal."
    assert row.life.words == "14 d left"


def test_a_refusal_by_a_person_is_told():
    """A no is a word too."""
    world = bare_world(GOVERNANCE[1])
    world.attest("G2", "ada", Role.BUSINESS_OWNER, Claim.NOT_MET, "Nobody asked me.")
    row = world.scorecard().rows[0]
    assert (row.state, row.said) == (State.NOT_SATISFIED, "Refused by Ada Okonjo, business owner: “Nobody asked me.”")


def test_a_crashed_run_shows_no_number():
    """What did not complete says why, and asks to run again."""
    world = bare_world(TECHNICAL[3])
    world.run("endpoint.health", [], outcome=RunOutcome.ERROR, problem="the endpoint refused the connection")
    row = world.scorecard().rows[0]
    assert row.figure is None
    assert "the endpoint refused the connection" in row.said
    assert row.command == "roadworthy inspect"


def test_a_failed_control_is_told_although_the_number_is_fine():
    """The reason of the gate, not the finding that is not there."""
    world = bare_world(TECHNICAL[3])
    world.run("endpoint.health", [count("probes_failed", 0, 6, "probe")], control=False)
    row = world.scorecard().rows[0]
    assert row.state is State.INDETERMINATE
    assert "did not fail, so the run proves nothing" in row.detail


def test_refused_evidence_gives_no_number():
    """An envelope that the gate refused does not reach the page by the back door."""
    world = bare_world(DATA[5])
    world.run("data_quality.datasheet", [count("questions_answered", 7, 7, "question")], signer="dan")
    assert len(world.decide().refused) == 1
    assert world.scorecard().rows[0].figure is None


def test_the_newest_run_speaks():
    """An older pass does not cover newer trouble."""
    world = bare_world(TECHNICAL[3])
    world.at = AT - timedelta(hours=2)
    world.run("endpoint.health", [count("probes_failed", 0, 6, "probe")])
    world.at = AT
    finding = Finding(what="One probe answers 500.", remedy="Restart it.")
    world.run("endpoint.health", [count("probes_failed", 1, 6, "probe")], findings=[finding])
    row = world.scorecard().rows[0]
    assert (row.figure.text, row.detail, len(row.evidence)) == ("1", "One probe answers 500.", 1)


def test_areas_without_criteria_are_left_out():
    """No empty heading."""
    assert [card.title for card in open_world().scorecard().domains] == [
        "Governance & compliance",
        "Technical infrastructure",
        "Data & model performance",
    ]


def test_acceptance_and_sources_are_at_hand(rows):
    """What a rule of a scanner, or a doubter, asks for."""
    assert rows["D1"].acceptance == ("worst cohort quality at least 0.80, from 30 on; declared in roadworthy.yaml",)
    assert rows["D1"].sources[0].clause == "data"
    assert rows["T3"].observed_s == pytest.approx(61)


def test_no_command_where_a_signature_alone_cannot_help():
    """What no instrument can prove is not offered for signing."""
    both = replace(GOVERNANCE[0], signer_roles=(Role.DATA_OWNER,))
    row = bare_world(both).scorecard().rows[0]
    assert row.said == "No instrument of this version can prove it; nobody has signed it as data owner."
    assert row.command == ""
