"""Evidence: what was observed, once and for all. Owns the predicate of the in-toto statement.

No expiry stands inside: whether evidence still counts is computed by policy when somebody asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from roadworthy.domain.criterion import Assurance, Estimate, Verdict
from roadworthy.domain.people import Role
from roadworthy.domain.use_case import Part

PREDICATE_TYPE = "https://roadworthy.dev/evidence/v1"
STATEMENT_MEDIA_TYPE = "application/vnd.in-toto+json"


class RunOutcome(Enum):
    """How a check run ended. Only a completed one can satisfy anything."""

    COMPLETED = "completed"
    ERROR = "error"
    TERMINATED = "terminated"


class Claim(Enum):
    """What a person attests of a criterion."""

    MET = "met"
    NOT_MET = "not_met"
    NOT_APPLICABLE = "not_applicable"


class Meaning(Enum):
    """What a signature means."""

    AUTHORED = "authored"
    REVIEWED = "reviewed"
    APPROVED = "approved"
    REJECTED = "rejected"
    RESPONSIBLE = "responsible"


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionRef:
    """A criterion as it read when the evidence was produced, with the verdict reached then."""

    id: str
    digest: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The negative control: the same check against a fixture that it must fail.

    Attributes:
        fixture: what was wrong on purpose.
        failed: whether the check found it; False voids the run.
        detail: what it measured there.
    """

    fixture: str
    failed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found wrong, and what to do about it."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A content-addressed file that belongs to the evidence."""

    name: str
    media_type: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """A person's word on one criterion.

    Attributes:
        person_id: who.
        printed_name: as it was at signing.
        role: in which the person signs.
        claim: what is attested.
        meaning: what the signature means.
        reason: in the person's words.
        shown_digest: digest of the view that was shown before signing.
        components: what proved the identity, for example key file and passphrase.
        authenticated_at: when it was proven.
    """

    person_id: str
    printed_name: str
    role: Role
    claim: Claim
    meaning: Meaning
    reason: str
    shown_digest: str
    components: tuple[str, ...]
    authenticated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The predicate of one statement: one check run, or one attestation.

    Attributes:
        use_case_id: whose evidence.
        release_digest: the subject.
        environment: where it ran, for example ``production-like``.
        criteria: what it may prove; matched by these ids only.
        check: id of the check, or ``attestation``.
        check_version: of that check.
        parameters: as used, units in the names.
        inputs: digest of every part that it read, or that a criterion of it depends on.
        outcome: how the run ended.
        problem: why, unless completed.
        estimates: what was measured.
        control: the negative control; None for an attestation.
        findings: what is wrong and the remedy.
        facts: small tables to show a person, plain JSON.
        attachments: files, by digest.
        attestation: the person's word; None for a check run.
        tool: name and version of what produced it, and digest of the environment.
        seed: of every random choice.
        observed_from: begin of the observed window.
        observed_until: its exclusive end; age counts from here.
        produced_at: when it was signed.
        producer: id of the signing producer or person.
        assurance: what it is worth.
    """

    use_case_id: str
    release_digest: str
    environment: str
    criteria: tuple[CriterionRef, ...]
    check: str
    check_version: int
    parameters: Mapping[str, Any]
    inputs: Mapping[Part, str]
    outcome: RunOutcome
    problem: str | None
    estimates: tuple[Estimate, ...]
    control: Control | None
    findings: tuple[Finding, ...]
    facts: Mapping[str, Any]
    attachments: tuple[Attachment, ...]
    attestation: Attestation | None
    tool: Mapping[str, str]
    seed: int
    observed_from: datetime
    observed_until: datetime
    produced_at: datetime
    producer: str
    assurance: Assurance


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A signed envelope as the ledger holds it.

    Attributes:
        index: of its ledger entry.
        received_at: instant of that entry.
        body: the envelope's canonical JSON bytes.
        digest: of ``body``.
    """

    index: int
    received_at: datetime
    body: bytes
    digest: str
