"""Weighted figures against their plain selves on repeated rows, and the fast bootstrap against the slow one."""

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from roadworthy.base.errors import ParameterError
from roadworthy.stats.auc import auc
from roadworthy.stats.bootstrap import cluster_bootstrap, weighted_bootstrap
from roadworthy.stats.weighted import weighted_auc, weighted_mean, weighted_r2, weighted_ratio


def _rows(seed: int, n: int = 300, digits: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(int)
    return labels, np.round(rng.normal(size=n) + labels, digits)


@pytest.mark.parametrize("digits", [1, 12])
def test_auc_of_counts_is_the_auc_of_repeated_rows(digits: int) -> None:
    """With and without ties, a row counted three times is a row that stands there three times."""
    labels, scores = _rows(1, digits=digits)
    counts = np.random.default_rng(2).integers(0, 4, (5, 300))
    values = weighted_auc(labels, scores)(counts.astype(float))
    for line, value in zip(counts, values, strict=True):
        assert value == pytest.approx(roc_auc_score(np.repeat(labels, line), np.repeat(scores, line)), abs=1e-12)


def test_mean_ratio_and_r2_of_counts_are_those_of_repeated_rows() -> None:
    """Also where a large common offset would eat the digits of a naive sum of squares."""
    labels, scores = _rows(3)
    truth = 1e8 + scores
    guess = truth + 0.3 * labels
    counts = np.random.default_rng(4).integers(0, 4, (3, 300))
    weights = counts.astype(float)
    means, ratios = weighted_mean(scores)(weights), weighted_ratio(scores, labels)(weights)
    shares = weighted_r2(truth, guess)(weights)
    for k, line in enumerate(counts):
        again = np.repeat(np.arange(300), line)
        assert means[k] == pytest.approx(scores[again].mean())
        assert ratios[k] == pytest.approx(scores[again].sum() / labels[again].sum())
        assert shares[k] == pytest.approx(r2_score(truth[again], guess[again]), rel=1e-6)


def test_what_cannot_be_computed_is_nan_and_what_does_not_fit_raises() -> None:
    """One class, no weight, no spread, a score that is not finite: NaN; other shapes: an error."""
    ones = np.ones((1, 4))
    assert np.isnan(weighted_auc([1, 1, 1, 1], [1, 2, 3, 4])(ones)).all()
    assert np.isnan(weighted_auc([1, 0, 1, 0], [1, 2, np.nan, 4])(ones)).all()
    assert np.isnan(weighted_mean([1, 2, 3, 4])(0 * ones)).all()
    assert np.isnan(weighted_r2([5, 5, 5, 5], [1, 2, 3, 4])(ones)).all()
    assert np.isnan(weighted_auc([], [])(np.ones((1, 0)))).all()
    assert np.isnan(weighted_r2([], [])(np.ones((1, 0)))).all()
    with pytest.raises(ParameterError):
        weighted_ratio([1, 2], [1])


def test_fast_bootstrap_is_the_slow_one_up_to_its_draws() -> None:
    """The same law of replicates: the two intervals of an AUC over 60 clusters nearly coincide."""
    labels, scores = _rows(5)
    clusters = np.repeat(np.arange(60), 5)
    fast = weighted_bootstrap(weighted_auc(labels, scores), clusters, seed=1)
    slow = cluster_bootstrap(lambda rows: auc(labels[rows], scores[rows]), clusters, seed=1, replicates=1_000)
    assert fast.estimate == pytest.approx(slow.estimate)
    assert fast.n == slow.n == 60
    assert fast.lower == pytest.approx(slow.lower, abs=0.012)
    assert fast.upper == pytest.approx(slow.upper, abs=0.012)
    assert fast == weighted_bootstrap(weighted_auc(labels, scores), clusters, seed=1)
    assert not weighted_bootstrap(weighted_mean([]), [], seed=1).known
