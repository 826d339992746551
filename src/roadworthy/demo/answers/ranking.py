"""BM25 over a small set of texts, in memory. Owns words, weights and scores; what is made of them belongs to ``extractive``.

The formula is that of Robertson and Zaragoza (The Probabilistic Relevance Framework: BM25 and Beyond, 2009) in the form that
Lucene uses: for a term t in a document d of length |d|, in N documents of which n hold t,

    idf(t) = ln(1 + (N - n + 0.5) / (n + 0.5))
    score(t, d) = idf(t) * f / (f + k1 * (1 - b + b * |d| / average length)),  f = occurrences of t in d

Rule kept here: equal scores are ordered by position, so that the same question always gets the same answer.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
B = 0.75
_WORD = re.compile(r"[^\W_]+")
_SHORTEST_PLURAL = 4
# Words that say nothing about a subject: articles, pronouns, prepositions, auxiliaries and question words of English.
_STOP_WORDS = (
    "a about after all also am an and any are as at be because been before being but by can could did do does doing for "
    "from had has have having he her here him his how i if in into is it its itself just may me might more most must my "
    "no nor not of off on once only or other our out over own shall she should so some such than that the their them "
    "then there these they this those to too under until up very was we were what when where which while who whom why "
    "will with would you your"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())


def words_of(text: str) -> list[str]:
    """The words that count, in lower case and without a plural's ending (Harman, How Effective Is Suffixing, 1991)."""
    return [_singular(word) for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]


def _singular(word: str) -> str:
    if len(word) < _SHORTEST_PLURAL:
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1]
    return word


class Ranking:
    """The index of some texts.

    Args:
        texts: at least one, as words.
    """

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        counts = [Counter(words) for words in texts]
        self._rows = {word: row for row, word in enumerate(sorted(set().union(*counts)))}
        frequency = np.zeros((len(self._rows), len(texts)))
        for column, count in enumerate(counts):
            for word, times in count.items():
                frequency[self._rows[word], column] = times
        lengths = frequency.sum(axis=0)
        holding = (frequency > 0).sum(axis=1)
        self._count = len(texts)
        self._idf: NDArray[np.float64] = np.log1p((self._count - holding + 0.5) / (holding + 0.5))
        norm = K1 * (1 - B + B * lengths / max(float(lengths.mean()), 1.0))
        # Where a word does not occur the fraction is 0; an empty text has norm above zero all the same.
        self._weights: NDArray[np.float64] = self._idf[:, None] * frequency / (frequency + norm)
        self._present: NDArray[np.bool_] = frequency > 0

    def scores(self, question: Sequence[str]) -> NDArray[np.float64]:
        """The score of every text, float64, shape (texts,). A word that the question repeats counts as often."""
        rows = [self._rows[word] for word in question if word in self._rows]
        total: NDArray[np.float64] = self._weights[rows].sum(axis=0)
        return total

    def coverage(self, question: Sequence[str]) -> NDArray[np.float64]:
        """Which share of the question's weight each text holds, in [0, 1], float64, shape (texts,).

        The weight of a word is its idf; a word that no text holds weighs as much as one with n = 0.
        """
        unknown = float(np.log1p((self._count + 0.5) / 0.5))
        held = np.zeros(self._count)
        total = 0.0
        for word in sorted(set(question)):
            row = self._rows.get(word)
            total += unknown if row is None else float(self._idf[row])
            if row is not None:
                held += self._idf[row] * self._present[row]
        return held / total if total else held

    def best(self, question: Sequence[str], count: int) -> list[tuple[int, float]]:
        """The best texts with their scores, best first; texts without any word of the question are left out."""
        scores = self.scores(question)
        order = np.argsort(-scores, kind="stable")[:count]
        return [(int(index), float(scores[index])) for index in order if scores[index] > 0]
