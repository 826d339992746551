"""Intervals for a quantile without any assumption on the law. Owns the order-statistic interval.

The number of observations below the true quantile is binomial, so two order statistics enclose it with a probability
that needs no model (David and Nagaraja, Order Statistics, 3rd edition, section 7.1). Latencies, waiting times and ages
are judged with it.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.sample import check_confidence


def quantile_interval(values: ArrayLike, share: float, confidence: float = 0.95) -> Interval:
    """The ``share`` quantile, for example 0.99, in the unit of ``values``.

    Args:
        values: independent observations, shape (n,).
        share: which quantile, in (0, 1).
        confidence: two-sided level in (0, 1); coverage is at least this.

    Returns:
        The smallest value with at least that share at or below it, and the enclosing order statistics. An end for
        which the sample is too small is infinite, so the interval is not ``known``; NaN among the values: unknown.

    Raises:
        ParameterError: a share or level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    if not 0.0 < share < 1.0:
        raise ParameterError(f"A quantile of {share} is not in (0, 1).", remedy="Give a share such as 0.99.")
    observed = np.sort(np.asarray(values, dtype=np.float64))
    n = observed.size
    if n == 0 or bool(np.isnan(observed).any()):
        return unknown(n)
    tail = (1 - confidence) / 2
    # 1. Ranks count from one. P(fewer than `low` observations lie below the quantile) <= tail.
    low = int(binom.ppf(tail, n, share))
    # 2. P(at least `high` observations lie below it) <= tail.
    high = int(binom.ppf(1 - tail, n, share)) + 1
    # 3. A rank outside 1..n means that no observation is extreme enough to be that end.
    return Interval(
        estimate=float(observed[min(n, max(1, math.ceil(n * share))) - 1]),
        lower=float(observed[low - 1]) if low >= 1 else -math.inf,
        upper=float(observed[high - 1]) if high <= n else math.inf,
        n=n,
        confidence=confidence,
    )
