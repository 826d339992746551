"""Windows of production: which there are, what is on record about them, and what is open. Owns reading; runs nothing.

Rules kept here:
1. A window is known by its bytes, and by what its rows say: moved, renamed, compressed otherwise or shuffled it is the
   same; with one changed cell it is another one.
2. Windows come in the order of their names, in which numbers count as numbers; that order is taken for that of time.
3. What an open investigation takes to close is a later window that is fine; nobody closes one by hand, nor by naming
   rows that are not in the feed.
4. Who leaves labels out proves nothing: a window that lacks more of them than the pilot is not called unharmed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from roadworthy.base.digest import digest_file, digest_of
from roadworthy.base.errors import InputError, MissingFile
from roadworthy.domain.case_file import CaseFile
from roadworthy.domain.criterion import Verdict
from roadworthy.domain.evidence import Evidence, RunOutcome
from roadworthy.domain.window import MonitoredWindow, WindowEvidence
from roadworthy.measure.passport.fingerprint import fingerprint
from roadworthy.measure.table import data_files, open_table
from roadworthy.wiring.view import window_envelopes
from roadworthy.wiring.workspace import Workspace

INPUTS, RISK = "monitor.inputs", "monitor.risk"
LABELS = "rows without a label"
"""What the investigation into lacking labels is about."""
_DRIFTED, _FINE, _UNSURE = "exceeds", "within", "cannot_tell"
_SHORT = 19
"""Characters of a digest by which people call it: its prefix and 48 bits."""


class WindowVerdict(Enum):
    """What a window says of the quality of the system."""

    HARMED = "harmed"
    NOT_HARMED = "not harmed"
    SHIFTED_NOT_HARMED = "shifted but not harmed"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWindow:
    """Rows that lie there.

    Attributes:
        name: relative to the manifest where it lies beneath it.
        pattern: absolute path; may hold wildcards.
        digest: of its bytes.
        in_feed: whether all its files are of those that are to be watched.
    """

    name: str
    pattern: Path
    digest: str
    in_feed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRun:
    """One check on one window, opened."""

    window: MonitoredWindow
    index: int
    digest: str
    evidence: Evidence

    @property
    def verdict(self) -> Verdict:
        """See ``verdict_of``."""
        return verdict_of(self.evidence)

    @property
    def harms(self) -> bool:
        """Whether it shows harm."""
        return shows_harm(self.window, self.evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowStatus:
    """One window, as far as it is monitored.

    Attributes:
        name: of the window.
        digest: of its bytes.
        complete: whether every check of it is on record.
        observed_at: when the newest of its checks ended.
        rows: that were counted; None when its inputs could not be read.
        drifted: columns that drifted, in the pilot's order.
        unsure: columns of which nobody can tell yet.
        lost: columns that could not be compared.
        verdict: harm or not.
        problems: why a check did not complete, by check id.
        evidence: digest of the envelope by check id.
    """

    name: str
    digest: str
    complete: bool
    observed_at: datetime
    rows: int | None
    drifted: tuple[str, ...]
    unsure: tuple[str, ...]
    lost: tuple[str, ...]
    verdict: WindowVerdict
    problems: dict[str, str]
    evidence: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Investigation:
    """Something to look into that blocks nothing.

    Attributes:
        about: a column, or the id of a check that found more than one thing.
        since: the window that opened it.
        evidence: digest of the envelope that opened it.
        what: what was found.
        remedy: what to do.
    """

    about: str
    since: str
    evidence: str
    what: str
    remedy: str


def short_digest(digest: str) -> str:
    """The beginning of a digest, by which people call an envelope."""
    return digest[:_SHORT]


def verdict_of(evidence: Evidence) -> Verdict:
    """Of all bounds together; a run that did not complete, or whose control did not fail, tells nothing."""
    if evidence.outcome is not RunOutcome.COMPLETED or evidence.control is None or not evidence.control.failed:
        return Verdict.CANNOT_TELL
    said = {ref.verdict for ref in evidence.criteria}
    if Verdict.NOT_MET in said:
        return Verdict.NOT_MET
    return Verdict.MET if said == {Verdict.MET} else Verdict.CANNOT_TELL


def shows_harm(window: MonitoredWindow, evidence: Evidence) -> bool:
    """Whether a bound is missed whose miss is harm."""
    return evidence.check in window.harm_checks and verdict_of(evidence) is Verdict.NOT_MET


def production_windows(workspace: Workspace) -> list[FoundWindow]:
    """Every file to watch, one window each.

    Raises:
        MissingFile: there is none (RW-102).
    """
    return [find_window(workspace, path) for path in sorted(data_files(_feed(workspace)), key=_by_number)]


def _feed(workspace: Workspace) -> Path:
    manifest = workspace.manifest
    return workspace.root / (manifest.monitor.windows or manifest.data.production.path)


def find_window(workspace: Workspace, pattern: Path) -> FoundWindow:
    """One window: a file, or all files of a pattern together.

    Raises:
        MissingFile: there is nothing (RW-102).
    """
    whole = Path.cwd() / pattern
    inside = whole.is_relative_to(workspace.root)
    name = whole.relative_to(workspace.root).as_posix() if inside else str(pattern)
    try:
        feed = {path.resolve() for path in data_files(_feed(workspace))}
    except MissingFile:
        # Nothing has arrived yet; a window can be named all the same.
        feed = set()
    in_feed = feed.issuperset(path.resolve() for path in data_files(whole))
    return FoundWindow(name=name, pattern=whole, digest=window_digest(whole), in_feed=in_feed)


def rows_digest(pattern: Path) -> str:
    """Digest of what the rows say, whatever stores them and in whatever order; "" when they cannot be read or compared."""
    try:
        return fingerprint(open_table(pattern)).digest
    except InputError:
        return ""


def window_digest(pattern: Path) -> str:
    """Digest of a window's bytes, whatever its files are called."""
    digests = sorted(digest_file(path) for path in data_files(pattern))
    return digests[0] if len(digests) == 1 else digest_of(digests)


def _by_number(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def window_runs(case: CaseFile, wanted: Sequence[WindowEvidence] | None = None) -> tuple[WindowRun, ...]:
    """What is on record about windows, in the given order; everything, in ledger order, when ``wanted`` is None.

    Raises:
        SignatureBroken: a recorded envelope does not verify (RW-502).
    """
    chosen = case.windows if wanted is None else wanted
    return tuple(
        WindowRun(window=each.window, index=opened.index, digest=opened.digest, evidence=opened.evidence)
        for each, opened in zip(chosen, window_envelopes(case, chosen), strict=True)
    )


def statuses(runs: Iterable[WindowRun]) -> tuple[WindowStatus, ...]:
    """Each window, in the order in which its monitoring began."""
    by_window: dict[tuple[str, str], list[WindowRun]] = {}
    for run in runs:
        by_window.setdefault((run.window.digest, run.window.release_digest), []).append(run)
    return tuple(_status(each) for each in by_window.values())


def _status(runs: Sequence[WindowRun]) -> WindowStatus:
    window = runs[-1].window
    facts = next((run.evidence.facts for run in runs if run.evidence.check == INPUTS), {})
    drifted = tuple(facts.get("drifted", ()))
    return WindowStatus(
        name=window.name,
        digest=window.digest,
        complete={run.evidence.check for run in runs}.issuperset(window.checks),
        observed_at=max(run.evidence.observed_until for run in runs),
        rows=facts.get("rows"),
        drifted=drifted,
        unsure=tuple(row["column"] for row in facts.get("columns", ()) if row["verdict"] == _UNSURE),
        lost=tuple(facts.get("lost", ())),
        verdict=_verdict(runs, shifted=bool(drifted), lacking=_lacks_labels(facts)),
        problems={run.evidence.check: run.evidence.problem for run in runs if run.evidence.problem is not None},
        evidence={run.evidence.check: run.digest for run in runs},
    )


def _lacks_labels(facts: Mapping[str, Any]) -> bool:
    labels = facts.get("labels")
    return labels is not None and bool(labels["lacking"])


def _verdict(runs: Sequence[WindowRun], *, shifted: bool, lacking: bool) -> WindowVerdict:
    """One harm is harm; to be unharmed takes the promised labels, a check that proves it and none that finds it."""
    harmful = [run for run in runs if run.evidence.check in run.window.harm_checks]
    if any(run.harms for run in harmful):
        return WindowVerdict.HARMED
    if not lacking and any(run.verdict is Verdict.MET for run in harmful):
        return WindowVerdict.SHIFTED_NOT_HARMED if shifted else WindowVerdict.NOT_HARMED
    return WindowVerdict.CANNOT_TELL


def investigations(runs: Iterable[WindowRun]) -> tuple[Investigation, ...]:
    """What is open now, oldest first.

    1. a column that drifts or is lost opens one, unless one is open; a later window in which the column is within its
    tolerance closes it, one that cannot tell does not; labels that are lacking are treated alike; 2. any other check that
    is no matter of harm opens one when it misses a bound or cannot be run, and closes it when it meets all of them.
    Windows that are not of the feed close none.
    """
    found: dict[str, Investigation] = {}
    for run in runs:
        completed = run.evidence.outcome is RunOutcome.COMPLETED
        # 1
        if run.evidence.check == INPUTS and completed:
            _look_at_columns(found, run)
        # 2
        elif run.evidence.check not in run.window.harm_checks:
            _look_at_check(found, run, completed=completed)
    return tuple(found.values())


def _look_at_columns(found: dict[str, Investigation], run: WindowRun) -> None:
    facts = run.evidence.facts
    _close(found, INPUTS, run)
    if _lacks_labels(facts):
        labels = facts["labels"]
        what = f"{labels['missing']} of {labels['rows']} rows have none; {labels['pilot missing']} of "
        what += f"{labels['pilot rows']} of the pilot's."
        _open(found, LABELS, run, what, "Deliver the labels, and look at who leaves them out.")
    elif facts.get("labels") is not None:
        _close(found, LABELS, run)
    for name, why in facts["lost"].items():
        _open(found, name, run, f"The feed's column cannot be compared with the pilot's: {why}", "Repair the feed.")
    for row in facts["columns"]:
        if row["verdict"] == _DRIFTED:
            what = (
                f"{facts['effect']} {row['severity']} [{row['lower']}, {row['upper']}]: above {facts['tolerance']:g}."
            )
            _open(found, row["column"], run, what, "Find out what changed at the source, and look at the quality.")
        elif row["verdict"] == _FINE:
            _close(found, row["column"], run)


def _look_at_check(found: dict[str, Investigation], run: WindowRun, *, completed: bool) -> None:
    if run.verdict is Verdict.MET:
        _close(found, run.evidence.check, run)
    elif run.verdict is Verdict.NOT_MET or not completed:
        first = run.evidence.findings[0] if run.evidence.findings else None
        what = first.what if first else "A bound is missed."
        _open(found, run.evidence.check, run, what, first.remedy if first else "Look at the evidence.")


def _close(found: dict[str, Investigation], about: str, run: WindowRun) -> None:
    if run.window.in_feed:
        found.pop(about, None)


def _open(found: dict[str, Investigation], about: str, run: WindowRun, what: str, remedy: str) -> None:
    found.setdefault(
        about, Investigation(about=about, since=run.window.name, evidence=run.digest, what=what, remedy=remedy)
    )
