"""What was planted, beside what the inspection found of it. Owns the comparison; it runs no check itself.

A kind of damage counts as found only when a finding names the rule or site that it broke *and* the number of rows that
were planted. A finding about something else at the same place, or about fewer rows, is no find. A curated pilot damages
no row; it is found when the column that it was chosen by is shown to have moved.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadworthy.base.errors import MissingFile, UnreadableData
from roadworthy.demo.cohorts import KEY, MEASURED, RECEIVED


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedRow:
    """One kind of damage.

    Attributes:
        kind: of damage.
        where: site and columns.
        rows: how many were planted.
        found: the finding that names it, "" when none does.
    """

    kind: str
    where: str
    rows: int
    found: str


def planted_versus_found(truth: Path, findings: Iterable[str]) -> tuple[PlantedRow, ...]:
    """Compare the truth with findings.

    Args:
        truth: ``truth.json``, as ``write_demo`` writes it.
        findings: what was found, one sentence each.

    Raises:
        MissingFile: there is no such file (RW-102).
        UnreadableData: it is not of that form (RW-103).
    """
    sentences = tuple(findings)
    try:
        planted = json.loads(truth.read_text(encoding="utf-8"))["planted"]
        return tuple(_row(each, sentences) for each in planted)
    except OSError as error:
        raise MissingFile("There is no truth file.", remedy="Run the demonstration again.", where=str(truth)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableData(
            f"{truth.name} is not what the demonstration writes.", remedy="Run it again.", where=str(truth)
        ) from error


def _row(planted: Mapping[str, Any], findings: tuple[str, ...]) -> PlantedRow:
    needed = _SIGNS[planted["kind"]](planted)
    matches = [next((text for text in findings if all(part in text for part in parts)), "") for parts in needed]
    columns = ", ".join(planted["columns"])
    return PlantedRow(
        kind=planted["kind"],
        where=f"{planted['site']}: {columns}",
        rows=len(planted["keys"]),
        found=matches[0] if all(matches) else "",
    )


def _count(planted: Mapping[str, Any]) -> str:
    return f": {len(planted['keys'])} of "


def _unit_swap(planted: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The first column's site is named, and of every column the rows outside its range are counted."""
    named = (f"{planted['columns'][0]} in {planted['site']} ", "another unit")
    return [named, *((f"validity.{column}.range", _count(planted)) for column in planted["columns"])]


# Every group of parts must stand together in one finding.
_SIGNS: dict[str, Callable[[Mapping[str, Any]], list[tuple[str, ...]]]] = {
    "unit swap": _unit_swap,
    "missing fields": lambda p: [(f"completeness.{column}.nullValues", _count(p)) for column in p["columns"]],
    "duplicate rows": lambda p: [(f"uniqueness.{KEY}.", _count(p))],
    "late rows": lambda p: [(f"freshness.{MEASURED}+{RECEIVED}.latency", _count(p))],
    "sentinel": lambda p: [(f"completeness.{column}.sentinel", _count(p)) for column in p["columns"]],
    "curated pilot": lambda p: [(f"{column} moved: PSI ",) for column in p["columns"]],
}
