"""What people decide about gaps: who closes them and when, and what is put off. One entry a call.

Closing is not among the verbs: a gap closes when newer evidence satisfies its criterion.
"""

from datetime import datetime

from roadworthy.actions.evidence import find_criterion
from roadworthy.base.codec import to_json
from roadworthy.base.errors import InputError
from roadworthy.domain.case_file import CaseFile, fold
from roadworthy.domain.criterion import Effort, Profile
from roadworthy.domain.gap import Assignment
from roadworthy.domain.record import Draft, Receipt, RecordKind
from roadworthy.domain.waiver import Deferral, Invalidation
from roadworthy.gates.order import require_acyclic
from roadworthy.gates.plan import LONGEST_DAYS
from roadworthy.ports.unit_of_work import UnitOfWork


def assign_gap(uow: UnitOfWork, *, profile: Profile, assignment: Assignment) -> Receipt:
    """Set owner, effort, dependencies or deadline of a gap.

    Raises:
        UnknownCriterion: the gap's criterion, or one that it depends on, is not in the profile (RW-107).
        InputError: the three efforts are not in order, or longer than can be planned (RW-100).
        DependencyCycle: the gap would wait for itself, directly or by way of others (RW-112).
    """
    for criterion_id in (assignment.criterion_id, *(assignment.depends_on or ())):
        find_criterion(profile.criteria, criterion_id)
    if assignment.effort is not None:
        _require_effort(assignment.effort)
    _require_acyclic(fold(uow.records()), profile, assignment)
    return uow.append(
        Draft(
            kind=RecordKind.GAP_ASSIGNED,
            at=assignment.assigned_at,
            actor=assignment.assigned_by,
            use_case_id=profile.use_case_id,
            subject=assignment.criterion_id,
            payload={"assignment": to_json(assignment)},
        )
    )


def _require_effort(effort: Effort) -> None:
    """Refuse now what the planner would refuse later: once on record, it would stop every plan."""
    said = f"The effort {effort.low_days:g}, {effort.likely_days:g}, {effort.high_days:g}"
    remedy = "Give optimistic, likely and pessimistic person-days, for example 2,3,8."
    if not 0 < effort.low_days <= effort.likely_days <= effort.high_days:
        raise InputError(f"{said} is not in order.", remedy=remedy)
    if effort.high_days > LONGEST_DAYS:
        raise InputError(f"{said} is longer than {LONGEST_DAYS:g} days.", remedy=remedy)


def _require_acyclic(case: CaseFile, profile: Profile, assignment: Assignment) -> None:
    """Refuse a circle now: once on record, it would stop every later plan."""
    assigned = {**case.assignments, assignment.criterion_id: assignment}
    waits = {criterion.id: criterion.gap_depends_on for criterion in profile.criteria}
    waits |= {name: each.depends_on for name, each in assigned.items() if name in waits and each.depends_on is not None}
    require_acyclic(waits)


def defer_gap(uow: UnitOfWork, *, profile: Profile, deferral: Deferral) -> Receipt:
    """Put a gap off, with the work and the cost named. The gate stays closed by it.

    Raises:
        UnknownCriterion: no such criterion (RW-107).
        InputError: reason, work or cost is missing, or the cost is more than can be planned (RW-100).
    """
    find_criterion(profile.criteria, deferral.criterion_id)
    # NaN fails every comparison, so it is refused with the rest.
    if not deferral.reason.strip() or not deferral.work.strip() or not 0 < deferral.cost_days <= LONGEST_DAYS:
        raise InputError(
            "A deferral names the reason, the work that stays undone and its cost.",
            remedy=f"Give --reason, --work and --cost-days, the last above 0 and at most {LONGEST_DAYS:g}.",
        )
    return uow.append(
        Draft(
            kind=RecordKind.GAP_DEFERRED,
            at=deferral.decided_at,
            actor=deferral.decided_by,
            use_case_id=profile.use_case_id,
            subject=deferral.criterion_id,
            payload={"deferral": to_json(deferral)},
        )
    )


def invalidate(uow: UnitOfWork, *, profile: Profile, invalidation: Invalidation, actor: str, at: datetime) -> Receipt:
    """Record an event that voids older evidence.

    Raises:
        UnknownCriterion: a criterion that it names is not in the profile (RW-107).
        InputError: it names neither criteria nor parts (RW-100).
    """
    for criterion_id in invalidation.criterion_ids:
        find_criterion(profile.criteria, criterion_id)
    if not invalidation.criterion_ids and not invalidation.parts:
        raise InputError("The event names neither criteria nor parts.", remedy="Say what it is about.")
    return uow.append(
        Draft(
            kind=RecordKind.INVALIDATED,
            at=at,
            actor=actor,
            use_case_id=profile.use_case_id,
            subject=",".join(invalidation.criterion_ids) or ",".join(sorted(p.value for p in invalidation.parts)),
            payload={"invalidation": to_json(invalidation)},
        )
    )
