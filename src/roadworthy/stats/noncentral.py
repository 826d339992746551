"""The non-central chi-squared law for whole arrays. Owns its upper tail; knows nothing of what is tested with it.

The exact series needs time in proportion to the non-centrality, which reaches millions here; there Pearson's
three-moment approximation is used, whose error is smallest where the series is slowest.
"""

import numpy as np
from scipy.special import chndtr, gammaincc

from roadworthy.stats.sample import FloatArray

SERIES_UP_TO = 200.0
"""Degrees of freedom plus non-centrality up to which the series is summed; beyond, the error is below 2e-4."""


def upper_tail(x: FloatArray, df: FloatArray, noncentrality: FloatArray) -> FloatArray:
    """P(X >= x) for X non-central chi-squared; arrays of one shape, df > 0, non-centrality >= 0."""
    x = np.maximum(x, 0.0)
    exact = df + noncentrality <= SERIES_UP_TO
    tail = _pearson(x, df, noncentrality)
    tail[exact] = 1 - chndtr(x[exact], df[exact], noncentrality[exact])
    return tail


def _pearson(x: FloatArray, df: FloatArray, noncentrality: FloatArray) -> FloatArray:
    """The tail of a shifted, scaled central law with the same first three moments (Pearson, Biometrika 46, 1959)."""
    second, third = df + 2 * noncentrality, df + 3 * noncentrality
    central_df = second**3 / third**2
    central_x = (x + noncentrality**2 / third) * second / third
    return np.asarray(gammaincc(central_df / 2, np.maximum(central_x, 0.0) / 2), dtype=np.float64)
