"""Coverage, room by room. Reads coverage's JSON report and the shares that pyproject.toml asks for.

Usage: ``python tools/coverage_gates.py build/coverage.json [--before-slow]``

With ``--before-slow`` the slow tests have not run yet, and the rooms that they cover are asked for less.

One share per room, statements and branches together, as coverage itself counts them. A room without a statement is not
listed. Exit: 0 when every room reaches its share, 1 otherwise.
"""

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ROOT_ROOM = "(root)"
BEFORE_SLOW = "--before-slow"


class Room(NamedTuple):
    """How much of a room the tests ran.

    Attributes:
        name: folder below ``roadworthy``.
        covered: statements and branches that ran.
        total: statements and branches that there are.
        asked_share: what the room must reach, in [0, 1].
    """

    name: str
    covered: int
    total: int
    asked_share: float

    @property
    def share(self) -> float:
        """What it reaches, in [0, 1]."""
        return self.covered / self.total

    @property
    def holds(self) -> bool:
        """Whether that is enough. Counts are compared, not rounded percentages."""
        return self.covered >= self.asked_share * self.total


def rooms(report: Mapping[str, Any], asked: Mapping[str, Any]) -> list[Room]:
    """Add up the files of each room.

    Args:
        report: coverage's JSON report, with branches.
        asked: the table ``tool.roadworthy.coverage``.
    """
    counts: dict[str, list[int]] = {}
    for path, file in report["files"].items():
        figures = file["summary"]
        count = counts.setdefault(_room_of(path), [0, 0])
        count[0] += figures["covered_lines"] + figures["covered_branches"]
        count[1] += figures["num_statements"] + figures["num_branches"]
    share = asked["room_share"]
    return [
        Room(name, covered, total, share.get(name, asked["default_share"]))
        for name, (covered, total) in sorted(counts.items())
        if total
    ]


def _room_of(path: str) -> str:
    parts = PurePath(path.replace("\\", "/")).parts
    below = parts[parts.index("roadworthy") + 1 :]
    return below[0] if len(below) > 1 else ROOT_ROOM


def main(report_path: str, *flags: str) -> int:
    """Print the table and say which rooms fall short."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["roadworthy"]["coverage"]
    if BEFORE_SLOW in flags:
        asked["room_share"] |= asked["room_share_before_slow"]
    found = rooms(json.loads(Path(report_path).read_text(encoding="utf-8")), asked)
    print(f"{'room':<10} {'covered':>9} {'asked':>7}")
    for room in found:
        verdict = (
            "" if room.holds else f"  short by {room.asked_share * room.total - room.covered:.0f} lines or branches"
        )
        print(f"{room.name:<10} {room.share:>8.1%} {room.asked_share:>7.0%}{verdict}")
    return 0 if all(room.holds for room in found) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
