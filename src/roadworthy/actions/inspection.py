"""Inspection: find which checks are due, run them beside their negative control, and turn what they saw into evidence.

Owns the runner. What a check measures belongs to the check; whether it suffices belongs to the gates.

Rules kept here:
1. A check is due when it never ran, its newest evidence is stale, or its last run did not complete.
2. In every run the check also measures its must-fail fixture; if it does not find the fault, the run proves nothing.
3. A failing instrument is evidence too, whether it says why or breaks: an error, with its reason; never a pass, never
   silence.
4. A run over its budget is asked to stop, and what it returns afterwards no longer counts.
"""

import platform
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from roadworthy import __version__
from roadworthy.base.clock import Clock
from roadworthy.base.digest import digest_of
from roadworthy.base.errors import EvidenceError, RoadworthyError
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.criterion import Assurance, Criterion, Estimate, Verdict, judge_all
from roadworthy.domain.evidence import Control, CriterionRef, Evidence, Finding, RunOutcome
from roadworthy.domain.use_case import RELEASE_PARTS, Subject
from roadworthy.gates.admit import admit
from roadworthy.gates.freshness import validity
from roadworthy.kit.check import AnyCheck, AttachedFile, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.ports.trust import Trust

_GRACE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A check that has to run, and for which criteria."""

    check: AnyCheck
    criteria: tuple[Criterion, ...]
    params: Any
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A check run, ready to be signed.

    Attributes:
        evidence: unsigned; its attachments are still in ``files``.
        error: what stopped it, when it did not complete.
    """

    evidence: Evidence
    files: tuple[AttachedFile, ...]
    error: RoadworthyError | None


def due_reasons(
    case: CaseFile, trust: Trust, at: datetime, parameters: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Why a criterion's check has to run, by criterion id; criteria whose check is fresh are absent.

    Args:
        case: everything on record.
        trust: verifies signatures.
        at: the instant of the inspection.
        parameters: as the manifest has them now, by check id.
    """
    if case.profile is None or case.subject is None:
        return {}
    admitted, _ = admit(case.evidence, trust, at=at, use_case_id=case.subject.use_case_id)
    reasons: dict[str, str] = {}
    for criterion in case.profile.criteria:
        if criterion.check is None:
            continue
        runs = [
            each
            for each in admitted
            if each.evidence.check == criterion.check and any(c.id == criterion.id for c in each.evidence.criteria)
        ]
        if not runs:
            reasons[criterion.id] = "never run"
            continue
        newest = max(runs, key=lambda run: (run.evidence.observed_until, run.evidence.produced_at, run.sealed.index))
        fresh = validity(
            newest.evidence,
            criterion,
            subject=case.subject,
            tier=case.profile.tier,
            at=at,
            invalidations=case.invalidations,
        )
        if fresh.reason is not None:
            reasons[criterion.id] = fresh.reason
        elif newest.evidence.outcome is not RunOutcome.COMPLETED:
            reasons[criterion.id] = "the last run did not complete"
        elif dict(newest.evidence.parameters) != dict(parameters.get(criterion.check, newest.evidence.parameters)):
            reasons[criterion.id] = "its parameters were changed"
    return reasons


def run_check(
    due: Due,
    context: CheckContext,
    subject: Subject,
    *,
    environment: str,
    producer: str,
    clock: Clock,
    cancelled: Callable[[], bool],
) -> Finished:
    """Run one check and its control, and describe what happened as evidence. Never raises for a fault of the target.

    Args:
        due: the check, its criteria and parameters.
        context: the case at hand.
        subject: digests that go into the evidence.
        environment: where it runs.
        producer: id of the program that will sign.
        clock: for the begin and end of the observed window.
        cancelled: true when the whole inspection is to stop.
    """
    started_at = clock()
    overdue = threading.Event()
    timer = threading.Timer(due.check.budget_s, overdue.set)
    timer.daemon = True
    timer.start()
    run = Run(at=context.at, seed=context.seed, cancelled=lambda: overdue.is_set() or cancelled())
    blank = _blank(due, subject, environment=environment, producer=producer, seed=context.seed, started_at=started_at)
    seen: tuple[Observation, Control] | RoadworthyError
    try:
        seen = _observe(due, context, run)
    except RoadworthyError as error:
        seen = error
    finally:
        timer.cancel()
    # A check that was asked to stop may return or complain; neither says anything about the target.
    if overdue.is_set():
        return _unfinished(blank, RunOutcome.TERMINATED, f"Over its budget of {due.check.budget_s:g} s.", None, clock)
    if cancelled():
        return _unfinished(blank, RunOutcome.TERMINATED, "Stopped by the user.", None, clock)
    if isinstance(seen, RoadworthyError):
        return _unfinished(blank, RunOutcome.ERROR, f"{seen.code} {seen.what}", seen, clock)
    return _completed(blank, due, *seen, clock)


def _observe(due: Due, context: CheckContext, run: Run) -> tuple[Observation, Control]:
    try:
        return _measure(due, context, run)
    except RoadworthyError:
        raise
    except Exception as error:
        # Checks are also written by third parties. Whatever breaks in one must neither end the inspection nor pass.
        raise EvidenceError(
            f"The check {due.check.id} broke: {type(error).__name__}: {error}",
            remedy="Report it to whoever wrote the check; what it saw cannot count.",
            where=due.check.id,
        ) from error


def _measure(due: Due, context: CheckContext, run: Run) -> tuple[Observation, Control]:
    with tempfile.TemporaryDirectory(prefix="roadworthy-") as folder:
        control_context = replace(context, workdir=Path(folder))
        with due.check.subject(context) as real:
            observation = due.check.observe(real, due.params, run)
        with due.check.must_fail(control_context) as broken:
            control = _control(due, due.check.observe(broken, due.params, run))
    return observation, control


def _control(due: Due, observation: Observation) -> Control:
    """The control has failed when every criterion of the check comes out as not met on it."""
    verdicts = {c.id: judge_all(c.acceptance, observation.estimates) for c in due.criteria}
    detail = ", ".join(_figure(e) for e in _judged(due, observation.estimates))
    failed = bool(verdicts) and all(v is Verdict.NOT_MET for v in verdicts.values())
    return Control(fixture=due.check.must_fail_because, failed=failed, detail=detail or "nothing measured")


def _judged(due: Due, estimates: Sequence[Estimate]) -> list[Estimate]:
    read = {predicate.metric for criterion in due.criteria for predicate in criterion.acceptance}
    return [estimate for estimate in estimates if estimate.metric in read and estimate.cohort is None]


def _figure(estimate: Estimate) -> str:
    unit = "" if estimate.unit == "1" else f" {estimate.unit}"
    return f"{estimate.metric} {estimate.interval.estimate:.4g}{unit}"


def _completed(blank: Evidence, due: Due, observation: Observation, control: Control, clock: Clock) -> Finished:
    ended_at = clock()
    refs = tuple(
        CriterionRef(id=c.id, digest=c.digest, verdict=judge_all(c.acceptance, observation.estimates))
        for c in due.criteria
    )
    evidence = replace(
        blank,
        criteria=refs,
        estimates=observation.estimates,
        facts=observation.facts,
        findings=due.check.explain(observation),
        control=control,
        observed_until=ended_at,
        produced_at=ended_at,
    )
    return Finished(evidence=evidence, files=observation.attachments, error=None)


def _unfinished(
    blank: Evidence, outcome: RunOutcome, problem: str, error: RoadworthyError | None, clock: Clock
) -> Finished:
    ended_at = clock()
    remedy = error.remedy if error is not None else "Run roadworthy inspect again."
    evidence = replace(
        blank,
        outcome=outcome,
        problem=problem,
        findings=(Finding(what=error.what if error is not None else problem, remedy=remedy),),
        observed_until=ended_at,
        produced_at=ended_at,
    )
    return Finished(evidence=evidence, files=(), error=error)


def _blank(due: Due, subject: Subject, *, environment: str, producer: str, seed: int, started_at: datetime) -> Evidence:
    """Evidence of a run of which nothing is known yet."""
    # What a criterion depends on is stated too, though the check may not read it: a change to it must show.
    reads = {*RELEASE_PARTS, *due.check.reads, *(part for c in due.criteria for part in c.depends_on)}
    return Evidence(
        use_case_id=subject.use_case_id,
        release_digest=subject.release_digest,
        environment=environment,
        criteria=tuple(CriterionRef(id=c.id, digest=c.digest, verdict=Verdict.CANNOT_TELL) for c in due.criteria),
        check=due.check.id,
        check_version=due.check.version,
        parameters=parameters_of(due.params),
        inputs={part: digest for part, digest in subject.parts.items() if part in reads},
        outcome=RunOutcome.COMPLETED,
        problem=None,
        estimates=(),
        control=None,
        findings=(),
        facts={},
        attachments=(),
        attestation=None,
        tool=tool(),
        seed=seed,
        observed_from=started_at,
        observed_until=started_at,
        produced_at=started_at,
        producer=producer,
        assurance=Assurance.EXECUTED,
    )


def parameters_of(params: Any) -> Mapping[str, Any]:
    """Parameters of a check as evidence states them."""
    return {name: getattr(params, name) for name in params.__dataclass_fields__}


@cache
def tool() -> dict[str, str]:
    """What produces evidence here: our version, the interpreter, and a digest of every installed distribution."""
    installed = sorted({f"{d.metadata['Name']}=={d.version}" for d in distributions()})
    return {
        "roadworthy": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "environment": digest_of(installed),
    }
