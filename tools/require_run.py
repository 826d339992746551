"""Fail when a suite that could have run did not. Reads the records that pytest wrote with ``--record``.

Usage: ``python tools/require_run.py build/tests.json [build/slow.json ...]``

1. Records of several runs are laid over each other: a test counts as run when any of them ran it.
2. A test must have run unless a mark of its own excuses it: it belongs to those run by hand, or its prerequisite is not
   met on this machine.
3. A skip must give one of the known reasons, and not one whose prerequisite *is* met.

Exit: 0 when all that could run ran and passed, 1 otherwise. The last line is ``N passed, N failed``.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from house_marks import BY_HAND, DATA_MARK, HOUSE_MARKS, ONLY_THERE, REASONS, available

Record = dict[str, dict[str, Any]]
_RANK = {"not run": 0, "skipped": 1, "xfailed": 2, "passed": 3, "failed": 4}


def overlay(records: Sequence[Record]) -> Record:
    """Step 1: one outcome per test, the strongest of all runs; a failure is the strongest."""
    merged: Record = {}
    for record in records:
        for name, test in record.items():
            known = merged.get(name)
            if known is None or _RANK[test["outcome"]] > _RANK[known["outcome"]]:
                merged[name] = test
    return merged


def complaints(tests: Record, met: frozenset[str]) -> list[str]:
    """What is wrong, one line a test.

    Args:
        tests: the merged record.
        met: marks whose prerequisite is met on this machine.
    """
    found = []
    for name, test in sorted(tests.items()):
        marks = set(test["marks"])
        # Step 2.
        excused = bool(marks & BY_HAND) or not marks <= met
        if test["outcome"] == "not run" and not excused:
            found.append(f"{name}: could have run here and did not")
        # Step 3.
        if test["outcome"] == "skipped":
            found.extend(f"{name}: {why}" for why in _bad_reason(str(test["reason"]), met))
        if test["outcome"] == "failed":
            found.append(f"{name}: failed")
    return found


def _bad_reason(reason: str, met: frozenset[str]) -> list[str]:
    wanting = [mark for begin, mark in REASONS.items() if begin in reason]
    if not wanting and ONLY_THERE not in reason:
        return [f"skipped for a reason that nobody agreed to: {reason}"]
    return [f"skipped for want of {mark}, which is there" for mark in wanting if mark in met]


def summary(tests: Record) -> str:
    """A table of marks by outcome."""
    lines = [f"{'mark':<12} {'run':>6} {'skipped':>8} {'not run':>8}"]
    for mark in [*sorted(HOUSE_MARKS | {DATA_MARK}), "(none)"]:
        counts = Counter(
            test["outcome"]
            for test in tests.values()
            if mark in test["marks"] or (mark == "(none)" and not test["marks"])
        )
        run = counts["passed"] + counts["failed"] + counts["xfailed"]
        lines.append(f"{mark:<12} {run:>6} {counts['skipped']:>8} {counts['not run']:>8}")
    return "\n".join(lines)


def closing_line(tests: Mapping[str, Mapping[str, Any]]) -> str:
    """``N passed, N failed``; an expected failure counts as passed."""
    counts = Counter(str(test["outcome"]) for test in tests.values())
    return f"{counts['passed'] + counts['xfailed']} passed, {counts['failed']} failed"


def main(paths: Sequence[str]) -> int:
    """Judge the records and print the table, the complaints and the closing line."""
    tests = overlay([json.loads(Path(path).read_text(encoding="utf-8")) for path in paths if Path(path).exists()])
    found = complaints(tests, available()) if tests else ["no test was recorded at all"]
    print(summary(tests))
    for line in found:
        print(line)
    print(closing_line(tests))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
