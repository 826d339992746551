"""Answers made of sentences that stand in the documents. Owns the choice of sentences and the refusal; no text is invented.

How a question is answered:
1. the three best documents are found;
2. documents that hold less than ``LEAST_COVERAGE`` of the question's weight are dropped; when none is left, the answer is
   that nothing was found;
3. the sentences of what is left are ranked among themselves, each with the score of its document as a bonus;
4. the two best sentences are given, in the order of their documents and their places, each with the id of its document.

In the mode ``titles`` only the titles are searched, one word in common is enough, and the first sentence of the best
document is given: the weaker system to fall back to. A title is too short to ask for a share of the question.

Rule kept here: the same documents, mode and question give the same answer to the byte.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from roadworthy.base.digest import digest_bytes, digest_of
from roadworthy.demo.answers.documents import Document
from roadworthy.demo.answers.ranking import K1, B, Ranking, words_of

REFUSAL = "I found nothing about that."
LEAST_COVERAGE = 0.4
_DOCUMENTS = 3
_SENTENCES = 2
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])|\n{2,}")
_VERSION = 1


class Mode(Enum):
    """What is searched."""

    TEXTS = "texts"
    TITLES = "titles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """One source of an answer."""

    id: str
    title: str
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer.

    Attributes:
        text: with the ids of its sources in brackets.
        citations: the sources, in the order of the text; empty when nothing was found.
    """

    text: str
    citations: tuple[Citation, ...]

    @property
    def refused(self) -> bool:
        """Whether nothing was found."""
        return not self.citations


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentence:
    document: int
    place: int
    text: str


class Answerer:
    """The system that answers.

    Args:
        documents: at least one.
        mode: what is searched.
    """

    def __init__(self, documents: Sequence[Document], mode: Mode = Mode.TEXTS) -> None:
        self.documents = tuple(documents)
        self.mode = mode
        self._least_coverage = 0.0 if mode is Mode.TITLES else LEAST_COVERAGE
        searched = [each.title if mode is Mode.TITLES else f"{each.title}\n{each.text}" for each in documents]
        self._ranking = Ranking([words_of(text) for text in searched])
        self._sentences = [
            _Sentence(document=index, place=place, text=text)
            for index, each in enumerate(documents)
            for place, text in enumerate(sentences_of(each.text))
        ]
        self.release = digest_of(
            {
                "version": _VERSION,
                "mode": mode.value,
                "k1": K1,
                "b": B,
                "least_coverage": self._least_coverage,
                "documents": [
                    {"id": each.id, "title": each.title, "scope": each.scope, "text": digest_bytes(each.text.encode())}
                    for each in documents
                ],
            }
        )

    def find(self, question: str, count: int = _DOCUMENTS) -> list[Document]:
        """The best documents, best first, however weak."""
        return [self.documents[index] for index, _ in self._ranking.best(words_of(question), count)]

    def answer(self, question: str) -> Reply:
        """The answer to a question."""
        words = words_of(question)
        found = dict(self._ranking.best(words, _DOCUMENTS))  # 1
        coverage = self._ranking.coverage(words)
        kept = {index: score for index, score in found.items() if coverage[index] >= self._least_coverage}  # 2
        if not kept:
            return Reply(text=REFUSAL, citations=())
        chosen = self._titled(kept) if self.mode is Mode.TITLES else self._chosen(words, kept)
        text = " ".join(f"{each.text} [{self.documents[each.document].id}]" for each in chosen)
        sources = [self.documents[index] for index in dict.fromkeys(each.document for each in chosen)]
        return Reply(
            text=text, citations=tuple(Citation(id=each.id, title=each.title, scope=each.scope) for each in sources)
        )

    def _titled(self, kept: dict[int, float]) -> list[_Sentence]:
        best = max(kept, key=lambda index: (kept[index], -index))
        return [each for each in self._sentences if each.document == best][:1]

    def _chosen(self, words: Sequence[str], kept: dict[int, float]) -> list[_Sentence]:
        candidates = [each for each in self._sentences if each.document in kept]
        ranking = Ranking([words_of(each.text) for each in candidates])
        scores = ranking.scores(words)  # 3
        best = sorted(
            range(len(candidates)), key=lambda index: -(float(scores[index]) + kept[candidates[index].document])
        )[:_SENTENCES]
        order = list(kept)
        return sorted(  # 4
            (candidates[index] for index in best), key=lambda each: (order.index(each.document), each.place)
        )


def sentences_of(text: str) -> list[str]:
    """The sentences of a text in Markdown; headings, lists and tables are taken as they stand, on one line each."""
    return [" ".join(part.split()) for part in _END.split(text) if part.strip() and not part.lstrip().startswith("#")]
