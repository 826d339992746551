"""Wasserstein's distance between two samples of cell counts. Owns its unit, its bounds and what the cells leave open.

It has a kink at equality like the other distances: the bounds follow the inequality of ``distances``. The distance is
taken between the first and the last edge only, so that a value however far out moves it by one row and no more.
"""

import math

import numpy as np

from roadworthy.base.errors import ParameterError
from roadworthy.stats.cells import Columns
from roadworthy.stats.distances import (
    HALF_NORMAL_MEAN,
    HALF_NORMAL_VARIANCE,
    Distance,
    GammaTail,
    kink_bias,
    total_variation,
    weighted_variance,
)
from roadworthy.stats.sample import BoolArray, FloatArray

KIND_PRICE = 1.0
"""What a row costs that changes its kind (a value becomes null, say), in interquartile ranges of the reference."""


def wasserstein(columns: Columns) -> Distance:
    """What it costs to carry one sample into the other, in interquartile ranges of the reference.

    1. On the scale: the area between the two distribution functions of the ordered rows, from the first edge to the
       last, each straight between edges (trapezoids over |F - G|). The open outer cells have no width, so no outlier
       can weigh.
    2. Across kinds: half the sum of the differences in the share of each unordered cell and of all ordered ones
       together, each row at ``KIND_PRICE``.

    A column whose quartiles lie in an open cell, or coincide, has no unit: its value is NaN.

    Raises:
        ParameterError: a column without edges (RW-114).
    """
    weights = _edge_weights(columns) / reference_iqr(columns)[:, None]
    is_ordered = np.arange(columns.reference.shape[1]) < columns.ordered[:, None]
    # 1. Distribution functions of the ordered rows alone; a sample without any has moved no distance, only its kind.
    on_scale = columns._replace(
        reference=np.where(is_ordered, columns.reference, 0.0), current=np.where(is_ordered, columns.current, 0.0)
    )
    n, m = on_scale.reference_rows[:, None], on_scale.current_rows[:, None]
    either_empty = (n == 0) | (m == 0)
    n, m = np.where(either_empty, 1.0, n), np.where(either_empty, 1.0, m)
    p = np.where(either_empty, 0.0, np.cumsum(on_scale.reference, axis=1) / n)
    q = np.where(either_empty, 0.0, np.cumsum(on_scale.current, axis=1) / m)
    variance = p * (1 - p) / n + q * (1 - q) / m
    mean, spread = _ladder_of_kinks(weights, p, q, n, m)
    # Near equality the signs are noise; steps that all point one way vary most.
    deviation = np.maximum(_deviation(weights * np.sign(p - q), on_scale, n, m), _deviation(weights, on_scale, n, m))
    # 2. The same for kinds: unordered cells as they are, the ordered ones as one.
    kinds = _kinds(columns, is_ordered)
    across = total_variation(kinds)
    kind_law = across.overshoot
    assert isinstance(kind_law, GammaTail)
    total_mean = mean + KIND_PRICE * kind_law.mean
    total_variance = (np.sqrt(spread) + KIND_PRICE * np.sqrt(kind_law.variance)) ** 2
    return Distance(
        (weights * np.abs(p - q)).sum(axis=1) + KIND_PRICE * across.value,
        (weights * kink_bias(p - q, variance)).sum(axis=1) + KIND_PRICE * across.bias,
        GammaTail(total_mean, total_variance),
        deviation + KIND_PRICE * across.deviation,
        np.inf,
    )


def reference_iqr(columns: Columns) -> FloatArray:
    """The interquartile range of the ordered reference rows, straight between edges; shape (c,).

    NaN where a quartile lies in an open outer cell, or where the range is 0.
    """
    return np.array(
        [_iqr(*row) for row in zip(columns.reference, columns.ordered, columns.edges, strict=True)], dtype=np.float64
    )


def discretisation_bound(columns: Columns) -> FloatArray:
    """By how much the cells can misstate the part of the distance on the scale between the first and the last edge.

    Within a cell each distribution function may rise anywhere between its two ends; the area between them is therefore
    at least the width times the gap that no rise can close, and at most the width times the largest possible gap. Shape
    (c,), in interquartile ranges of the reference. What lies in the open outer cells is not part of the distance.

    Raises:
        ParameterError: a column without edges (RW-114).
    """
    bounds = np.full(columns.ordered.size, np.nan)
    iqr = reference_iqr(columns)
    for row, edges in enumerate(_known_edges(columns)):
        count = columns.ordered[row]
        p, q = (
            np.cumsum(cells[row, :count])[:-1] / max(cells[row, :count].sum(), 1.0)
            for cells in (columns.reference, columns.current)
        )
        width = np.diff(edges)
        most = np.maximum(p[1:] - q[:-1], q[1:] - p[:-1])
        least = np.maximum(np.maximum(p[:-1] - q[1:], q[:-1] - p[1:]), 0.0)
        used = (np.abs(p - q)[1:] + np.abs(p - q)[:-1]) / 2
        bounds[row] = max((width * (most - used)).sum(), (width * (used - least)).sum()) / iqr[row]
    return bounds


def _known_edges(columns: Columns) -> list[FloatArray]:
    missing = [row for row, edges in enumerate(columns.edges) if edges is None]
    if missing:
        raise ParameterError(
            f"Column {missing[0]} has no edges, so no distance on its scale.",
            remedy="Give the edges of the ordered cells, or take another effect for categorical columns.",
        )
    return [edges for edges in columns.edges if edges is not None]


def _edge_weights(columns: Columns) -> FloatArray:
    """Half the width of the two cells at each edge that lie between the first edge and the last; shape (c, k)."""
    weights = np.zeros_like(columns.reference)
    for row, edges in enumerate(_known_edges(columns)):
        width = np.diff(edges) / 2
        weights[row, : width.size] += width
        weights[row, 1 : width.size + 1] += width
    return weights


def _iqr(reference: FloatArray, ordered: int, edges: FloatArray | None) -> float:
    ladder = np.cumsum(reference[:ordered])[:-1]
    if edges is None or ladder.size < 2 or reference[:ordered].sum() == 0:
        return math.nan
    share = ladder / reference[:ordered].sum()
    if share[0] > 0.25 or share[-1] < 0.75:
        return math.nan
    # A flat stretch has many edges of one share: the lowest for the upper quartile, the highest for the lower one, so
    # that an empty stretch of the scale does not count as spread.
    lower = float(np.interp(0.25, share, edges))
    rising = np.concatenate(([True], np.diff(share) > 0))
    upper = float(np.interp(0.75, share[rising], edges[rising]))
    return upper - lower if upper > lower else math.nan


def _deviation(steps: FloatArray, columns: Columns, n: FloatArray, m: FloatArray) -> FloatArray:
    """Standard deviation of the sum of steps times the difference of the distribution functions, shape (c,)."""
    # A row in cell j raises every step from j on.
    of_cell = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
    variance = weighted_variance(of_cell, columns.reference / n, n) + weighted_variance(of_cell, columns.current / m, m)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)), dtype=np.float64)


def _kinds(columns: Columns, is_ordered: BoolArray) -> Columns:
    def fold(counts: FloatArray) -> FloatArray:
        on_scale = np.where(is_ordered, counts, 0.0).sum(axis=1, keepdims=True)
        return np.concatenate((on_scale, np.where(is_ordered, 0.0, counts)), axis=1)

    return columns._replace(reference=fold(columns.reference), current=fold(columns.current))


def _ladder_of_kinks(
    weights: FloatArray, p: FloatArray, q: FloatArray, n: FloatArray, m: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The same over the steps of a scale, whose deviations hang together like those of a Brownian bridge.

    For steps i <= j the covariance is F_i (1 - F_j) / n + G_i (1 - G_j) / m; divided by sqrt(sd_i sd_j) and squared, it
    is a sum of three products of a term in i and a term in j, so that running sums replace the double sum.
    """
    deviation = np.sqrt(p * (1 - p) / n + q * (1 - q) / m)
    held = np.divide(weights, deviation, out=np.zeros_like(weights), where=deviation > 0)
    own = (weights**2 * deviation**2).sum(axis=1)
    crossed = np.zeros_like(own)
    for first, second, factor in (
        (p**2 / n**2, (1 - p) ** 2, 1.0),
        (2 * p * q / (n * m), (1 - p) * (1 - q), 1.0),
        (q**2 / m**2, (1 - q) ** 2, 1.0),
    ):
        before = np.cumsum(held * first, axis=1) - held * first
        crossed += 2 * factor * (before * held * second).sum(axis=1)
    return HALF_NORMAL_MEAN * (weights * deviation).sum(axis=1), HALF_NORMAL_VARIANCE * (own + crossed)
