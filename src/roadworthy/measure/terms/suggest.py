"""Which controlled term a text might mean. Owns the suggestions; accepts none: that is a person's decision (``approve``).

Algorithm of ``suggest``, for each text:
1. Terms whose label has the same normal form (see ``duplicates.normalise``).
2. Otherwise terms of which a synonym has it.
3. Otherwise the terms with the most similar label or synonym, by the token-set ratio of rapidfuzz, from the least
   similarity on.

Rules kept here:
1. The token-set ratio is 1 as soon as all words of one text occur in the other (``pain``, ``chest pain``), so equal
   ratios are ordered by the plain ratio of the whole texts, and a similarity of 1 in step 3 never becomes step 1.
2. A deprecated term is never suggested.
3. A text without a suggestion stays in the answer with none: what nobody can place is the interesting part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from rapidfuzz import fuzz, process

from roadworthy.base.errors import ParameterError
from roadworthy.measure.duplicates.normalise import normal_text
from roadworthy.measure.terms.code_list import CodeList, Term


class Step(Enum):
    """What made a term a candidate."""

    LABEL = "label"
    SYNONYM = "synonym"
    SIMILAR = "similar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A term that a text might mean.

    Attributes:
        term: the term.
        step: how it was found.
        matched: the label or synonym that was compared.
        similarity_share: 1 for steps 1 and 2, else the token-set ratio, in [0, 1].
    """

    term: Term
    step: Step
    matched: str
    similarity_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A text and its candidates, best first; none when nothing comes near."""

    text: str
    count: int
    candidates: tuple[Candidate, ...]


def suggest(
    counts: Mapping[str, int], code_list: CodeList, *, least_similarity_share: float = 0.85, most: int = 5
) -> tuple[Suggestion, ...]:
    """Suggest terms for the texts of a column.

    Args:
        counts: how often each text occurs.
        code_list: the edition to map to.
        least_similarity_share: of step 3, in (0, 1].
        most: the most candidates for one text, at least 1.

    Returns:
        One suggestion for each text, the most frequent first, equals in alphabetical order.

    Raises:
        ParameterError: a value outside its range (RW-114).
    """
    if not 0.0 < least_similarity_share <= 1.0 or most < 1:
        raise ParameterError(
            f"A similarity of {least_similarity_share} or {most} candidates is impossible.",
            remedy="Give a share in (0, 1] and at least one candidate.",
        )
    labels, synonyms = _index(code_list)
    names = sorted(labels.keys() | synonyms.keys())
    suggestions = []
    for text, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        form = normal_text(text)
        found = labels.get(form, [])[:most] or synonyms.get(form, [])[:most]  # 1, 2
        if not found and form:
            found = _similar(form, names, labels, synonyms, least_similarity_share)[:most]  # 3
        suggestions.append(Suggestion(text=text, count=count, candidates=tuple(found)))
    return tuple(suggestions)


def _index(code_list: CodeList) -> tuple[dict[str, list[Candidate]], dict[str, list[Candidate]]]:
    labels: dict[str, list[Candidate]] = {}
    synonyms: dict[str, list[Candidate]] = {}
    for term in sorted(code_list.terms, key=lambda term: term.id):
        if term.deprecated:
            continue
        _add(labels, term, term.label, Step.LABEL)
        for synonym in term.synonyms:
            _add(synonyms, term, synonym, Step.SYNONYM)
    return labels, synonyms


def _add(index: dict[str, list[Candidate]], term: Term, name: str, step: Step) -> None:
    form = normal_text(name)
    known = index.setdefault(form, []) if form else []
    if all(candidate.term != term for candidate in known):
        known.append(Candidate(term=term, step=step, matched=name, similarity_share=1.0))


def _similar(
    form: str,
    names: list[str],
    labels: dict[str, list[Candidate]],
    synonyms: dict[str, list[Candidate]],
    least_similarity_share: float,
) -> list[Candidate]:
    hits = process.extract(
        form, names, scorer=fuzz.token_set_ratio, limit=None, score_cutoff=100 * least_similarity_share
    )
    ordered = sorted(hits, key=lambda hit: (-hit[1], -fuzz.ratio(form, hit[0]), hit[0]))
    best: dict[str, Candidate] = {}
    for name, ratio, _ in ordered:
        for candidate in [*labels.get(name, []), *synonyms.get(name, [])]:
            similar = Candidate(
                term=candidate.term, step=Step.SIMILAR, matched=candidate.matched, similarity_share=ratio / 100
            )
            best.setdefault(candidate.term.id, similar)
    return list(best.values())
