"""Smooth divergences between two samples of cell counts: PSI and Jensen-Shannon. Owns value, bias and law of each.

Near equality both are, but for a scale, the sum of squares that the chi-squared test adds up; further away their error
is linear in the counts. One model holds at both ends. With s the scale (1/n + 1/m for PSI), theta the true divergence
and k cells, the value T is distributed as

    T = theta + bias - s (k - 1) + 2 sqrt(s r theta) Z + s X,        X = Z**2 + chi-squared of k - 2 degrees,

where r >= 1 says by how much the linear part varies more than it does near equality. Completing the square makes
``T - bias + s (k - 1) + (r - 1) theta`` equal to s times a non-central chi-squared variable with k - 1 degrees of
freedom and non-centrality r theta / s, which is what tails and bounds are read from.

Zero rule: in PSI's logarithms, and only there, half a row is added to every cell (Haldane and Anscombe; Jeffreys'
prior). It makes the logarithm of a share unbiased to the second order, so that PSI's bias is (k - 1)(1/n + 1/m) at
every distance, and not only at equality. A cell that one sample leaves empty may have any small share there, and PSI grows
without limit as that share falls: it is defined here with shares below ``SMALLEST_SHARE`` counted as that, and the
upper bound, alone, allows for an empty cell being so rare.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from roadworthy.stats.cells import Columns, williams
from roadworthy.stats.noncentral import upper_tail
from roadworthy.stats.sample import FloatArray

SMALLEST_SHARE = 1e-9
HALVINGS = 45
"""Bisection steps: an error of one part in 10**13 of the range searched."""


class Divergence(NamedTuple):
    """The law of one divergence in each column; every array has shape (c,).

    Attributes:
        value: T, as computed from the counts.
        bias: what T exceeds the truth by on average.
        scale: s.
        df: k - 1, at least 1.
        ratio: r.
        unseen: what cells that one sample leaves empty may add to the truth unseen.
        ceiling: the largest possible divergence.
    """

    value: FloatArray
    bias: FloatArray
    scale: FloatArray
    df: FloatArray
    ratio: FloatArray
    unseen: FloatArray
    ceiling: float

    def estimate(self) -> FloatArray:
        """The value without its bias, from 0 to the ceiling."""
        return np.clip(self.value - self.bias, 0.0, self.ceiling)

    def tail(self, truth: FloatArray) -> FloatArray:
        """P(T at least as large as observed), were ``truth`` the divergence; it grows with the truth."""
        centred = self.value - self.bias + self.scale * self.df
        shifted = (centred + (self.ratio - 1) * truth) / self.scale
        return upper_tail(shifted, self.df, self.ratio * truth / self.scale)

    def lower(self, error: float) -> FloatArray:
        """The divergence below which the observed value has a chance of less than ``error``; 0 when there is none."""
        return self._bracket(error, np.zeros_like(self.value), self.estimate())[0]

    def upper(self, error: float) -> FloatArray:
        """The divergence above which a value as small as the observed has a chance of less than ``error``."""
        spread = np.sqrt(2 * self.df) * self.scale + 2 * np.sqrt(self.scale * self.ratio * self.estimate())
        # Far enough for any error that is asked for: 9 deviations, and their growth on the way.
        far = self.estimate() + 9 * spread + 400 * self.scale * self.ratio
        return np.minimum(self._bracket(1 - error, self.estimate(), far)[1] + self.unseen, self.ceiling)

    def _bracket(self, tail: float, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = self.tail(middle) < tail
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return low, high


def population_stability(columns: Columns) -> Divergence:
    """PSI, the symmetrised Kullback-Leibler divergence: the sum of (p - q) ln(p / q), in nats.

    With half a row in the logarithms its bias is (k - 1)(1/n + 1/m); Yurdakul (2018) gives that mean and the
    chi-squared law for equal distributions.
    """
    n, m = columns.reference_rows[:, None], columns.current_rows[:, None]
    p, q = columns.reference / n, columns.current / m
    p_log, q_log = (columns.reference + 0.5) / n, (columns.current + 0.5) / m
    filled = columns.reference + columns.current > 0
    logs = np.where(filled, np.log(p_log / q_log), 0.0)
    value = ((p - q) * logs).sum(axis=1)
    # Derivatives of the sum by p and by q, for the linear part of the error.
    by_p = np.where(filled, logs + 1 - q_log / p_log, 0.0)
    by_q = np.where(filled, -logs + 1 - p_log / q_log, 0.0)
    linear = _variance(by_p, p_log * filled, n) + _variance(by_q, q_log * filled, m)
    df = np.maximum(columns.filled - 1.0, 1.0)
    scale = columns.noise
    rarer = np.log(np.maximum(0.5 / (SMALLEST_SHARE * np.concatenate((n, m), axis=1)), 1.0))
    unseen = np.where(p == 0, q, 0.0).sum(axis=1) * rarer[:, 0] + np.where(q == 0, p, 0.0).sum(axis=1) * rarer[:, 1]
    return Divergence(value, df * scale, scale, df, _ratio(linear, scale, value), unseen, np.inf)


def jensen_shannon(columns: Columns) -> Divergence:
    """The Jensen-Shannon divergence with base 2: from 0 to 1 bit; both samples weigh the same whatever their size.

    The mean of the two relative entropies against the even mixture (Lin, IEEE Transactions on Information Theory 37,
    1991). The bias is half the trace of its second derivatives times the multinomial covariances. For samples of one
    size the divergence is the likelihood ratio statistic of a test of equality, whose correction for thin cells
    applies.
    """
    n, m = columns.reference_rows[:, None], columns.current_rows[:, None]
    p, q = columns.reference / n, columns.current / m
    both = np.where(p + q > 0, p + q, 1.0)
    of_p, of_q = 2 * p / both, 2 * q / both
    nats = (xlogy(p, of_p) + xlogy(q, of_q)).sum(axis=1) / 2
    # A cell that one sample leaves empty may be empty in truth, and then adds no bias, or be thin, and then adds all.
    bent_p = np.where(p > 0, 1.0, 0.5) * (1 - p) * q / both / (4 * n)
    bent_q = np.where(q > 0, 1.0, 0.5) * (1 - q) * p / both / (4 * m)
    thin = williams(columns)
    bias = (bent_p + bent_q).sum(axis=1) * thin
    by_p = np.log(np.where(p > 0, of_p, 1.0)) / 2
    by_q = np.log(np.where(q > 0, of_q, 1.0)) / 2
    linear = _variance(by_p, p, n) + _variance(by_q, q, m)
    scale = columns.noise / 8 * thin
    df = np.maximum(columns.filled - 1.0, 1.0)
    ratio = _ratio(linear, scale, nats)
    return Divergence(nats / np.log(2), bias / np.log(2), scale / np.log(2), df, ratio, np.zeros_like(df), 1.0)


def _variance(derivative: FloatArray, shares: FloatArray, rows: FloatArray) -> FloatArray:
    """Of the mean of a quantity that is constant within each cell, shape (c,)."""
    shares = shares / shares.sum(axis=1, keepdims=True)
    mean = (derivative * shares).sum(axis=1, keepdims=True)
    return np.asarray((shares * (derivative - mean) ** 2).sum(axis=1) / rows[:, 0], dtype=np.float64)


def _ratio(linear: FloatArray, scale: FloatArray, value: FloatArray) -> FloatArray:
    """The linear variance against what it is near equality, 4 s theta; never below 1, which keeps bounds cautious."""
    # Both carry the same noise when there is little to see, so that their ratio does not.
    return np.maximum(linear / (4 * scale * np.maximum(value, scale)), 1.0)
