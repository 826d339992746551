"""The assembled scorecard."""

from dataclasses import replace
from datetime import timedelta

import pytest
from reports_fixture import bare_world, closed_world, open_world
from reports_world import AT, DATA, GATE, GOVERNANCE, World

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.base.errors import NoWorkspace
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.decision import Outcome, State
from roadworthy.domain.evidence import Claim
from roadworthy.domain.people import Role
from roadworthy.domain.record import RecordKind
from roadworthy.gates.evaluate import decision_digest
from roadworthy.reports.scorecard import build_scorecard, question


def test_a_closed_gate():
    """Verdict, effort, dates, tally."""
    world = closed_world()
    card = world.scorecard()
    assert card.outcome is Outcome.CLOSED
    assert card.headline == "Not yet. Twelve criteria block the go-live gate."
    assert card.sub.startswith("Closing 13 gaps takes an estimated 46 person-days; the gate can open by ")
    assert card.sub.endswith("(nine in ten). One gap is deferred.")
    assert sum(card.tally.values()) == len(card.rows) == 17
    assert card.tally[State.WAIVED] == 1
    assert card.obligations == ("Weekly report to legal until both clauses are closed",)
    assert card.proof.decision_digest == decision_digest(world.decide())
    assert card.release == "7f3a·c91e"
    assert card.packs == ("enterprise@1", "hardening@1")


def test_an_open_gate():
    """Until when it holds."""
    card = open_world().scorecard()
    assert card.outcome is Outcome.OPEN
    assert card.sub == "This holds until 19 Feb 2027, 10:42 UTC, unless something that it rests on changes."
    assert [seat.open_count for seat in card.seats] == [0, 0, 0]


def test_a_conditional_gate_names_its_cap():
    """A share, in words."""
    world = bare_world(GOVERNANCE[1], GOVERNANCE[3])
    word = world.attest("G2", "ada", Role.BUSINESS_OWNER, Claim.MET, "Mine.")
    world.waive("G5", word)
    for person, role in (("ada", Role.BUSINESS_OWNER), ("sam", Role.SYSTEM_OWNER), ("val", Role.VALIDATOR)):
        world.sign(person, role)
    card = world.scorecard()
    assert card.outcome is Outcome.CONDITIONAL
    assert card.sub.startswith("At most 5 % of the population may be served. This holds until 5 Dec 2026")


def test_only_signatures_missing():
    """It says whose."""
    world = bare_world(GOVERNANCE[1])
    world.attest("G2", "ada", Role.BUSINESS_OWNER, Claim.MET, "Mine.")
    assert world.scorecard().sub == "It waits for the signature of business owner, system owner and validator."


def test_one_gap_with_equal_dates_names_one():
    """By 23 Nov, by 23 Nov would be silly."""
    sub = bare_world(GOVERNANCE[1]).scorecard().sub
    assert sub == "Closing one gap takes an estimated 0.25 person-days; the gate can open by 23 Nov (nine in ten)."


def test_several_deferred_gaps():
    """Are, not is."""
    world = closed_world()
    for criterion_id in ("A1", "A2"):
        deferral = to_json(world.case().deferrals["A4"]) | {"criterion_id": criterion_id}
        world.add(RecordKind.GAP_DEFERRED, {"deferral": deferral})
    assert world.scorecard().sub.endswith("Three gaps are deferred.")


@pytest.mark.parametrize(
    ("title", "asked"),
    [
        ("Breast-mass triage", "Can breast-mass triage go live?"),
        ("Heart triage at four hospitals", "Can heart triage at four hospitals go live?"),
        ("X-ray triage", "Can X-ray triage go live?"),
        ("GPT-4 helpdesk", "Can GPT-4 helpdesk go live?"),
        ("A bot", "Can A bot go live?"),
        ("triage", "Can triage go live?"),
        ("Triage", "Can triage go live?"),
        ("", "Can  go live?"),
    ],
)
def test_the_question(title, asked):
    """A capital that only the start of a title gave is taken back."""
    assert question(title, GATE) == asked


def test_another_gate_asks_another_question():
    """Not everything is going live."""
    assert (
        question("Triage", replace(GATE, id="wave-2", title="Second wave")) == "Can triage pass the gate “Second wave”?"
    )


def test_the_same_parts_give_the_same_bytes():
    """The JSON is canonical and the view pure."""
    first, second = (canonical_bytes(to_json(closed_world().scorecard())) for _ in range(2))
    assert first == second


def test_json_holds_what_a_program_needs():
    """States by id, figures as numbers."""
    value = to_json(closed_world().scorecard())
    rows = {row["criterion_id"]: row for card in value["domains"] for row in card["rows"]}
    assert (rows["D1"]["state"], rows["D1"]["figure"]["lower"]) == ("not_satisfied", 0.611)
    assert value["tally"]["missing"] == 8


def test_evidence_after_the_decision_is_not_shown():
    """A decision shows what it saw."""
    world = closed_world()
    case, decision, gaps, planned, opened, at = world.view()
    late = {digest: (each, index + 1000) for digest, (each, index) in opened.items()}
    card = build_scorecard(case, decision, gaps, planned, late, at)
    assert card.evidence == ()
    assert all(row.figure is None for row in card.rows)


def test_nothing_on_record():
    """An error with its remedy, not a blank page."""
    world = closed_world()
    _, decision, gaps, planned, opened, at = world.view()
    with pytest.raises(NoWorkspace, match="No use case"):
        build_scorecard(CaseFile(), decision, gaps, planned, opened, at)


def test_what_changed_since_the_last_decision():
    """Better, worse, and the decision compared with."""
    since = closed_world().scorecard().since
    assert since.decided_at == AT - timedelta(days=6)
    assert [(c.criterion_id, c.before, c.after, c.direction) for c in since.changes] == [
        ("G5", "missing", "waived", 1),
        ("T3", "satisfied", "stale", -1),
        ("D13", "not satisfied", "satisfied", 1),
    ]


def test_a_criterion_that_is_new_or_gone_is_a_change():
    """Policies change too."""
    world = World(GOVERNANCE[1], DATA[2])
    world.settle()
    world.at = AT
    changed = World(GOVERNANCE[1], GOVERNANCE[0])
    changed.records += [replace(world.records[-1], index=len(changed.records))]
    changed.at = AT
    since = changed.scorecard().since
    assert [(c.criterion_id, c.before, c.after, c.direction) for c in since.changes] == [
        ("G1", "not required", "missing", -1),
        ("D3", "missing", "not required", 1),
    ]


def test_the_same_again_is_no_change():
    """A decision that rests on the same is not compared with itself."""
    world = open_world()
    world.settle()
    assert world.scorecard().since is None
