"""Facts of a check as small tables and bars. Owns turning plain JSON of unknown shape into rows that a person can read.

Rules kept here:
1. Nothing is dropped in silence: a table says how many rows it leaves out.
2. A fact with ``edges`` (n + 1 numbers, rising) and ``counts`` (n numbers) is a histogram; ``unit`` names its axis.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from roadworthy.domain.criterion import Verdict
from roadworthy.reports.words import NOT_KNOWN, number, verdict_word

MOST_ROWS = 40
_VERDICTS = {verdict.value: verdict_word(verdict) for verdict in Verdict}
_SINGLE = "Also noted"
_DEEP = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class FactTable:
    """A small table of texts.

    Attributes:
        title: name of the fact.
        columns: headings; empty for a table of names and values.
        rows: cells, as many as columns.
        omitted: rows that are left out.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    omitted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A histogram: ``counts[i]`` lie from ``edges[i]`` up to ``edges[i + 1]``, in ``unit``."""

    title: str
    edges: tuple[float, ...]
    counts: tuple[float, ...]
    unit: str


def bars_of(facts: Mapping[str, Any]) -> tuple[Bars, ...]:
    """The facts that are histograms."""
    return tuple(
        Bars(
            title=_words(name),
            edges=tuple(float(edge) for edge in value["edges"]),
            counts=tuple(float(count) for count in value["counts"]),
            unit=str(value.get("unit", "")),
        )
        for name, value in facts.items()
        if _is_histogram(value)
    )


def tables_of(facts: Mapping[str, Any]) -> tuple[FactTable, ...]:
    """All facts as tables: lists of records and records become one each, single values share the first."""
    singles: list[tuple[str, str]] = []
    tables: list[FactTable] = []
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            tables.append(_histogram(name, value) if _is_histogram(value) else _record(name, value))
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            tables.append(_records(name, value))
        else:
            singles.append((_words(name), cell(value)))
    if singles:
        tables.insert(0, FactTable(title=_SINGLE if tables else "", columns=(), rows=tuple(singles), omitted=0))
    return tuple(tables)


def cell(value: Any) -> str:
    """One value in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return NOT_KNOWN
    if isinstance(value, int | float):
        return number(float(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(str(key))}: {cell(item)}" for key, item in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(cell(item) for item in value) or "none"
    text = _VERDICTS.get(str(value), str(value))
    return text if len(text) <= _DEEP or " " in text else f"{text[:_DEEP]}…"


def _record(name: str, value: Mapping[str, Any]) -> FactTable:
    rows = tuple((_words(str(key)), cell(item)) for key, item in value.items())
    return FactTable(title=_words(name), columns=(), rows=rows[:MOST_ROWS], omitted=max(len(rows) - MOST_ROWS, 0))


def _records(name: str, value: Sequence[Mapping[str, Any]]) -> FactTable:
    keys = sorted(dict.fromkeys(str(key) for row in value for key in row), key=lambda key: _place(name, key, value))
    rows = tuple(tuple(cell(row[key]) if key in row else "" for key in keys) for row in value[:MOST_ROWS])
    columns = tuple(_words(key) for key in keys)
    return FactTable(title=_words(name), columns=columns, rows=rows, omitted=max(len(value) - MOST_ROWS, 0))


def _place(name: str, key: str, value: Sequence[Mapping[str, Any]]) -> int:
    """What the rows are about comes first, then texts, then numbers: signing has sorted the names by letter."""
    if name in {key, f"{key}s"}:
        return 0
    return 1 if any(isinstance(row.get(key), str) for row in value) else 2


def _histogram(name: str, value: Mapping[str, Any]) -> FactTable:
    edges, unit = value["edges"], str(value.get("unit", ""))
    rows = tuple(
        (number(float(low)), number(float(high)), number(float(count)))
        for low, high, count in zip(edges, edges[1:], value["counts"], strict=False)
        if count
    )
    columns = (f"from {unit}".strip(), f"to {unit}".strip(), "count")
    return FactTable(title=_words(name), columns=columns, rows=rows[:MOST_ROWS], omitted=max(len(rows) - MOST_ROWS, 0))


def _is_histogram(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    edges, counts = value.get("edges"), value.get("counts")
    if not isinstance(edges, list) or not isinstance(counts, list) or len(edges) != len(counts) + 1 or not counts:
        return False
    numbers = all(isinstance(each, int | float) and math.isfinite(each) for each in (*edges, *counts))
    return numbers and all(low < high for low, high in pairwise(edges))


def _words(name: str) -> str:
    return name.replace("_", " ")
