"""The lexical baseline: BM25 over documents held in memory. Owns the one use of the optional library ``bm25s``.

A baseline that needs no model says what a retriever must at least reach, and where words alone must fail, for example
across languages.

Rules kept here:
1. Words are runs of letters, digits and underscores, in lower case; no stemming and no stop words, so that every language
   is treated alike and nothing hides in a word list.
2. A document that shares no word with the query is not returned, however short the list becomes.
3. The order is total: equal scores keep the order in which the documents were given.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from roadworthy.base.errors import DependencyError, EmptyData, ParameterError

try:
    import bm25s  # type: ignore[import-untyped]  # it ships no types
except ImportError:
    bm25s = None

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bm25:
    """An index that can be searched.

    Attributes:
        document_ids: in the order in which they were given.
    """

    document_ids: tuple[str, ...]
    _index: Any

    def search(self, text: str, depth: int = 10) -> tuple[str, ...]:
        """The ids of the documents that share a word with the text, best first, at most ``depth`` of them.

        Raises:
            ParameterError: depth below 1 (RW-114).
        """
        if depth < 1:
            raise ParameterError(f"A list of {depth} results is empty.", remedy="Ask for at least 1.")
        known = [word for word in _words(text) if word in self._index.vocab_dict]
        if not known:
            return ()
        scores = np.asarray(self._index.get_scores(known))
        best = np.argsort(-scores, kind="stable")[:depth]
        return tuple(self.document_ids[place] for place in best if scores[place] > 0)


def bm25_index(documents: Mapping[str, str], *, k1: float = 1.2, b: float = 0.75) -> Bm25:
    """Index documents with the scoring of Lucene (Kamphuis and others, ECIR 2020: all variants are close to each other).

    Args:
        documents: text by id.
        k1: how soon repeating a word stops counting, 0 or more.
        b: how much a long document is held back, in [0, 1].

    Raises:
        DependencyError: bm25s is not installed (RW-600).
        EmptyData: there is no document with a word (RW-104).
        ParameterError: k1 or b outside its range (RW-114).
    """
    if bm25s is None:
        raise DependencyError("bm25s is not installed.", remedy="Install roadworthy with the extra retrieval.")
    if not (k1 >= 0 and 0 <= b <= 1):
        raise ParameterError(f"k1 = {k1} and b = {b} make no BM25.", remedy="Give k1 of 0 or more and b in [0, 1].")
    words = [_words(text) for text in documents.values()]
    if not any(words):
        raise EmptyData("There is no document with a word.", remedy="Give documents with text.")
    index = bm25s.BM25(method="lucene", k1=k1, b=b)
    index.index(words, show_progress=False)
    return Bm25(document_ids=tuple(documents), _index=index)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
