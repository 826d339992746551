"""A decision from the case file. Owns which of the things on record are the inputs; the decision itself is ``evaluate``'s."""

from datetime import datetime

from roadworthy.base.errors import NoWorkspace
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.decision import Decision, LedgerHead, Outcome
from roadworthy.gates.evaluate import decide
from roadworthy.ports.trust import Trust


def decide_case(case: CaseFile, head: LedgerHead, at: datetime, trust: Trust) -> Decision:
    """Decide the gate of the policy in force on the newest release.

    Args:
        case: everything on record up to ``head``.
        head: the checkpoint to embed.
        at: the one instant.
        trust: verifies signatures.

    Raises:
        NoWorkspace: no use case, no policy or no release is on record (RW-115).
    """
    use_case, profile, subject = case.use_case, case.profile, case.subject
    if use_case is None or profile is None or subject is None:
        wanted = {"use case": use_case, "policy": profile, "release": subject}
        lacking = ", ".join(name for name, thing in wanted.items() if thing is None)
        raise NoWorkspace(f"Not on record yet: {lacking}.", remedy="Run roadworthy inspect first.")
    return decide(
        profile,
        case.evidence,
        case.waiver_requests,
        case.signatures,
        head,
        at,
        use_case=use_case,
        subject=subject,
        people=case.people,
        trust=trust,
        invalidations=case.invalidations,
        waiver_approvals=case.waiver_approvals,
        previous=_standing(case, profile.gate.id, use_case.id),
    )


def _standing(case: CaseFile, gate_id: str, use_case_id: str) -> Decision | None:
    """The newest decision on record by which this gate stood open, whole or under conditions."""
    for recorded in reversed(case.decisions):
        decision = recorded.decision
        stood = decision.outcome in (Outcome.OPEN, Outcome.CONDITIONAL)
        if stood and (decision.gate_id, decision.use_case_id) == (gate_id, use_case_id):
            return decision
    return None
