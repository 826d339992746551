"""The scorecard of a workspace at an instant. Owns gathering its parts; writes nothing but a decision that changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from roadworthy.base.codec import from_json
from roadworthy.base.errors import NoWorkspace
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.decision import Decision
from roadworthy.domain.evidence import Evidence, Finding, Sealed
from roadworthy.domain.window import WindowEvidence
from roadworthy.gates.gaps import open_gaps
from roadworthy.gates.plan import plan
from roadworthy.reports.scorecard import Scorecard, build_scorecard
from roadworthy.wiring.workspace import Workspace, trust_of

_PLAN_SEED = 20_261_121


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeView:
    """One envelope on record, opened."""

    digest: str
    index: int
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A scorecard with the decision behind it."""

    scorecard: Scorecard
    decision: Decision


def envelopes(case: CaseFile) -> tuple[EnvelopeView, ...]:
    """Every evidence envelope on record, opened, in ledger order.

    Raises:
        SignatureBroken: a recorded envelope does not verify (RW-502).
    """
    return _opened(case, case.evidence)


def window_envelopes(case: CaseFile, wanted: Iterable[WindowEvidence] | None = None) -> tuple[EnvelopeView, ...]:
    """Envelopes about a monitor's windows, opened, in the given order; the gate reads none of them.

    Args:
        case: everything on record.
        wanted: which ones; all of them, in ledger order, when None.

    Raises:
        SignatureBroken: a recorded envelope does not verify (RW-502).
    """
    return _opened(case, [each.sealed for each in (case.windows if wanted is None else wanted)])


def _opened(case: CaseFile, sealed: Iterable[Sealed]) -> tuple[EnvelopeView, ...]:
    trust = trust_of(case)
    read = partial(from_json, Evidence)
    return tuple(
        EnvelopeView(digest=s.digest, index=s.index, evidence=read(trust.open(s.body).payload["predicate"]))
        for s in sealed
    )


def view(workspace: Workspace, at: datetime) -> View:
    """The scorecard now; a changed decision is put on record first."""
    decision = workspace.settle(at)
    case = workspace.case()
    opened = envelopes(case)
    if case.profile is None or case.use_case is None:
        raise NoWorkspace("No policy is on record here yet.", remedy="Run roadworthy inspect first.")
    findings = _newest_findings(opened, decision)
    owners = case.use_case.owners
    gaps = open_gaps(case.profile, decision, case.assignments, case.deferrals, findings, owners=owners)
    planned = plan(gaps, start=at.date(), seed=_PLAN_SEED)
    evidence = {each.digest: (each.evidence, each.index) for each in opened}
    return View(scorecard=build_scorecard(case, decision, gaps, planned, evidence, at), decision=decision)


def _newest_findings(opened: tuple[EnvelopeView, ...], decision: Decision) -> dict[str, tuple[Finding, ...]]:
    """Findings of the newest envelope about each criterion; what the gate refused has no say in remedies either."""
    refused = {each.digest for each in decision.refused}
    return {
        ref.id: each.evidence.findings
        for each in opened
        if each.digest not in refused
        for ref in each.evidence.criteria
    }
