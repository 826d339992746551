"""Who signed what: seats of the quorum, signatures on the decision, and waivers in force. Owns their shown form.

Verifying belongs to the gates. What the decision refused is left out here, for it stands in the list of what was refused;
a signature on another decision is left out too, since it says nothing about this one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from roadworthy.base.canonical import parse_canonical
from roadworthy.base.codec import from_json
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.decision import Decision
from roadworthy.domain.evidence import Sealed
from roadworthy.domain.people import Role
from roadworthy.domain.signature import APPROVAL_MEDIA_TYPE, SIGNATURE_MEDIA_TYPE, WAIVER_MEDIA_TYPE, Signature
from roadworthy.domain.waiver import Waiver, WaiverApproval
from roadworthy.ledger.dsse import envelope_from_bytes
from roadworthy.reports.words import enum_words

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatView:
    """One place of the quorum.

    Attributes:
        role: who has to sign.
        role_words: the same for people.
        count: how many different people.
        signed_by: printed names of those who did.
    """

    role: Role
    role_words: str
    count: int
    signed_by: tuple[str, ...]

    @property
    def open_count(self) -> int:
        """How many signatures are still missing."""
        return self.count - len(self.signed_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureView:
    """A signature on this decision, with its ledger entry and whether it fills a seat."""

    index: int
    digest: str
    counts: bool
    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverView:
    """A waiver in force, with the printed names of everybody who answers for it."""

    index: int
    digest: str
    waiver: Waiver
    risk_owner: str
    requested_by: str
    approved_by: str
    approved_as: Role
    approved_at: datetime


def seats(case: CaseFile, decision: Decision) -> tuple[SeatView, ...]:
    """The quorum, in the gate's order."""
    return tuple(
        SeatView(
            role=seat.role,
            role_words=enum_words(seat.role),
            count=seat.count,
            signed_by=tuple(printed_name(case, person) for person in seat.signed_by),
        )
        for seat in decision.quorum
    )


def signatures(case: CaseFile, decision: Decision) -> tuple[SignatureView, ...]:
    """Signatures on what this decision rests on, in ledger order."""
    seated = {(person, seat.role) for seat in decision.quorum for person in seat.signed_by}
    return tuple(
        SignatureView(
            index=sealed.index,
            digest=sealed.digest,
            counts=(content.person_id, content.role) in seated,
            signature=content,
        )
        for sealed, content in _read(Signature, SIGNATURE_MEDIA_TYPE, case.signatures, decision)
        if content.basis_digest == decision.basis_digest and content.gate_id == decision.gate_id
    )


def waivers(case: CaseFile, decision: Decision) -> tuple[WaiverView, ...]:
    """The waivers that cover a criterion in this decision, in ledger order."""
    ids = {reading.waiver_id for reading in decision.readings if reading.waiver_id is not None}
    approvals: dict[str, WaiverApproval] = {}
    for _, approval in _read(WaiverApproval, APPROVAL_MEDIA_TYPE, case.waiver_approvals, decision):
        approvals.setdefault(approval.waiver_digest, approval)
    found = []
    for sealed, waiver in _read(Waiver, WAIVER_MEDIA_TYPE, case.waiver_requests, decision):
        approved = approvals.get(waiver.digest)
        if waiver.id in ids and approved is not None:
            found.append(
                WaiverView(
                    index=sealed.index,
                    digest=sealed.digest,
                    waiver=waiver,
                    risk_owner=printed_name(case, waiver.risk_owner),
                    requested_by=printed_name(case, waiver.requester),
                    approved_by=printed_name(case, approved.approver),
                    approved_as=approved.role,
                    approved_at=approved.approved_at,
                )
            )
    return tuple(found)


def printed_name(case: CaseFile, person_id: str) -> str:
    """The name that stands beside signatures; the id of somebody who is not registered."""
    person = case.people.get(person_id)
    return person.printed_name if person is not None else person_id


def _read(kind: type[T], media_type: str, sealed: Iterable[Sealed], decision: Decision) -> Iterable[tuple[Sealed, T]]:
    """Contents of the envelopes that the decision saw and did not refuse: these it has opened and verified itself."""
    refused = {each.digest for each in decision.refused}
    for each in sealed:
        if each.index >= decision.head.size or each.digest in refused:
            continue
        envelope = envelope_from_bytes(each.body)
        if envelope.payload_type == media_type:
            yield each, from_json(kind, parse_canonical(envelope.payload))
