"""Waivers: one asks, another approves, and only then the gate moves, under conditions."""

from datetime import timedelta
from typing import Any

import pytest
from actions_world import A1, DAY, G1, PROFILE, SUBJECT, FakeCheck, World, signer

from roadworthy.actions.gates import sign_decision
from roadworthy.actions.waivers import approve_waiver, request_waiver, requested_waivers
from roadworthy.base.errors import InputError, NotWaivable, RoadworthyError, SelfApproval, UnknownCriterion
from roadworthy.domain.decision import Outcome, State
from roadworthy.domain.evidence import Meaning
from roadworthy.domain.people import Role
from roadworthy.domain.waiver import Waiver


def ask(world: World, **changes: Any) -> Waiver:
    arguments: dict[str, Any] = {
        "profile": PROFILE,
        "subject": SUBJECT,
        "criterion_id": "T1",
        "signer": signer("ben", world.at),
        "risk_owner": "ada",
        "reason": "The load is small in the first weeks.",
        "obligation": "Repeat the test.",
        "compensating_evidence": (world.case().evidence[0].digest,) if world.case().evidence else ("sha256:0",),
        "expires_at": world.at + 20 * DAY,
    }
    waiver: Waiver = world.write(request_waiver, **{**arguments, **changes})
    return waiver


def approve(world: World, waiver: Waiver, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "waiver": waiver,
        "signer": signer("ada", world.at),
        "role": Role.BUSINESS_OWNER,
        "reason": "I carry it.",
    }
    world.write(approve_waiver, **{**arguments, **changes})


def refused(world: World, code: str, said: str, act: Any, *arguments: Any, **changes: Any) -> None:
    """It raises, with a remedy, and writes nothing."""
    before = world.size
    with pytest.raises(RoadworthyError, match=said) as caught:
        act(world, *arguments, **changes)
    assert caught.value.code == code
    assert caught.value.remedy
    assert world.size == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expires_at": timedelta(0)}, "would end"),
        ({"expires_at": -DAY}, "would end"),
        ({"expires_at": 31 * DAY}, "would end"),
        ({"reason": " "}, "needs a reason"),
        ({"obligation": ""}, "needs a reason, an obligation"),
        ({"compensating_evidence": ()}, "compensating evidence"),
    ],
)
def test_a_waiver_without_what_is_mandatory_is_refused(world: World, changes: dict[str, Any], said: str) -> None:
    """RW-302: an end within the limit, a reason, an obligation, compensating evidence."""
    if "expires_at" in changes:
        changes = {"expires_at": world.at + changes["expires_at"]}
    refused(world, "RW-302", said, ask, **changes)


def test_the_longest_waiver_is_as_long_as_the_gate_says(world: World) -> None:
    """30 days at R3, to the microsecond."""
    at = world.at + DAY
    ask(world, at=at, expires_at=at + 30 * DAY)
    refused(world, "RW-302", "would end", ask, at=at, expires_at=at + 30 * DAY + timedelta(microseconds=1))


def test_what_may_never_be_waived_is_refused(world: World) -> None:
    """RW-303."""
    with pytest.raises(NotWaivable) as caught:
        ask(world, criterion_id="G1")
    assert caught.value.code == "RW-303"


def test_a_waiver_of_nothing_is_refused(world: World) -> None:
    """RW-107."""
    with pytest.raises(UnknownCriterion):
        ask(world, criterion_id="T99")


def test_nobody_approves_what_they_asked_for(world: World) -> None:
    """RW-301."""
    waiver = ask(world, signer=signer("ada", world.at))
    before = world.size
    with pytest.raises(SelfApproval) as caught:
        approve(world, waiver)
    assert caught.value.code == "RW-301"
    assert world.size == before


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"role": Role.SPONSOR}, "RW-305", "does not hold the role sponsor"),
        ({"signer": signer("chi"), "role": Role.VALIDATOR}, "RW-305", "may not approve a waiver"),
        ({"reason": " "}, "RW-100", "needs a reason"),
    ],
)
def test_an_approval_that_does_not_fit_is_refused(world: World, changes: dict[str, Any], code: str, said: str) -> None:
    """Role held, role that may carry a risk, reason."""
    waiver = ask(world)
    refused(world, code, said, approve, waiver, **changes)


def test_an_expired_waiver_cannot_be_approved(world: World) -> None:
    """RW-302, at the very instant of its end."""
    waiver = ask(world)
    refused(world, "RW-302", "expired", approve, waiver, at=waiver.expires_at)


def test_what_was_asked_for_is_read_back_from_the_ledger(world: World) -> None:
    """By id, equal to what was asked."""
    before = world.size
    waiver = ask(world)
    assert world.size == before + 1
    assert requested_waivers(world.case(), world.trust()) == {waiver.id: waiver}


def sign_gate(world: World, name: str, role: Role) -> None:
    decision = world.decide()
    world.write(
        sign_decision,
        case=world.case(),
        decision=decision,
        shown_basis_digest=decision.basis_digest,
        signer=signer(name, world.at),
        role=role,
        meaning=Meaning.APPROVED,
        reason="Good to go.",
        shown_digest="sha256:0",
    )


def test_a_valid_waiver_makes_the_gate_conditional_until_it_ends(world: World) -> None:
    """T1 fails; asked for by ben, approved by ada; with the quorum the gate is conditional, and closed again after."""
    world.record(world.run(FakeCheck(faults=2)))
    world.attest(G1)
    world.attest(A1)
    # What keeps the risk down must prove another criterion: here what was said of A1.
    waiver = ask(world, compensating_evidence=(world.case().evidence[-1].digest,))
    assert world.decide().outcome is Outcome.CLOSED
    before = world.size
    approve(world, waiver)
    assert world.size == before + 1
    sign_gate(world, "ada", Role.BUSINESS_OWNER)
    sign_gate(world, "chi", Role.VALIDATOR)
    decision = world.decide()
    waived = decision.readings[0]
    assert decision.outcome is Outcome.CONDITIONAL
    assert (waived.state, waived.underlying, waived.waiver_id) == (State.WAIVED, State.NOT_SATISFIED, waiver.id)
    assert decision.obligations == ("Repeat the test.",)
    assert decision.max_wave_share == 0.05
    world.at = waiver.expires_at
    assert world.decide().outcome is Outcome.CLOSED


def test_an_unapproved_waiver_changes_nothing(world: World) -> None:
    """Asking is not getting."""
    world.record(world.run(FakeCheck(faults=2)))
    ask(world)
    assert world.decide().readings[0].state is State.NOT_SATISFIED


def test_an_approval_needs_a_reason_even_when_all_else_fits(world: World) -> None:
    """RW-100 is an input error, not a refusal by policy."""
    with pytest.raises(InputError):
        approve(world, ask(world), reason="")
