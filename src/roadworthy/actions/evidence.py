"""Writing evidence: a check run, a person's attestation, an envelope from elsewhere. One entry a call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from roadworthy.base.codec import from_json, to_json
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import (
    InputError,
    MalformedEvidence,
    OtherRelease,
    PolicyRefusal,
    UnknownCriterion,
    WrongRole,
)
from roadworthy.domain.case_file import CaseFile, fold
from roadworthy.domain.criterion import Assurance, Criterion, Verdict
from roadworthy.domain.evidence import (
    PREDICATE_TYPE,
    STATEMENT_MEDIA_TYPE,
    Attachment,
    Attestation,
    Claim,
    CriterionRef,
    Evidence,
    Meaning,
    RunOutcome,
    Sealed,
)
from roadworthy.domain.people import Person, Role
from roadworthy.domain.record import Draft, Receipt, RecordKind
from roadworthy.domain.use_case import Subject
from roadworthy.domain.window import MonitoredWindow
from roadworthy.gates.admit import admit
from roadworthy.kit.check import AttachedFile
from roadworthy.ledger.dsse import Envelope, envelope_from_bytes, sign
from roadworthy.ledger.keys import SigningKey
from roadworthy.ledger.statement import parse_statement, statement
from roadworthy.ports.trust import Trust
from roadworthy.ports.unit_of_work import UnitOfWork

ATTESTATION = "attestation"
_VERDICT_OF = {Claim.MET: Verdict.MET, Claim.NOT_MET: Verdict.NOT_MET, Claim.NOT_APPLICABLE: Verdict.CANNOT_TELL}


def seal(evidence: Evidence, key: SigningKey) -> Envelope:
    """Evidence as a signed in-toto statement whose subject is the release."""
    subject = (evidence.use_case_id, evidence.release_digest.removeprefix("sha256:"))
    return sign(STATEMENT_MEDIA_TYPE, statement([subject], PREDICATE_TYPE, to_json(evidence)), [key])


def record_evidence(
    uow: UnitOfWork, *, evidence: Evidence, files: Sequence[AttachedFile], key: SigningKey, at: datetime
) -> Receipt:
    """Sign evidence and append it, with its attachments, as one entry."""
    return _append(uow, seal(_with_files(uow, evidence, files), key), evidence, at)


def record_window_evidence(
    uow: UnitOfWork,
    *,
    window: MonitoredWindow,
    evidence: Evidence,
    files: Sequence[AttachedFile],
    key: SigningKey,
    new_harm: bool,
    known: int,
    at: datetime,
) -> Receipt:
    """The same for a check on a window of a monitor; the gate does not take it for evidence of its criteria.

    Args:
        new_harm: whether an event has to follow that voids older evidence.
        known: how many envelopes of windows were on record when the check began; it may rest on the last of them.

    Raises:
        PolicyRefusal: another command has monitored meanwhile (RW-300); nothing is written then.
    """
    if len(fold(uow.records()).windows) != known:
        raise PolicyRefusal(
            f"Another command has monitored while {evidence.check} looked at {window.name}.",
            remedy="Run one monitor of a use case at a time; this one goes on with what is left.",
            where=window.name,
        )
    members = {"window": to_json(window), "check": evidence.check, "new_harm": new_harm}
    return _append(uow, seal(_with_files(uow, evidence, files), key), evidence, at, members)


def _with_files(uow: UnitOfWork, evidence: Evidence, files: Sequence[AttachedFile]) -> Evidence:
    kept = tuple(
        Attachment(
            name=file.name, media_type=file.media_type, digest=uow.put_blob(file.data), size_bytes=len(file.data)
        )
        for file in files
    )
    return replace(evidence, attachments=kept)


def _append(
    uow: UnitOfWork, envelope: Envelope, evidence: Evidence, at: datetime, members: Mapping[str, Any] | None = None
) -> Receipt:
    return uow.append(
        Draft(
            kind=RecordKind.EVIDENCE_RECORDED,
            at=at,
            actor=evidence.producer,
            use_case_id=evidence.use_case_id,
            subject=evidence.release_digest,
            payload={"envelope": envelope.to_json(), **(members or {})},
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A person who has just proven who they are.

    Attributes:
        components: what proved it, for example key file and passphrase.
        authenticated_at: when.
    """

    person: Person
    key: SigningKey
    components: tuple[str, ...]
    authenticated_at: datetime

    def acting_as(self, role: Role) -> Role:
        """The role, when the person holds it.

        Raises:
            WrongRole: they do not (RW-305).
        """
        if role not in self.person.roles:
            held = ", ".join(r.value for r in self.person.roles) or "none"
            raise WrongRole(
                f"{self.person.printed_name} does not hold the role {role.value}; held: {held}.",
                remedy=f"Let somebody sign who holds {role.value}.",
            )
        return role


def find_criterion(criteria: Sequence[Criterion], criterion_id: str) -> Criterion:
    """The criterion of that id.

    Raises:
        UnknownCriterion: there is none (RW-107).
    """
    for criterion in criteria:
        if criterion.id == criterion_id:
            return criterion
    known = ", ".join(c.id for c in criteria)
    raise UnknownCriterion(f"No criterion {criterion_id!r} is in the profile.", remedy=f"Known: {known}.")


def attest(
    uow: UnitOfWork,
    *,
    criterion: Criterion,
    subject: Subject,
    signer: Signer,
    role: Role,
    claim: Claim,
    reason: str,
    shown_digest: str,
    environment: str,
    tool: dict[str, str],
    at: datetime,
) -> Receipt:
    """Put a person's word on one criterion on record.

    Raises:
        WrongRole: the person does not hold the role, or the criterion does not ask for it (RW-305).
        InputError: no reason was given, or the claim does not fit the criterion (RW-100).
    """
    asked = criterion.signer_roles or (criterion.owner_role,)
    if signer.acting_as(role) not in asked:
        names = ", ".join(r.value for r in asked)
        raise WrongRole(f"{criterion.id} is not signed as {role.value}.", remedy=f"It is signed as {names}.")
    if not reason.strip():
        raise InputError("A signature needs a reason.", remedy="Say in a sentence why: --reason TEXT.")
    if claim is Claim.NOT_APPLICABLE and not criterion.may_not_apply:
        raise InputError(
            f"{criterion.id} always applies in this profile.", remedy="Close its gap, defer it, or request a waiver."
        )
    if claim is not Claim.NOT_APPLICABLE and not criterion.signer_roles:
        raise InputError(f"{criterion.id} is proven by a check, not by a signature.", remedy="Run roadworthy inspect.")
    word = Attestation(
        person_id=signer.person.id,
        printed_name=signer.person.printed_name,
        role=role,
        claim=claim,
        meaning=Meaning.RESPONSIBLE,
        reason=reason,
        shown_digest=shown_digest,
        components=signer.components,
        authenticated_at=signer.authenticated_at,
    )
    evidence = Evidence(
        use_case_id=subject.use_case_id,
        release_digest=subject.release_digest,
        environment=environment,
        criteria=(CriterionRef(id=criterion.id, digest=criterion.digest, verdict=_VERDICT_OF[claim]),),
        check=ATTESTATION,
        check_version=1,
        parameters={},
        inputs=dict(subject.parts),
        outcome=RunOutcome.COMPLETED,
        problem=None,
        estimates=(),
        control=None,
        findings=(),
        facts={},
        attachments=(),
        attestation=word,
        tool=tool,
        seed=0,
        observed_from=at,
        observed_until=at,
        produced_at=at,
        producer=signer.person.id,
        assurance=Assurance.SELF_ATTESTED,
    )
    return record_evidence(uow, evidence=evidence, files=(), key=signer.key, at=at)


def import_evidence(uow: UnitOfWork, *, body: bytes, case: CaseFile, trust: Trust, at: datetime) -> Receipt:
    """Take an envelope that somebody else signed.

    Raises:
        MalformedEvidence: not an envelope with a statement of ours, or one that the gate would refuse (RW-201).
        SignatureBroken: no registered key signed it (RW-502).
        OtherRelease: it is about another use case, or a release that was never registered here (RW-202).
    """
    envelope = envelope_from_bytes(body)
    opened = trust.open(envelope.to_bytes())
    payload = opened.payload
    if not isinstance(payload, dict) or payload.get("predicateType") != PREDICATE_TYPE:
        raise MalformedEvidence(
            "The envelope holds no evidence statement.", remedy=f"Send a statement of type {PREDICATE_TYPE}."
        )
    evidence = from_json(Evidence, payload.get("predicate"), path="$.predicate")
    ours = case.use_case.id if case.use_case else ""
    if evidence.use_case_id != ours or evidence.release_digest not in case.releases:
        raise OtherRelease(
            f"The evidence is about {evidence.use_case_id}, release {evidence.release_digest[:19]}.",
            remedy=f"Send evidence about {ours}, for a release that was inspected here.",
        )
    # What the gate would refuse must not enter: an entry stays for good, and a malformed one would spoil every export.
    parse_statement(envelope.payload)
    body = envelope.to_bytes()
    sealed = Sealed(index=case.size, received_at=at, body=body, digest=digest_bytes(body))
    refused = admit([sealed], trust, at=at, use_case_id=ours).refused
    if refused:
        raise MalformedEvidence(
            f"The gate would refuse this evidence: {refused[0].reason}.", remedy="Ask its producer for a sound one."
        )
    return _append(uow, envelope, evidence, at)
