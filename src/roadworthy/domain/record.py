"""Records: the writes of the system, one per ledger entry. Owns their kinds and payload members.

A record is what an entry's payload says once it is read. The store and a bundle both yield records in ledger order, and
``case_file`` folds them: there is one way from entries to objects, so both must decide alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any


class RecordKind(Enum):
    """What was written. The payload's members stand beside each kind."""

    USE_CASE_REGISTERED = "use_case.registered"
    """use_case"""
    PERSON_REGISTERED = "person.registered"
    """person"""
    PRODUCER_REGISTERED = "producer.registered"
    """producer"""
    RELEASE_REGISTERED = "release.registered"
    """subject"""
    POLICY_ADOPTED = "policy.adopted"
    """profile; loosenings: tuple of text; envelope: the signed revision, or null when nothing got looser"""
    EVIDENCE_RECORDED = "evidence.recorded"
    """envelope; for a window of a monitor also window; check: its id; new_harm: whether it calls for an event"""
    WAIVER_REQUESTED = "waiver.requested"
    """envelope"""
    WAIVER_APPROVED = "waiver.approved"
    """envelope"""
    SIGNATURE_ADDED = "signature.added"
    """envelope"""
    GAP_ASSIGNED = "gap.assigned"
    """assignment"""
    GAP_DEFERRED = "gap.deferred"
    """deferral"""
    INVALIDATED = "evidence.invalidated"
    """invalidation"""
    DECISION_RECORDED = "decision.recorded"
    """decision"""
    CERTIFICATE_ISSUED = "certificate.issued"
    """envelope; the entry's subject is the certificate's id"""
    CERTIFICATE_REVOKED = "certificate.revoked"
    """envelope; the entry's subject is the certificate's id"""
    BUNDLE_EXPORTED = "bundle.exported"
    """members: number of files"""
    PAYLOAD_ERASED = "payload.erased"
    """index: of the entry whose payload was erased; reason: text"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One write, before the ledger gives it an index.

    Attributes:
        kind: what is written.
        at: instant of the action; the ledger refuses one before its newest entry.
        actor: id of the person or program that acts.
        use_case_id: whose; empty for what belongs to none.
        subject: what it is about, for indexes: a digest or an id.
        payload: plain JSON.
    """

    kind: RecordKind
    at: datetime
    actor: str
    use_case_id: str
    subject: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One write as the ledger holds it.

    Attributes:
        index: of its entry, from 0.
        payload: plain JSON; None when it was erased.
    """

    index: int
    kind: RecordKind
    at: datetime
    actor: str
    use_case_id: str
    subject: str
    payload: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a write leaves in the caller's hand.

    Attributes:
        index: of its entry.
        leaf_hash: hex.
        size: of the ledger after it.
    """

    index: int
    leaf_hash: str
    size: int
