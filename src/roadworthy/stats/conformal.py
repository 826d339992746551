"""Prediction sets with a promised coverage. Owns split conformal for classes and numbers, and the check of the promise.

A threshold on a nonconformity score is learnt on calibration rows; on exchangeable new rows the set of all answers at or
below it holds the truth with at least the promised probability (Vovk, Gammerman and Shafer, 2005; Lei et al., JASA 113,
2018). The promise is marginal, and it ends where rows stop being exchangeable with the calibration rows: hence
``judge_sets`` measures what is kept on other rows.

Scores: LAC is ``1 - p(class)`` (Sadinle, Lei and Wasserman, JASA 114, 2019); APS is the probability mass of all classes
at least as likely, that of the class included (Romano, Sesia and Candes, NeurIPS 2020), here without randomisation,
which covers at least as much with slightly larger sets; numbers take the absolute residual.

Rules kept here:
1. Too few calibration rows for a coverage give an infinite threshold: every set is full. That is honest, not an error.
2. A score that is not finite in calibration counts as infinitely strange; it can only widen the sets.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.means import mean_interval, share_interval
from roadworthy.stats.proportions import wilson
from roadworthy.stats.sample import BoolArray, FloatArray, IntArray

# Sums of probabilities differ in the last digits with the order of adding; a set must not depend on that.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFigures:
    """What prediction sets kept on rows that did not make them.

    Attributes:
        coverage: share of rows whose set holds the truth.
        mean_size: mean number of classes in a set, or mean width for numbers.
        empty_share: rows whose set is empty, in [0, 1].
        single_share: rows whose set is a single answer, in [0, 1].
    """

    coverage: Interval
    mean_size: Interval
    empty_share: float
    single_share: float


def conformal_threshold(scores: ArrayLike, coverage: float) -> float:
    """The ``ceil((n + 1) * coverage)``-th smallest nonconformity score, infinite when n is too small for it.

    Args:
        scores: of the truths of the calibration rows, shape (n,); higher is stranger.
        coverage: promised share in (0, 1).

    Raises:
        ParameterError: a coverage outside (0, 1) (RW-114).
    """
    if not 0.0 < coverage < 1.0:
        raise ParameterError(f"A coverage of {coverage} is not in (0, 1).", remedy="Give a share such as 0.9.")
    array = np.asarray(scores, dtype=np.float64)
    ordered = np.sort(np.where(np.isfinite(array), array, math.inf))
    # A product that should be a whole number must not be rounded up to the next one.
    rank = math.ceil((ordered.size + 1) * coverage - _ROUNDING)
    return float(ordered[rank - 1]) if rank <= ordered.size else math.inf


def lac_scores(probabilities: ArrayLike) -> FloatArray:
    """LAC's score of every class, shape (n, k): one less its probability.

    Raises:
        ParameterError: not a matrix of probabilities (RW-114).
    """
    return 1 - _probabilities(probabilities)


def aps_scores(probabilities: ArrayLike) -> FloatArray:
    """APS's score of every class, shape (n, k): the mass of all classes at least as likely.

    Raises:
        ParameterError: not a matrix of probabilities (RW-114).
    """
    table = _probabilities(probabilities)
    order = np.argsort(-table, axis=1, kind="stable")
    mass = np.cumsum(np.take_along_axis(table, order, axis=1), axis=1)
    scores = np.empty_like(table)
    np.put_along_axis(scores, order, mass, axis=1)
    return scores


def scores_of_truth(scores: FloatArray, labels: ArrayLike) -> FloatArray:
    """The column of each row's true class, shape (n,).

    Args:
        scores: of every class, shape (n, k).
        labels: class numbers in [0, k), shape (n,).

    Raises:
        ParameterError: a label that is no class, or lengths that differ (RW-114).
    """
    classes = _classes(labels, scores.shape)
    return np.asarray(scores[np.arange(classes.size), classes], dtype=np.float64)


def prediction_sets(scores: FloatArray, threshold: float) -> BoolArray:
    """Which classes are in the set of each row, shape (n, k)."""
    return np.asarray(scores <= threshold + _ROUNDING, dtype=np.bool_)


def judge_sets(
    sets: BoolArray, labels: ArrayLike, *, clusters: ArrayLike | None = None, confidence: float = 0.95
) -> SetFigures:
    """Coverage and size of prediction sets on rows that did not calibrate them.

    Args:
        sets: which classes are in, shape (n, k).
        labels: class numbers in [0, k), shape (n,).
        clusters: of each row, shape (n,); None when rows are independent (Wilson's interval then).
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: a label that is no class, lengths that differ, or a level outside (0, 1) (RW-114).
    """
    classes = _classes(labels, sets.shape)
    covered = sets[np.arange(classes.size), classes]
    return _judge(covered, sets.sum(axis=1).astype(np.float64), clusters, confidence, single=1.0)


def judge_ranges(
    truths: ArrayLike,
    predictions: ArrayLike,
    half_width: float,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> SetFigures:
    """Coverage and width of ``prediction +- half_width`` on rows that did not calibrate it.

    Args:
        truths: shape (n,).
        predictions: shape (n,), in the same unit.
        half_width: the threshold that was learnt on absolute residuals; infinite is allowed.
        clusters: of each row, shape (n,); None when rows are independent.
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: lengths that differ, or a level outside (0, 1) (RW-114).
    """
    truth, prediction = np.asarray(truths, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != prediction.shape:
        raise ParameterError(
            f"Truths of shape {truth.shape} do not fit predictions of shape {prediction.shape}.",
            remedy="Give one truth and one prediction for each row.",
        )
    covered = np.asarray(np.abs(truth - prediction) <= half_width, dtype=np.bool_)
    return _judge(covered, np.full(truth.shape, 2 * half_width), clusters, confidence, single=0.0)


def _judge(
    covered: BoolArray, sizes: FloatArray, clusters: ArrayLike | None, confidence: float, *, single: float
) -> SetFigures:
    n = covered.size
    if not n:
        return SetFigures(coverage=unknown(), mean_size=unknown(), empty_share=math.nan, single_share=math.nan)
    coverage = (
        wilson(int(covered.sum()), n, confidence)
        if clusters is None
        else share_interval(covered, clusters, confidence=confidence)
    )
    return SetFigures(
        coverage=coverage,
        mean_size=mean_interval(sizes, clusters, confidence=confidence),
        empty_share=float((sizes < single).mean()),
        single_share=float((sizes == single).mean()),
    )


def _probabilities(probabilities: ArrayLike) -> FloatArray:
    table = np.asarray(probabilities, dtype=np.float64)
    if table.ndim != 2 or not ((table >= 0) & (table <= 1)).all():
        raise ParameterError(
            "Probabilities are not a matrix in [0, 1].", remedy="Give one line a row and one column a class."
        )
    return table


def _classes(labels: ArrayLike, shape: tuple[int, ...]) -> IntArray:
    given: NDArray[np.float64] = np.asarray(labels, dtype=np.float64)
    if given.shape != shape[:1] or not np.isin(given, np.arange(shape[1])).all():
        raise ParameterError(
            "A label is no class, or labels and rows differ in number.", remedy="Number the classes from 0."
        )
    return given.astype(np.intp)
