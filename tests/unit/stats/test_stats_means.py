"""Clustered means and shares against scipy, against each other, and by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from roadworthy.base.errors import ParameterError
from roadworthy.stats.means import UNIT, Range, mean_interval, share_interval
from roadworthy.stats.proportions import clopper_pearson


def test_independent_rows_give_students_interval() -> None:
    """Equal to scipy's one-sample interval to the last digits."""
    values = np.random.default_rng(1).normal(3, 2, 50)
    interval = mean_interval(values, confidence=0.9)
    oracle = ttest_1samp(values, 0).confidence_interval(0.9)
    assert (interval.lower, interval.upper) == pytest.approx((oracle.low, oracle.high), rel=1e-12)
    assert interval.n == 50


def test_equal_clusters_are_as_good_as_their_means() -> None:
    """With equal sizes the clustered interval is Student's on cluster means."""
    values = np.random.default_rng(2).normal(size=(12, 7)) + np.arange(12)[:, None]
    interval = mean_interval(values.ravel(), np.repeat(np.arange(12), 7))
    error = values.mean(axis=1).std(ddof=1) / math.sqrt(12)
    assert interval.upper - interval.estimate == pytest.approx(t.ppf(0.975, 11) * error)
    assert interval.n == 12


def test_clustered_intervals_cover() -> None:
    """Ten unequal clusters with a strong common part: the truth is inside in about 95 of 100, by rows in far fewer."""
    hits = by_rows = shares = 0
    sizes = np.array([2, 4, 6, 8, 10, 3, 5, 7, 9, 6])
    clusters = np.repeat(np.arange(10), sizes)
    for seed in range(400):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=10)[clusters] + 0.5 * rng.normal(size=clusters.size)
        interval, naive = mean_interval(values, clusters), mean_interval(values)
        hits += interval.lower <= 0 <= interval.upper
        by_rows += naive.lower <= 0 <= naive.upper
        share = share_interval(values > 0, clusters)
        shares += share.lower <= 0.5 <= share.upper
    assert 0.91 <= hits / 400 <= 0.98
    assert by_rows / 400 < 0.75
    assert shares / 400 >= 0.92


def test_no_spread_is_ignorance() -> None:
    """Twenty clusters all right: the lower end is that of twenty trials, not one; without a range it is exact."""
    clusters = np.repeat(np.arange(20), 5)
    bound = clopper_pearson(20, 20).lower
    assert mean_interval(np.ones(100), clusters, within=UNIT).lower == pytest.approx(bound)
    assert share_interval(np.ones(100), clusters).lower == pytest.approx(bound)
    assert share_interval(np.zeros(100), clusters).upper == pytest.approx(1 - bound)
    assert mean_interval(np.ones(100), clusters).lower == 1.0
    assert mean_interval([0.0, 0.0, 0.1], within=Range(low=0.0)).lower == 0.0


def test_share_without_repeats_is_clopper_pearson_and_clusters_only_widen() -> None:
    """The design effect is never below one."""
    hits = np.random.default_rng(3).random(60) < 0.4
    assert share_interval(hits) == clopper_pearson(int(hits.sum()), 60)
    alternating = np.tile([0, 1], 30)
    wider = share_interval(alternating, np.repeat(np.arange(30), 2))
    assert wider.upper - wider.lower >= clopper_pearson(30, 60).upper - clopper_pearson(30, 60).lower


def test_too_little_is_unknown_and_nonsense_raises() -> None:
    """One cluster, NaN: unknown; wrong lengths, levels or hits: an error."""
    assert not mean_interval([1.0, 2.0], [7, 7]).known
    assert not share_interval([1, 0], [7, 7]).known
    assert not mean_interval([1.0, math.nan, 2.0]).known
    for call in (
        lambda: mean_interval([1.0, 2.0], [1]),
        lambda: mean_interval([1.0, 2.0], confidence=1.0),
        lambda: share_interval([0.5, 1.0]),
    ):
        with pytest.raises(ParameterError):
            call()
