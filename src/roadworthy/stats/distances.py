"""Distances between two samples of cell counts that have a kink at equality: total variation and Kolmogorov-Smirnov.

Owns their value, the removal of their bias, and the form of bounds that ``transport`` shares. None has a smooth law, so
the bounds come from an inequality that holds at every distance: the value is a largest value over directions, hence

    value <= truth + overshoot,      overshoot = the same distance taken of the sampling noise alone,
    value >= truth + (one linear functional of the noise),    the one of the direction in which the truth is largest.

The overshoot has mean and variance in closed form and a tail that a gamma law follows, 4 % too far out for the
half-normal variable that two cells make. The lower bound is therefore cautious where the truth is far from 0, never the
other way round.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import gammaincc, gammainccinv, kolmogorov, ndtr, ndtri

from roadworthy.stats.cells import Columns
from roadworthy.stats.sample import FloatArray

HALF_NORMAL_MEAN = math.sqrt(2 / math.pi)
HALF_NORMAL_VARIANCE = 1 - 2 / math.pi
HALVINGS = 30
"""Bisection steps: an error of one part in 10**8 of a standard deviation."""


class GammaTail(NamedTuple):
    """A non-negative variable known by mean and variance, both of shape (c,)."""

    mean: FloatArray
    variance: FloatArray

    def tail(self, at: FloatArray) -> FloatArray:
        """P(overshoot >= at); without any noise only what does not exceed the truth is possible."""
        shape, scale = self._gamma()
        return np.where(self.variance > 0, gammaincc(shape, np.maximum(at, 0.0) / scale), at <= 0)

    def quantile(self, error: float) -> FloatArray:
        """The value that is exceeded with a chance of ``error``; 0 without any noise."""
        shape, scale = self._gamma()
        return np.where(self.variance > 0, gammainccinv(shape, error) * scale, 0.0)

    def _gamma(self) -> tuple[FloatArray, FloatArray]:
        variance = np.where(self.variance > 0, self.variance, 1.0)
        mean = np.where(self.variance > 0, self.mean, 1.0)
        return mean**2 / variance, variance / mean


class LargestTail(NamedTuple):
    """The largest of several dependent normal deviations.

    Attributes:
        rows: n m / (n + m), shape (c,).
        ladder: standard deviation at each step of the scale, shape (c, k); 0 where there is no step.
        single: standard deviation of each unordered cell, shape (c, any); 0 where there is none.
    """

    rows: FloatArray
    ladder: FloatArray
    single: FloatArray

    def tail(self, at: FloatArray) -> FloatArray:
        """An upper limit of P(overshoot >= at): the lesser of Kolmogorov's law and the sum over steps, plus cells."""
        at = np.maximum(at, 0.0)
        steps = np.minimum(kolmogorov(at * np.sqrt(self.rows)), _two_sided(at, self.ladder))
        return np.minimum(steps + _two_sided(at, self.single), 1.0)

    def quantile(self, error: float) -> FloatArray:
        """The value that is exceeded with a chance of at most ``error``."""
        low, high = np.zeros_like(self.rows), 10 / np.sqrt(self.rows)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = self.tail(middle) > error
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return high


class Distance(NamedTuple):
    """A distance in each column; every array has shape (c,).

    Attributes:
        value: as computed from the counts.
        bias: what the value exceeds the truth by, as far as the counts show.
        overshoot: the law of the most that noise can add.
        deviation: standard deviation of the linear functional, for the upper bound.
        ceiling: the largest possible distance.
    """

    value: FloatArray
    bias: FloatArray
    overshoot: GammaTail | LargestTail
    deviation: FloatArray
    ceiling: float

    def estimate(self) -> FloatArray:
        """The value without its bias, from 0 to the ceiling."""
        return np.clip(self.value - self.bias, 0.0, self.ceiling)

    def tail(self, truth: FloatArray) -> FloatArray:
        """An upper limit of the chance of a value as large as observed, were ``truth`` the distance."""
        return self.overshoot.tail(self.value - truth)

    def lower(self, error: float) -> FloatArray:
        """The distance below which the observed value has a chance of at most ``error``; 0 when there is none."""
        return np.maximum(self.value - self.overshoot.quantile(error), 0.0)

    def upper(self, error: float) -> FloatArray:
        """The distance above which a value as small as the observed has a chance of at most ``error``."""
        return np.minimum(self.value - float(ndtri(error)) * self.deviation, self.ceiling)


def total_variation(columns: Columns) -> Distance:
    """Half the sum of |p - q|: the largest difference that any set of cells shows; from 0 to 1."""
    difference, variance = _shares(columns)
    overshoot = GammaTail(*_sum_of_kinks(np.full_like(variance, 0.5), columns, variance))
    deviation = np.sqrt(_functional(np.sign(difference) / 2, columns))
    value = np.abs(difference).sum(axis=1) / 2
    return Distance(value, kink_bias(difference, variance).sum(axis=1) / 2, overshoot, deviation, 1.0)


def kolmogorov_smirnov(columns: Columns) -> Distance:
    """The largest difference between the two distribution functions at the edges, or in the share of an unordered cell.

    Shares are of all rows, so a rise of nulls lowers every step of the scale and shows in its own cell. With ordered
    cells only this is the two-sample statistic at the edges, at most one cell's share below the one of the values
    themselves.
    """
    n, m = columns.reference_rows[:, None], columns.current_rows[:, None]
    width = columns.reference.shape[1]
    is_ordered = np.arange(width) < columns.ordered[:, None]
    # The last step of a scale without unordered cells is 1 in both samples: no variance, so it counts for nothing.
    p = np.where(is_ordered, np.cumsum(columns.reference, axis=1), columns.reference) / n
    q = np.where(is_ordered, np.cumsum(columns.current, axis=1), columns.current) / m
    variance = _smoothed(p, n) + _smoothed(q, m)
    variance = np.where((p + q > 0) & (p + q < 2), variance, 0.0)
    deviation = np.sqrt(variance)
    single = np.where(is_ordered, 0.0, deviation)
    # Most columns of a window have no row in most unordered cells, and the tail is asked for many times.
    overshoot = LargestTail(1 / columns.noise, np.where(is_ordered, deviation, 0.0), single[:, single.any(axis=0)])
    value = np.abs(p - q).max(axis=1)
    # Between equality, where all of the value is noise, and a clear difference, where almost nothing is.
    bias = value - np.sqrt(np.maximum(value**2 - overshoot.quantile(0.5) ** 2, 0.0))
    return Distance(value, bias, overshoot, deviation.max(axis=1), 1.0)


def _shares(columns: Columns) -> tuple[FloatArray, FloatArray]:
    n, m = columns.reference_rows[:, None], columns.current_rows[:, None]
    p, q = columns.reference / n, columns.current / m
    return p - q, p * (1 - p) / n + q * (1 - q) / m


def _smoothed(share: FloatArray, rows: FloatArray) -> FloatArray:
    # One row more of either kind: a share of 0 in a small sample is not known to be 0.
    shrunk = (share * rows + 1) / (rows + 2)
    return np.asarray(shrunk * (1 - shrunk) / rows, dtype=np.float64)


def kink_bias(difference: FloatArray, variance: FloatArray) -> FloatArray:
    """E|d + noise| - |d| for normal noise, with d**2 estimated by the square of the difference less its variance."""
    deviation = np.sqrt(variance)
    truth = np.sqrt(np.maximum(difference**2 - variance, 0.0))
    # Without noise there is no bias, however small the difference.
    ratio = np.divide(truth, deviation, out=np.full_like(truth, np.inf), where=deviation > 0)
    return np.asarray(
        deviation * HALF_NORMAL_MEAN * np.exp(-(ratio**2) / 2) - 2 * truth * ndtr(-ratio), dtype=np.float64
    )


def _sum_of_kinks(weights: FloatArray, columns: Columns, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and an upper limit of the variance of the weighted sum of |noise| over cells.

    Two normal deviations with correlation rho have |.| whose covariance is at most (1 - 2/pi) rho**2 times theirs. In a
    multinomial sample rho**2 is a product over the two cells, so the double sum is a square.
    """
    pooled = (columns.reference + columns.current) / (columns.reference_rows + columns.current_rows)[:, None]
    odds = pooled / np.where(pooled < 1, 1 - pooled, 1.0)
    scaled = weights * np.sqrt(variance)
    own = (scaled**2).sum(axis=1)
    crossed = (scaled * odds).sum(axis=1) ** 2 - (scaled**2 * odds**2).sum(axis=1)
    mean = HALF_NORMAL_MEAN * scaled.sum(axis=1)
    # The variance of the sum is never above that of fully dependent cells.
    most = HALF_NORMAL_VARIANCE * scaled.sum(axis=1) ** 2
    return mean, np.minimum(HALF_NORMAL_VARIANCE * (own + crossed), most)


def _functional(direction: FloatArray, columns: Columns) -> FloatArray:
    n, m = columns.reference_rows[:, None], columns.current_rows[:, None]
    return weighted_variance(direction, columns.reference / n, n) + weighted_variance(direction, columns.current / m, m)


def weighted_variance(direction: FloatArray, shares: FloatArray, rows: FloatArray) -> FloatArray:
    """Variance of the sum of ``direction`` times the sampled shares; all of shape (c, k), the result (c,)."""
    mean = (direction * shares).sum(axis=1)
    spread = (direction**2 * shares).sum(axis=1) - mean**2
    # Where all rows lie in one cell rounding can fall below 0.
    return np.asarray(np.maximum(spread, 0.0) / rows[:, 0], dtype=np.float64)


def _two_sided(at: FloatArray, deviation: FloatArray) -> FloatArray:
    beyond = np.divide(at[:, None], deviation, out=np.full_like(deviation, np.inf), where=deviation > 0)
    return np.asarray(2 * ndtr(-beyond).sum(axis=1), dtype=np.float64)
