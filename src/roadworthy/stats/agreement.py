"""How far judges agree beyond chance. Owns Cohen's kappa for two judges and Krippendorff's alpha for any number.

Both are 1 for full agreement and 0 for what chance would give; alpha also takes units that some judges left out and
judgements on a scale.

Rules kept here:
1. When every judgement is the same value, chance agreement is already complete: nothing can be said, unknown. Kappa is
   unknown too when one judge gave a single value: it then is 0 whatever the other said, with a variance of zero.
2. Full agreement on n units has an estimated variance of zero; the interval then rests on n trials without an error.
3. Kappa is skewed towards its end at 1, the more so the higher it is, and a symmetric lower end is then too good in two to
   four times the promised share of cases. The lower end is the one on the scale log(1 - kappa), which is always the wider.
"""

import math
from dataclasses import replace
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.bootstrap import (
    check_resampling,
    cluster_codes,
    percentile_interval,
    row_weights,
    weighted_bootstrap,
)
from roadworthy.stats.means import effective_clusters
from roadworthy.stats.proportions import clopper_pearson
from roadworthy.stats.sample import FloatArray, IntArray, check_confidence

_ENOUGH_GROUPS = 2
# Where exp ends in -1 at any kappa, long before it overflows.
_FAR = 100.0


class Scale(Enum):
    """How far two judgements are apart: 0 or 1, by ranks in between, or by the square of their difference."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


def cohens_kappa(
    first: ArrayLike,
    second: ArrayLike,
    *,
    scale: Scale = Scale.NOMINAL,
    clusters: ArrayLike | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Cohen's kappa of two judges of the same units (Cohen, Educational and Psychological Measurement 20, 1960).

    The large-sample variance is that of Fleiss, Cohen and Everitt (Psychological Bulletin 72, 1969), from sums over
    clusters where units come in such, with Student's quantile. Few clusters make a percentile too narrow and a variance
    may miss what resampling shows, so with clusters each end is the outer one of the two methods.

    Args:
        first: judgements, shape (n,); text or numbers.
        second: the other judge's, shape (n,).
        scale: NOMINAL is unweighted, ORDINAL weighs a disagreement by the distance of the categories' ranks, INTERVAL
            by its square (linear and quadratic weights); categories are ordered as they sort.
        clusters: of each unit, shape (n,); None when units are independent.
        seed: of the resampling; not used without clusters.
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: shapes that differ, or a level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    one, two = np.asarray(first), np.asarray(second)
    if one.ndim != 1 or one.shape != two.shape:
        raise ParameterError(
            f"Judgements of shapes {one.shape} and {two.shape} do not fit.", remedy="Give one of each for each unit."
        )
    n = one.size
    names, codes = np.unique(np.concatenate([one, two]), return_inverse=True)
    # Rule 1; it covers the case that both gave the same single value.
    if n == 0 or min(np.unique(one).size, np.unique(two).size) == 1:
        return unknown(n)
    k = names.size
    pairs = codes[:n] * k + codes[n:]
    credit = 1 - _distance(scale, k)
    table = np.bincount(pairs, minlength=k * k).reshape(k, k) / n
    groups, count = (np.arange(n), n) if clusters is None else cluster_codes(clusters)
    closed = _closed(pairs, table, credit, groups=groups, count=count, confidence=confidence)
    if clusters is not None:

        def of(weights: FloatArray) -> FloatArray:
            lines = weights.shape[0]
            places = pairs + k * k * np.arange(lines)[:, None]
            counts = np.bincount(places.ravel(), weights=weights.ravel(), minlength=lines * k * k)
            tables = counts.reshape(lines, k, k)
            return np.array([_kappa(each / each.sum(), credit) for each in tables])

        resampled = weighted_bootstrap(of, clusters, seed=seed, confidence=confidence)
        closed = replace(resampled, lower=min(resampled.lower, closed.lower), upper=max(resampled.upper, closed.upper))
    return _open_at_the_top(closed, table, credit)


def krippendorff_alpha(
    ratings: ArrayLike,
    *,
    scale: Scale = Scale.NOMINAL,
    clusters: ArrayLike | None = None,
    seed: int = 0,
    replicates: int = 2_000,
    confidence: float = 0.95,
) -> Interval:
    """Krippendorff's alpha (Content Analysis, 4th edition, chapter 12), resampling units for its interval.

    1. Each unit with m >= 2 judgements adds its ordered pairs, weighted 1 / (m - 1), to the coincidence matrix.
    2. Alpha is 1 - observed disagreement / disagreement expected from the margins.
    3. Units (or clusters of units) are resampled; the ordinal distance follows the resampled margins.

    Args:
        ratings: numbers, shape (judges, units); NaN where a judge left a unit out.
        scale: the distance of two judgements.
        clusters: of each unit, shape (units,); None when units are independent.
        seed: of the resampling.
        replicates: how many times to resample, at least 100.
        confidence: two-sided level in (0, 1).

    Returns:
        The interval with ``n`` = number of units (or clusters) that at least two judged.

    Raises:
        ParameterError: another shape, too few replicates, or a level outside (0, 1) (RW-114).
    """
    check_resampling(replicates, confidence)
    array = np.asarray(ratings, dtype=np.float64)
    units = array.shape[1] if array.ndim == 2 else -1
    names = np.arange(units) if clusters is None else np.asarray(clusters)
    if units < 0 or names.shape != (units,):
        raise ParameterError("Ratings are not judges by units.", remedy="Give one line a judge and one column a unit.")
    pairable = (~np.isnan(array)).sum(axis=0) >= 2
    array, names = array[:, pairable], names[pairable]
    values = np.unique(array[~np.isnan(array)])
    _, codes = np.unique(names, return_inverse=True)
    count = int(codes.max()) + 1 if codes.size else 0
    if values.size < 2:
        return unknown(count)
    # 1.
    coincidences = _coincidences(array, values)
    # 2.
    whole = _alpha(coincidences.sum(axis=0), values, scale)
    # 3.
    drawn = [
        _alpha(each, values, scale)
        for weights in row_weights(codes, count, seed=seed, replicates=replicates)
        for each in np.tensordot(weights, coincidences, axes=1)
    ]
    interval = percentile_interval(whole, np.array(drawn), count, confidence)
    if interval.known and whole == 1.0:
        lower = _no_error_bound(coincidences.sum(axis=(0, 1)), count, confidence)
        return Interval(estimate=1.0, lower=lower, upper=1.0, n=count, confidence=confidence)
    return interval


def _distance(scale: Scale, k: int) -> FloatArray:
    """Distances of categories by rank, 1 at most."""
    steps = np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / (k - 1)
    if scale is Scale.NOMINAL:
        return (steps > 0).astype(np.float64)
    return np.asarray(steps if scale is Scale.ORDINAL else steps**2, dtype=np.float64)


def _kappa(table: FloatArray, credit: FloatArray) -> float:
    observed = float((table * credit).sum())
    expected = float((np.outer(table.sum(axis=1), table.sum(axis=0)) * credit).sum())
    return (observed - expected) / (1 - expected) if expected < 1 else math.nan


def _closed(
    pairs: IntArray, table: FloatArray, credit: FloatArray, *, groups: IntArray, count: int, confidence: float
) -> Interval:
    """Kappa with its closed interval, the variance taken over sums within each of ``count`` groups of units."""
    if count < _ENOUGH_GROUPS:
        return unknown(count)
    estimate = _kappa(table, credit)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    expected = float((np.outer(rows, columns) * credit).sum())
    # Each cell's credit less what its margins would have given, on average over the other judge.
    means = np.add.outer(credit @ columns, rows @ credit)
    # What one unit more of each cell would do to kappa; the mean over units is 0.
    pull = credit - means * (1 - estimate) - (estimate - expected * (1 - estimate))
    sums = np.bincount(groups, weights=pull.ravel()[pairs], minlength=count)
    error = math.sqrt(float(sums @ sums) * count / (count - 1)) / pairs.size / (1 - expected)
    half = float(student.ppf(0.5 + confidence / 2, effective_clusters(groups) - 1)) * error
    # Rule 3. Without disagreement there is no such scale, and rule 2 decides.
    below = (1 - estimate) * math.expm1(min(half / (1 - estimate), _FAR)) if estimate < 1.0 else 0.0
    return Interval(
        estimate=estimate,
        lower=max(-1.0, estimate - below),
        upper=min(1.0, estimate + half),
        n=count,
        confidence=confidence,
    )


def _open_at_the_top(interval: Interval, table: FloatArray, credit: FloatArray) -> Interval:
    """Rule 2: full agreement is n trials without an error, at the chance agreement that was seen."""
    if not interval.known or interval.estimate < 1.0:
        return interval
    expected = float((np.outer(table.sum(axis=1), table.sum(axis=0)) * credit).sum())
    agreed = clopper_pearson(interval.n, interval.n, interval.confidence).lower
    lower = max(-1.0, (agreed - expected) / (1 - expected))
    return Interval(estimate=1.0, lower=lower, upper=1.0, n=interval.n, confidence=interval.confidence)


def _no_error_bound(margins: FloatArray, count: int, confidence: float) -> float:
    """Rule 2: alpha's lower end after ``count`` units without a disagreement, at the margins that were seen."""
    agreed = clopper_pearson(count, count, confidence).lower
    chance_of_two_values = 1 - float((margins / margins.sum()) @ (margins / margins.sum()))
    return max(-1.0, 1 - (1 - agreed) / chance_of_two_values)


def _coincidences(array: FloatArray, values: FloatArray) -> FloatArray:
    """The coincidence matrix of each unit, shape (units, k, k)."""
    counts = (array[:, :, None] == values).sum(axis=0).astype(np.float64)
    pairs = counts[:, :, None] * counts[:, None, :]
    diagonal = np.arange(values.size)
    pairs[:, diagonal, diagonal] -= counts
    return np.asarray(pairs / (counts.sum(axis=1) - 1)[:, None, None], dtype=np.float64)


def _alpha(coincidence: FloatArray, values: FloatArray, scale: Scale) -> float:
    margins = coincidence.sum(axis=1)
    n = float(margins.sum())
    apart = _squared_distances(margins, values, scale)
    expected = float((np.outer(margins, margins) * apart).sum())
    return 1 - (n - 1) * float((coincidence * apart).sum()) / expected if expected > 0 else math.nan


def _squared_distances(margins: FloatArray, values: FloatArray, scale: Scale) -> FloatArray:
    if scale is Scale.NOMINAL:
        return 1 - np.eye(values.size)
    if scale is Scale.INTERVAL:
        return np.asarray(np.subtract.outer(values, values) ** 2, dtype=np.float64)
    # Ordinal: judgements that lie between two values, half of each end's.
    middle = np.cumsum(margins) - margins / 2
    return np.asarray(np.subtract.outer(middle, middle) ** 2, dtype=np.float64)
