"""Writing evidence: check runs, people's words, envelopes from elsewhere."""

from dataclasses import replace
from typing import Any

import pytest
from actions_world import A1, G1, KEYS, PARTS, PRODUCER, SUBJECT, T1, FakeCheck, World, signed_criterion, signer

from roadworthy.actions.evidence import find_criterion, import_evidence, seal
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import (
    InputError,
    MalformedEvidence,
    OtherRelease,
    RoadworthyError,
    SignatureBroken,
    UnknownCriterion,
    WrongRole,
)
from roadworthy.domain.decision import State
from roadworthy.domain.evidence import PREDICATE_TYPE, STATEMENT_MEDIA_TYPE, Claim, Evidence
from roadworthy.domain.people import Role
from roadworthy.ledger.dsse import sign
from roadworthy.ledger.statement import statement


def state_of(world: World, criterion_id: str) -> State:
    return next(r.state for r in world.decide().readings if r.criterion_id == criterion_id)


def test_a_run_is_one_entry_with_its_attachments_beside_it(world: World) -> None:
    """The envelope is signed by the producer, and names the attachment by digest."""
    before = world.size
    receipt = world.record(world.run(FakeCheck()))
    assert world.size == before + 1 == receipt.size
    opened = world.trust().open(world.case().evidence[0].body)
    (attachment,) = opened.payload["predicate"]["attachments"]
    assert opened.signers == (PRODUCER,)
    assert attachment == {
        "name": "faults.txt",
        "media_type": "text/plain",
        "digest": digest_bytes(b"counted"),
        "size_bytes": 7,
    }
    assert world.store.blob(attachment["digest"]) == b"counted"
    assert state_of(world, "T1") is State.SATISFIED


def test_a_word_is_one_entry_signed_by_the_person(world: World) -> None:
    """What was shown, why, and how the person proved who they are stand in it."""
    before = world.size
    world.attest(G1)
    opened = world.trust().open(world.case().evidence[0].body)
    word = opened.payload["predicate"]["attestation"]
    assert world.size == before + 1
    assert opened.signers == ("ada",)
    assert (word["person_id"], word["role"], word["claim"]) == ("ada", "business_owner", "met")
    assert word["reason"] == "I answer for it."
    assert word["components"] == ["key file", "passphrase"]
    assert opened.payload["predicate"]["inputs"] == {part.value: digest for part, digest in PARTS.items()}
    assert state_of(world, "G1") is State.SATISFIED


@pytest.mark.parametrize(
    ("criterion", "changes", "error", "said"),
    [
        (G1, {"role": Role.VALIDATOR}, WrongRole, "does not hold the role validator; held: business_owner"),
        (G1, {"signer": signer("chi"), "role": Role.QUALITY}, WrongRole, "not signed as quality"),
        (G1, {"reason": "  "}, InputError, "needs a reason"),
        (G1, {"claim": Claim.NOT_APPLICABLE}, InputError, "always applies"),
        (T1, {"signer": signer("ben"), "role": Role.SYSTEM_OWNER}, InputError, "proven by a check"),
        (
            T1,
            {"signer": signer("ben"), "role": Role.SYSTEM_OWNER, "claim": Claim.NOT_MET},
            InputError,
            "proven by a check",
        ),
    ],
)
def test_a_word_that_does_not_fit_is_refused_and_leaves_nothing(
    world: World, criterion: Any, changes: dict[str, Any], error: type[RoadworthyError], said: str
) -> None:
    """Role, reason and claim must fit the criterion."""
    before = world.size
    with pytest.raises(error, match=said) as caught:
        world.attest(criterion, **changes)
    assert caught.value.remedy
    assert world.size == before


def test_a_rationale_makes_a_criterion_not_applicable_only_where_that_is_allowed(world: World) -> None:
    """A1 may not apply; the claim is on record with its reason."""
    world.attest(A1, claim=Claim.NOT_APPLICABLE, reason="There are no users to train.")
    assert state_of(world, "A1") is State.NOT_APPLICABLE


def test_a_no_beats_the_hope_for_a_yes(world: World) -> None:
    """A person may also say that it is not met."""
    world.attest(G1, claim=Claim.NOT_MET, reason="Nobody has agreed to own it.")
    assert state_of(world, "G1") is State.NOT_SATISFIED


def test_an_owner_may_say_that_a_checked_criterion_does_not_apply(world: World) -> None:
    """Its owner signs then, since nobody else is asked to."""
    criterion = replace(signed_criterion("T9"), signer_roles=(), owner_role=Role.SYSTEM_OWNER, may_not_apply=True)
    receipt = world.attest(
        criterion, signer=signer("ben", world.at), role=Role.SYSTEM_OWNER, claim=Claim.NOT_APPLICABLE
    )
    assert receipt.index == world.size - 1


def test_find_criterion_names_what_there_is() -> None:
    """RW-107."""
    assert find_criterion((T1, G1), "G1") is G1
    with pytest.raises(UnknownCriterion) as caught:
        find_criterion((T1, G1), "G2")
    assert (caught.value.code, caught.value.remedy) == ("RW-107", "Known: T1, G1.")


def envelope(world: World, *, key: str = PRODUCER, **changes: Any) -> bytes:
    evidence: Evidence = replace(world.run(FakeCheck()).evidence, **changes)
    return seal(evidence, KEYS[key]).to_bytes()


def take(world: World, body: bytes) -> Any:
    return world.write(import_evidence, body=body, case=world.case(), trust=world.trust())


def test_evidence_from_elsewhere_is_taken_when_a_registered_key_signed_it(world: World) -> None:
    """One entry, and it counts like our own."""
    before = world.size
    take(world, envelope(world))
    assert world.size == before + 1
    assert state_of(world, "T1") is State.SATISFIED


@pytest.mark.parametrize(
    "changes", [{"use_case_id": "another"}, {"release_digest": "sha256:" + "e" * 64}], ids=["use case", "release"]
)
def test_evidence_about_something_else_is_refused(world: World, changes: dict[str, Any]) -> None:
    """RW-202, exit code 3, naming what is wanted."""
    before = world.size
    with pytest.raises(OtherRelease) as caught:
        take(world, envelope(world, **changes))
    assert (caught.value.code, caught.value.exit_code) == ("RW-202", 3)
    assert "triage" in caught.value.remedy
    assert world.size == before


def test_evidence_by_a_stranger_is_refused(world: World) -> None:
    """RW-502: no registered key signed it."""
    before = world.size
    with pytest.raises(SignatureBroken) as caught:
        take(world, envelope(world, key="stranger"))
    assert caught.value.code == "RW-502"
    assert world.size == before


def test_evidence_that_was_changed_after_signing_is_refused(world: World) -> None:
    """RW-502: one letter of the payload."""
    body = envelope(world)
    changed = body.replace(b'"sig":"', b'"sig":"AAAA', 1)
    with pytest.raises(RoadworthyError) as caught:
        take(world, changed)
    assert caught.value.exit_code in (3, 5)


OTHER_TYPE = sign(
    STATEMENT_MEDIA_TYPE, statement([("a", "a" * 64)], "https://example.org/other/v1", {}), [KEYS[PRODUCER]]
)
NO_PREDICATE = sign(STATEMENT_MEDIA_TYPE, statement([("a", "a" * 64)], PREDICATE_TYPE, {}), [KEYS[PRODUCER]])
NO_STATEMENT = sign("text/plain", b"[1]", [KEYS[PRODUCER]])
NO_JSON = sign("text/plain", b"hello", [KEYS[PRODUCER]])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"{}",
        b"[]",
        b"\xff\xfe",
        OTHER_TYPE.to_bytes(),
        NO_PREDICATE.to_bytes(),
        NO_STATEMENT.to_bytes(),
        NO_JSON.to_bytes(),
    ],
    ids=["empty", "text", "no members", "list", "no text", "other type", "no predicate", "no statement", "no JSON"],
)
def test_garbage_is_refused(world: World, body: bytes) -> None:
    """RW-201, and nothing is written."""
    before = world.size
    with pytest.raises(MalformedEvidence) as caught:
        take(world, body)
    assert caught.value.code == "RW-201"
    assert world.size == before


def test_the_subject_of_a_statement_is_the_release(world: World) -> None:
    """By its digest, under the name of the use case."""
    world.record(world.run(FakeCheck()))
    payload = world.trust().open(world.case().evidence[0].body).payload
    assert payload["subject"] == [
        {"name": "triage", "digest": {"sha256": SUBJECT.release_digest.removeprefix("sha256:")}}
    ]
