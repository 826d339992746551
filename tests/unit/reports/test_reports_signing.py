"""Seats, signatures and waivers."""

from dataclasses import replace

from reports_fixture import closed_world, open_world

from roadworthy.domain.evidence import Meaning
from roadworthy.domain.people import Role
from roadworthy.domain.record import RecordKind
from roadworthy.reports.signing import signatures, waivers


def test_seats_carry_printed_names():
    """Not ids."""
    card = open_world().scorecard()
    assert [(seat.role_words, seat.signed_by) for seat in card.seats] == [
        ("business owner", ("Ada Okonjo",)),
        ("system owner", ("Sam Lindqvist",)),
        ("validator", ("Valentina Ruiz-Keller",)),
    ]
    assert all(item.counts for item in card.signatures)


def test_a_review_is_shown_but_fills_no_seat():
    """Only an approval counts."""
    world = closed_world()
    world.sign("sam", Role.SYSTEM_OWNER, Meaning.REVIEWED)
    world.sign("ada", Role.BUSINESS_OWNER)
    items = world.scorecard().signatures
    assert [(item.signature.person_id, item.counts) for item in items if item.counts] == [("ada", True)]
    assert all(item.signature.meaning is not Meaning.REVIEWED or not item.counts for item in items)


def test_a_signature_on_something_else_is_not_shown_here():
    """It says nothing about this decision."""
    world = open_world()
    case, decision = world.case(), world.decide()
    assert len(signatures(case, decision)) == 3
    assert signatures(case, replace(decision, basis_digest="sha256:" + "0" * 64)) == ()
    assert signatures(case, replace(decision, gate_id="wave-2")) == ()
    world.run("endpoint.health", [])
    assert world.scorecard().signatures == ()


def test_a_waiver_names_everybody_who_answers_for_it():
    """Risk owner, requester, approver."""
    (item,) = closed_world().scorecard().waivers
    assert (item.risk_owner, item.requested_by, item.approved_by) == ("Ada Okonjo", "Dan O'Neill <data>", "Ada Okonjo")
    assert (item.waiver.criterion_id, item.approved_as) == ("G5", Role.BUSINESS_OWNER)


def test_somebody_who_is_not_registered_keeps_the_id():
    """A name is never made up."""
    world = closed_world()
    case = world.case()
    del case.people["dan"]
    decision = world.decide()
    (item,) = waivers(case, decision)
    assert item.requested_by == "dan"


def test_a_signature_after_the_decision_is_left_out():
    """The page shows what the decision saw."""
    world = open_world()
    decision = world.decide()
    world.sign("sam", Role.SYSTEM_OWNER)
    assert len(signatures(world.case(), decision)) == 3


def test_a_waiver_that_nobody_approved_is_not_in_force():
    """The gate does not name it, so it is not shown."""
    world = closed_world()
    world.records = [record for record in world.records if record.kind is not RecordKind.WAIVER_APPROVED]
    world.records = [replace(record, index=index) for index, record in enumerate(world.records)]
    assert world.scorecard().waivers == ()


def test_an_envelope_of_another_kind_is_passed_over():
    """A list of signatures may hold only signatures; anything else is no signature."""
    world = open_world()
    case, decision = world.case(), world.decide()
    assert len(signatures(replace_signatures(case, case.evidence), decision)) == 0


def replace_signatures(case, envelopes):
    """The case with other envelopes in the place of its signatures."""
    case.signatures = list(envelopes)
    return case
