"""The rules of writing, replayed over a ledger that somebody else wrote.

Owns what the other actions refuse at the time of writing and what no signature shows afterwards: that nothing got looser
without the signature of a business owner of that moment, and that no certificate was issued but on a gate that was open.
Whoever holds a ledger's key could write past the actions; a
verifier need not believe that nobody did.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roadworthy.actions.certificates import certificate_fault, read_certificate, read_revocation
from roadworthy.actions.policy import looser
from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import from_json
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import MalformedEvidence, SignatureBroken
from roadworthy.domain.case_file import CaseFile, fold
from roadworthy.domain.criterion import Profile
from roadworthy.domain.evidence import Sealed
from roadworthy.domain.people import Role
from roadworthy.domain.record import Record, RecordKind
from roadworthy.domain.signature import POLICY_MEDIA_TYPE
from roadworthy.ports.trust import Trust


def write_faults(records: Sequence[Record], trust_of: Callable[[CaseFile], Trust]) -> tuple[str, ...]:
    """One sentence, with the entry's index, for every write that the actions would have refused.

    1. a policy that got looser without its signature; 2. a certificate that the control plane did not sign, or that says
    more than the newest decision before it; 3. a revocation that it did not sign, or of another certificate.

    Args:
        records: all of them, in ledger order.
        trust_of: trust in exactly the keys that a case file has on record.

    Raises:
        MalformedEvidence: a payload does not have the members of its kind (RW-201).
    """
    faults: list[str] = []
    for record in records:
        judge = _JUDGES.get(record.kind)
        if judge is None or record.payload is None:
            continue
        before = fold(records[: record.index])
        fault = judge(record, record.payload, before, trust_of(before))
        if fault is not None:
            faults.append(f"entry {record.index}: {fault}")
    return tuple(faults)


def _policy_fault(record: Record, payload: Mapping[str, Any], before: CaseFile, trust: Trust) -> str | None:
    # 1
    proposed = from_json(Profile, payload.get("profile"), path=f"entry {record.index}.profile")
    changes = looser(before.profile, proposed)
    if changes and not _signed(payload.get("envelope"), proposed, changes, before, trust):
        return f"the policy got looser and no business owner signed it: {changes[0]}"
    return None


def _certificate_fault(record: Record, payload: Mapping[str, Any], before: CaseFile, trust: Trust) -> str | None:
    # 2
    try:
        certificate = read_certificate(_sealed(record, payload), trust)
    except (MalformedEvidence, SignatureBroken) as error:
        return f"the certificate does not count: {error.what}"
    if certificate.id != record.subject:
        return f"the certificate is called {certificate.id}, not {record.subject}"
    fault = certificate_fault(certificate, before, trust, record.at)
    return None if fault is None else f"the certificate {certificate.id} should not have been issued: {fault}"


def _revocation_fault(record: Record, payload: Mapping[str, Any], before: CaseFile, trust: Trust) -> str | None:
    # 3
    try:
        revocation = read_revocation(_sealed(record, payload), trust)
    except (MalformedEvidence, SignatureBroken) as error:
        return f"the revocation does not count: {error.what}"
    # An erased certificate is still one that was issued.
    known = record.subject in before.certificates or bool(before.erased)
    if revocation.certificate_id != record.subject or not known:
        return f"the revocation is of no certificate called {record.subject}"
    return None


_Judge = Callable[[Record, Mapping[str, Any], CaseFile, Trust], str | None]
_JUDGES: Mapping[RecordKind, _Judge] = {
    RecordKind.POLICY_ADOPTED: _policy_fault,
    RecordKind.CERTIFICATE_ISSUED: _certificate_fault,
    RecordKind.CERTIFICATE_REVOKED: _revocation_fault,
}


def _sealed(record: Record, payload: Mapping[str, Any]) -> Sealed:
    body = canonical_bytes(payload.get("envelope"))
    return Sealed(index=record.index, received_at=record.at, body=body, digest=digest_bytes(body))


def _signed(envelope: Any, proposed: Profile, changes: tuple[str, ...], before: CaseFile, trust: Trust) -> bool:
    """Whether a business owner of that moment signed exactly these loosenings of exactly this profile."""
    if envelope is None:
        return False
    try:
        opened = trust.open(canonical_bytes(envelope))
    except (MalformedEvidence, SignatureBroken):
        return False
    said = opened.payload if isinstance(opened.payload, dict) else {}
    person = before.people.get(str(said.get("person_id")))
    return (
        opened.payload_type == POLICY_MEDIA_TYPE
        and said.get("profile_digest") == proposed.digest
        and said.get("loosenings") == list(changes)
        and person is not None
        and person.id in opened.signers
        and Role.BUSINESS_OWNER in person.roles
    )
