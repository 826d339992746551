"""Regression figures against scikit-learn, and their intervals by simulation."""

import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from roadworthy.base.errors import ParameterError
from roadworthy.stats.regression import regression_figures


def _rows(seed: int, n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = 100 + 3 * rng.normal(size=n)
    return truth, truth + 0.5 + 2 * rng.normal(size=n)


def test_points_equal_sklearn_and_ends_are_in_order() -> None:
    """All four figures; the seed decides R2's ends and nothing else."""
    truth, guess = _rows(1)
    figures = regression_figures(truth, guess, seed=1)
    assert figures.mae.estimate == pytest.approx(mean_absolute_error(truth, guess))
    assert figures.rmse.estimate == pytest.approx(root_mean_squared_error(truth, guess))
    assert figures.bias.estimate == pytest.approx((guess - truth).mean())
    assert figures.r2.estimate == pytest.approx(r2_score(truth, guess))
    for interval in (figures.mae, figures.rmse, figures.bias, figures.r2):
        assert interval.lower < interval.estimate < interval.upper
    other = regression_figures(truth, guess, seed=2)
    assert other.r2 != figures.r2
    assert other.rmse == figures.rmse


def test_intervals_cover_the_truth() -> None:
    """Normal errors of mean 0.5 and deviation 2 on a truth of deviation 3: every figure is known."""
    rmse, spread = math.sqrt(0.5**2 + 2**2), 3.0
    expected = {"rmse": rmse, "bias": 0.5, "r2": 1 - rmse**2 / spread**2}
    hits = dict.fromkeys(expected, 0)
    for seed in range(200):
        figures = regression_figures(*_rows(seed), seed=seed, replicates=200)
        for name, value in expected.items():
            interval = getattr(figures, name)
            hits[name] += interval.lower <= value <= interval.upper
    assert all(0.90 <= count / 200 <= 0.99 for count in hits.values()), hits


def test_clusters_count_and_the_unknown_stays_unknown() -> None:
    """Rows repeated four times say no more than once; NaN or a truth without spread is unknown; nonsense raises."""
    truth, guess = _rows(3)
    again = np.repeat(np.arange(120), 4)
    once, four = (
        regression_figures(truth, guess, seed=1),
        regression_figures(truth[again], guess[again], seed=1, clusters=again),
    )
    assert four.mae.n == four.r2.n == 120
    assert four.mae.upper - four.mae.lower == pytest.approx(once.mae.upper - once.mae.lower, rel=0.01)
    holed = regression_figures(truth, np.where(np.arange(120) == 5, math.nan, guess), seed=1)
    assert not any(each.known for each in (holed.mae, holed.rmse, holed.bias, holed.r2))
    assert not regression_figures(np.ones(9), np.arange(9.0), seed=1).r2.known
    assert not regression_figures([1.0], [2.0], seed=1).rmse.known
    with pytest.raises(ParameterError):
        regression_figures([1.0, 2.0], [1.0], seed=1)
