"""E-signatures on a decision. Owns what is signed; who may sign belongs to ``gates``."""

from dataclasses import dataclass
from datetime import datetime

from roadworthy.domain.evidence import Meaning
from roadworthy.domain.people import Role

SIGNATURE_MEDIA_TYPE = "application/vnd.roadworthy.signature+json"
WAIVER_MEDIA_TYPE = "application/vnd.roadworthy.waiver+json"
APPROVAL_MEDIA_TYPE = "application/vnd.roadworthy.waiver-approval+json"
POLICY_MEDIA_TYPE = "application/vnd.roadworthy.policy+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A person's signature on what a gate decided.

    Attributes:
        gate_id: which gate.
        basis_digest: what was decided; any change to it voids the signature.
        shown_digest: digest of the exact view that was shown.
        person_id: who.
        printed_name: as shown on every form.
        role: in which the person signs.
        meaning: what the signature means; only ``approved`` counts for a quorum.
        reason: in the person's words.
        signed_at: when.
        components: what proved the identity.
        authenticated_at: when it was proven; a session alone never signs.
    """

    gate_id: str
    basis_digest: str
    shown_digest: str
    person_id: str
    printed_name: str
    role: Role
    meaning: Meaning
    reason: str
    signed_at: datetime
    components: tuple[str, ...]
    authenticated_at: datetime
