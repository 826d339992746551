"""One inspection of a workspace: read, run what is due, record each result as it comes, settle the gate.

Owns the order of work: checks that can share the machine run side by side, those that need it alone run one by one
afterwards. Each result is on record the moment its check ends, so stopping half-way loses nothing.
"""

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from roadworthy.actions.evidence import record_evidence
from roadworthy.actions.inspection import Due, Finished, parameters_of, run_check
from roadworthy.actions.policy import Revision
from roadworthy.actions.registration import PRODUCER_ID
from roadworthy.base.errors import ParameterError, RoadworthyError, UnknownCriterion
from roadworthy.checks.catalog import check_ids, find_check
from roadworthy.domain.criterion import Criterion, Profile
from roadworthy.domain.decision import Decision
from roadworthy.domain.use_case import Subject
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import read_params
from roadworthy.kit.schema_problems import nearest
from roadworthy.wiring.workspace import Workspace

_SIDE_BY_SIDE = 2
DEFAULT_SEED = 20_261_121


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What an inspection did.

    Attributes:
        at: its one instant.
        ran: what ran, in the order of ending.
        fresh: how many of the checks that were asked for did not have to run.
        decision: the gate's decision afterwards.
        errors: what stopped checks from completing.
    """

    at: datetime
    ran: tuple[Finished, ...]
    fresh: int
    decision: Decision
    errors: tuple[RoadworthyError, ...]


class Watcher:
    """Sees an inspection go on. This one looks away; derive from it to show progress."""

    def planned(self, due: Sequence[Due]) -> None:
        """Called once, with everything that will run."""

    def started(self, due: Due) -> None:
        """Called when a check starts, from its own thread."""

    def ended(self, due: Due, finished: Finished) -> None:
        """Called when the result of a check is on record."""


def inspect(
    workspace: Workspace,
    *,
    watcher: Watcher,
    only: Sequence[str] = (),
    everything: bool = False,
    seed: int = DEFAULT_SEED,
    revision: Revision | None = None,
) -> Inspected:
    """Inspect once.

    1. read the manifest and check all of it; 2. put on record what it changed; 3. find what is due; 4. run it and
    record each result; 5. settle the gate.

    Args:
        workspace: where.
        watcher: who watches.
        only: ids of criteria or checks; empty for all.
        everything: run fresh checks too.
        seed: of every random choice.
        revision: signature on a looser policy.

    Raises:
        ParameterError, LooseningRefused: a parameter of a check cannot be used (RW-114, RW-304); nothing is written.
        UnknownCriterion: ``only`` names something that the profile has not (RW-107); nothing is written.
        ClockWentBack: the clock shows an instant before the newest entry (RW-504); nothing runs.
        KeyboardInterrupt: the user stopped; what had ended is on record, what was running is recorded as terminated.
    """
    # 1
    proposal = workspace.proposal()
    params = _read_all_params(workspace, proposal.profile)
    wanted = _wanted(proposal.profile, only)
    # 2
    case = workspace.synchronise(proposal, revision=revision)
    at = workspace.clock()
    # 3
    reasons = workspace.due(case, at, {check_id: parameters_of(each) for check_id, each in params.items()})
    due = _due(params, wanted, reasons, everything=everything)
    watcher.planned(due)
    # 4
    with tempfile.TemporaryDirectory(prefix="roadworthy-") as folder:
        context = workspace.context(at, seed, Path(folder), proposal.subject)
        ran = tuple(_run_all(workspace, due, context, proposal.subject, watcher))
    # 5
    decision = workspace.settle(workspace.clock())
    errors = tuple(finished.error for finished in ran if finished.error is not None)
    return Inspected(at=at, ran=ran, fresh=len(wanted) - len(due), decision=decision, errors=errors)


def _read_all_params(workspace: Workspace, profile: Profile) -> dict[str, Any]:
    """Parameters of every check of the profile, by its id; all of them are read, also of checks that will not run."""
    given = workspace.manifest.checks
    for check_id in given:
        if check_id not in check_ids():
            raise ParameterError(
                f"There is no check {check_id!r}.", remedy=nearest(check_id, check_ids()), where="checks"
            )
    used = {criterion.check for criterion in profile.criteria if criterion.check is not None}
    return {
        check_id: read_params(find_check(check_id).params, given.get(check_id, {}), where=f"checks.{check_id}")
        for check_id in sorted({*used, *given})
    }


def _wanted(profile: Profile, only: Sequence[str]) -> dict[str, tuple[Criterion, ...]]:
    """The criteria of every check that was asked for, by its id."""
    proven: dict[str, list[Criterion]] = {}
    for criterion in profile.criteria:
        if criterion.check is not None:
            proven.setdefault(criterion.check, []).append(criterion)
    known = {criterion.id for criterion in profile.criteria} | set(proven)
    for name in only:
        if name not in known:
            raise UnknownCriterion(f"There is no criterion or check {name!r}.", remedy=nearest(name, sorted(known)))
    return {
        check_id: tuple(criteria)
        for check_id, criteria in proven.items()
        if not only or check_id in only or any(criterion.id in only for criterion in criteria)
    }


def _due(
    params: Mapping[str, Any],
    wanted: Mapping[str, tuple[Criterion, ...]],
    reasons: Mapping[str, str],
    *,
    everything: bool,
) -> tuple[Due, ...]:
    """What has to run, cheap checks first."""
    due: list[Due] = []
    for check_id, criteria in wanted.items():
        why = next((reasons[c.id] for c in criteria if c.id in reasons), "asked for" if everything else None)
        if why is not None:
            due.append(Due(check=find_check(check_id), criteria=criteria, params=params[check_id], reason=why))
    due.sort(key=lambda each: (each.check.alone, each.check.budget_s, each.check.id))
    return tuple(due)


def _run_all(
    workspace: Workspace, due: Sequence[Due], context: CheckContext, subject: Subject, watcher: Watcher
) -> Iterator[Finished]:
    """Run everything; on Ctrl-C ask the running checks to stop, put on record that they did, and pass it on."""
    stop = threading.Event()

    def work(each: Due) -> Finished:
        watcher.started(each)
        place = context.workdir / each.check.id
        place.mkdir()
        return run_check(
            each,
            replace(context, workdir=place),
            subject,
            environment=workspace.manifest.environment,
            producer=PRODUCER_ID,
            clock=workspace.clock,
            cancelled=stop.is_set,
        )

    pending: dict[Future[Finished], Due] = {}
    with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
        try:
            for batch in _batches(due):
                pending |= {pool.submit(work, each): each for each in batch}
                for future in as_completed(list(pending)):
                    _record(workspace, future.result())
                    # Only what is on record leaves the list: Ctrl-C while it is written must not lose it.
                    each = pending.pop(future)
                    watcher.ended(each, future.result())
                    yield future.result()
        except KeyboardInterrupt:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            for future, each in pending.items():
                if not future.cancelled():
                    _record(workspace, future.result())
                    watcher.ended(each, future.result())
            raise


def _batches(due: Sequence[Due]) -> Iterator[Sequence[Due]]:
    """What may run side by side, then each check that needs the machine for itself."""
    yield [each for each in due if not each.check.alone]
    for each in due:
        if each.check.alone:
            yield [each]


def _record(workspace: Workspace, finished: Finished) -> None:
    with workspace.store.unit_of_work() as uow:
        record_evidence(
            uow,
            evidence=finished.evidence,
            files=finished.files,
            key=workspace.keys.producer,
            at=workspace.clock(),
        )
