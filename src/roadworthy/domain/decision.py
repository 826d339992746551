"""Gate decisions: seven criterion states, four outcomes, and the record of both. Owns what people sign.

``basis_digest`` covers what was decided on and the state of every criterion, not the instant and not the signatures:
so a signature stays valid for as long as nothing that it was given for has changed, and no longer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from roadworthy.domain.criterion import ReadinessDomain
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier


class State(Enum):
    """The total set of what a criterion can be."""

    SATISFIED = "satisfied"
    NOT_SATISFIED = "not_satisfied"
    INDETERMINATE = "indeterminate"
    MISSING = "missing"
    STALE = "stale"
    WAIVED = "waived"
    NOT_APPLICABLE = "not_applicable"


class Outcome(Enum):
    """What a gate says."""

    OPEN = "open"
    CONDITIONAL = "conditional"
    CLOSED = "closed"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The state of one criterion at one instant.

    Attributes:
        criterion_id: which.
        state: what it is.
        reason: why, in one sentence.
        underlying: the state beneath a waiver; None when not waived.
        evidence: digests of the envelopes that it rests on, oldest first.
        expires_at: exclusive end of its validity; None when it rests on nothing.
        waiver_id: the waiver that covers it.
    """

    criterion_id: str
    state: State
    reason: str
    underlying: State | None = None
    evidence: tuple[str, ...] = ()
    expires_at: datetime | None = None
    waiver_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An envelope that could not count, and why. Nothing is ignored in silence."""

    digest: str
    index: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One place of the quorum: the role, how many must sign, and who did."""

    role: Role
    count: int
    signed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHead:
    """The checkpoint that a decision embeds.

    Attributes:
        size: number of entries; evidence with a lower index was seen.
        root: base64 of the tree's root.
        note: the signed checkpoint, whole.
    """

    size: int
    root: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a gate said, with everything needed to say it again.

    Attributes:
        version: of this record's shape.
        gate_id: which gate.
        use_case_id: whose.
        release_digest: of which release.
        subject_digest: of everything that evidence may depend on.
        profile_digest: by which rules.
        tier: at which tier.
        at: the one instant of the evaluation.
        head: the ledger as it was.
        outcome: open, conditional, closed or lapsed.
        basis_digest: what people sign.
        readings: one per required criterion, in the profile's order.
        blocking: criteria that keep the gate closed.
        unblock_order: the same, cheapest first, dependencies before dependents.
        waiting_for: seats of the quorum that are still empty.
        quorum: all seats.
        refused: envelopes that could not count.
        obligations: what the waivers in force demand.
        max_wave_share: largest share of the population that may be served, in [0, 1]; 0 unless the gate is open.
        valid_until: earliest expiry of anything that it rests on; None when it rests on nothing.
        lapsed_from: digest of the open decision that no longer holds.
        score: readiness by domain, in [0, 1]; for display only.
    """

    version: int
    gate_id: str
    use_case_id: str
    release_digest: str
    subject_digest: str
    profile_digest: str
    tier: Tier
    at: datetime
    head: LedgerHead
    outcome: Outcome
    basis_digest: str
    readings: tuple[Reading, ...]
    blocking: tuple[str, ...]
    unblock_order: tuple[str, ...]
    waiting_for: tuple[Role, ...]
    quorum: tuple[Seat, ...]
    refused: tuple[Refused, ...]
    obligations: tuple[str, ...]
    max_wave_share: float
    valid_until: datetime | None
    lapsed_from: str | None
    score: Mapping[ReadinessDomain, float]
