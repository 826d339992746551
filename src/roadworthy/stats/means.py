"""Means and shares of rows that may come in clusters. Owns Student's interval over clusters and Korn-Graubard's share.

Rows of one patient or document repeat each other, so the spread is taken over cluster sums, not over rows, with the
degrees of freedom of the clusters. It is deterministic and, with few clusters, wider and more honest than a percentile
bootstrap. Without clusters every row is its own.

Rules kept here:
1. Fewer than two clusters, or a value that is not finite: unknown.
2. Values in a known range whose spread happens to be nil are not certain: an end is never closer to the estimate than
   what ``G`` clusters without an exception leave open (Clopper-Pearson).
3. Means near an end of their range are skewed, and Student's end towards the middle is then reached too often. In a range
   with two ends the interval is therefore the binomial one of as many trials as would give the variance that was seen.
4. A cluster that holds most of the rows makes the others count for little, so ``G`` is the effective number of clusters,
   ``(sum of sizes)^2 / (sum of squared sizes)`` (Kish, Survey Sampling, 1965): the number itself for equal sizes.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, norm
from scipy.stats import t as student

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.bootstrap import cluster_codes
from roadworthy.stats.proportions import clopper_pearson
from roadworthy.stats.sample import FloatArray, IntArray, check_confidence

_ENOUGH_CLUSTERS = 2
_HARDLY_ANY = 1e-12


class Range(NamedTuple):
    """What a value can be at least and at most; infinite ends say nothing."""

    low: float = -math.inf
    high: float = math.inf


UNIT = Range(0.0, 1.0)
_ANY = Range()


def mean_interval(
    values: ArrayLike, clusters: ArrayLike | None = None, *, confidence: float = 0.95, within: Range = _ANY
) -> Interval:
    """The mean over rows with its interval over clusters: Student's, or by rule 3 the binomial one.

    The variance is that of the ratio (sum of values) / (rows), linearised: ``G / (G - 1) * sum_g r_g^2 / n^2`` with
    ``r_g`` the sum of deviations in cluster g (Cochran, Sampling Techniques, 3rd edition, section 11.12). With clusters
    of one row it is the usual standard error.

    Args:
        values: shape (n,), in any unit; the interval has it too.
        clusters: of each row, shape (n,); None when rows are independent.
        confidence: two-sided level in (0, 1).
        within: the range that values cannot leave, ``UNIT`` for shares.

    Returns:
        The interval with ``n`` = number of clusters.

    Raises:
        ParameterError: lengths differ, or a level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    array, codes, count = _grouped(values, clusters)
    if count < _ENOUGH_CLUSTERS or not np.isfinite(array).all():
        return unknown(count)
    mean = float(array.mean())
    variance, effective = _variance(array, mean, codes, count), effective_clusters(codes)
    unseen = _binomial_ends(0.0, effective, confidence)[1]
    lower, upper = _ends(mean, variance, effective, within, confidence)
    if math.isfinite(within.low):
        lower = max(within.low, min(lower, mean - (mean - within.low) * unseen))
    if math.isfinite(within.high):
        upper = min(within.high, max(upper, mean + (within.high - mean) * unseen))
    return Interval(estimate=mean, lower=min(lower, mean), upper=max(upper, mean), n=count, confidence=confidence)


def share_interval(hits: ArrayLike, clusters: ArrayLike | None = None, *, confidence: float = 0.95) -> Interval:
    """The share of rows that hit, exact in kind and widened by clustering (Korn and Graubard, Survey Methodology 24, 1998).

    1. The design effect is the clustered variance over the binomial one; it is never taken below 1.
    2. The effective number of rows is n over it, times the squared ratio of the Student quantiles of rows and effective
       clusters (rule 4). When all rows agree nothing can be estimated, so each effective cluster counts as one row.
    3. Clopper-Pearson with those (fractional) counts.

    Args:
        hits: 0 or 1, shape (n,).
        clusters: of each row, shape (n,); None when rows are independent (then it is Clopper-Pearson itself).
        confidence: two-sided level in (0, 1).

    Returns:
        The interval with ``n`` = number of clusters.

    Raises:
        ParameterError: values outside {0, 1}, lengths that differ, or a level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    array, codes, count = _grouped(hits, clusters)
    if not np.isin(array, (0.0, 1.0)).all():
        raise ParameterError("A hit is neither 0 nor 1.", remedy="Give 0 or 1 for each row.")
    rows, total = array.size, int(array.sum())
    if count == rows:
        return clopper_pearson(total, rows, confidence)
    if count < _ENOUGH_CLUSTERS:
        return unknown(count)
    share = total / rows
    # 1. and 2.
    clusters_worth = trials = effective_clusters(codes)
    if 0 < total < rows:
        effect = max(1.0, _variance(array, share, codes, count) * rows / (share * (1 - share)))
        of_rows, of_clusters = (float(student.ppf(0.5 + confidence / 2, each - 1)) for each in (rows, clusters_worth))
        trials = rows / effect * (of_rows / of_clusters) ** 2
    # 3.
    lower, upper = _binomial_ends(share, trials, confidence)
    return Interval(estimate=share, lower=min(lower, share), upper=max(upper, share), n=count, confidence=confidence)


def effective_clusters(codes: IntArray) -> float:
    """Rule 4: how many clusters of equal size would be worth as much, from 1 to their number.

    Args:
        codes: the number of each row's cluster, from 0 without gaps, shape (n,), n at least 1.
    """
    sizes = np.bincount(codes).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes @ sizes))


def _grouped(values: ArrayLike, clusters: ArrayLike | None) -> tuple[FloatArray, IntArray, int]:
    array = np.asarray(values, dtype=np.float64)
    codes, count = (np.arange(array.size), array.size) if clusters is None else cluster_codes(clusters)
    if array.ndim != 1 or codes.shape != array.shape:
        raise ParameterError(
            f"Values of shape {array.shape} do not fit clusters of shape {codes.shape}.",
            remedy="Give one value and one cluster for each row.",
        )
    return array, codes, count


def _ends(mean: float, variance: float, effective: float, within: Range, confidence: float) -> tuple[float, float]:
    """Student's ends, or by rule 3 those of a share of trials, carried to the range."""
    quantile = float(student.ppf(0.5 + confidence / 2, effective - 1))
    span = within.high - within.low
    share = (mean - within.low) / span if math.isfinite(span) else math.nan
    if not (0.0 < share < 1.0 and variance > 0.0):
        half = quantile * math.sqrt(variance)
        return mean - half, mean + half
    # As many trials as vary like this mean, fewer by what Student's quantile is wider than the normal one.
    trials = share * (1 - share) * span**2 / variance * (float(norm.ppf(0.5 + confidence / 2)) / quantile) ** 2
    lower, upper = _binomial_ends(share, trials, confidence)
    return within.low + lower * span, within.low + upper * span


def _binomial_ends(share: float, trials: float, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's ends, for any number of trials above 0, whole or not."""
    # Student's quantile has no bound where one cluster holds nearly all rows; what is left of trials must not be nothing.
    trials = max(trials, _HARDLY_ANY)
    tail, successes, failures = (1 - confidence) / 2, share * trials, (1 - share) * trials
    lower = float(beta.ppf(tail, successes, failures + 1)) if share > 0 else 0.0
    upper = float(beta.ppf(1 - tail, successes + 1, failures)) if share < 1 else 1.0
    return lower, upper


def _variance(array: FloatArray, mean: float, codes: IntArray, count: int) -> float:
    residuals = np.bincount(codes, weights=array - mean, minlength=count)
    return float(residuals @ residuals) * count / (count - 1) / array.size**2
