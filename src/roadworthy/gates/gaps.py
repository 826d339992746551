"""The gap register. Owns which gaps are open, of what kind, whose and how large; when they close belongs to ``plan``.

Gaps are computed, never stored: one for every criterion that is neither satisfied nor not applicable. A waiver lets a
gate pass, it closes no gap. Nobody closes a gap by hand.
"""

from collections.abc import Mapping, Sequence

from roadworthy.domain.criterion import Criterion, Effort, Profile
from roadworthy.domain.decision import Decision, Reading, State
from roadworthy.domain.evidence import Finding
from roadworthy.domain.gap import Assignment, Gap, GapKind
from roadworthy.domain.people import Role
from roadworthy.domain.waiver import Deferral
from roadworthy.gates.order import require_acyclic
from roadworthy.gates.reason import Cause, causes

_CLOSED = (State.SATISFIED, State.NOT_APPLICABLE)
_RUN_AGAIN = frozenset(
    {
        Cause.NEVER_RUN,
        Cause.RUN_STALE,
        Cause.INCOMPLETE,
        Cause.CONTROL,
        Cause.CONTRADICTION,
        Cause.UNDECIDED,
    }
)
_EFFORT = {
    GapKind.RUN: Effort(low_days=0.05, likely_days=0.1, high_days=0.2),
    GapKind.SIGN: Effort(low_days=0.1, likely_days=0.25, high_days=1.0),
}


def gap_kind(reading: Reading) -> GapKind:
    """What it takes to close the gap of a reading, by what its sentence says.

    1. a bound is missed, or a signer says no: FIX; 2. no instrument can prove it: BUILD; 3. the interval is too wide or
    rests on too little: DATA; 4. a check has to run, for the first time or again: RUN; 5. else only signatures lack: SIGN.
    """
    found = causes(reading.reason)
    # 1
    if State.NOT_SATISFIED in (reading.state, reading.underlying):
        return GapKind.FIX
    # 2
    if Cause.NO_INSTRUMENT in found:
        return GapKind.BUILD
    # 3
    if Cause.MORE_DATA in found:
        return GapKind.DATA
    # 4, 5
    return GapKind.RUN if found & _RUN_AGAIN else GapKind.SIGN


def gap_effort(criterion: Criterion, kind: GapKind) -> Effort:
    """Person-days when nobody has said otherwise: running and signing are small whatever the criterion is."""
    return _EFFORT.get(kind, criterion.effort)


def open_gaps(
    profile: Profile,
    decision: Decision,
    assignments: Mapping[str, Assignment],
    deferrals: Mapping[str, Deferral],
    findings_by_criterion: Mapping[str, Sequence[Finding]],
    *,
    owners: Mapping[Role, str] | None = None,
) -> tuple[Gap, ...]:
    """The open gaps, in the profile's order.

    Args:
        profile: the criteria.
        decision: the states.
        assignments: newest by criterion id; each field that is set overrides the pack.
        deferrals: newest by criterion id.
        findings_by_criterion: of the newest evidence; the first one's remedy is what to do first.
        owners: person or team by role, as the use case names them; a role that has none owns its gaps by name.

    Raises:
        DependencyCycle: open gaps wait for each other (RW-112).
    """
    criteria = {criterion.id: criterion for criterion in profile.criteria}
    readings = [r for r in decision.readings if r.state not in _CLOSED and r.criterion_id in criteria]
    ids = {reading.criterion_id for reading in readings}
    gaps = tuple(
        _gap(
            criteria[reading.criterion_id],
            reading,
            assignments.get(reading.criterion_id),
            deferrals.get(reading.criterion_id),
            findings=findings_by_criterion.get(reading.criterion_id, ()),
            owners=owners or {},
            ids=ids,
        )
        for reading in readings
    )
    require_acyclic({gap.criterion_id: gap.depends_on for gap in gaps})
    return gaps


def _gap(
    criterion: Criterion,
    reading: Reading,
    assignment: Assignment | None,
    deferral: Deferral | None,
    *,
    findings: Sequence[Finding],
    owners: Mapping[Role, str],
    ids: set[str],
) -> Gap:
    kind = gap_kind(reading)
    owner = assignment.owner if assignment else None
    effort = assignment.effort if assignment else None
    waits = assignment.depends_on if assignment else None
    return Gap(
        criterion_id=criterion.id,
        title=criterion.title,
        state=reading.state,
        reason=reading.reason,
        kind=kind,
        remedy=_remedy(criterion, kind, findings if _found_wanting(reading) else ()),
        owner=owner or owners.get(criterion.owner_role) or criterion.owner_role.value,
        effort=effort or gap_effort(criterion, kind),
        depends_on=tuple(other for other in (criterion.gap_depends_on if waits is None else waits) if other in ids),
        deadline_at=assignment.deadline_at if assignment else None,
        deferred=f"Until {deferral.target_stage}: {deferral.reason}" if deferral else None,
    )


def _found_wanting(reading: Reading) -> bool:
    """Whether the newest findings are why the gap is open; those of a stale run are history."""
    return (reading.underlying or reading.state) in (State.NOT_SATISFIED, State.INDETERMINATE)


def _remedy(criterion: Criterion, kind: GapKind, findings: Sequence[Finding]) -> str:
    if findings:
        return findings[0].remedy
    roles = " and ".join(role.value for role in criterion.signer_roles) or criterion.owner_role.value
    return {
        GapKind.RUN: f"Run {criterion.check}: roadworthy inspect.",
        GapKind.FIX: "Change what was found wanting, then run roadworthy inspect again.",
        GapKind.DATA: "Collect more samples, then run roadworthy inspect again.",
        GapKind.SIGN: f"Have {criterion.id} signed as {roles}: roadworthy sign {criterion.id}.",
        GapKind.BUILD: "No check of this version can prove it: defer it with its cost, or request a waiver.",
    }[kind]
