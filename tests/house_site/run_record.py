"""What ran, what was skipped and why. Owns the record that ``tools/require_run.py`` judges.

Rules kept here:
1. every collected test is written down before the marker expression takes any away, so a suite that nobody ran is
   visible; so is a file that refuses to be collected;
2. with worker processes (pytest-xdist) each sends what it collected when it ends, the outcomes arrive one by one at the
   controller, and the controller alone writes;
3. a test of which only the outcome is known, because its worker died, is written down too.
"""

import json
from pathlib import Path

import pytest

from house_marks import DATA_MARK, HOUSE_MARKS

_SENT = "run_record"


class RunRecord:
    """A pytest plugin; registered by ``conftest.py`` when ``--record`` names a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: dict[str, list[str]] = {}
        self._outcomes: dict[str, dict[str, str | None]] = {}

    def note_collected(self, items) -> None:
        """The house marks that each test carries."""
        for item in items:
            marks = {mark.name for mark in item.iter_markers()} & HOUSE_MARKS
            if "shared_data" in getattr(item, "fixturenames", ()):
                marks.add(DATA_MARK)
            self._marks[item.nodeid] = sorted(marks)

    def pytest_collectreport(self, report) -> None:
        """A file that skips itself has no tests to count: it stands for them."""
        if report.skipped:
            self._marks.setdefault(report.nodeid, [])
            self._note(report.nodeid, "skipped", _reason(report))

    def pytest_runtest_logreport(self, report) -> None:
        """The worst of set-up, call and tear-down is the outcome; a skip keeps its reason."""
        known = self._outcomes.get(report.nodeid, {}).get("outcome")
        if report.failed:
            self._note(report.nodeid, "failed", None)
        elif report.skipped and known != "failed":
            expected = hasattr(report, "wasxfail")
            self._note(report.nodeid, "xfailed" if expected else "skipped", None if expected else _reason(report))
        elif report.when == "call" and known is None:
            self._note(report.nodeid, "passed", None)

    def _note(self, name: str, outcome: str, reason: str | None) -> None:
        self._outcomes[name] = {"outcome": outcome, "reason": reason}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        """What a worker collected; one that died sends nothing, and the other has collected the same."""
        sent = getattr(node, "workeroutput", {}).get(_SENT)
        if sent is not None:
            self._marks |= sent["marks"]
            self._outcomes = sent["outcomes"] | self._outcomes

    def pytest_sessionfinish(self, session) -> None:
        """Send it, or write it, whatever happened."""
        if hasattr(session.config, "workerinput"):
            session.config.workeroutput[_SENT] = {"marks": self._marks, "outcomes": self._outcomes}
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._tests(), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def _tests(self) -> dict[str, dict[str, object]]:
        not_run = {"outcome": "not run", "reason": None}
        names = self._marks.keys() | self._outcomes.keys()
        return {name: {"marks": self._marks.get(name, []), **self._outcomes.get(name, not_run)} for name in names}


def _reason(report) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
