"""What ran, what was skipped and why. Owns the record that ``tools/require_run.py`` judges.

Every collected test is written down before the marker expression takes any away, so a suite that nobody ran is visible.
"""

import json
from pathlib import Path

from house_marks import DATA_MARK, HOUSE_MARKS


class RunRecord:
    """A pytest plugin; registered by ``conftest.py`` when ``--record`` names a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tests: dict[str, dict[str, object]] = {}

    def note_collected(self, items) -> None:
        """Every test starts as not run, with the house marks that it carries."""
        for item in items:
            marks = {mark.name for mark in item.iter_markers()} & HOUSE_MARKS
            if "shared_data" in getattr(item, "fixturenames", ()):
                marks.add(DATA_MARK)
            self._tests[item.nodeid] = {"marks": sorted(marks), "outcome": "not run", "reason": None}

    def pytest_runtest_logreport(self, report) -> None:
        """The worst of set-up, call and tear-down is the outcome; a skip keeps its reason."""
        test = self._tests.get(report.nodeid)
        if test is None:
            return
        if report.failed:
            test["outcome"] = "failed"
        elif report.skipped and test["outcome"] != "failed":
            expected = hasattr(report, "wasxfail")
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            test.update(outcome="xfailed" if expected else "skipped", reason=None if expected else reason)
        elif report.when == "call" and test["outcome"] == "not run":
            test["outcome"] = "passed"

    def pytest_sessionfinish(self) -> None:
        """Write the record, whatever happened."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._tests, indent=1, sort_keys=True) + "\n", encoding="utf-8")
