"""Why a metric changed between two samples. Owns the split into mix shift, change within slices, and new slices.

Algorithm of ``decompose``, for any metric of weighted rows, M, and slices that both samples may have:
1. Reweight the pilot's rows so that its slices have the shares they have in production, among common slices.
2. Mix shift is M(reweighted pilot) - M(pilot): what would have changed had every slice kept its performance.
3. Within slices is M(production, common slices) - M(reweighted pilot): what changed at the same mix.
4. New slices is M(production) - M(production, common slices): what only production has.
5. The three add up to M(production) - M(pilot) for every metric, because they telescope.
6. Clusters of each sample are resampled apart; every replicate is taken apart in the same way (mix included).

For a mean this is the decomposition of Kitagawa (JASA 50, 1955) with production's mix as the standard.

Deliberately not here: which slices to use. A mix shift over slices that do not matter explains nothing.
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
from roadworthy.stats.sample import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicedRows:
    """One sample, sliced.

    Attributes:
        metric: of its rows under weights, from ``stats.weighted``.
        slices: the slice of each row, shape (n,); any values that sort.
        clusters: of each row, shape (n,); None when rows are independent.
    """

    metric: WeightedStatistic
    slices: NDArray[np.generic]
    clusters: NDArray[np.generic] | None = None


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
        The parts with percentile intervals, ``n`` = the smaller number of clusters. Without a common slice the parts
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

    def parts(first: FloatArray, second: FloatArray) -> FloatArray:
        return _parts((pilot.metric, first, before), (production.metric, second, after), common)

    whole = parts(np.ones((1, before.size)), np.ones((1, after.size)))[:, 0]
    # One seed, two streams: the second sample's draws must not repeat the first one's.
    streams = np.random.SeedSequence(seed).generate_state(2)
    first_draws, first_count = _draws(pilot, int(streams[0]), replicates)
    second_draws, second_count = _draws(production, int(streams[1]), replicates)
    drawn = np.concatenate(
        [parts(first, second) for first, second in zip(first_draws, second_draws, strict=True)], axis=1
    )
    count = min(first_count, second_count)
    total, mix, within, new = (
        percentile_interval(float(whole[line]), drawn[line], count, confidence) for line in range(4)
    )
    return Decomposition(
        total=total,
        mix_shift=mix,
        within_slices=within,
        new_slices=new,
        new_share=float((~common[after]).mean()),
        slices=tuple(_slice(str(name), (pilot, before == k), (production, after == k)) for k, name in enumerate(names)),
    )


_Side = tuple[WeightedStatistic, FloatArray, IntArray]


def _parts(pilot: _Side, production: _Side, common: NDArray[np.bool_]) -> FloatArray:
    """Total, mix shift, within and new for each line of weights, shape (4, b)."""
    metric_before, first, before = pilot
    metric_after, second, after = production
    onehot_before, onehot_after = (np.eye(common.size)[codes] for codes in (before, after))
    shared_after = second * common[after]
    # 1. How much more of each slice production has, per unit of the pilot's weight.
    wanted, had = shared_after @ onehot_after, first @ onehot_before
    # A slice that this draw of the pilot lost cannot be reweighted: the whole line is then NaN.
    lost = ((wanted > 0) & (had == 0)).any(axis=1)
    factor = np.divide(wanted, had, out=np.zeros_like(wanted), where=had > 0)
    reweighted = metric_before(first * factor[:, before])
    reweighted = np.where(lost, np.nan, reweighted)
    plain, whole, shared = metric_before(first), metric_after(second), metric_after(shared_after)
    # 2. to 4.
    return np.stack([whole - plain, reweighted - plain, shared - reweighted, whole - shared])


def _draws(side: SlicedRows, seed: int, replicates: int) -> tuple[Iterator[FloatArray], int]:
    clusters: ArrayLike = np.arange(side.slices.size) if side.clusters is None else side.clusters
    codes, count = cluster_codes(clusters)
    if codes.shape != side.slices.shape:
        raise ParameterError(
            f"{codes.size} clusters do not fit {side.slices.size} rows.", remedy="Give one cluster for each row."
        )
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
