"""JUnit XML."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from reports_fixture import closed_world, open_world

from roadworthy.domain.decision import State
from roadworthy.reports.junit import render_junit

RESULT = {
    State.SATISFIED: None,
    State.NOT_APPLICABLE: None,
    State.WAIVED: "skipped",
    State.NOT_SATISFIED: "failure",
    State.MISSING: "error",
    State.STALE: "error",
    State.INDETERMINATE: "error",
}


@pytest.fixture(scope="module")
def card():
    """A card with every state."""
    return closed_world().scorecard()


@pytest.fixture(scope="module")
def root(card):
    """Its document."""
    return ET.fromstring(render_junit(card))


def test_one_suite_an_area_one_case_a_criterion(card, root):
    """In their order."""
    assert [suite.get("name") for suite in root] == [domain.title for domain in card.domains]
    names = [case.get("name") for case in root.iter("testcase")]
    assert names == [f"{row.criterion_id} {row.title}" for row in card.rows]


def test_every_state_has_its_result(card, root):
    """Only what is satisfied or not applicable passes."""
    for row, case in zip(card.rows, root.iter("testcase"), strict=True):
        assert [child.tag for child in case] == ([RESULT[row.state]] if RESULT[row.state] else [])


def test_counts_add_up(root):
    """Of the suites, and of the whole."""
    for kind in ("failure", "error", "skipped"):
        name = kind if kind == "skipped" else f"{kind}s"
        assert int(root.get(name)) == len(list(root.iter(kind))) == sum(int(suite.get(name)) for suite in root)
    assert int(root.get("tests")) == 17


def test_a_failure_says_number_bound_finding_and_remedy(root):
    """All that somebody at a CI page needs."""
    case = next(case for case in root.iter("testcase") if case.get("name").startswith("D1 "))
    failure = case.find("failure")
    assert failure.get("message").startswith("Not satisfied. worst cohort quality 0.687 [0.611, 0.762], at least 0.80.")
    assert failure.get("type") == "not_satisfied"
    assert "Convert site C's lengths" in failure.text
    assert float(case.get("time")) == 12.5


def test_a_stale_case_says_what_to_run(root):
    """The command stands last."""
    case = next(case for case in root.iter("testcase") if case.get("name").startswith("T3 "))
    assert case.find("error").text.endswith("roadworthy inspect")


def test_an_open_gate_has_no_trouble():
    """Nothing but passes."""
    root = ET.fromstring(render_junit(open_world().scorecard()))
    assert (root.get("failures"), root.get("errors"), root.get("skipped")) == ("0", "0", "0")


def test_what_xml_forbids_is_replaced(card):
    """A finding may quote any bytes of a broken answer."""
    rows = tuple(replace(row, said="bad \x00\x1b & < \ud800 end", figure=None) for row in card.domains[0].rows)
    text = render_junit(replace(card, domains=(replace(card.domains[0], rows=rows),)))
    assert ET.fromstring(text.encode()).find(".//error").get("message").count("\ufffd") == 3


def test_equal_cards_give_equal_bytes(card):
    """Reproducible."""
    assert render_junit(card) == render_junit(closed_world().scorecard())
