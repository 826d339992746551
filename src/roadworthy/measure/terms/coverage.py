"""How much of the data a mapping set explains. Owns coverage by frequency and the conflicts within a set.

Rules kept here:
1. Coverage counts occurrences, not distinct texts: one unmapped text in half of the rows is half of the problem, and a
   long tail of rare typing errors is not.
2. A text that is mapped to two terms means neither: it is a conflict and is not covered.
3. A text is found by its very letters, as the person saw it. Whoever wants case ignored normalises the data first.
"""

from collections import defaultdict
from collections.abc import Mapping as Counts
from dataclasses import dataclass

from roadworthy.base.errors import EmptyData
from roadworthy.base.interval import Interval, exact
from roadworthy.measure.terms.mapping import NO_TERM, MappingSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A text that stands for more than one term: its label, the terms in order, and how often it occurs."""

    text: str
    object_ids: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the set explains.

    Attributes:
        occurrences: the share of occurrences that is covered; a count, so without uncertainty.
        distinct_share: the share of distinct texts that is covered; shown only to be compared.
        unmapped: texts that are not covered and in no conflict, with their counts, the most frequent first.
        ruled_out: those of them for which somebody decided that no term fits.
        conflicts: the most frequent first.
    """

    occurrences: Interval
    distinct_share: float
    unmapped: tuple[tuple[str, int], ...]
    ruled_out: tuple[str, ...]
    conflicts: tuple[Conflict, ...]


def coverage(counts: Counts[str, int], mapping_set: MappingSet, *, object_source: str) -> Coverage:
    """Measure a set on the texts of a column.

    Args:
        counts: how often each text occurs, at least one of them.
        mapping_set: the mappings; only accepted ones count.
        object_source: the code list in question; mappings to other lists are left alone.

    Raises:
        EmptyData: nothing occurs (RW-104).
    """
    total = sum(counts.values())
    if total <= 0:
        raise EmptyData("No text occurs, so nothing can be covered.", remedy="Deliver the column.")
    targets = _targets(mapping_set, object_source)
    covered = {text for text in counts if len(targets.get(text, ())) == 1}
    conflicts = [
        Conflict(text=text, object_ids=tuple(sorted(ids)), count=counts.get(text, 0))
        for text, ids in targets.items()
        if len(ids) > 1
    ]
    unmapped = [(text, count) for text, count in counts.items() if not targets.get(text)]
    ruled_out = {
        row.subject_label
        for row in mapping_set.mappings
        if row.accepted and row.object_id == NO_TERM and row.object_source == object_source
    }
    return Coverage(
        occurrences=exact(sum(counts[text] for text in covered) / total, total),
        distinct_share=len(covered) / len(counts),
        unmapped=tuple(sorted(unmapped, key=lambda item: (-item[1], item[0]))),
        ruled_out=tuple(sorted(text for text, _ in unmapped if text in ruled_out)),
        conflicts=tuple(sorted(conflicts, key=lambda conflict: (-conflict.count, conflict.text))),
    )


def _targets(mapping_set: MappingSet, object_source: str) -> dict[str, set[str]]:
    targets: dict[str, set[str]] = defaultdict(set)
    for row in mapping_set.mappings:
        if row.says_what_it_is and row.object_source == object_source:
            targets[row.subject_label].add(row.object_id)
    return targets
