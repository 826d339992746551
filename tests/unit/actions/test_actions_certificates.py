"""Certificates: only on an open gate, no more than it allows, signed by the control plane alone, and replayed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from actions_world import A1, DAY, G1, KEYS, PRODUCER, SUBJECT, FakeCheck, World, signer

from roadworthy.actions.certificates import (
    certificate_fault,
    issue_certificate,
    issued,
    read_certificate,
    read_revocation,
    revoke_certificate,
)
from roadworthy.actions.gates import record_decision, sign_decision
from roadworthy.actions.registration import register_producer, register_release
from roadworthy.actions.replay import write_faults
from roadworthy.actions.waivers import approve_waiver, request_waiver
from roadworthy.base.digest import digest_of
from roadworthy.base.errors import InputError, ParameterError, PolicyRefusal, RoadworthyError
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.certificate import CERTIFICATE_AUTHORITY, CERTIFICATE_TYPE, Caps, Certificate, Revocation
from roadworthy.domain.decision import Decision, Outcome
from roadworthy.domain.evidence import Meaning
from roadworthy.domain.people import Producer, Role
from roadworthy.domain.record import Draft, RecordKind
from roadworthy.gates.certificate import certificate_statement, revocation_statement
from roadworthy.gates.evaluate import decision_digest
from roadworthy.ledger.dsse import Envelope, sign, verify
from roadworthy.ledger.keys import SigningKey, key_from_seed
from roadworthy.ledger.statement import PAYLOAD_TYPE, parse_statement, statement
from roadworthy.store.trust import LedgerTrust

KEY = key_from_seed(b"\x77" * 32)


def trust_of(case: CaseFile) -> LedgerTrust:
    return LedgerTrust(case.people, case.producers)


def settle(world: World) -> Decision:
    """The decision now, on record."""
    decision = world.decide()
    world.write(record_decision, decision=decision, actor=PRODUCER, at=world.at)
    return decision


def sign_gate(world: World) -> None:
    """Everybody whose signature is asked for."""
    for name, role in (("ada", Role.BUSINESS_OWNER), ("chi", Role.VALIDATOR)):
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


def satisfy(world: World, faults: float = 0) -> None:
    """Evidence for everything."""
    world.record(world.run(FakeCheck(faults)))
    world.attest(G1)
    world.attest(A1)


def register(world: World) -> None:
    world.write(
        register_producer, producer=Producer(id=CERTIFICATE_AUTHORITY, public_key=KEY.public.hex), actor=PRODUCER
    )


@pytest.fixture
def opened(world: World) -> World:
    """Gate open, decision recorded, the control plane's key registered."""
    satisfy(world)
    sign_gate(world)
    assert settle(world).outcome is Outcome.OPEN
    register(world)
    return world


def newest(world: World) -> Decision:
    return world.case().decisions[-1].decision


def issue(world: World, **changes: Any) -> tuple[Any, Envelope]:
    """On the newest decision, as far as it allows."""
    decision = newest(world)
    arguments: dict[str, Any] = {
        "case": world.case(),
        "trust": world.trust(),
        "decision": decision,
        "caps": Caps(wave_share=decision.max_wave_share or 1.0),
        "key": KEY,
        "certificate_id": "certificate-1",
    }
    result: tuple[Any, Envelope] = world.write(issue_certificate, **{**arguments, **changes})
    return result


def only(world: World) -> Certificate:
    (found,) = issued(world.case(), world.trust()).values()
    return found


def refused(world: World, code: str, said: str, **changes: Any) -> None:
    """It raises, with a remedy, and writes nothing."""
    before = world.size
    with pytest.raises(RoadworthyError, match=said) as caught:
        issue(world, **changes)
    assert caught.value.code == code
    assert caught.value.remedy
    assert world.size == before


def test_a_certificate_says_what_the_decision_says(opened: World) -> None:
    """Release, digest of the decision, tier, its end, and the checkpoint that covers it; one entry, signed by one key."""
    decision, size = newest(opened), opened.size
    receipt, envelope = issue(opened, caps=Caps(cohorts=("ward",), data_scopes=("vitals",), wave_share=0.2, rate_rps=5))
    found = only(opened)
    assert (found.release_digest, found.decision_digest) == (SUBJECT.release_digest, decision_digest(decision))
    assert (found.gate_id, found.tier, found.use_case_id) == (decision.gate_id, decision.tier, "triage")
    assert (found.valid_from, found.valid_until) == (opened.at, decision.valid_until)
    assert found.caps == Caps(cohorts=("ward",), data_scopes=("vitals",), wave_share=0.2, rate_rps=5)
    assert (found.checkpoint, found.obligations) == (f"note {size}", ())
    assert size == receipt.index > opened.case().decisions[-1].index
    assert verify(envelope, {KEY.public.keyid: KEY.public}) == (KEY.public.keyid,)
    assert parse_statement(envelope.payload).predicate_type == CERTIFICATE_TYPE
    assert opened.case().certificates["certificate-1"].body == envelope.to_bytes()
    assert write_faults(opened.store.records(), trust_of) == ()


def test_a_conditional_gate_gives_its_share_and_its_obligations(world: World) -> None:
    """A waiver's permission goes no further in the certificate than in the decision."""
    satisfy(world, faults=1)
    waiver = world.write(
        request_waiver,
        profile=world.profile,
        subject=SUBJECT,
        criterion_id="T1",
        signer=signer("ben", world.at),
        risk_owner="ada",
        reason="Few cases.",
        obligation="Repeat the test.",
        compensating_evidence=(world.case().evidence[1].digest,),
        expires_at=world.at + 5 * DAY,
    )
    world.write(
        approve_waiver, waiver=waiver, signer=signer("ada", world.at), role=Role.BUSINESS_OWNER, reason="I carry it."
    )
    sign_gate(world)
    assert settle(world).outcome is Outcome.CONDITIONAL
    register(world)
    refused(world, "RW-300", r"allows a share of 0.05, not 0.06", caps=Caps(wave_share=0.06))
    issue(world, caps=Caps(wave_share=0.05))
    assert any("Repeat the test." in each for each in only(world).obligations)
    assert write_faults(world.store.records(), trust_of) == ()


def test_a_closed_gate_gives_none(world: World) -> None:
    """RW-300, whatever is asked."""
    settle(world)
    register(world)
    refused(world, "RW-300", "is closed")


def test_a_decision_that_is_not_on_record_gives_none(opened: World) -> None:
    """Also when it says the same as the recorded one."""
    refused(opened, "RW-300", "newest recorded decision", decision=opened.decide())


def test_an_older_decision_gives_none(opened: World) -> None:
    """The gate closed since: with another release, and that is on record."""
    older = newest(opened)
    other = replace(SUBJECT, release_digest=digest_of("other"), parts={p: digest_of("new") for p in SUBJECT.parts})
    opened.write(register_release, subject=other, actor=PRODUCER)
    refused(opened, "RW-300", "is lapsed by now")
    assert settle(opened).outcome is Outcome.LAPSED
    refused(opened, "RW-300", "newest recorded decision", decision=older)


def test_an_expired_decision_gives_none(opened: World) -> None:
    """From its end on, which is exclusive."""
    end = newest(opened).valid_until
    assert end is not None
    refused(opened, "RW-300", "is not open at", at=end, valid_until=end + DAY)


def test_without_a_registered_key_there_is_none(world: World) -> None:
    """Nobody could tell by whom it is signed."""
    satisfy(world)
    sign_gate(world)
    settle(world)
    refused(world, "RW-300", "no program is registered")


@pytest.mark.parametrize(
    "caps",
    [
        Caps(wave_share=0),
        Caps(wave_share=1.1),
        Caps(wave_share=float("nan")),
        Caps(rate_rps=0),
        Caps(rate_rps=float("inf")),
        Caps(rate_rps=float("nan")),
        Caps(cohorts=("",)),
        Caps(data_scopes=(" ",)),
    ],
)
def test_caps_that_no_traffic_could_have_are_refused(opened: World, caps: Caps) -> None:
    """RW-114."""
    refused(opened, "RW-114", ".", caps=caps)


def test_the_end_may_be_earlier_and_never_later(opened: World) -> None:
    """Nor before the beginning."""
    end = newest(opened).valid_until
    assert end is not None
    refused(opened, "RW-114", "would end", valid_until=opened.at)
    refused(opened, "RW-300", "as the decision does", valid_until=end + timedelta(microseconds=1))
    issue(opened, valid_until=opened.at + DAY)
    assert only(opened).valid_until < end


def test_an_id_is_used_once(opened: World) -> None:
    """RW-300."""
    issue(opened)
    refused(opened, "RW-300", "was used before")


def test_a_revocation_is_one_entry_and_for_good(opened: World) -> None:
    """It names the certificate; a second one is refused."""
    issue(opened)
    certificate, before = only(opened), opened.size
    _, envelope = opened.write(
        revoke_certificate, case=opened.case(), certificate=certificate, reason="Drift.", key=KEY
    )
    assert opened.size == before + 1
    sealed = opened.case().revocations["certificate-1"]
    assert sealed is not None
    assert sealed.body == envelope.to_bytes()
    said = read_revocation(sealed, opened.trust())
    assert (said.certificate_id, said.reason, said.at) == ("certificate-1", "Drift.", opened.at)
    assert write_faults(opened.store.records(), trust_of) == ()
    with pytest.raises(PolicyRefusal, match="revoked already"):
        opened.write(revoke_certificate, case=opened.case(), certificate=certificate, reason="Again.", key=KEY)
    assert opened.size == before + 1


@pytest.mark.parametrize(
    ("name", "reason", "said"), [("certificate-1", " ", "a reason"), ("other", "x", "not on record")]
)
def test_a_revocation_needs_a_reason_and_a_certificate(opened: World, name: str, reason: str, said: str) -> None:
    """RW-100, and nothing is written."""
    issue(opened)
    before = opened.size
    certificate = replace(only(opened), id=name)
    with pytest.raises(InputError, match=said):
        opened.write(revoke_certificate, case=opened.case(), certificate=certificate, reason=reason, key=KEY)
    assert opened.size == before


def forge(world: World, kind: RecordKind, envelope: Any, name: str = "certificate-1") -> None:
    """Write past the actions."""
    draft = Draft(
        kind=kind, at=world.at, actor="mallory", use_case_id="triage", subject=name, payload={"envelope": envelope}
    )
    with world.store.unit_of_work() as uow:
        uow.append(draft)


def plain(world: World, *, key: SigningKey = KEY, kind: str = PAYLOAD_TYPE, **changes: Any) -> dict[str, Any]:
    """The envelope of a certificate as it should be, but for the changes."""
    decision = newest(world)
    assert decision.valid_until is not None
    certificate = Certificate(
        id="certificate-1",
        use_case_id="triage",
        release_digest=decision.release_digest,
        decision_digest=decision_digest(decision),
        gate_id=decision.gate_id,
        tier=decision.tier,
        caps=Caps(wave_share=decision.max_wave_share),
        obligations=decision.obligations,
        valid_from=world.at,
        valid_until=decision.valid_until,
        checkpoint="note",
    )
    parts = certificate_statement(replace(certificate, **changes))
    return sign(kind, statement(parts.subjects, parts.predicate_type, parts.predicate), [key]).to_json()


FORGED: list[tuple[dict[str, Any], str]] = [
    ({"key": KEYS[PRODUCER]}, "signed by runner, not by certificate-authority"),
    ({"key": KEYS["stranger"]}, "No known key signed"),
    ({"kind": "text/plain"}, "not an in-toto statement"),
    ({"id": "certificate-2"}, "is called certificate-2"),
    ({"decision_digest": digest_of("none")}, "newest recorded decision"),
    ({"gate_id": "other"}, "newest recorded decision"),
    ({"release_digest": digest_of("other")}, "its release or its tier"),
    ({"valid_until": None}, "end by"),
    ({"valid_from": None}, "must begin now"),
]


@pytest.mark.parametrize(("changes", "said"), FORGED)
def test_a_certificate_past_the_actions_is_found(opened: World, changes: dict[str, Any], said: str) -> None:
    """Whoever holds the ledger's key, and even the control plane's, cannot make a closed gate open."""
    end = newest(opened).valid_until
    assert end is not None
    given = dict(changes)
    if "valid_until" in given:
        given["valid_until"] = end + DAY
    if "valid_from" in given:
        given["valid_from"] = opened.at - DAY
    index = opened.size
    forge(opened, RecordKind.CERTIFICATE_ISSUED, plain(opened, **given))
    (fault,) = write_faults(opened.store.records(), trust_of)
    assert fault.startswith(f"entry {index}: ")
    assert said in fault


def test_a_certificate_on_a_closed_gate_is_found(world: World) -> None:
    """It rests on the newest decision, and that one is closed."""
    satisfy(world)
    assert settle(world).outcome is Outcome.CLOSED
    register(world)
    forge(world, RecordKind.CERTIFICATE_ISSUED, plain(world))
    (fault,) = write_faults(world.store.records(), trust_of)
    assert "should not have been issued: the gate go-live is not open" in fault


def test_an_obligation_may_not_be_left_out(opened: World) -> None:
    """The decision has one, the certificate has none."""
    issue(opened)
    found, case = only(opened), opened.case()
    recorded = case.decisions[-1]
    owing = replace(recorded.decision, obligations=("Repeat the test.",))
    case.decisions[-1] = replace(recorded, decision=owing)
    case.certificates.clear()
    free = replace(found, decision_digest=decision_digest(owing))
    fault = certificate_fault(free, case, opened.trust(), found.valid_from)
    assert fault == "it lacks an obligation of the decision"
    bound = replace(free, obligations=owing.obligations)
    assert certificate_fault(bound, case, opened.trust(), found.valid_from) is None


Forgery = Callable[[World], Any]
REVOKED: list[tuple[Forgery, str, str]] = [
    (lambda world: revocation("certificate-1", world, KEYS[PRODUCER]), "certificate-1", "does not count"),
    (lambda world: revocation("certificate-2", world), "certificate-1", "of no certificate called certificate-1"),
    (lambda world: revocation("certificate-9", world), "certificate-9", "of no certificate called certificate-9"),
    (plain, "certificate-1", "does not count"),
]


def revocation(name: str, world: World, key: SigningKey = KEY) -> dict[str, Any]:
    """The envelope of a revocation."""
    parts = revocation_statement(Revocation(certificate_id=name, at=world.at, reason="Because."))
    return sign(PAYLOAD_TYPE, statement(parts.subjects, parts.predicate_type, parts.predicate), [key]).to_json()


@pytest.mark.parametrize(("make", "name", "said"), REVOKED)
def test_a_revocation_past_the_actions_is_found(opened: World, make: Forgery, name: str, said: str) -> None:
    """Signed by another, about another certificate, about none, or a certificate in its place."""
    issue(opened)
    forge(opened, RecordKind.CERTIFICATE_REVOKED, make(opened), name)
    (fault,) = write_faults(opened.store.records(), trust_of)
    assert said in fault


def test_certificates_and_revocations_are_never_erased(opened: World) -> None:
    """Or a certificate could no longer be revoked, and a revocation could be made to vanish."""
    issue(opened)
    opened.write(revoke_certificate, case=opened.case(), certificate=only(opened), reason="Drift.", key=KEY)
    for index in (opened.size - 2, opened.size - 1):
        with pytest.raises(PolicyRefusal):
            opened.store.erase(index, actor="ada", at=opened.clock(), reason="asked for")


def test_a_sealed_envelope_of_another_kind_is_no_certificate(opened: World) -> None:
    """Evidence is signed by another key."""
    with pytest.raises(RoadworthyError, match="not by certificate-authority"):
        read_certificate(opened.case().evidence[0], opened.trust())
    with pytest.raises(ParameterError):
        issue(opened, caps=Caps(wave_share=2))
