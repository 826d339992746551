"""Why a metric changed between two samples. Owns the split into mix shift, change within slices, and new slices.

Algorithm of ``decompose``, for any metric of weighted rows, M, and slices that both samples may have:
1. Reweight the pilot's rows so that its slices have the shares they have in production, among common slices.
2. Mix shift is M(reweighted pilot) - M(pilot): what would have changed had every slice kept its performance.
3. Within slices is M(production, common slices) - M(reweighted pilot): what changed at the same mix.
4. New slices is M(production) - M(production, common slices): what only production has.
5. The three add up to M(production) - M(pilot) for every metric, because they telescope.
6. Clusters of each sample are resampled apart; every replicate is taken apart in the same way (mix included).

7. No end of a part is closer to its estimate than rows without an exception leave open: rows that were seen to behave
   alike resample to themselves, and would claim certainty. A part is the metric under one set of row weights minus the
   metric under another; what both sets share cancels. What is left of each set may hide a share of exceptions, for which
   see ``hidden_share``; the two shares are combined as the ends of two intervals are (``stats.difference``).

For a mean this is the decomposition of Kitagawa (JASA 50, 1955) with production's mix as the standard.

The metric must lie in [0, 1], or its exceptions have no size. Deliberately not here: which slices to use. A mix shift over slices that do not matter explains nothing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval
from roadworthy.stats.bootstrap import (
    WeightedStatistic,
    check_resampling,
    cluster_codes,
    percentile_interval,
    row_weights,
)
from roadworthy.stats.sample import BoolArray, FloatArray, IntArray

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicedRows:
    """One sample, sliced.

    Attributes:
        metric: of its rows under weights, from ``stats.weighted``.
        slices: the slice of each row, shape (n,); any values that sort.
        clusters: of each row, shape (n,); None when rows are independent.
        groups: the groups of rows that the metric rests on, each a mask of shape (n,), such as positives and negatives;
            empty when it rests on all rows alike.
    """

    metric: WeightedStatistic
    slices: NDArray[np.generic]
    clusters: NDArray[np.generic] | None = None
    groups: tuple[BoolArray, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceChange:
    """One slice on both sides.

    Attributes:
        name: of the slice.
        pilot_share: of the pilot's rows, in [0, 1].
        production_share: of production's rows, in [0, 1].
        pilot: the metric there, NaN where it cannot be computed.
        production: the metric there, NaN where it cannot be computed.
    """

    name: str
    pilot_share: float
    production_share: float
    pilot: float
    production: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """Production minus pilot, taken apart; ``mix_shift + within_slices + new_slices = total`` in the estimates.

    Attributes:
        total: the whole change.
        mix_shift: because slices have other shares.
        within_slices: because slices perform otherwise.
        new_slices: because production has slices that the pilot has not; nil without such slices.
        new_share: share of production rows in those, in [0, 1].
        slices: by name.
    """

    total: Interval
    mix_shift: Interval
    within_slices: Interval
    new_slices: Interval
    new_share: float
    slices: tuple[SliceChange, ...]


def decompose(
    pilot: SlicedRows, production: SlicedRows, *, seed: int, replicates: int = 2_000, confidence: float = 0.95
) -> Decomposition:
    """Take the change of the metric apart.

    Args:
        pilot: the reference rows.
        production: the rows compared with it, independent of the pilot's.
        seed: of the resampling.
        replicates: how many times to resample, at least 100.
        confidence: two-sided level in (0, 1).

    Returns:
        The parts with percentile intervals, widened by step 7, ``n`` = the smaller number of clusters. Without a common slice the parts
        are unknown.

    Raises:
        ParameterError: no rows, lengths that differ, too few replicates, or a level outside (0, 1) (RW-114).
    """
    check_resampling(replicates, confidence)
    if not (pilot.slices.size and production.slices.size):
        raise ParameterError("A sample without rows cannot be compared.", remedy="Give rows on both sides.")
    names, codes = np.unique(
        np.concatenate([pilot.slices.astype(str), production.slices.astype(str)]), return_inverse=True
    )
    before, after = codes[: pilot.slices.size], codes[pilot.slices.size :]
    common = np.isin(np.arange(names.size), before) & np.isin(np.arange(names.size), after)

    def figures(first: FloatArray, second: FloatArray) -> FloatArray:
        return _figures((pilot.metric, first, before), (production.metric, second, after), common)

    whole = figures(np.ones((1, before.size)), np.ones((1, after.size)))
    # One seed, two streams: the second sample's draws must not repeat the first one's.
    streams = np.random.SeedSequence(seed).generate_state(2)
    first_draws, first_count = _draws(pilot, int(streams[0]), replicates)
    second_draws, second_count = _draws(production, int(streams[1]), replicates)
    drawn = np.concatenate(
        [figures(first, second) for first, second in zip(first_draws, second_draws, strict=True)], axis=1
    )
    count = min(first_count, second_count)
    plain, reweighted, shared, overall = (float(value) for value in whole[:, 0])
    # 7. What the rows of each part may hide.
    hidden = _hidden((pilot, before), (production, after), common, confidence)
    ends = ((overall, plain), (reweighted, plain), (shared, reweighted), (overall, shared))
    total, mix, within, new = (
        _widened(percentile_interval(estimate, values, count, confidence), pair, behind)
        for estimate, values, pair, behind in zip(
            _parts(whole)[:, 0].tolist(), _parts(drawn), ends, hidden, strict=True
        )
    )
    return Decomposition(
        total=total,
        mix_shift=mix,
        within_slices=within,
        new_slices=new,
        new_share=float((~common[after]).mean()),
        slices=tuple(_slice(str(name), (pilot, before == k), (production, after == k)) for k, name in enumerate(names)),
    )


def hidden_share(
    shares: FloatArray, clusters: IntArray, confidence: float, slices: NDArray[np.generic] | None = None
) -> float:
    """The share of exceptions that rows may hide which showed none, at most: the upper end of 0 in n trials.

    1. Over all rows, n is the effective number of clusters, (sum w)^2 / sum w^2 of the clusters' shares (Kish, Survey
       Sampling, 1965), which is their number when they count alike.
    2. In one slice n is its number of clusters, and the end counts by the slice's share: a tiny slice that stands for
       much may hide much. The largest of all ends is returned.

    Args:
        shares: by how much each row counts, at least 0 and together at most 1, shape (n,).
        clusters: the number of each row's cluster, from 0, shape (n,).
        confidence: two-sided level in (0, 1).
        slices: of each row, shape (n,); None for one slice.

    Returns:
        In [0, 1]; nil when no row counts.
    """
    tail = (1 - confidence) / 2

    def unseen(trials: float) -> float:
        # Clopper and Pearson's upper end of no success, which has a closed form and serves fractions too.
        return float(1 - tail ** (1 / trials))

    mass = float(shares.sum())
    if mass <= 0:
        return 0.0
    # 1.
    heavy = np.bincount(clusters, weights=shares)
    found = mass * unseen(float(heavy.sum() ** 2 / (heavy**2).sum()))
    # 2.
    for name in () if slices is None else np.unique(slices[shares > 0]):
        there = (slices == name) & (shares > 0)
        found = max(found, float(shares[there].sum()) * unseen(np.unique(clusters[there]).size))
    return found


_Side = tuple[WeightedStatistic, FloatArray, IntArray]
_Sliced = tuple[SlicedRows, IntArray]


def _figures(pilot: _Side, production: _Side, common: NDArray[np.bool_]) -> FloatArray:
    """Pilot, reweighted pilot, production's common slices and production for each line of weights, shape (4, b)."""
    metric_before, first, before = pilot
    metric_after, second, after = production
    shared_after = second * common[after]
    # 1. How much more of each slice production has, per unit of the pilot's weight.
    factor, lost = _factors(first, before, shared_after, after)
    # A slice that this draw of the pilot lost cannot be reweighted: the whole line is then NaN.
    reweighted = np.where(lost, np.nan, metric_before(first * factor[:, before]))
    return np.stack([metric_before(first), reweighted, metric_after(shared_after), metric_after(second)])


def _factors(
    first: FloatArray, before: IntArray, shared: FloatArray, after: IntArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """By line and slice, the pilot's factor, shape (b, slices); and which lines lost a slice, shape (b,)."""
    slices = np.eye(1 + max(int(before.max()), int(after.max())))
    wanted, had = shared @ slices[after], first @ slices[before]
    factor = np.divide(wanted, had, out=np.zeros_like(wanted), where=had > 0)
    return factor, ((wanted > 0) & (had == 0)).any(axis=1)


def _parts(figures: FloatArray) -> FloatArray:
    """Total, mix shift, within and new, shape (4, b)."""
    plain, reweighted, shared, whole = figures
    # 2. to 4.
    return np.stack([whole - plain, reweighted - plain, shared - reweighted, whole - shared])


def _hidden(
    pilot: _Sliced, production: _Sliced, common: NDArray[np.bool_], confidence: float
) -> tuple[tuple[float, float], ...]:
    """By part, what the rows may hide that count for it and those that count against it."""
    before, after = pilot[1], production[1]
    alike, shared = np.ones(before.size), common[after].astype(np.float64)
    factor, _ = _factors(alike[None, :], before, shared[None, :], after)
    reweighted, every, nothing = factor[0][before], np.ones(after.size), np.zeros(after.size)

    def left(side: _Sliced, one: FloatArray, other: FloatArray) -> float:
        return max(_left(side, rows, one, other, confidence) for rows in side[0].groups or (np.ones(one.size, bool),))

    return (
        (left(production, every, nothing), left(pilot, alike, 0 * alike)),
        (left(pilot, reweighted, alike), left(pilot, alike, reweighted)),
        (left(production, shared, nothing), left(pilot, reweighted, 0 * alike)),
        (left(production, every, shared), left(production, shared, every)),
    )


def _left(side: _Sliced, rows: BoolArray, one: FloatArray, other: FloatArray, confidence: float) -> float:
    """What the rows of one group may hide by which one set of weights exceeds the other."""

    def normalised(weights: FloatArray) -> FloatArray:
        total = float((weights * rows).sum())
        return weights * rows / (total or 1.0)

    shares = np.maximum(normalised(one) - normalised(other), 0.0)
    return hidden_share(np.where(shares > _ROUNDING, shares, 0.0), _codes(side[0])[0], confidence, side[1])


def _widened(interval: Interval, ends: tuple[float, float], hidden: tuple[float, float]) -> Interval:
    """The interval of ``ends[0] - ends[1]`` with room for hidden exceptions, which lower a metric or raise it."""
    if not interval.known:
        return interval
    (plus, minus), (above, below) = ends, hidden
    down, up = math.hypot(plus * above, (1 - minus) * below), math.hypot((1 - plus) * above, minus * below)
    return Interval(
        estimate=interval.estimate,
        lower=min(interval.lower, interval.estimate - down),
        upper=max(interval.upper, interval.estimate + up),
        n=interval.n,
        confidence=interval.confidence,
    )


def _codes(side: SlicedRows) -> tuple[IntArray, int]:
    clusters: ArrayLike = np.arange(side.slices.size) if side.clusters is None else side.clusters
    codes, count = cluster_codes(clusters)
    if codes.shape != side.slices.shape:
        raise ParameterError(
            f"{codes.size} clusters do not fit {side.slices.size} rows.", remedy="Give one cluster for each row."
        )
    return codes, count


def _draws(side: SlicedRows, seed: int, replicates: int) -> tuple[Iterator[FloatArray], int]:
    codes, count = _codes(side)
    return row_weights(codes, count, seed=seed, replicates=replicates), count


def _slice(
    name: str, pilot: tuple[SlicedRows, NDArray[np.bool_]], production: tuple[SlicedRows, NDArray[np.bool_]]
) -> SliceChange:
    def value(side: SlicedRows, rows: NDArray[np.bool_]) -> float:
        return float(side.metric(rows[None, :].astype(np.float64))[0]) if rows.any() else math.nan

    return SliceChange(
        name=name,
        pilot_share=float(pilot[1].mean()),
        production_share=float(production[1].mean()),
        pilot=value(*pilot),
        production=value(*production),
    )
