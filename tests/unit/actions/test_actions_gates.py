"""Decisions on record, their signatures, and computing them again."""

from dataclasses import replace
from typing import Any

import pytest
from actions_world import A1, G1, PRODUCER, SUBJECT, USE_CASE, FakeCheck, World, signer

from roadworthy.actions.gates import recompute, record_decision, sign_decision, standing
from roadworthy.actions.registration import register_release, register_use_case
from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.base.errors import (
    DecisionChanged,
    DecisionMismatch,
    InputError,
    RoadworthyError,
    SelfApproval,
    WrongRole,
)
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.decision import Decision, Outcome
from roadworthy.domain.evidence import Meaning
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.store.trust import LedgerTrust


def settle(world: World) -> Decision:
    decision = world.decide()
    world.write(record_decision, decision=decision, actor=PRODUCER)
    return decision


def sign_gate(world: World, name: str, role: Role, **changes: Any) -> None:
    decision = world.decide()
    arguments: dict[str, Any] = {
        "case": world.case(),
        "decision": decision,
        "shown_basis_digest": decision.basis_digest,
        "signer": signer(name, world.at),
        "role": role,
        "meaning": Meaning.APPROVED,
        "reason": "Good to go.",
        "shown_digest": "sha256:0",
    }
    world.write(sign_decision, **{**arguments, **changes})


def ready(world: World) -> None:
    """Everything satisfied, nothing signed."""
    world.record(world.run(FakeCheck()))
    world.attest(G1)
    world.attest(A1)


def test_with_the_quorum_the_gate_opens(world: World) -> None:
    """Each signature is one entry."""
    ready(world)
    before = world.size
    sign_gate(world, "ada", Role.BUSINESS_OWNER)
    assert world.decide().outcome is Outcome.CLOSED
    sign_gate(world, "chi", Role.VALIDATOR)
    assert world.size == before + 2
    assert world.decide().outcome is Outcome.OPEN


@pytest.mark.parametrize(
    ("name", "role", "changes", "error"),
    [
        ("ada", Role.BUSINESS_OWNER, {"shown_basis_digest": "sha256:other"}, DecisionChanged),
        ("ben", Role.BUSINESS_OWNER, {}, SelfApproval),
        ("ada", Role.BUSINESS_OWNER, {"reason": " "}, InputError),
        ("ada", Role.VALIDATOR, {}, WrongRole),
    ],
    ids=["RW-307", "RW-301", "RW-100", "RW-305"],
)
def test_a_signature_that_does_not_fit_is_refused(
    world: World, name: str, role: Role, changes: dict[str, Any], error: type[RoadworthyError]
) -> None:
    """Changed since it was shown, by a builder, without a reason, in a role not held; nothing is written."""
    ready(world)
    before = world.size
    with pytest.raises(error) as caught:
        sign_gate(world, name, role, **changes)
    assert caught.value.remedy
    assert world.size == before


def test_a_builder_may_say_no_and_may_review(world: World) -> None:
    """Only approving is refused."""
    ready(world)
    sign_gate(world, "ben", Role.BUSINESS_OWNER, meaning=Meaning.REJECTED)
    sign_gate(world, "ben", Role.BUSINESS_OWNER, meaning=Meaning.REVIEWED)
    assert len(world.case().signatures) == 2


def test_below_the_tier_of_independence_a_builder_may_approve(world: World) -> None:
    """At R2 nobody is too few for a second pair of eyes."""
    world.write(register_use_case, use_case=replace(USE_CASE, tier=Tier.R2), actor=PRODUCER)
    case = world.case()
    assert case.profile is not None
    case.profile = replace(case.profile, tier=Tier.R2)
    decision = replace(world.decide(), tier=Tier.R2)
    sign_gate(
        world,
        "ben",
        Role.BUSINESS_OWNER,
        case=case,
        decision=decision,
        shown_basis_digest=decision.basis_digest,
    )
    assert len(world.case().signatures) == 1


def test_a_decision_stands_until_what_it_says_changes(world: World) -> None:
    """Time alone does not make a new one; evidence does."""
    assert standing(world.case(), world.decide()) is None
    recorded = settle(world)
    found = standing(world.case(), world.decide())
    assert found is not None
    assert (found.decision, found.index) == (recorded, world.size - 1)
    world.record(world.run(FakeCheck()))
    assert standing(world.case(), world.decide()) is None


def test_a_lapsed_decision_stands_too(world: World) -> None:
    """After an open gate, another release: lapsed once, and lapsed it stays without a new entry each time."""
    ready(world)
    sign_gate(world, "ada", Role.BUSINESS_OWNER)
    sign_gate(world, "chi", Role.VALIDATOR)
    assert settle(world).outcome is Outcome.OPEN
    parts = dict.fromkeys(SUBJECT.parts, "sha256:" + "c" * 64)
    other = replace(SUBJECT, release_digest="sha256:" + "b" * 64, parts=parts)
    world.write(register_release, subject=other, actor=PRODUCER)
    assert settle(world).outcome is Outcome.LAPSED
    found = standing(world.case(), world.decide())
    assert found is not None
    assert found.index == world.size - 1


def trust_of(case: CaseFile) -> LedgerTrust:
    return LedgerTrust(case.people, case.producers)


def test_a_recorded_decision_comes_out_the_same_later(world: World) -> None:
    """From the entries that it had seen, whatever came afterwards."""
    ready(world)
    decision = settle(world)
    sign_gate(world, "ada", Role.BUSINESS_OWNER)
    again = recompute(world.store, world.case().decisions[0], trust_of)
    assert canonical_bytes(to_json(again)) == canonical_bytes(to_json(decision))


@pytest.mark.parametrize(
    "changes",
    [{"outcome": Outcome.OPEN}, {"blocking": ()}, {"max_wave_share": 1.0}, {"use_case_id": "triage "}],
)
def test_a_decision_that_its_inputs_do_not_decide_is_found(world: World, changes: dict[str, Any]) -> None:
    """RW-506, with the entry: somebody wrote what nobody computed."""
    forged = replace(world.decide(), **changes)
    world.write(record_decision, decision=forged, actor=PRODUCER)
    with pytest.raises(DecisionMismatch) as caught:
        recompute(world.store, world.case().decisions[0], trust_of)
    assert (caught.value.code, caught.value.exit_code) == ("RW-506", 5)
    assert caught.value.where == f"entry {world.size - 1}"
