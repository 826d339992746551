"""Precision and recall from a clerical sample: against the truth of a made world, and by simulation."""

import math

import numpy as np
import pytest

from roadworthy.base.errors import ParameterError
from roadworthy.measure.duplicates.clusters import scored_pairs
from roadworthy.measure.duplicates.review import assess, draw_review
from roadworthy.stats.agreement import cohens_kappa
from roadworthy.stats.proportions import wilson

EDGES = (0.01, 0.5, 0.9, 0.99, 1.0)
SIZES = (6000, 1000, 600, 400)
MATCHES = (12, 200, 540, 396)


def _world(seed):
    """Pairs whose strata hold a known number of matches, and which of them they are, by left row."""
    rng = np.random.default_rng(seed)
    scores, truth = [], []
    for k, size in enumerate(SIZES):
        scores.append(rng.uniform(EDGES[k], EDGES[k + 1], size))
        truth.append(rng.permutation(np.arange(size) < MATCHES[k]))
    numbers = np.arange(sum(SIZES))
    pairs = scored_pairs(2 * numbers, 2 * numbers + 1, np.concatenate(scores))
    return pairs, np.concatenate(truth)


def test_the_whole_judged_is_the_truth():
    """With every pair judged, precision and recall are exact counts."""
    pairs, truth = _world(1)
    sample = draw_review(pairs, EDGES, per_stratum=10_000, seed=2)
    assert sample.populations == SIZES
    result = assess(sample, truth[sample.left // 2], truth[sample.left // 2], threshold=0.9)
    for interval, share in (result.precision, 936 / 1000), (result.recall, 936 / 1148):
        assert interval.lower == pytest.approx(interval.estimate) == pytest.approx(share)
        assert interval.upper == pytest.approx(share)
    assert (result.kappa.estimate, result.disagreements) == (1.0, 0)
    assert [row.matches for row in result.strata] == list(MATCHES)


def test_intervals_cover_the_truth():
    """300 reviews of 80 pairs a stratum: both intervals hold the truth in about 95 of 100."""
    pairs, truth = _world(3)
    held = np.zeros(2)
    for seed in range(300):
        sample = draw_review(pairs, EDGES, per_stratum=80, seed=seed)
        judged = truth[sample.left // 2]
        result = assess(sample, judged, judged, threshold=0.9)
        held += [
            result.precision.lower <= 936 / 1000 <= result.precision.upper,
            result.recall.lower <= 936 / 1148 <= result.recall.upper,
        ]
    assert (held / 300 > 0.915).all()
    assert result.recall.upper - result.recall.lower < 0.35


def test_one_stratum_is_wilson():
    """Without a second stratum and with a large population, the interval is that of ``wilson``; recall is certain."""
    numbers = np.arange(100_000)
    pairs = scored_pairs(2 * numbers, 2 * numbers + 1, np.full(numbers.size, 0.95))
    sample = draw_review(pairs, (0.9, 1.0), per_stratum=50, seed=1)
    judged = np.arange(50) < 45
    result = assess(sample, judged, judged, threshold=0.9, confidence=0.9)
    expected = wilson(45, 50, 0.9)
    assert result.precision.lower == pytest.approx(expected.lower, abs=1e-4)
    assert result.precision.upper == pytest.approx(expected.upper, abs=1e-4)
    assert result.recall.lower == pytest.approx(1.0)
    assert result.precision.confidence == 0.9


def test_matches_unseen_below_keep_recall_open():
    """No match among 80 of 6,000 does not mean that there is none: recall stays below certainty."""
    pairs, _ = _world(5)
    sample = draw_review(pairs, EDGES, per_stratum=80, seed=1)
    judged = sample.stratum >= 2
    result = assess(sample, judged, judged, threshold=0.9)
    assert result.recall.estimate == 1.0
    assert result.recall.upper == pytest.approx(1.0)
    assert 0.7 < result.recall.lower < 0.85


def test_disagreements_are_settled_by_a_third():
    """An open one is refused; the decision counts, and kappa tells how often it was needed."""
    pairs, truth = _world(7)
    sample = draw_review(pairs, EDGES, per_stratum=20, seed=1)
    one = truth[sample.left // 2]
    two = one.copy()
    two[[3, 8]] = ~two[[3, 8]]
    with pytest.raises(ParameterError, match="2 disagreements"):
        assess(sample, one, two, threshold=0.9)
    result = assess(sample, one, two, threshold=0.9, settled={3: bool(one[3]), 8: bool(one[8])})
    assert result.disagreements == 2
    assert result.precision == assess(sample, one, one, threshold=0.9).precision
    assert result.kappa == cohens_kappa(one.astype(int), two.astype(int))
    both, none = (assess(sample, one, two, threshold=0.9, settled={3: said, 8: said}) for said in (True, False))
    assert sum(row.matches for row in both.strata) - sum(row.matches for row in none.strata) == 2


def test_reviewers_see_no_score():
    """The sheet names pairs in a shuffled order and nothing else; the drawing is repeatable."""
    pairs, _ = _world(9)
    sample = draw_review(pairs, EDGES, per_stratum=25, seed=4)
    assert sample.sheet().column_names == ["pair", "left", "right"]
    assert np.bincount(sample.stratum).tolist() == [25] * 4
    assert (np.diff(sample.stratum) < 0).any()
    assert sample.sheet().equals(draw_review(pairs, EDGES, per_stratum=25, seed=4).sheet())
    assert not sample.sheet().equals(draw_review(pairs, EDGES, per_stratum=25, seed=5).sheet())


def test_nothing_linked_or_nothing_true_is_unknown():
    """No pair at the threshold, no match anywhere, no pairs at all."""
    pairs = scored_pairs([0, 2], [1, 3], [0.2, 0.3])
    sample = draw_review(pairs, EDGES, per_stratum=5, seed=1)
    nothing = assess(sample, [0, 0], [0, 0], threshold=0.9)
    assert not nothing.precision.known
    assert not nothing.recall.known
    some = assess(sample, [1, 0], [1, 0], threshold=0.9)
    assert some.recall.estimate == 0.0
    empty = assess(draw_review(scored_pairs([], [], []), EDGES, per_stratum=5, seed=1), [], [], threshold=0.9)
    assert math.isnan(empty.kappa.estimate)
    single = draw_review(scored_pairs([0], [1], [1.0]), EDGES, per_stratum=5, seed=1)
    assert assess(single, [1], [1], threshold=0.9).precision.lower == 1.0


def test_what_does_not_fit_is_refused():
    """Edges that fall or leave pairs out, a threshold between edges, judgements of another length."""
    pairs, _ = _world(2)
    for edges, each in ((0.5, 0.5, 1.0), 5), ((0.01, 1.0), 0), ((0.3, 1.0), 5):
        with pytest.raises(ParameterError):
            draw_review(pairs, edges, per_stratum=each, seed=1)
    sample = draw_review(pairs, EDGES, per_stratum=5, seed=1)
    with pytest.raises(ParameterError, match="lower end"):
        assess(sample, [1] * 20, [1] * 20, threshold=0.8)
    for judged in [1] * 19, [2] * 20:
        with pytest.raises(ParameterError, match="do not fit"):
            assess(sample, judged, [1] * 20, threshold=0.9)
