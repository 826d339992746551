"""Documents as sets of word sequences. Owns shingling and the exact Jaccard similarity of such sets.

Rules kept here:
1. Words are those of the normal form (see ``normalise``), so layout, case and punctuation make no difference.
2. A shingle is ``size`` words in a row. A document of fewer words is one shingle, all of it; one without words has none.
3. Shingles are numbered, not hashed: two shingles have the same number only if they are the same words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from roadworthy.base.errors import ParameterError
from roadworthy.measure.duplicates.clusters import RowNumbers, Scores, distinct
from roadworthy.measure.duplicates.normalise import normal_text

_PAIRS_AT_ONCE = 20_000
_LARGEST_CODE = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class ShingleSets:
    """One set of shingle numbers for each document.

    Attributes:
        members: the numbers of all sets one after the other, each set ascending, shape (total,).
        offsets: where each set begins and the last one ends, shape (documents + 1,).
        shingle_count: how many different shingles there are.
    """

    members: RowNumbers
    offsets: RowNumbers
    shingle_count: int

    @property
    def sizes(self) -> RowNumbers:
        """How many shingles each document has, shape (documents,)."""
        return np.diff(self.offsets)


def shingle_sets(documents: Sequence[str], *, size: int = 5) -> ShingleSets:
    """Cut documents into shingles.

    Algorithm:
    1. Number the distinct words from 1; 0 pads a document shorter than a shingle.
    2. Append word after word to one integer a shingle; renumber the distinct ones whenever the next word would not fit.
    3. Keep each number once for each document.

    Args:
        documents: texts.
        size: words in a shingle, at least 1; 5 tells paraphrase from copy, 1 compares vocabularies.

    Raises:
        ParameterError: ``size`` is below 1 (RW-114).
    """
    if size < 1:
        raise ParameterError(f"A shingle of {size} words is none.", remedy="Ask for at least one word.")
    words, lengths = _numbered_words(documents)  # 1
    counts = np.where(lengths > 0, np.maximum(lengths - size + 1, 1), 0)
    starts = np.cumsum(lengths) - lengths
    owner = np.repeat(np.arange(lengths.size), counts)
    place = np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
    width = int(words.max(initial=0)) + 1
    codes, bound = np.zeros(owner.size, dtype=np.int64), 1
    for step in range(size):  # 2
        if bound * width > _LARGEST_CODE:
            codes, bound = _renumbered(codes)
        inside = place + step < lengths[owner]
        word = np.where(inside, words[np.minimum(starts[owner] + place + step, max(words.size - 1, 0))], 0)
        codes, bound = codes * width + word, bound * width
    codes, shingle_count = _renumbered(codes)
    kept = distinct(owner * max(shingle_count, 1) + codes)  # 3
    owners, members = np.divmod(kept, max(shingle_count, 1))
    offsets = np.searchsorted(owners, np.arange(lengths.size + 1))
    return ShingleSets(members=members, offsets=offsets.astype(np.int64), shingle_count=shingle_count)


def jaccard(sets: ShingleSets, left: RowNumbers, right: RowNumbers) -> Scores:
    """The exact Jaccard similarity |A and B| / |A or B| of pairs of documents, shape (m,), in [0, 1].

    Two sets without members have the similarity 0: nothing was seen to agree.
    """
    ones = np.ones(sets.members.size, dtype=np.int32)
    shape = (sets.sizes.size, max(sets.shingle_count, 1))
    matrix: Any = csr_matrix((ones, sets.members, sets.offsets), shape=shape)
    shared = np.empty(left.size, dtype=np.int64)
    for start in range(0, left.size, _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        shared[part] = np.asarray(matrix[left[part]].multiply(matrix[right[part]]).sum(axis=1)).ravel()
    union = sets.sizes[left] + sets.sizes[right] - shared
    similarity = np.zeros(left.size, dtype=np.float64)
    np.divide(shared, union, out=similarity, where=union > 0)
    return similarity


def _renumbered(codes: RowNumbers) -> tuple[RowNumbers, int]:
    """The same codes as numbers from 0, and how many distinct ones there are."""
    distinct, numbers = np.unique(codes, return_inverse=True)
    return np.asarray(numbers, dtype=np.int64), int(distinct.size)


def _numbered_words(documents: Sequence[str]) -> tuple[RowNumbers, NDArray[np.int64]]:
    vocabulary: dict[str, int] = {}
    lengths = np.zeros(len(documents), dtype=np.int64)
    numbers: list[int] = []
    for row, document in enumerate(documents):
        words = normal_text(document).split()
        lengths[row] = len(words)
        numbers.extend([vocabulary.setdefault(word, len(vocabulary) + 1) for word in words])
    return np.array(numbers, dtype=np.int64), lengths
