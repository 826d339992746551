"""One round of a monitor: every window that was not monitored yet, oldest first. Owns the order of work.

Rules kept here:
1. A window counts as monitored when evidence of every check of it is on record. Each check is recorded as it ends, so a
   round that is stopped loses at most the check at hand, and the next one goes on with what is missing.
2. Nothing is remembered beside the ledger: the state of the monitor over time travels in the evidence of each window.
   The counts of windows lie beside it as files named by their digest, which stands in the evidence.
3. A target that does not answer says nothing about a window: the round ends there and the window waits. Whatever else
   stops a check is about the window and is put on record.
4. Rows are monitored once, whatever file they come in, and the pilot's are no window.
5. At most one false alarm of drift is expected in the calendar's number of windows, and at most one of harm: half of
   that chance goes to the monitor over time, the other half to the checks that find harm, shared among them.
6. Drift, and a contract that is broken, open an investigation and leave the gate alone. Harm is put on record as an
   event that voids what the gate rests on.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from roadworthy.actions.evidence import record_window_evidence
from roadworthy.actions.gaps import invalidate
from roadworthy.actions.inspection import Due, Finished, run_check
from roadworthy.actions.registration import PRODUCER_ID
from roadworthy.base.digest import digest_of
from roadworthy.base.errors import InputError, NoWorkspace, OtherRelease, PolicyRefusal, RoadworthyError, TargetError
from roadworthy.checks.catalog import find_check
from roadworthy.checks.monitor.inputs import InputsCheck
from roadworthy.checks.monitor.inputs import Params as InputsParams
from roadworthy.checks.monitor.risk import Params as RiskParams
from roadworthy.checks.monitor.risk import RiskCheck
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.criterion import Assurance, Comparator, Criterion, Effort, Kind, Predicate, ReadinessDomain
from roadworthy.domain.decision import Decision, Outcome
from roadworthy.domain.evidence import Evidence
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part, Subject
from roadworthy.domain.waiver import Invalidation
from roadworthy.domain.window import MonitoredWindow, monitored, monitored_rows, recorded_checks
from roadworthy.kit.check import AnyCheck, AttachedFile
from roadworthy.kit.context import CheckContext, DataSource
from roadworthy.kit.params import read_params
from roadworthy.measure.monitor_risk import RiskMonitor, from_record
from roadworthy.measure.table import open_table
from roadworthy.stats.alarm import AlertRule
from roadworthy.stats.drift import Effect
from roadworthy.wiring import case as reading
from roadworthy.wiring.monitor_folder import MonitorFolder, pilot_name
from roadworthy.wiring.windows import (
    INPUTS,
    RISK,
    FoundWindow,
    WindowRun,
    WindowStatus,
    find_window,
    production_windows,
    rows_digest,
    short_digest,
    shows_harm,
    statuses,
    window_digest,
    window_runs,
)
from roadworthy.wiring.workspace import Workspace

_CONFIDENCE = "confidence_share"
_STANDING = (Outcome.OPEN, Outcome.CONDITIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a round did.

    Attributes:
        at: when it began.
        windows: those that it looked at, in order.
        waiting: how many are left for the next round.
        decision: what the gate says afterwards.
        error: what ended the round before its time; None when nothing did.
    """

    at: datetime
    windows: tuple[WindowStatus, ...]
    waiting: int
    decision: Decision
    error: RoadworthyError | None


def monitor_once(
    workspace: Workspace,
    *,
    named: Sequence[Path] = (),
    seed: int,
    seen: Callable[[WindowStatus], None] | None = None,
) -> Round:
    """One round.

    1. see that what is on record is the release at hand; 2. put on record the events of harm that a stopped round left
    out; 3. find the windows; 4. for each one, run what is missing, record each result, then the events of harm; 5. settle
    the gate.

    Args:
        workspace: where.
        named: windows to look at; empty for every file of the production set.
        seed: of every random choice.
        seen: called with each window as it is done.

    Raises:
        NoWorkspace: nothing was inspected yet (RW-115).
        OtherRelease: the release changed since it was inspected (RW-202).
        InputError: something that the manifest names cannot be used, or a window has the pilot's rows (RW-1xx).
    """
    at = workspace.clock()
    # 1
    subject = _subject(workspace)
    # 2
    _record_harm(workspace)
    # 3
    found = [find_window(workspace, path) for path in named] or production_windows(workspace)
    left = _new(workspace, found)
    # 4
    looked_at: list[WindowStatus] = []
    error: RoadworthyError | None = None
    while left and error is None:
        error = _monitor(workspace, subject, *left[0], seed)
        _record_harm(workspace)
        looked_at += _status(workspace, left[0][0].digest)
        if error is None:
            left.pop(0)
            if seen is not None:
                seen(looked_at[-1])
    # 5
    decision = workspace.settle(workspace.clock())
    return Round(at=at, windows=tuple(looked_at), waiting=len(left), decision=decision, error=error)


def _new(workspace: Workspace, found: Sequence[FoundWindow]) -> list[tuple[FoundWindow, str]]:
    """Those that were not monitored yet, each once, with the digest of its rows.

    Raises:
        InputError: one of them has the rows of the pilot, which are always like the pilot's (RW-100).
    """
    windows = workspace.case().windows
    bytes_seen, rows_seen = set(monitored(windows)), set(monitored_rows(windows))
    unseen = [each for each in found if each.digest not in bytes_seen]
    pilot = rows_digest(workspace.root / workspace.manifest.data.pilot.path) if unseen else ""
    left = []
    for each in unseen:
        rows = rows_digest(each.pattern)
        if rows and rows == pilot:
            raise InputError(
                f"{each.name} has the rows of the pilot.",
                remedy="Give rows that came after the pilot, and take these out of the feed.",
                where=each.name,
            )
        if each.digest not in bytes_seen and rows not in rows_seen:
            left.append((each, rows))
        bytes_seen.add(each.digest)
        rows_seen |= {rows} - {""}
    return left


def _subject(workspace: Workspace) -> Subject:
    """What is watched: the release on record, with the pilot as it is now."""
    case, manifest, root = workspace.case(), workspace.manifest, workspace.root
    if case.subject is None or case.profile is None:
        raise NoWorkspace("No release is on record here yet.", remedy="Run roadworthy inspect first.")
    release = reading.release_of(manifest, root, reading.service_level(manifest, root))
    if release.digest != case.subject.release_digest:
        raise OtherRelease(
            "The release changed since it was inspected; windows would speak of another one.",
            remedy="Run roadworthy inspect first.",
        )
    pilot = reading.data_digest(manifest.data.pilot, root)
    return replace(case.subject, parts={**case.subject.parts, Part.PILOT_DATA: pilot})


def _status(workspace: Workspace, digest: str) -> tuple[WindowStatus, ...]:
    """Of one window; none while nothing of it is on record."""
    case = workspace.case()
    return statuses(window_runs(case, [each for each in case.windows if each.window.digest == digest]))[-1:]


def _monitor(
    workspace: Workspace, subject: Subject, found: FoundWindow, rows: str, seed: int
) -> RoadworthyError | None:
    """Run what is missing of one window; returns what ended it early, None when it is complete."""
    case = workspace.case()
    known = len(case.windows)
    subject = replace(subject, parts={**subject.parts, Part.PRODUCTION_DATA: found.digest})
    with tempfile.TemporaryDirectory(prefix="roadworthy-") as folder:
        context = workspace.context(workspace.clock(), seed, Path(folder), subject)
        production = replace(context.data["production"], pattern=found.pattern)
        context = replace(context, data={**context.data, "production": production})
        plan = _plan(workspace, case, subject, production)
        window = MonitoredWindow(
            name=found.name,
            digest=found.digest,
            release_digest=subject.release_digest,
            checks=tuple(due.check.id for due in plan),
            harm_checks=tuple(due.check.id for due in plan if due.check.watch and due.check.watch.harm),
            rows_digest=rows,
            in_feed=found.in_feed,
        )
        recorded = recorded_checks(case.windows).get((found.digest, subject.release_digest), frozenset())
        for due in plan:
            if due.check.id in recorded:
                continue
            error = _run(workspace, window, due, context, subject, known=known)
            if error is not None:
                return error
            known += 1
    return None


def _plan(workspace: Workspace, case: CaseFile, subject: Subject, production: DataSource) -> list[Due]:
    """Inputs first, then what the policy asks for and makes sense on a window, at last the monitor over time."""
    alpha = 1 / workspace.manifest.monitor.windows_per_false_alarm
    labelled = _labelled(production)
    watched = [
        due
        for due in _watched(workspace, case)
        if due.check.watch is not None and (labelled or not due.check.watch.labels)
    ]
    harmful = sum(due.check.watch is not None and due.check.watch.harm for due in watched)
    plan = [
        _inputs(workspace, case, subject),
        *(_tightened(due, 1 - alpha / harmful) if harmful else due for due in watched),
    ]
    if labelled and workspace.manifest.quality is not None and workspace.manifest.target is not None:
        plan.append(_risk(case, subject, alpha / 2))
    return plan


def _labelled(source: DataSource) -> bool:
    if source.label is None:
        return False
    try:
        table = open_table(source.pattern)
        return source.label in table.column_names and source.label not in table.empty_columns()
    except InputError:
        # What cannot be read has no labels to offer; the check of its inputs will say why.
        return False


def _watched(workspace: Workspace, case: CaseFile) -> list[Due]:
    proven: dict[str, list[Criterion]] = {}
    for criterion in case.profile.criteria if case.profile else ():
        if criterion.check is not None:
            proven.setdefault(criterion.check, []).append(criterion)
    dues = []
    for check_id, criteria in proven.items():
        check = find_check(check_id)
        if check.watch is not None:
            params = read_params(check.params, workspace.manifest.checks.get(check_id, {}), where=f"checks.{check_id}")
            dues.append(Due(check=check, criteria=tuple(criteria), params=params, reason="a new window"))
    return sorted(dues, key=lambda due: (due.check.budget_s, due.check.id))


def _tightened(due: Due, confidence: float) -> Due:
    """A check that finds harm is looked at in every window, so its interval has to be surer than that of one look."""
    harm = due.check.watch is not None and due.check.watch.harm
    if not harm or _CONFIDENCE not in {each.name for each in fields(due.params)}:
        return due
    wanted = max(confidence, getattr(due.params, _CONFIDENCE))
    return replace(due, params=replace(due.params, **{_CONFIDENCE: wanted}))


def _inputs(workspace: Workspace, case: CaseFile, subject: Subject) -> Due:
    block = workspace.manifest.monitor
    rule = AlertRule(effect=Effect(block.effect), tolerance=block.tolerance, windows=block.windows_per_false_alarm)
    source = reading.data_sources(workspace.manifest, workspace.root)["pilot"]
    name = pilot_name(source, (subject.release_digest, subject.parts[Part.PILOT_DATA]))
    pilot = MonitorFolder(workspace.folder).pilot(source, name, _compared_with(case, name))
    check = InputsCheck(pilot, rule, name)
    params = InputsParams(effect=block.effect, tolerance=block.tolerance, windows=block.windows_per_false_alarm)
    return _own(check, params, ("columns_drifted", "columns_lost"), "column")


def _compared_with(case: CaseFile, name: str) -> tuple[str, str] | None:
    """Digests of the frozen pilot of that name, and of its counts, in the newest evidence that rests on it."""
    for run in _newest_first(case, INPUTS):
        facts = run.evidence.facts
        if facts.get("frozen as") == name:
            return facts["reference"], facts["reference state"]
    return None


def _newest_first(case: CaseFile, check_id: str) -> Iterator[WindowRun]:
    return (window_runs(case, [each])[0] for each in reversed(case.windows) if each.check == check_id)


def _risk(case: CaseFile, subject: Subject, level: float) -> Due:
    """The monitor over time. One that runs keeps its level: another would start it anew, and forget its alarm."""
    series = digest_of([subject.release_digest, subject.parts[Part.PILOT_DATA]])
    resumed = _resumed(case, series)
    level = level if resumed is None else resumed.level
    check = RiskCheck(resumed, series, level)
    return _own(check, RiskParams(false_alarm_share=level), ("harm_alarms",), "alarm")


def _resumed(case: CaseFile, series: str) -> RiskMonitor | None:
    """The monitor after the last window; None to start a new one.

    An alarm stands until people answer it: once they have opened the gate again, the next window starts a new monitor.
    """
    # A run that did not complete has no state to go on from; the one before it has.
    run = next((each for each in _newest_first(case, RISK) if each.evidence.facts.get("series") == series), None)
    if run is None:
        return None
    last = from_record(run.evidence.facts["monitor"])
    reopened = any(each.index > run.index and each.decision.outcome in _STANDING for each in case.decisions)
    return None if last.alarmed and reopened else last


def _own(check: AnyCheck, params: Any, metrics: Sequence[str], unit: str) -> Due:
    """One of the monitor's own two checks. No pack asks for them: their bound is that there is no alarm."""
    criterion = Criterion(
        id=check.id,
        domain=ReadinessDomain.DATA,
        title=check.title,
        kind=Kind.MEASURED,
        check=check.id,
        acceptance=tuple(
            Predicate(
                metric=metric,
                comparator=Comparator.AT_MOST,
                bound=0.0,
                unit=unit,
                n_min=1,
                provenance="Block monitor of roadworthy.yaml.",
            )
            for metric in metrics
        ),
        depends_on=check.reads,
        max_age_days={},
        waivable=frozenset(),
        min_assurance=Assurance.EXECUTED,
        signer_roles=(),
        may_not_apply=False,
        required_from=Tier.R1,
        effort=Effort(low_days=0.5, likely_days=1.0, high_days=3.0),
        owner_role=Role.SYSTEM_OWNER,
        gap_depends_on=(),
        sources=(),
    )
    return Due(check=check, criteria=(criterion,), params=params, reason="a new window")


def _run(
    workspace: Workspace, window: MonitoredWindow, due: Due, context: CheckContext, subject: Subject, *, known: int
) -> RoadworthyError | None:
    """Run one check and record it; ``known`` is how many envelopes of windows were on record when it was planned."""
    place = context.workdir / due.check.id
    place.mkdir()
    finished = run_check(
        due,
        replace(context, workdir=place),
        subject,
        environment=workspace.manifest.environment,
        producer=PRODUCER_ID,
        clock=workspace.clock,
        cancelled=lambda: False,
    )
    if isinstance(finished.error, TargetError):
        return finished.error
    pattern = context.data["production"].pattern
    if window_digest(pattern) != window.digest:
        return InputError(
            f"{window.name} changed while it was looked at.", remedy="Move windows into place whole.", where=window.name
        )
    return _record(workspace, window, finished, known)


def _record(workspace: Workspace, window: MonitoredWindow, finished: Finished, known: int) -> RoadworthyError | None:
    try:
        with workspace.store.unit_of_work() as uow:
            record_window_evidence(
                uow,
                window=window,
                evidence=finished.evidence,
                files=_kept_aside(workspace, finished),
                key=workspace.keys.producer,
                new_harm=_is_new_harm(window, finished.evidence),
                known=known,
                at=workspace.clock(),
            )
    except PolicyRefusal as refusal:
        return refusal
    return None


def _kept_aside(workspace: Workspace, finished: Finished) -> tuple[AttachedFile, ...]:
    """What goes into the store with the evidence. Counts go into the monitor's folder instead: they are many."""
    if finished.evidence.check != INPUTS:
        return finished.files
    folder = MonitorFolder(workspace.folder)
    for file in finished.files:
        folder.keep(file.data)
    return ()


def _record_harm(workspace: Workspace) -> None:
    """Put on record an event for each new harm that has none yet: it voids what was proven on production data before.

    It happened when it was seen, not when it is written: what was inspected in between already knows of it.
    """
    case = workspace.case()
    known = " ".join(each.reason for each in case.invalidations)
    harmful = [each for each in case.windows if each.new_harm and short_digest(each.sealed.digest) not in known]
    if case.profile is None or not harmful:
        return
    for run in window_runs(case, harmful):
        event = Invalidation(
            happened_at=run.evidence.observed_until,
            criterion_ids=tuple(c.id for c in case.profile.criteria if c.check in run.window.harm_checks),
            parts=frozenset({Part.PRODUCTION_DATA}),
            reason=f"{run.evidence.check} found harm in the window {run.window.name} "
            f"(evidence {short_digest(run.digest)})",
        )
        with workspace.store.unit_of_work() as uow:
            invalidate(uow, profile=case.profile, invalidation=event, actor=PRODUCER_ID, at=workspace.clock())


def _is_new_harm(window: MonitoredWindow, evidence: Evidence) -> bool:
    """An alarm over time is one event, in the window in which it is raised, though it stands in all that follow."""
    return shows_harm(window, evidence) and (evidence.check != RISK or bool(evidence.facts["raised here"]))
