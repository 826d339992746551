"""Resampling whole clusters. Owns the percentile bootstrap over clusters, its two deltas, and its fast weighted form.

Rows of one patient, document or site are not independent; drawing rows would make an interval too narrow. Clusters are
drawn with replacement, each with all its rows. The interval is the plain percentile one: no bias correction and no
acceleration, because those need a jackknife that is itself unstable with few clusters. With fewer than about 20
clusters percentile intervals are known to be somewhat too narrow; say how many there were (``Interval.n``).

A statistic of weighted rows (``stats.weighted``) need not see the drawn rows, only how often each was drawn. Its
replicates are computed many at a time, which is what makes 2,000 of them over thousands of rows a matter of a second.

Rules kept here:
1. The seed is an argument: the same seed gives the same interval.
2. A replicate without a finite value (for example one class only) is set aside; above 5 % of them the answer is unknown.
3. The reported interval always contains the estimate.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.sample import FloatArray, IntArray, check_confidence

Statistic = Callable[[IntArray], float]
WeightedStatistic = Callable[[FloatArray], FloatArray]
_MAX_LOST_SHARE = 0.05
_MIN_CLUSTERS = 2
_MIN_REPLICATES = 100
# Replicates at a time: enough to leave the loop to numpy, few enough to stay in the processor's cache.
_BLOCK = 40


def cluster_bootstrap(
    statistic: Statistic, clusters: ArrayLike, *, seed: int, replicates: int = 2_000, confidence: float = 0.95
) -> Interval:
    """The percentile interval of a statistic under resampling of clusters.

    Args:
        statistic: maps row numbers, shape (m,), with repetitions, to a value; NaN when it cannot.
        clusters: the cluster of each row, shape (n,); any values that numpy can sort.
        seed: of the generator.
        replicates: how many times to resample, at least 100.
        confidence: two-sided level in (0, 1).

    Returns:
        The interval with ``n`` = number of clusters.

    Raises:
        ParameterError: too few replicates or a level outside (0, 1) (RW-114).
    """
    check_resampling(replicates, confidence)
    members = _members(clusters)
    rng = np.random.default_rng(seed)
    estimate = statistic(_all_rows(members))
    values = np.array([statistic(_resample(members, rng)) for _ in range(replicates)], dtype=np.float64)
    return percentile_interval(estimate, values, len(members), confidence)


def paired_cluster_delta(
    before: Statistic,
    after: Statistic,
    clusters: ArrayLike,
    *,
    seed: int,
    replicates: int = 2_000,
    confidence: float = 0.95,
) -> Interval:
    """``after - before`` where both statistics are computed on the same resampled rows.

    Raises:
        ParameterError: as for ``cluster_bootstrap`` (RW-114).
    """

    def delta(rows: IntArray) -> float:
        return after(rows) - before(rows)

    return cluster_bootstrap(delta, clusters, seed=seed, replicates=replicates, confidence=confidence)


def unpaired_cluster_delta(
    pilot: tuple[Statistic, ArrayLike],
    production: tuple[Statistic, ArrayLike],
    *,
    seed: int,
    replicates: int = 2_000,
    confidence: float = 0.95,
) -> Interval:
    """``production - pilot`` for two independent samples, each given as (statistic, clusters) and resampled apart.

    Returns:
        The interval with ``n`` = the smaller number of clusters.

    Raises:
        ParameterError: as for ``cluster_bootstrap`` (RW-114).
    """
    check_resampling(replicates, confidence)
    rng = np.random.default_rng(seed)
    pilot_members, production_members = _members(pilot[1]), _members(production[1])
    estimate = production[0](_all_rows(production_members)) - pilot[0](_all_rows(pilot_members))
    values = np.array(
        [
            production[0](_resample(production_members, rng)) - pilot[0](_resample(pilot_members, rng))
            for _ in range(replicates)
        ],
        dtype=np.float64,
    )
    return percentile_interval(estimate, values, min(len(pilot_members), len(production_members)), confidence)


def weighted_bootstrap(
    statistic: WeightedStatistic, clusters: ArrayLike, *, seed: int, replicates: int = 2_000, confidence: float = 0.95
) -> Interval:
    """The interval of ``cluster_bootstrap`` for a statistic of weighted rows, many replicates at a time.

    Args:
        statistic: maps row weights, shape (b, n), to values, shape (b,); NaN where it cannot.
        clusters: the cluster of each row, shape (n,).
        seed: of the generator.
        replicates: how many times to resample, at least 100.
        confidence: two-sided level in (0, 1).

    Returns:
        The interval with ``n`` = number of clusters.

    Raises:
        ParameterError: as for ``cluster_bootstrap`` (RW-114).
    """
    codes, count = cluster_codes(clusters)
    check_resampling(replicates, confidence)
    if not count:
        return unknown()
    estimate = float(statistic(np.ones((1, codes.size)))[0])
    values = [statistic(weights) for weights in row_weights(codes, count, seed=seed, replicates=replicates)]
    return percentile_interval(estimate, np.concatenate(values), count, confidence)


def row_weights(codes: IntArray, count: int, *, seed: int, replicates: int) -> Iterator[FloatArray]:
    """How often each row was drawn, in blocks of shape (b, n) that together hold ``replicates`` lines.

    Args:
        codes: the number of each row's cluster in [0, count), shape (n,).
        count: of clusters, at least 1.
        seed: of the generator.
        replicates: how many lines in all.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, replicates, _BLOCK):
        lines = min(_BLOCK, replicates - start)
        drawn = rng.integers(0, count, (lines, count)) + count * np.arange(lines)[:, None]
        times = np.bincount(drawn.ravel(), minlength=lines * count).reshape(lines, count)
        yield times.astype(np.float64)[:, codes]


def cluster_codes(clusters: ArrayLike) -> tuple[IntArray, int]:
    """The clusters numbered from 0 in sorted order, shape (n,), and how many there are."""
    names, codes = np.unique(np.asarray(clusters), return_inverse=True)
    return codes.astype(np.intp), int(names.size)


def check_resampling(replicates: int, confidence: float) -> None:
    """Refuse what no percentile can be taken from.

    Raises:
        ParameterError: too few replicates or a level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    if replicates < _MIN_REPLICATES:
        raise ParameterError(
            f"{replicates} replicates are too few for a percentile.", remedy=f"Ask for at least {_MIN_REPLICATES}."
        )


def _members(clusters: ArrayLike) -> list[IntArray]:
    labels: NDArray[np.generic] = np.asarray(clusters)
    _, codes = np.unique(labels, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if order.size else []


def _all_rows(members: list[IntArray]) -> IntArray:
    return np.sort(np.concatenate(members)) if members else np.empty(0, dtype=np.intp)


def _resample(members: list[IntArray], rng: np.random.Generator) -> IntArray:
    if not members:
        return np.empty(0, dtype=np.intp)
    return np.concatenate([members[drawn] for drawn in rng.integers(0, len(members), len(members))])


def percentile_interval(estimate: float, values: FloatArray, clusters: int, confidence: float) -> Interval:
    """The middle ``confidence`` of the replicates; unknown by rule 2, below two clusters, or without an estimate."""
    finite = values[np.isfinite(values)]
    lost_share = 1 - finite.size / values.size
    if clusters < _MIN_CLUSTERS or not math.isfinite(estimate) or lost_share > _MAX_LOST_SHARE:
        return unknown(clusters)
    tail = (1 - confidence) / 2
    lower, upper = (float(end) for end in np.quantile(finite, [tail, 1 - tail]))
    return Interval(
        estimate=estimate, lower=min(lower, estimate), upper=max(upper, estimate), n=clusters, confidence=confidence
    )
