"""The case file: everything on record about one use case. Owns the fold from records to objects; opens no signature.

Rules kept here:
1. Records are folded in ledger order; the newest registration of a thing is in force, older ones stay on record.
2. An erased payload yields nothing: what cannot be read cannot count.
3. Folding a prefix gives the case file as it was when the ledger had that size.
4. Who built the system once has built it: builders only ever become more.
5. An id is registered once, and no two ids share a key; a ledger that says otherwise was not written by the actions.
6. Evidence of a monitor's window is no evidence of the gate: it is kept apart.
7. What was revoked stays revoked, also when the reason is erased: the entry itself names the certificate.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import from_json
from roadworthy.base.digest import sha256_hex
from roadworthy.base.errors import MalformedEvidence
from roadworthy.domain.criterion import Profile
from roadworthy.domain.decision import Decision
from roadworthy.domain.evidence import Sealed
from roadworthy.domain.gap import Assignment
from roadworthy.domain.people import Person, Producer
from roadworthy.domain.record import Record, RecordKind
from roadworthy.domain.use_case import Subject, UseCase
from roadworthy.domain.waiver import Deferral, Invalidation
from roadworthy.domain.window import MonitoredWindow, WindowEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """A decision and the index of its entry."""

    index: int
    decision: Decision


@dataclass(slots=True, kw_only=True)
class CaseFile:
    """What is on record; built by ``fold`` and read by everybody.

    Attributes:
        use_case: newest registration, with everybody who was ever named as a builder, or None.
        subject: newest release in use, or None.
        profile: policy in force, or None.
        people: by id.
        producers: by id.
        releases: digest of every release ever registered.
        evidence, waiver_requests, waiver_approvals, signatures: sealed envelopes in ledger order.
        windows: evidence of a monitor's windows, in ledger order.
        invalidations: in ledger order.
        assignments: newest by criterion id.
        deferrals: newest by criterion id.
        decisions: in ledger order.
        certificates: envelopes by certificate id, in ledger order.
        revocations: by certificate id; None where the envelope was erased, which revokes all the same.
        erased: indexes whose payload is gone.
        size: how many records were folded.
    """

    use_case: UseCase | None = None
    subject: Subject | None = None
    profile: Profile | None = None
    people: dict[str, Person] = field(default_factory=dict)
    producers: dict[str, Producer] = field(default_factory=dict)
    releases: set[str] = field(default_factory=set)
    evidence: list[Sealed] = field(default_factory=list)
    windows: list[WindowEvidence] = field(default_factory=list)
    waiver_requests: list[Sealed] = field(default_factory=list)
    waiver_approvals: list[Sealed] = field(default_factory=list)
    signatures: list[Sealed] = field(default_factory=list)
    invalidations: list[Invalidation] = field(default_factory=list)
    assignments: dict[str, Assignment] = field(default_factory=dict)
    deferrals: dict[str, Deferral] = field(default_factory=dict)
    decisions: list[RecordedDecision] = field(default_factory=list)
    certificates: dict[str, Sealed] = field(default_factory=dict)
    revocations: dict[str, Sealed | None] = field(default_factory=dict)
    erased: list[int] = field(default_factory=list)
    size: int = 0


def fold(records: Iterable[Record]) -> CaseFile:
    """Fold records, in ledger order, into a case file.

    Raises:
        MalformedEvidence: a payload does not have the members of its kind (RW-201).
    """
    file = CaseFile()
    for record in records:
        file.size += 1
        if record.payload is None:
            file.erased.append(record.index)
            if record.kind is RecordKind.CERTIFICATE_REVOKED:
                file.revocations.setdefault(record.subject, None)
        else:
            try:
                _apply(file, record, record.payload)
            except KeyError as error:
                raise MalformedEvidence(
                    f"The payload of {record.kind.value} has no member {error}.",
                    remedy="Do not rely on this ledger; find out who wrote the entry.",
                    where=f"entry {record.index}",
                ) from error
    return file


_CERTIFICATES = (RecordKind.CERTIFICATE_ISSUED, RecordKind.CERTIFICATE_REVOKED)
_SEALED = {
    RecordKind.EVIDENCE_RECORDED: "evidence",
    RecordKind.WAIVER_REQUESTED: "waiver_requests",
    RecordKind.WAIVER_APPROVED: "waiver_approvals",
    RecordKind.SIGNATURE_ADDED: "signatures",
}


def _apply(file: CaseFile, record: Record, payload: Mapping[str, Any]) -> None:
    if record.kind in _SEALED:
        sealed = _sealed(record, payload)
        if "window" in payload:
            window = from_json(MonitoredWindow, payload["window"], path=f"entry {record.index}.window")
            file.windows.append(
                WindowEvidence(
                    window=window, check=payload["check"], new_harm=payload["new_harm"] is True, sealed=sealed
                )
            )
        else:
            getattr(file, _SEALED[record.kind]).append(sealed)
    elif record.kind in _CERTIFICATES:
        _apply_certificate(file, record, _sealed(record, payload))
    elif record.kind in (RecordKind.PERSON_REGISTERED, RecordKind.PRODUCER_REGISTERED):
        _apply_signer(file, payload)
    elif record.kind in (RecordKind.GAP_ASSIGNED, RecordKind.GAP_DEFERRED, RecordKind.INVALIDATED):
        _apply_gap(file, payload)
    else:
        _apply_case(file, record, payload)


def _sealed(record: Record, payload: Mapping[str, Any]) -> Sealed:
    body = canonical_bytes(payload["envelope"])
    return Sealed(index=record.index, received_at=record.at, body=body, digest=f"sha256:{sha256_hex(body)}")


def _apply_certificate(file: CaseFile, record: Record, sealed: Sealed) -> None:
    if record.kind is RecordKind.CERTIFICATE_REVOKED:
        file.revocations.setdefault(record.subject, sealed)
    elif record.subject in file.certificates:
        raise MalformedEvidence(
            f"The certificate {record.subject} was issued before.",
            remedy="Do not rely on this ledger; find out who wrote the entry.",
            where=f"entry {record.index}",
        )
    else:
        file.certificates[record.subject] = sealed


def _apply_signer(file: CaseFile, payload: Mapping[str, Any]) -> None:
    if "person" in payload:
        person = from_json(Person, payload["person"])
        _require_new(file, person)
        file.people[person.id] = person
    else:
        producer = from_json(Producer, payload["producer"])
        _require_new(file, producer)
        file.producers[producer.id] = producer


def _require_new(file: CaseFile, signer: Person | Producer) -> None:
    # Two first inspections at once may both register the program that they are.
    if file.producers.get(signer.id) == signer:
        return
    known: list[Person | Producer] = [*file.people.values(), *file.producers.values()]
    if any(signer.id == other.id or signer.public_key == other.public_key for other in known):
        raise MalformedEvidence(
            f"The id or the key of {signer.id} is registered already.",
            remedy="Do not rely on this ledger; find out who wrote the entry.",
        )


def _apply_gap(file: CaseFile, payload: Mapping[str, Any]) -> None:
    if "assignment" in payload:
        assignment = from_json(Assignment, payload["assignment"])
        file.assignments[assignment.criterion_id] = assignment
    elif "deferral" in payload:
        deferral = from_json(Deferral, payload["deferral"])
        file.deferrals[deferral.criterion_id] = deferral
    else:
        file.invalidations.append(from_json(Invalidation, payload["invalidation"]))


def _apply_case(file: CaseFile, record: Record, payload: Mapping[str, Any]) -> None:
    if record.kind is RecordKind.USE_CASE_REGISTERED:
        use_case = from_json(UseCase, payload["use_case"])
        before = file.use_case.builders if file.use_case is not None else ()
        file.use_case = replace(use_case, builders=tuple(sorted({*before, *use_case.builders})))
    elif record.kind is RecordKind.RELEASE_REGISTERED:
        file.subject = from_json(Subject, payload["subject"])
        file.releases.add(file.subject.release_digest)
    elif record.kind is RecordKind.POLICY_ADOPTED:
        file.profile = from_json(Profile, payload["profile"])
    elif record.kind is RecordKind.DECISION_RECORDED:
        decision = from_json(Decision, payload["decision"])
        file.decisions.append(RecordedDecision(index=record.index, decision=decision))
