"""Order-statistic intervals against published ranks and exact coverage."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from roadworthy.base.errors import ParameterError
from roadworthy.stats.quantiles import quantile_interval


def test_median_ranks_of_a_published_table() -> None:
    """For n = 25 and 95 % the median lies between the 8th and the 18th value (Conover, table A3)."""
    interval = quantile_interval(range(1, 26), 0.5)
    assert (interval.lower, interval.estimate, interval.upper) == (8, 13, 18)


@pytest.mark.parametrize("n", [30, 100, 1_000])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_exact_coverage_is_at_least_nominal(n: int, share: float) -> None:
    """The binomial probability of the chosen ranks is at least 95 %, and not by a waste."""
    interval = quantile_interval(np.arange(1, n + 1), share)
    low = 0 if math.isinf(interval.lower) else int(interval.lower)
    high = n + 1 if math.isinf(interval.upper) else int(interval.upper)
    covered = binom.cdf(high - 1, n, share) - binom.cdf(low - 1, n, share)
    assert 0.95 <= covered <= 0.993


def test_coverage_by_simulation() -> None:
    """p99 of 1,000 exponential waits: the truth is inside at least 95 % of the time."""
    rng = np.random.default_rng(4)
    truth = -math.log(0.01)
    hits = 0
    for _ in range(2_000):
        interval = quantile_interval(rng.exponential(size=1_000), 0.99)
        hits += interval.lower <= truth <= interval.upper
    assert hits / 2_000 >= 0.94


def test_a_small_sample_says_so() -> None:
    """The p99 of 50 values has no upper bound; that interval is not known."""
    interval = quantile_interval(np.arange(50.0), 0.99)
    assert math.isinf(interval.upper)
    assert not interval.known
    assert math.isinf(quantile_interval(np.arange(50.0), 0.01).lower)


def test_nothing_and_nan_are_unknown() -> None:
    """An empty sample and a NaN give no quantile."""
    assert not quantile_interval([], 0.5).known
    assert not quantile_interval([1.0, math.nan, 2.0], 0.5).known


@pytest.mark.parametrize("share", [0.0, 1.0, 99.0])
def test_a_share_outside_the_interval_is_refused(share: float) -> None:
    """A quantile is a share, not a percentage."""
    with pytest.raises(ParameterError):
        quantile_interval([1.0, 2.0], share)
