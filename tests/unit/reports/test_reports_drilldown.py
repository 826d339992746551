"""Envelopes as entries of a page."""

from dataclasses import replace

from reports_fixture import RULES, bare_world, closed_world
from reports_world import AT, TECHNICAL

from roadworthy.domain.criterion import Verdict
from roadworthy.reports.drilldown import anchor_of


def test_what_decides_comes_first_in_the_order_of_the_criteria():
    """Then the rest, newest first."""
    card = closed_world().scorecard()
    shown = [digest for row in card.rows for digest in row.evidence]
    assert [entry.digest for entry in card.evidence if entry.deciding] == list(dict.fromkeys(shown))
    others = [entry.index for entry in card.evidence if not entry.deciding]
    assert others == sorted(others, reverse=True)
    assert len(others) == 2


def test_an_entry_joins_numbers_with_bounds():
    """And facts with tables."""
    card = closed_world().scorecard()
    load = next(entry for entry in card.evidence if entry.evidence.check == "load.peak")
    assert [figure.verdict for figure in load.figures] == [Verdict.MET] * 3
    assert [bars.title for bars in load.bars] == ["latency"]
    contract = next(entry for entry in card.evidence if entry.evidence.check == "data_quality.contract")
    rules = next(table for table in contract.tables if table.title == "rules")
    assert rules.columns == ("rule", "dimension", "verdict", "broken", "checked")
    assert len(rules.rows) == len(RULES)
    assert (contract.about[0].criterion_id, contract.about[0].verdict) == ("D4", "not met")


def test_evidence_about_a_criterion_that_is_no_longer_required():
    """It is named, not hidden."""
    world = bare_world(TECHNICAL[3])
    world.run("endpoint.health", [])
    other = bare_world(TECHNICAL[0])
    other.records = [*other.records, replace(world.records[-1], index=len(other.records))]
    other.at = AT
    (entry,) = other.scorecard().evidence
    assert entry.about[0].title == "Not a criterion of this profile"


def test_an_anchor_is_a_plain_name():
    """Letters, digits, one hyphen."""
    assert anchor_of("sha256:" + "ab" * 32) == "evidence-" + "ab" * 8
