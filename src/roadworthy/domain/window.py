"""Windows of production rows that a monitor looks at. Owns by what a window is known and how its evidence is kept.

Evidence of a window is kept apart from that of the gate. It speaks of rows that the gate was not decided on, so as
evidence of a criterion it would only make the criterion stale: a window that is fine would close an open gate. What does
close a gate is harm, and that is put on record as an event that voids older evidence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from roadworthy.domain.evidence import Sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoredWindow:
    """A window, and what makes its monitoring complete.

    Attributes:
        name: its file or pattern, relative to the manifest where it lies beneath it.
        digest: of its bytes; a window that is moved or renamed stays the same one.
        release_digest: the release that was watched.
        checks: every check of which evidence has to be on record before the window counts as monitored, in order.
        harm_checks: those of them whose miss is harm.
        rows_digest: of what its rows say, however they are stored and ordered; "" when nobody could tell.
        in_feed: whether it is of the files that are to be watched; one that is not opens investigations and closes none.
    """

    name: str
    digest: str
    release_digest: str
    checks: tuple[str, ...]
    harm_checks: tuple[str, ...]
    rows_digest: str = ""
    in_feed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowEvidence:
    """One envelope of one window, as the ledger holds it.

    Attributes:
        window: what it is about.
        check: which of the window's checks it is of.
        new_harm: whether it shows harm that was not known before, which calls for an event that voids older evidence.
        sealed: the envelope.
    """

    window: MonitoredWindow
    check: str
    new_harm: bool
    sealed: Sealed


def recorded_checks(evidence: Iterable[WindowEvidence]) -> dict[tuple[str, str], frozenset[str]]:
    """The checks of which evidence is on record, by the digests of window and release."""
    found: dict[tuple[str, str], set[str]] = {}
    for each in evidence:
        found.setdefault((each.window.digest, each.window.release_digest), set()).add(each.check)
    return {key: frozenset(checks) for key, checks in found.items()}


def monitored_rows(evidence: Sequence[WindowEvidence]) -> frozenset[str]:
    """Digests of the rows of those windows: the same rows in another file are no new window."""
    done = monitored(evidence)
    return frozenset(each.window.rows_digest for each in evidence if each.window.digest in done) - {""}


def monitored(evidence: Sequence[WindowEvidence]) -> frozenset[str]:
    """Digests of the windows whose monitoring is complete, for any release: rows are monitored as they come, once."""
    recorded = recorded_checks(evidence)
    return frozenset(
        each.window.digest
        for each in evidence
        if recorded[each.window.digest, each.window.release_digest].issuperset(each.window.checks)
    )
