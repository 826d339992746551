"""Whether evidence still counts for one criterion. Owns age, subject, revision and invalidation; judges no numbers.

Evidence carries no expiry: facts do not age, their relevance does, and the profile says how fast.

What "for this release" means here: a criterion names the parts that it depends on. Evidence that was produced for
another release of the same use case still counts when every one of these parts has the same digest in the subject at
hand, for then nothing that it speaks of has changed. A part that neither side has is equal; one that only one side has
is changed. Evidence of another use case never comes this far: admission refuses it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from roadworthy.domain.criterion import Criterion
from roadworthy.domain.evidence import Evidence
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part, Subject
from roadworthy.domain.waiver import Invalidation
from roadworthy.gates.envelope import stamp

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Whether evidence counts, and until when.

    Attributes:
        reason: why it is stale, as a clause without a full stop; None while it counts.
        expires_at: exclusive end by age.
    """

    reason: str | None
    expires_at: datetime


def validity(
    evidence: Evidence,
    criterion: Criterion,
    *,
    subject: Subject,
    tier: Tier,
    at: datetime,
    invalidations: Iterable[Invalidation],
    criterion_digest: str | None = None,
) -> Validity:
    """Whether evidence counts for a criterion at an instant.

    1. it still speaks of this criterion and this subject (``irrelevance``); 2. ``at`` is before ``observed_until`` plus
    the age that the profile grants at this tier.

    Args:
        evidence: admitted.
        criterion: one that the evidence names.
        subject: what the gate decides on.
        tier: of the profile.
        at: the instant of the evaluation.
        invalidations: all that are on record.
        criterion_digest: ``criterion.digest``, when it is known already.
    """
    days = criterion.max_age_days.get(tier)
    expires_at = evidence.observed_until if days is None else _later(evidence.observed_until, days)
    # 1
    reason = irrelevance(
        evidence, criterion, subject=subject, invalidations=invalidations, criterion_digest=criterion_digest
    )
    # 2
    if reason is None and days is None:
        reason = f"the profile grants it no validity at tier {tier.value}"
    elif reason is None and at >= expires_at:
        reason = f"too old, observed until {stamp(evidence.observed_until)} and valid for {days:g} days"
    return Validity(reason=reason, expires_at=expires_at)


def irrelevance(
    evidence: Evidence,
    criterion: Criterion,
    *,
    subject: Subject,
    invalidations: Iterable[Invalidation],
    criterion_digest: str | None = None,
) -> str | None:
    """Why evidence no longer speaks of this criterion and subject, whatever its age; None when it does.

    1. the criterion reads as it did when the evidence was produced; 2. every part that it depends on is the same; 3. no
    event on record voids what was observed before it. An event counts from the moment it is on record, so one that is
    dated ahead closes at once.
    """
    # 1
    digest = criterion.digest if criterion_digest is None else criterion_digest
    if any(ref.digest != digest for ref in evidence.criteria if ref.id == criterion.id):
        return "the criterion was revised since"
    # 2
    parts, inputs = subject.parts, evidence.inputs
    if any(parts.get(part) != inputs.get(part) for part in criterion.depends_on):
        changed = [p.value for p in Part if p in criterion.depends_on and parts.get(p) != inputs.get(p)]
        return f"changed since: {', '.join(changed)}"
    # 3
    voiding = [event for event in invalidations if _voids(event, evidence, criterion)]
    if voiding:
        latest = max(voiding, key=lambda event: (event.happened_at, event.reason))
        return f"invalidated on {stamp(latest.happened_at)}, {latest.reason}"
    return None


def _voids(event: Invalidation, evidence: Evidence, criterion: Criterion) -> bool:
    about = criterion.id in event.criterion_ids or not event.parts.isdisjoint(criterion.depends_on)
    return about and event.happened_at > evidence.observed_from


def _later(at: datetime, days: float) -> datetime:
    """``at`` plus so many days; an age that is not positive grants nothing, one beyond the calendar never ends."""
    if not days > 0:
        return at
    try:
        return at + timedelta(days=days)
    except OverflowError:
        return _END_OF_TIME
