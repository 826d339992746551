"""When a code list moves on under a mapping set. Owns the check of accepted mappings against another edition.

Rules kept here:
1. A set expires as soon as one term that it stands on is gone, deprecated or renamed. A new name may be a new meaning,
   and only a person can tell.
2. A new edition that leaves all those terms alone leaves the set valid; which editions were compared is stated.
3. Each finding names the term and the texts that stand on it; nothing is mapped anew by itself, not even to a successor
   that the edition names.
"""

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum

from roadworthy.domain.evidence import Finding
from roadworthy.measure.duplicates.normalise import normal_text
from roadworthy.measure.terms.code_list import CodeList, Term
from roadworthy.measure.terms.mapping import NO_TERM, Mapping, MappingSet

_TEXTS_NAMED = 5


class Change(Enum):
    """What became of a term."""

    MISSING = "missing"
    DEPRECATED = "deprecated"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedTerm:
    """A term that accepted mappings stand on and that is no longer what it was.

    Attributes:
        object_id: the term.
        change: what became of it.
        old_label: its label when it was mapped to.
        new_label: its label now; empty when it is gone.
        replaced_by: the successor that the edition names.
        texts: what was mapped to it, in alphabetical order.
    """

    object_id: str
    change: Change
    old_label: str
    new_label: str
    replaced_by: str | None
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """How a set stands to an edition.

    Attributes:
        version: the edition that was compared.
        mapped_versions: the editions that the mappings were made for.
        checked: how many accepted mappings stand on this code list.
        changed: terms that are no longer what they were, by id.
    """

    version: str
    mapped_versions: tuple[str, ...]
    checked: int
    changed: tuple[ChangedTerm, ...]

    @property
    def expired(self) -> bool:
        """Whether the set may no longer be used as evidence."""
        return bool(self.changed)

    def findings(self) -> tuple[Finding, ...]:
        """One finding for each changed term."""
        return tuple(_finding(term, self.version) for term in self.changed)


def expiry(mapping_set: MappingSet, code_list: CodeList) -> Expiry:
    """Compare the accepted mappings of a set with an edition of their code list.

    Mappings to other lists, suggestions and decisions that no term fits are left alone; a broader or narrower term is
    looked at too, because what it means may have changed as well.
    """
    rows = [
        row
        for row in mapping_set.mappings
        if row.accepted and row.object_source == code_list.source and row.object_id != NO_TERM
    ]
    by_term: dict[str, list[Mapping]] = defaultdict(list)
    for row in rows:
        by_term[row.object_id].append(row)
    terms = code_list.by_id()
    found = [_changed(object_id, mapped, terms.get(object_id)) for object_id, mapped in sorted(by_term.items())]
    return Expiry(
        version=code_list.version,
        mapped_versions=tuple(sorted({row.object_source_version for row in rows})),
        checked=len(rows),
        changed=tuple(term for term in found if term is not None),
    )


def _changed(object_id: str, mapped: list[Mapping], term: Term | None) -> ChangedTerm | None:
    change = _change(mapped, term)
    if change is None:
        return None
    old_labels = sorted({row.object_label for row in mapped} - {""})
    return ChangedTerm(
        object_id=object_id,
        change=change,
        old_label=" / ".join(old_labels),
        new_label=term.label if term else "",
        replaced_by=term.replaced_by if term else None,
        texts=tuple(sorted({row.subject_label or row.subject_id for row in mapped})),
    )


def _change(mapped: list[Mapping], term: Term | None) -> Change | None:
    if term is None:
        return Change.MISSING
    if term.deprecated:
        return Change.DEPRECATED
    labels = {normal_text(row.object_label) for row in mapped if row.object_label}
    return Change.RENAMED if labels - {normal_text(term.label)} else None


def _finding(term: ChangedTerm, version: str) -> Finding:
    became = {
        Change.MISSING: "is gone from",
        Change.DEPRECATED: "is deprecated in",
        Change.RENAMED: f"is now called {term.new_label!r} in",
    }[term.change]
    named = ", ".join(repr(text) for text in term.texts[:_TEXTS_NAMED])
    more = f" and {len(term.texts) - _TEXTS_NAMED} more" if len(term.texts) > _TEXTS_NAMED else ""
    successor = f"; the edition names {term.replaced_by}" if term.replaced_by else ""
    return Finding(
        what=f"{term.object_id} ({term.old_label}) {became} edition {version}; {named}{more} stand on it.",
        remedy=f"Let a person map these texts anew{successor}.",
    )
