"""The rules of writing, replayed over a ledger that somebody else wrote.

Owns what the other actions refuse at the time of writing and what no signature shows afterwards: that nothing got looser
without the signature of a business owner of that moment. Whoever holds a ledger's key could write past the actions; a
verifier need not believe that nobody did.
"""

from collections.abc import Callable, Sequence
from typing import Any

from roadworthy.actions.policy import looser
from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import from_json
from roadworthy.base.errors import MalformedEvidence, SignatureBroken
from roadworthy.domain.case_file import CaseFile, fold
from roadworthy.domain.criterion import Profile
from roadworthy.domain.people import Role
from roadworthy.domain.record import Record, RecordKind
from roadworthy.domain.signature import POLICY_MEDIA_TYPE
from roadworthy.ports.trust import Trust


def write_faults(records: Sequence[Record], trust_of: Callable[[CaseFile], Trust]) -> tuple[str, ...]:
    """One sentence, with the entry's index, for every policy that got looser without its signature.

    Args:
        records: all of them, in ledger order.
        trust_of: trust in exactly the keys that a case file has on record.

    Raises:
        MalformedEvidence: a payload does not have the members of its kind (RW-201).
    """
    faults: list[str] = []
    for record in records:
        if record.kind is not RecordKind.POLICY_ADOPTED or record.payload is None:
            continue
        before = fold(records[: record.index])
        proposed = from_json(Profile, record.payload.get("profile"), path=f"entry {record.index}.profile")
        changes = looser(before.profile, proposed)
        if changes and not _signed(record.payload.get("envelope"), proposed, changes, before, trust_of(before)):
            faults.append(f"entry {record.index}: the policy got looser and no business owner signed it: {changes[0]}")
    return tuple(faults)


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
