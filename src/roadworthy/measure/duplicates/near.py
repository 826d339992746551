"""Documents that are nearly the same. Owns MinHash signatures, their banding and the search for near-duplicates.

Sources: Broder, On the resemblance and containment of documents (1997), for MinHash; Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, section 3.4, for the banding and its s-curve.

Algorithm of ``near_duplicates``:
1. Cut each document into shingles (see ``shingles``); documents with equal sets are near-duplicates at once, and only
   the first of them goes on.
2. The signature: for each of ``permutations`` random orders of all shingles, the smallest shingle of the document. Two
   documents agree at one place with a probability equal to their Jaccard similarity.
3. Documents that agree in all ``rows`` places of one of the ``bands`` are candidates: with similarity s, this happens
   with probability ``1 - (1 - s**rows)**bands``, the s-curve.
4. The exact similarity of each candidate pair is computed; those below the threshold are dropped.

Rules kept here:
1. No pair is reported on an estimate: what is reported has that similarity. What may be missed is stated beforehand, as
   the expected recall of a pair that just reaches the threshold; more similar pairs are missed less.
2. The seed is an argument: the same documents, seed and scheme give the same pairs.
3. More candidates than ``most_candidates`` are an error and no silent sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.measure.duplicates.clusters import (
    Clusters,
    RowNumbers,
    ScoredPairs,
    clusters_of,
    distinct,
    scored_pairs,
)
from roadworthy.measure.duplicates.shingles import ShingleSets, jaccard, shingle_sets

Signatures = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How signatures are cut into bands.

    Attributes:
        bands: how many chances a pair has to become a candidate.
        rows: how many places must agree in one band.
    """

    bands: int
    rows: int

    @property
    def permutations(self) -> int:
        """The length of a signature."""
        return self.bands * self.rows

    def candidate_share(self, similarity: float) -> float:
        """The s-curve: the probability that a pair of this Jaccard similarity becomes a candidate."""
        return 1.0 - (1.0 - similarity**self.rows) ** self.bands


@dataclass(frozen=True, slots=True, kw_only=True)
class NearReport:
    """What was found.

    Attributes:
        threshold: the least Jaccard similarity that was asked for.
        scheme: the bands.
        expected_recall: the share of pairs at exactly the threshold that the scheme is expected to find.
        candidate_pairs: how many pairs were compared exactly.
        pairs: those at or above the threshold, with their exact similarity. Of documents with equal shingles, each is
            paired with the first of them, and only that one with others.
        clusters: of all documents.
        empty_documents: without a single word; they stand alone.
    """

    threshold: float
    scheme: Scheme
    expected_recall: float
    candidate_pairs: int
    pairs: ScoredPairs
    clusters: Clusters
    empty_documents: int


def near_duplicates(
    documents: Sequence[str],
    *,
    threshold: float,
    seed: int,
    shingle_words: int = 5,
    permutations: int = 128,
    least_recall: float = 0.99,
    most_candidates: int = 5_000_000,
) -> NearReport:
    """Find documents whose word sequences overlap by ``threshold`` or more.

    Args:
        documents: texts.
        threshold: least Jaccard similarity, in (0, 1].
        seed: of the random orders.
        shingle_words: words in a shingle.
        permutations: the most places that a signature may have.
        least_recall: the expected recall at the threshold that the scheme must reach, in (0, 1).
        most_candidates: the most pairs to compare exactly.

    Raises:
        ParameterError: a value outside its range, a recall that no scheme reaches, or too many candidates (RW-114).
    """
    scheme = scheme_for(threshold, permutations=permutations, least_recall=least_recall)
    sets = shingle_sets(documents, size=shingle_words)  # 1
    first = _first_of_equal_sets(sets)
    own = np.arange(first.size, dtype=np.int64)
    copies = own[first != own]
    originals = own[(first == own) & (sets.sizes > 0)]
    marks = signatures(sets, permutations=scheme.permutations, seed=seed)[originals]  # 2
    left, right = _candidates(marks, scheme, most_candidates)  # 3
    left, right = originals[left], originals[right]
    similarity = jaccard(sets, left, right)  # 4
    kept = similarity >= threshold
    pairs = scored_pairs(
        np.concatenate([left[kept], first[copies]]),
        np.concatenate([right[kept], copies]),
        np.concatenate([similarity[kept], np.ones(copies.size)]),
    )
    return NearReport(
        threshold=threshold,
        scheme=scheme,
        expected_recall=scheme.candidate_share(threshold),
        candidate_pairs=int(left.size),
        pairs=pairs,
        clusters=clusters_of(len(documents), pairs.left, pairs.right),
        empty_documents=int((sets.sizes == 0).sum()),
    )


def scheme_for(threshold: float, *, permutations: int = 128, least_recall: float = 0.99) -> Scheme:
    """The scheme with the fewest candidates that still finds pairs at the threshold.

    The longest band that reaches the recall has the steepest curve, so the fewest pairs below the threshold to compare.

    Raises:
        ParameterError: a value outside its range, or a recall that this many permutations cannot reach (RW-114).
    """
    if not (0.0 < threshold <= 1.0 and 0.0 < least_recall < 1.0 and permutations >= 1):
        raise ParameterError(
            f"Threshold {threshold}, recall {least_recall} and {permutations} permutations make no scheme.",
            remedy="Give a threshold in (0, 1], a recall in (0, 1) and at least one permutation.",
        )
    for rows in range(permutations, 0, -1):
        scheme = Scheme(bands=permutations // rows, rows=rows)
        if scheme.candidate_share(threshold) >= least_recall:
            return scheme
    raise ParameterError(
        f"{permutations} permutations cannot find {least_recall:.1%} of the pairs at similarity {threshold}.",
        remedy="Allow more permutations, a lower recall or a higher threshold.",
    )


def signatures(sets: ShingleSets, *, permutations: int, seed: int) -> Signatures:
    """MinHash signatures, shape (documents, permutations); those of documents without shingles are all ones.

    A random order is ``a * mix(x) + b`` in 64 bits: the mix scatters the numbers once, the odd factor and the shift
    are drawn for each order.
    """
    rng = np.random.default_rng(seed)
    low, high = np.iinfo(np.uint64).min, np.iinfo(np.uint64).max
    key = rng.integers(low, high, dtype=np.uint64, endpoint=True)
    factors = rng.integers(low, high, permutations, dtype=np.uint64, endpoint=True) | np.uint64(1)
    shifts = rng.integers(low, high, permutations, dtype=np.uint64, endpoint=True)
    scattered = _mix(np.arange(sets.shingle_count, dtype=np.uint64) ^ key)
    result = np.full((sets.sizes.size, permutations), np.iinfo(np.uint64).max, dtype=np.uint64)
    filled = np.flatnonzero(sets.sizes)
    if filled.size:
        for column in range(permutations):
            order = scattered * factors[column] + shifts[column]
            result[filled, column] = np.minimum.reduceat(order[sets.members], sets.offsets[filled])
    return result


def _first_of_equal_sets(sets: ShingleSets) -> RowNumbers:
    """For each document the first with the same shingles: itself, when there is none or it has none."""
    seen: dict[bytes, int] = {}
    first = np.arange(sets.sizes.size, dtype=np.int64)
    for row in np.flatnonzero(sets.sizes).tolist():
        content = sets.members[sets.offsets[row] : sets.offsets[row + 1]].tobytes()
        first[row] = seen.setdefault(content, row)
    return first


def _candidates(marks: Signatures, scheme: Scheme, most: int) -> tuple[RowNumbers, RowNumbers]:
    count = np.int64(marks.shape[0])
    found = np.empty(0, dtype=np.int64)
    for band in range(scheme.bands):
        keys = np.zeros(marks.shape[0], dtype=np.uint64)
        for column in range(band * scheme.rows, (band + 1) * scheme.rows):
            keys = _mix(keys + marks[:, column])
        found = distinct(np.concatenate([found, _pairs_in_buckets(keys, count, most)]))
        _refuse_above(found.size, most)
    left, right = np.divmod(found, max(count, np.int64(1)))
    return left, right


def _pairs_in_buckets(keys: Signatures, count: np.int64, most: int) -> RowNumbers:
    """All pairs of documents with the same key, each as ``left * count + right``."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=~keys[order[:1]]))
    sizes = np.diff(starts, append=keys.size)
    # Counted before they are made: one bucket of boilerplate could fill the memory.
    _refuse_above(int((sizes * (sizes - 1) // 2).sum()), most)
    pairs = [np.empty(0, dtype=np.int64)]
    for size in np.unique(sizes[sizes > 1]).tolist():
        buckets = order[starts[sizes == size][:, np.newaxis] + np.arange(size)]
        one, two = np.triu_indices(size, 1)
        pairs.append((buckets[:, one] * count + buckets[:, two]).ravel())
    return np.concatenate(pairs)


def _refuse_above(pairs: int, most: int) -> None:
    if pairs > most:
        raise ParameterError(
            f"{pairs} pairs would have to be compared, {most} are allowed.",
            remedy="Raise the threshold or the words of a shingle, or allow more candidates.",
        )


def _mix(values: Signatures) -> Signatures:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), a bijection on 64 bits that scatters every bit."""
    mixed = values + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
