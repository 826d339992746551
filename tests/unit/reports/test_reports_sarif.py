"""SARIF 2.1.0."""

import pytest
from reports_fixture import closed_world, open_world

from roadworthy.base.canonical import canonical_bytes
from roadworthy.domain.decision import State
from roadworthy.reports.sarif import render_sarif


@pytest.fixture(scope="module")
def card():
    """A card with every state."""
    return closed_world().scorecard()


@pytest.fixture(scope="module")
def run(card):
    """Its one run."""
    log = render_sarif(card)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    return run


def test_every_criterion_is_a_rule_with_help(card, run):
    """What is accepted, and where it comes from."""
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [row.criterion_id for row in card.rows]
    help_text = next(rule["help"]["text"] for rule in rules if rule["id"] == "D1")
    assert "Proven by a check run." in help_text
    assert "Accepted: worst cohort quality at least 0.80" in help_text
    assert "Sources: Pilot to production" in help_text


def test_results_are_what_does_not_pass(card, run):
    """With the rule by index."""
    failing = [row for row in card.rows if row.state not in (State.SATISFIED, State.NOT_APPLICABLE)]
    assert [result["ruleId"] for result in run["results"]] == [row.criterion_id for row in failing]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])


def test_levels(card, run):
    """A miss is an error, a doubt a warning, a waiver a note that is suppressed."""
    states = {row.criterion_id: row.state for row in card.rows}
    for result in run["results"]:
        expected = {State.NOT_SATISFIED: "error", State.WAIVED: "note"}.get(states[result["ruleId"]], "warning")
        assert result["level"] == expected
        assert ("suppressions" in result) is (expected == "note")


def test_a_result_stands_at_the_manifest_with_a_remedy(run):
    """Nothing else has a line."""
    result = next(each for each in run["results"] if each["ruleId"] == "D1")
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("roadworthy.yaml", 1)
    assert "Convert site C's lengths" in result["message"]["text"]
    stale = next(each for each in run["results"] if each["ruleId"] == "T3")
    assert stale["message"]["text"].endswith("Next: roadworthy inspect.")


def test_fingerprints_tell_criteria_apart_and_stay(card, run):
    """The same problem is the same in every run."""
    prints = [result["partialFingerprints"]["criterion/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    again = render_sarif(closed_world().scorecard(), manifest="sub/roadworthy.yaml")["runs"][0]["results"]
    assert [result["partialFingerprints"]["criterion/v1"] for result in again] == prints
    assert again[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "sub/roadworthy.yaml"


def test_an_open_gate_has_no_results():
    """An empty list, not none."""
    assert render_sarif(open_world().scorecard())["runs"][0]["results"] == []


def test_it_is_canonical_json(card):
    """The command line writes it as such."""
    assert canonical_bytes(render_sarif(card))
