"""The fold from records to a case file."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.base.errors import MalformedEvidence
from roadworthy.domain.case_file import fold
from roadworthy.domain.criterion import Effort, Gate, Profile
from roadworthy.domain.decision import Decision, LedgerHead, Outcome
from roadworthy.domain.gap import Assignment
from roadworthy.domain.people import Person, Producer, Role
from roadworthy.domain.record import Record, RecordKind
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part, Subject, UseCase
from roadworthy.domain.waiver import Deferral, Invalidation

AT = datetime(2026, 11, 21, 10, 42, tzinfo=UTC)
USE_CASE = UseCase(
    id="heart",
    title="Heart",
    intended_use="Orders reviews.",
    decision="order",
    owners={Role.BUSINESS_OWNER: "ada"},
    builders=("bob",),
    tier=Tier.R3,
)
SUBJECT = Subject(use_case_id="heart", release_digest="sha256:aa", parts={Part.MODEL: "sha256:bb"})
PERSON = Person(id="ada", printed_name="Ada", roles=(Role.BUSINESS_OWNER,), public_key="00" * 32)
GATE = Gate(
    id="go-live",
    title="Go live",
    quorum=(),
    independent_from=Tier.R3,
    waiver_days={Tier.R3: 30.0},
    max_waivers=3,
    conditional_wave_share=0.05,
)
PROFILE = Profile(use_case_id="heart", tier=Tier.R3, gate=GATE, criteria=(), packs=())
ASSIGNMENT = Assignment(
    criterion_id="D1",
    owner="ada",
    effort=Effort(low_days=1, likely_days=2, high_days=3),
    depends_on=None,
    deadline_at=None,
    assigned_by="ada",
    assigned_at=AT,
)
DEFERRAL = Deferral(
    criterion_id="D1",
    reason="later",
    work="relabel",
    cost_days=3.0,
    target_stage="harden",
    decided_by="ada",
    decided_at=AT,
)
INVALIDATION = Invalidation(happened_at=AT, criterion_ids=("D1",), parts=frozenset({Part.MODEL}), reason="incident")
DECISION = Decision(
    version=1,
    gate_id="go-live",
    use_case_id="heart",
    release_digest="sha256:aa",
    subject_digest="sha256:bb",
    profile_digest="sha256:cc",
    tier=Tier.R3,
    at=AT,
    head=LedgerHead(size=0, root="", note=""),
    outcome=Outcome.CLOSED,
    basis_digest="sha256:dd",
    readings=(),
    blocking=(),
    unblock_order=(),
    waiting_for=(),
    quorum=(),
    refused=(),
    obligations=(),
    max_wave_share=0.0,
    valid_until=None,
    lapsed_from=None,
    score={},
)


def record(index: int, kind: RecordKind, **payload: object) -> Record:
    """One record with the given payload members."""
    return Record(
        index=index,
        kind=kind,
        at=AT,
        actor="ada",
        use_case_id="heart",
        subject="",
        payload={k: to_json(v) for k, v in payload.items()},
    )


def test_every_kind_finds_its_place() -> None:
    """Folding puts each record where readers look for it, and counts all."""
    envelope = {"payload": "", "payloadType": "t", "signatures": []}
    sealed = (
        RecordKind.EVIDENCE_RECORDED,
        RecordKind.WAIVER_REQUESTED,
        RecordKind.WAIVER_APPROVED,
        RecordKind.SIGNATURE_ADDED,
    )
    records = [
        record(0, RecordKind.USE_CASE_REGISTERED, use_case=USE_CASE),
        record(1, RecordKind.PERSON_REGISTERED, person=PERSON),
        record(2, RecordKind.PRODUCER_REGISTERED, producer=Producer(id="cli", public_key="11" * 32)),
        record(3, RecordKind.RELEASE_REGISTERED, subject=SUBJECT),
        record(4, RecordKind.POLICY_ADOPTED, profile=PROFILE),
        *(record(5 + n, kind, envelope=envelope) for n, kind in enumerate(sealed)),
        record(9, RecordKind.GAP_ASSIGNED, assignment=ASSIGNMENT),
        record(10, RecordKind.GAP_DEFERRED, deferral=DEFERRAL),
        record(11, RecordKind.INVALIDATED, invalidation=INVALIDATION),
        record(12, RecordKind.DECISION_RECORDED, decision=DECISION),
        record(13, RecordKind.BUNDLE_EXPORTED, members=7),
    ]
    case = fold(records)
    assert (case.use_case, case.subject, case.profile) == (USE_CASE, SUBJECT, PROFILE)
    assert case.people == {"ada": PERSON}
    assert set(case.producers) == {"cli"}
    assert case.releases == {"sha256:aa"}
    assert [len(x) for x in (case.evidence, case.waiver_requests, case.waiver_approvals, case.signatures)] == [
        1,
        1,
        1,
        1,
    ]
    assert case.evidence[0].body == canonical_bytes(envelope)
    assert case.evidence[0].index == 5
    assert case.assignments == {"D1": ASSIGNMENT}
    assert case.deferrals == {"D1": DEFERRAL}
    assert case.invalidations == [INVALIDATION]
    assert [each.decision for each in case.decisions] == [DECISION]
    assert case.size == len(records)


def test_an_erased_payload_counts_as_an_entry_and_as_nothing_else() -> None:
    """What cannot be read cannot count."""
    gone = Record(
        index=0, kind=RecordKind.EVIDENCE_RECORDED, at=AT, actor="cli", use_case_id="heart", subject="", payload=None
    )
    case = fold([gone])
    assert (case.size, case.erased, case.evidence) == (1, [0], [])


def test_a_prefix_is_the_past() -> None:
    """The newest registration is in force, and a prefix shows the older one."""
    newer = Subject(use_case_id="heart", release_digest="sha256:cc", parts={})
    records = [
        record(0, RecordKind.RELEASE_REGISTERED, subject=SUBJECT),
        record(1, RecordKind.RELEASE_REGISTERED, subject=newer),
    ]
    assert fold(records[:1]).subject == SUBJECT
    assert fold(records).subject == newer
    assert fold(records).releases == {"sha256:aa", "sha256:cc"}


def test_a_malformed_payload_is_an_error_with_its_path() -> None:
    """Nothing is skipped in silence."""
    with pytest.raises(MalformedEvidence, match="lacks"):
        fold([record(0, RecordKind.PERSON_REGISTERED, person={"id": "ada"})])


_UNREAD = {RecordKind.BUNDLE_EXPORTED, RecordKind.PAYLOAD_ERASED}


@pytest.mark.parametrize("kind", sorted(set(RecordKind) - _UNREAD, key=str))
def test_a_payload_without_its_member_names_the_entry(kind: RecordKind) -> None:
    """Whoever holds the key can sign nonsense; it is an error of ours, not a crash."""
    with pytest.raises(MalformedEvidence, match="no member") as caught:
        fold([record(0, kind)])
    assert caught.value.where == "entry 0"


def test_nobody_stops_being_a_builder_by_editing_a_file() -> None:
    """Builders of all registrations add up; everything else is the newest."""
    newer = replace(USE_CASE, builders=("cid",), title="Heart 2")
    case = fold(
        [
            record(0, RecordKind.USE_CASE_REGISTERED, use_case=USE_CASE),
            record(1, RecordKind.USE_CASE_REGISTERED, use_case=newer),
        ]
    )
    assert case.use_case == replace(newer, builders=("bob", "cid"))


def test_a_program_may_say_twice_who_it_is() -> None:
    """Two first inspections at once both do."""
    producer = Producer(id="cli", public_key="11" * 32)
    records = [record(n, RecordKind.PRODUCER_REGISTERED, producer=producer) for n in range(2)]
    assert fold(records).producers == {"cli": producer}


@pytest.mark.parametrize("other", [replace(PERSON, public_key="11" * 32), replace(PERSON, id="ada2")])
def test_an_id_and_a_key_belong_to_one_person(other: Person) -> None:
    """A second registration of either was not written by the actions."""
    with pytest.raises(MalformedEvidence, match="registered already"):
        fold(
            [
                record(0, RecordKind.PERSON_REGISTERED, person=PERSON),
                record(1, RecordKind.PERSON_REGISTERED, person=other),
            ]
        )


CERTIFICATE = {"payload": "", "payloadType": "t", "signatures": []}


def about(index: int, kind: RecordKind, *, erased: bool = False) -> Record:
    """An entry about the certificate c."""
    plain = record(index, kind, envelope=CERTIFICATE)
    return replace(plain, subject="c", payload=None if erased else plain.payload)


def test_certificates_and_revocations_are_found_by_id() -> None:
    """The first revocation counts; the envelope is the one on record."""
    case = fold(
        [
            about(0, RecordKind.CERTIFICATE_ISSUED),
            about(1, RecordKind.CERTIFICATE_REVOKED),
            about(2, RecordKind.CERTIFICATE_REVOKED),
        ]
    )
    assert {name: each.index for name, each in case.certificates.items()} == {"c": 0}
    (revoked,) = case.revocations.values()
    assert revoked is not None
    assert (revoked.index, revoked.body) == (1, canonical_bytes(CERTIFICATE))


def test_an_erased_revocation_still_revokes() -> None:
    """The entry names the certificate; an erased certificate is none."""
    erased = [
        about(0, RecordKind.CERTIFICATE_ISSUED, erased=True),
        about(1, RecordKind.CERTIFICATE_REVOKED, erased=True),
    ]
    case = fold(erased)
    assert (case.certificates, case.revocations, case.erased) == ({}, {"c": None}, [0, 1])


def test_a_certificate_id_is_used_once() -> None:
    """RW-201: two certificates of one id could not be told apart by a revocation."""
    with pytest.raises(MalformedEvidence, match="was issued before") as caught:
        fold([about(0, RecordKind.CERTIFICATE_ISSUED), about(1, RecordKind.CERTIFICATE_ISSUED)])
    assert caught.value.where == "entry 1"
