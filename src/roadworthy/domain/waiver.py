"""Waivers, deferrals and invalidating events. Owns their fields; whether one counts belongs to ``gates``."""

from dataclasses import dataclass
from datetime import datetime

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_of
from roadworthy.domain.people import Role
from roadworthy.domain.use_case import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Permission to pass one gate now although one criterion is not satisfied.

    Attributes:
        id: of this request; an extension is a new request.
        use_case_id: whose gate.
        gate_id: which gate.
        criterion_id: which criterion.
        release_digest: this release only.
        reason: why the risk is acceptable.
        risk_owner: person who carries it.
        requester: person who asks; never the approver.
        compensating_evidence: envelope digests of what keeps the risk down meanwhile; at least one.
        obligation: what must happen until it expires.
        requested_at: when.
        expires_at: exclusive end; mandatory.
    """

    id: str
    use_case_id: str
    gate_id: str
    criterion_id: str
    release_digest: str
    reason: str
    risk_owner: str
    requester: str
    compensating_evidence: tuple[str, ...]
    obligation: str
    requested_at: datetime
    expires_at: datetime

    @property
    def digest(self) -> str:
        """What an approval names."""
        return digest_of(to_json(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverApproval:
    """Somebody else's yes to one waiver."""

    waiver_id: str
    waiver_digest: str
    approver: str
    role: Role
    reason: str
    approved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """A decision not to close a gap yet; the gate stays closed by it.

    Attributes:
        criterion_id: whose gap.
        reason: why later.
        work: what stays undone.
        cost_days: person-days that it will take then.
        target_stage: by which stage it must be closed.
        decided_by: person.
        decided_at: when.
    """

    criterion_id: str
    reason: str
    work: str
    cost_days: float
    target_stage: str
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalidation:
    """An event that voids older evidence: an incident, a drift alarm, a revoked key.

    Attributes:
        happened_at: evidence observed before this instant no longer counts.
        criterion_ids: which criteria; empty for all that depend on ``parts``.
        parts: what the event is about.
        reason: for people.
    """

    happened_at: datetime
    criterion_ids: tuple[str, ...]
    parts: frozenset[Part]
    reason: str
