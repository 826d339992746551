"""The cluster bootstrap against theory, independence and its own rules."""

import math

import numpy as np
import pytest

from roadworthy.base.errors import ParameterError
from roadworthy.stats.bootstrap import cluster_bootstrap, paired_cluster_delta, unpaired_cluster_delta


def _data(seed: int = 1, clusters: int = 60, size: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cluster = np.repeat([f"patient {k}" for k in range(clusters)], size)
    return np.repeat(rng.normal(size=clusters), size) + 0.1 * rng.normal(size=clusters * size), cluster


def test_width_follows_clusters_not_rows() -> None:
    """600 rows of 60 patients are as uncertain as 60 values, about sqrt(10) wider than 600 independent rows."""
    values, cluster = _data()
    by_cluster = cluster_bootstrap(lambda rows: float(values[rows].mean()), cluster, seed=5)
    by_row = cluster_bootstrap(lambda rows: float(values[rows].mean()), np.arange(600), seed=5)
    assert by_cluster.n == 60
    assert by_cluster.estimate == pytest.approx(values.mean())
    theory = 2 * 1.96 * values.reshape(60, 10).mean(1).std(ddof=1) / math.sqrt(60)
    assert by_cluster.upper - by_cluster.lower == pytest.approx(theory, rel=0.1)
    assert (by_cluster.upper - by_cluster.lower) / (by_row.upper - by_row.lower) == pytest.approx(
        math.sqrt(10), rel=0.15
    )


def test_seed_decides_and_row_order_of_clusters_does_not_matter_for_the_estimate() -> None:
    """Same seed, same interval; another seed, another one."""
    values, cluster = _data(clusters=20)

    def mean(rows: np.ndarray) -> float:
        return float(values[rows].mean())

    first, again = (cluster_bootstrap(mean, cluster, seed=1, replicates=200) for _ in range(2))
    assert first == again
    assert first != cluster_bootstrap(mean, cluster, seed=2, replicates=200)


def test_percentile_interval_covers() -> None:
    """Over 300 data sets of 40 clusters the true mean 0 is inside about 94 % of the time."""
    hits = 0
    for seed in range(300):
        values, cluster = _data(seed, clusters=40, size=3)
        interval = cluster_bootstrap(lambda rows, v=values: float(v[rows].mean()), cluster, seed=seed, replicates=300)
        hits += interval.lower <= 0.0 <= interval.upper
    assert 0.89 <= hits / 300 <= 0.98


def test_paired_delta_removes_what_both_share() -> None:
    """A constant gain of 0.5 on very variable values is known exactly."""
    values, cluster = _data()
    delta = paired_cluster_delta(
        lambda rows: float(values[rows].mean()), lambda rows: float(values[rows].mean() + 0.5), cluster, seed=1
    )
    assert (delta.lower, delta.estimate, delta.upper) == pytest.approx((0.5, 0.5, 0.5))


def test_unpaired_delta_adds_both_spreads() -> None:
    """The width of a difference of two independent means is the root of the sum of squares."""
    pilot, pilot_cluster = _data(1)
    production, production_cluster = _data(2, clusters=40)
    delta = unpaired_cluster_delta(
        (lambda rows: float(pilot[rows].mean()), pilot_cluster),
        (lambda rows: float(production[rows].mean()), production_cluster),
        seed=3,
    )
    errors = [v.reshape(-1, 10).mean(1).std(ddof=1) / math.sqrt(v.size / 10) for v in (pilot, production)]
    assert delta.n == 40
    assert delta.estimate == pytest.approx(production.mean() - pilot.mean())
    assert delta.upper - delta.lower == pytest.approx(2 * 1.96 * math.hypot(*errors), rel=0.1)


def test_what_cannot_be_resampled_is_unknown() -> None:
    """No rows, one cluster, or a statistic that is often NaN."""
    ones = np.ones(30)
    assert not cluster_bootstrap(lambda rows: float(rows.size), [], seed=1, replicates=100).known
    assert not cluster_bootstrap(lambda rows: float(ones[rows].mean()), ["a"] * 30, seed=1, replicates=100).known
    often = cluster_bootstrap(lambda rows: math.nan if 0 not in rows else 1.0, np.arange(10), seed=1, replicates=200)
    assert not often.known


def test_too_few_replicates_and_bad_levels_are_refused() -> None:
    """A percentile from ten replicates is no percentile."""
    with pytest.raises(ParameterError):
        cluster_bootstrap(lambda rows: 1.0, [1, 2], seed=1, replicates=10)
    with pytest.raises(ParameterError):
        cluster_bootstrap(lambda rows: 1.0, [1, 2], seed=1, confidence=1.0)
