"""People and producers. Owns who may sign as what; where keys are kept belongs to ``wiring``."""

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """What a person answers for. One person may hold several."""

    BUSINESS_OWNER = "business_owner"
    SYSTEM_OWNER = "system_owner"
    DATA_OWNER = "data_owner"
    VALIDATOR = "validator"
    SECURITY = "security"
    QUALITY = "quality"
    LEGAL = "legal"
    CHANGE_LEAD = "change_lead"
    SPONSOR = "sponsor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who can sign.

    Attributes:
        id: never reassigned to somebody else.
        printed_name: shown beside every signature.
        roles: what the person may sign as.
        public_key: raw Ed25519 public key, 64 hex digits.
    """

    id: str
    printed_name: str
    roles: tuple[Role, ...]
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """A program that signs evidence.

    Attributes:
        id: name of the installation that runs checks.
        public_key: raw Ed25519 public key, 64 hex digits.
    """

    id: str
    public_key: str
