"""The policy in force. Owns adopting a profile; a profile that is looser than the one in force needs a signature.

A threshold that quietly follows the numbers is the oldest way to pass a gate. So a tighter or new profile is adopted as
it is, and a looser one only with an envelope in which the business owner signs the list of what gets looser.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.base.errors import LooseningRefused, WrongRole
from roadworthy.domain.criterion import Profile
from roadworthy.domain.people import Person, Role
from roadworthy.domain.record import Draft, Receipt, RecordKind
from roadworthy.domain.signature import POLICY_MEDIA_TYPE
from roadworthy.ledger.dsse import sign
from roadworthy.ledger.keys import SigningKey
from roadworthy.packs.diff import diff, loosenings
from roadworthy.ports.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A person's signature on a looser policy."""

    person: Person
    key: SigningKey
    reason: str


def looser(current: Profile | None, proposed: Profile) -> tuple[str, ...]:
    """One sentence for everything that the proposed profile loosens; empty when nothing does."""
    if current is None:
        return ()
    return tuple(
        f"{change.criterion_id} {change.field}: {change.old} becomes {change.new}"
        for change in loosenings(diff(current, proposed))
    )


def adopt_policy(
    uow: UnitOfWork, *, current: Profile | None, proposed: Profile, actor: str, at: datetime, revision: Revision | None
) -> Receipt:
    """Put a profile in force.

    Raises:
        LooseningRefused: something gets looser and nobody signed it (RW-304).
        WrongRole: the signer is not a business owner (RW-305).
    """
    changes = looser(current, proposed)
    payload: dict[str, Any] = {"profile": to_json(proposed), "loosenings": list(changes), "envelope": None}
    if changes:
        payload["envelope"] = _signed(changes, proposed, revision, at)
    return uow.append(
        Draft(
            kind=RecordKind.POLICY_ADOPTED,
            at=at,
            actor=actor,
            use_case_id=proposed.use_case_id,
            subject=proposed.digest,
            payload=payload,
        )
    )


def _signed(changes: tuple[str, ...], proposed: Profile, revision: Revision | None, at: datetime) -> dict[str, Any]:
    if revision is None:
        raise LooseningRefused(
            f"The policy would get looser: {'; '.join(changes)}.",
            remedy="Restore the bound, or have the business owner sign: roadworthy sign policy --as PERSON --reason TEXT.",
        )
    if Role.BUSINESS_OWNER not in revision.person.roles:
        raise WrongRole(
            f"{revision.person.printed_name} is not a business owner.",
            remedy="Let the business owner sign the revision.",
        )
    statement = {
        "profile_digest": proposed.digest,
        "loosenings": list(changes),
        "person_id": revision.person.id,
        "printed_name": revision.person.printed_name,
        "role": Role.BUSINESS_OWNER.value,
        "reason": revision.reason,
        "signed_at": to_json(at),
    }
    return sign(POLICY_MEDIA_TYPE, canonical_bytes(statement), [revision.key]).to_json()
