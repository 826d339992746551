"""What a text means, as somebody decided. Owns one mapping and the set of them, in the members of SSSOM 1.0.

How they are written to a file belongs to ``sssom``; what a set covers and when it expires to ``coverage`` and ``expiry``.

Rules kept here:
1. A mapping counts only when it is accepted: a person is named as its author, with a date. A suggestion of a tool has
   neither and counts for nothing.
2. Only an exact or a close match says what a text is. A broader, narrower or related term, a negated mapping and the
   decision that no term fits are kept as knowledge, and map nothing.
3. The confidence is the person's; what a tool computed is the similarity score. The two are never mixed.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from urllib.parse import quote

from roadworthy.base.errors import ParameterError
from roadworthy.measure.terms.code_list import CodeList
from roadworthy.measure.terms.suggest import Candidate

NO_TERM = "sssom:NoTermFound"
NEGATED = "Not"
_CURIE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*:[^\s]+")
_TOOL = "rapidfuzz token-set ratio"


class Predicate(Enum):
    """How the text relates to the term (SKOS mapping relations)."""

    EXACT = "skos:exactMatch"
    CLOSE = "skos:closeMatch"
    BROAD = "skos:broadMatch"
    NARROW = "skos:narrowMatch"
    RELATED = "skos:relatedMatch"


class Justification(Enum):
    """What the mapping rests on (SEMAPV)."""

    LEXICAL = "semapv:LexicalMatching"
    MANUAL = "semapv:ManualMappingCuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """One row; the names are those of SSSOM, empty means not said.

    Attributes:
        subject_id: the CURIE of the text.
        subject_label: the text itself.
        predicate_id: a CURIE, mostly a ``Predicate``.
        predicate_modifier: ``Not`` for a mapping that somebody ruled out.
        object_id: the CURIE of the term, or ``sssom:NoTermFound``.
        object_label: its label when the mapping was made.
        mapping_justification: a CURIE, mostly a ``Justification``.
        author_id: the CURIEs of those who decided; empty for a suggestion.
        mapping_date: when they did.
        mapping_tool: what suggested it.
        mapping_tool_version: its release.
        subject_source: where the text comes from.
        object_source: the CURIE of the code list.
        object_source_version: its edition.
        confidence: how sure the author is, in [0, 1].
        similarity_score: what the tool computed, in [0, 1].
        similarity_measure: by which measure.
        comment: in words.
    """

    subject_id: str
    predicate_id: str
    object_id: str
    mapping_justification: str
    subject_label: str = ""
    predicate_modifier: str = ""
    object_label: str = ""
    author_id: tuple[str, ...] = ()
    mapping_date: date | None = None
    mapping_tool: str = ""
    mapping_tool_version: str = ""
    subject_source: str = ""
    object_source: str = ""
    object_source_version: str = ""
    confidence: float | None = None
    similarity_score: float | None = None
    similarity_measure: str = ""
    comment: str = ""

    @property
    def accepted(self) -> bool:
        """Whether a named person decided it, on a date."""
        return bool(self.author_id) and self.mapping_date is not None

    @property
    def says_what_it_is(self) -> bool:
        """Whether the text stands for the term: accepted, exact or close, not negated, and there is a term."""
        equal = self.predicate_id in {Predicate.EXACT.value, Predicate.CLOSE.value}
        return self.accepted and equal and self.predicate_modifier != NEGATED and self.object_id != NO_TERM


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSet:
    """Mappings that are kept and released together.

    Attributes:
        mapping_set_id: an IRI.
        license: an IRI.
        mapping_set_version: of this set.
        curie_map: the IRI that each prefix stands for.
        mappings: in their order.
        discarded: slots of a file that was read which have no place here; empty for a set made here.
    """

    mapping_set_id: str
    license: str
    mapping_set_version: str = ""
    curie_map: dict[str, str] = field(default_factory=dict)
    mappings: tuple[Mapping, ...] = ()
    discarded: tuple[str, ...] = ()


def approve(
    text: str,
    candidate: Candidate,
    code_list: CodeList,
    *,
    prefix: str,
    author_id: str,
    on: date,
    confidence: float,
    predicate: Predicate = Predicate.EXACT,
    tool_version: str = "",
) -> Mapping:
    """Record that a person took a suggestion.

    Args:
        text: the text as it stands in the data.
        candidate: what was suggested for it.
        code_list: the edition that it was taken from.
        prefix: the CURIE prefix of the column's texts.
        author_id: the person, as a CURIE.
        on: the day.
        confidence: how sure the person is, in [0, 1].
        predicate: how text and term relate.
        tool_version: the release of what suggested it.

    Raises:
        ParameterError: nobody is named, the term is not in the edition, or the confidence is no share (RW-114).
    """
    _check(author_id, confidence, candidate.term.id, code_list)
    return Mapping(
        subject_id=text_id(prefix, text),
        subject_label=text,
        predicate_id=predicate.value,
        object_id=candidate.term.id,
        object_label=candidate.term.label,
        mapping_justification=Justification.LEXICAL.value,
        author_id=(author_id,),
        mapping_date=on,
        mapping_tool="roadworthy",
        mapping_tool_version=tool_version,
        object_source=code_list.source,
        object_source_version=code_list.version,
        confidence=confidence,
        similarity_score=candidate.similarity_share,
        similarity_measure=_TOOL,
    )


def curate(
    text: str,
    term_id: str,
    code_list: CodeList,
    *,
    prefix: str,
    author_id: str,
    on: date,
    confidence: float,
    predicate: Predicate = Predicate.EXACT,
) -> Mapping:
    """Record a term that a person chose without or against the suggestions; ``NO_TERM`` when none fits.

    Raises:
        ParameterError: nobody is named, the term is not in the edition, or the confidence is no share (RW-114).
    """
    _check(author_id, confidence, term_id, code_list)
    chosen = code_list.by_id().get(term_id)
    return Mapping(
        subject_id=text_id(prefix, text),
        subject_label=text,
        predicate_id=predicate.value,
        object_id=term_id,
        object_label=chosen.label if chosen else "",
        mapping_justification=Justification.MANUAL.value,
        author_id=(author_id,),
        mapping_date=on,
        object_source=code_list.source,
        object_source_version=code_list.version,
        confidence=confidence,
    )


def text_id(prefix: str, text: str) -> str:
    """The CURIE of a text: its percent-encoded self under the prefix, so different texts never share one."""
    return f"{prefix}:{quote(text, safe='')}"


def is_curie(text: str) -> bool:
    """Whether a text has the form ``prefix:local`` and is no IRI."""
    return _CURIE.fullmatch(text) is not None and not text.partition(":")[2].startswith("//")


def _check(author_id: str, confidence: float, term_id: str, code_list: CodeList) -> None:
    if not is_curie(author_id) or not 0.0 <= confidence <= 1.0:
        raise ParameterError(
            f"A mapping by {author_id!r} with confidence {confidence} cannot be accepted.",
            remedy="Name the person by a CURIE such as orcid:0000-0002-1825-0097, and give a confidence in [0, 1].",
        )
    term = code_list.by_id().get(term_id)
    if term_id != NO_TERM and (term is None or term.deprecated):
        raise ParameterError(
            f"{term_id} is not a term in use of {code_list.source} {code_list.version}.",
            remedy="Choose a term of this edition, or sssom:NoTermFound.",
        )
