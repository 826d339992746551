"""Figures of weighted rows, many weightings at a time. Owns the weighted mean, ratio, AUC and R2; resampling uses them.

Each function takes the rows once, does the expensive part once (for the AUC: sorting), and returns a function from
weights, shape (b, n), to values, shape (b,). Weights of one are the plain figure; counts of how often a row was drawn
are a bootstrap replicate; shares of one mix over those of another are a reweighted figure. A weighting that leaves
nothing to divide by gives NaN.
"""

import numpy as np
from numpy.typing import ArrayLike

from roadworthy.base.errors import ParameterError
from roadworthy.stats.bootstrap import WeightedStatistic
from roadworthy.stats.sample import FloatArray, scored


def weighted_mean(values: ArrayLike) -> WeightedStatistic:
    """The mean of ``values``, shape (n,)."""
    array = np.asarray(values, dtype=np.float64)
    return weighted_ratio(array, np.ones(array.shape))


def weighted_ratio(numerators: ArrayLike, denominators: ArrayLike) -> WeightedStatistic:
    """The sum of one column over the sum of another, both of shape (n,): a sensitivity, a share among the answered.

    Raises:
        ParameterError: the shapes differ (RW-114).
    """
    above, below = _columns(numerators, denominators)

    def ratio(weights: FloatArray) -> FloatArray:
        return _divide(weights @ above, weights @ below)

    return ratio


def weighted_auc(labels: ArrayLike, scores: ArrayLike) -> WeightedStatistic:
    """The area under the ROC curve, ties counting one half; sorted once for all weightings.

    Raises:
        ParameterError: labels outside {0, 1} or shapes that differ (RW-114).
    """
    positive, values = scored(labels, scores)
    if not np.isfinite(values).all():
        return _never
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    is_positive = positive[order].astype(np.float64)
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if ordered.size else np.empty(0, dtype=np.intp)

    def area(weights: FloatArray) -> FloatArray:
        rows = weights[:, order]
        positives = rows * is_positive
        negatives = rows - positives
        if starts.size < ordered.size:
            # Rows of one score stand together: among them a positive beats half of the negatives.
            positives, negatives = (
                np.add.reduceat(positives, starts, axis=1),
                np.add.reduceat(negatives, starts, axis=1),
            )
        below = np.cumsum(negatives, axis=1)
        below -= negatives / 2
        wins = np.einsum("ij,ij->i", positives, below)
        return _divide(wins, positives.sum(axis=1) * negatives.sum(axis=1))

    return area


def weighted_r2(truths: ArrayLike, predictions: ArrayLike) -> WeightedStatistic:
    """The share of variance explained, 1 - SSE / SST, of values of shape (n,).

    Raises:
        ParameterError: the shapes differ (RW-114).
    """
    truth, prediction = _columns(truths, predictions)
    # Sums of squares around a nearby centre, so that a large common offset does not eat the digits.
    centred = truth - truth.mean() if truth.size else truth
    sums = np.stack([np.ones(truth.shape), centred, centred**2, (truth - prediction) ** 2], axis=1)

    def share(weights: FloatArray) -> FloatArray:
        count, total, squares, errors = (weights @ sums).T
        spread = squares - _divide(total**2, count)
        return 1 - _divide(errors, np.where(spread > 0, spread, 0.0))

    return share


def _never(weights: FloatArray) -> FloatArray:
    return np.full(weights.shape[0], np.nan)


def _columns(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    left, right = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if left.ndim != 1 or left.shape != right.shape:
        raise ParameterError(
            f"Columns of shapes {left.shape} and {right.shape} do not fit.",
            remedy="Give one value of each for each row.",
        )
    return left, right


def _divide(above: FloatArray, below: FloatArray) -> FloatArray:
    usable = below != 0
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=usable), dtype=np.float64)
