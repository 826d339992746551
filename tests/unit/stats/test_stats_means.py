"""Clustered means and shares against scipy, against each other, and by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binom, t, ttest_1samp

from roadworthy.base.errors import ParameterError
from roadworthy.stats.means import UNIT, Range, effective_clusters, mean_interval, share_interval
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


@pytest.mark.parametrize(("n", "share"), [(50, 0.9), (100, 0.9), (200, 0.95)])
def test_a_mean_near_the_end_of_its_range_is_not_too_good(n: int, share: float) -> None:
    """Values of 0 and 1, summed over all outcomes: Student's lower end lies above the truth in 4 to 7 of 100."""
    bounds = [mean_interval(np.repeat([1.0, 0.0], [hits, n - hits]), within=UNIT) for hits in range(n + 1)]
    chances = binom.pmf(np.arange(n + 1), n, share)
    assert sum(chance for chance, each in zip(chances, bounds, strict=True) if each.lower > share) <= 0.025
    assert sum(chance for chance, each in zip(chances, bounds, strict=True) if each.upper < share) <= 0.025


def test_a_range_of_another_size_is_the_same_interval_stretched() -> None:
    """Differences from -1 to 1 and shares from 0 to 1 are one scale."""
    values = np.random.default_rng(5).choice([0.0, 0.5, 1.0], 40, p=[0.1, 0.2, 0.7])
    unit, stretched = mean_interval(values, within=UNIT), mean_interval(2 * values - 1, within=Range(-1.0, 1.0))
    assert (stretched.lower, stretched.upper) == pytest.approx((2 * unit.lower - 1, 2 * unit.upper - 1))


@pytest.mark.parametrize("heavy", [30, 60])
def test_one_heavy_cluster_leaves_little(heavy: int) -> None:
    """Twenty clusters, one with most rows: counted as twenty they miss in 25 of 100 on either side."""
    clusters = np.concatenate((np.zeros(heavy, dtype=int), np.arange(1, 20)))
    rng = np.random.default_rng(6)
    missed = np.zeros(2)
    for _ in range(300):
        hits = (rng.random(20) < 0.7)[clusters]
        for place, interval in enumerate((share_interval(hits, clusters), mean_interval(hits, clusters, within=UNIT))):
            missed[place] += not interval.lower <= 0.7 <= interval.upper
    assert (missed / 300 <= 0.05).all()


def test_effective_clusters_are_their_number_when_equal_and_fewer_otherwise() -> None:
    """Kish's ratio; and where one cluster is nearly everything, nothing is left to tell."""
    assert effective_clusters(np.repeat(np.arange(7), 4)) == pytest.approx(7)
    assert effective_clusters(np.array([0, 0, 0, 1])) == pytest.approx(1.6)
    clusters = np.concatenate((np.zeros(200_000, dtype=int), [1]))
    interval = share_interval(np.concatenate((np.tile([0, 1], 100_000), [1])), clusters)
    assert (interval.lower, interval.upper) == pytest.approx((0.0, 1.0), abs=1e-6)


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
