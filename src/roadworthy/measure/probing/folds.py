"""Dealing rows to folds, and figures over folds. Owns both; trains nothing.

Rules kept here:
1. Each class is dealt on its own, so every fold has nearly the same share of it (stratified folds).
2. Scores of different folds come from different models, so an AUC is computed in each fold and averaged.
3. The variance of that average is the mean of the folds' DeLong variances over their number: the folds' rows are
   disjoint, and that their models share training rows is neglected.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.auc import delong
from roadworthy.stats.sample import BoolArray, FloatArray, IntArray

FOLDS = 5
ENOUGH_A_FOLD = 2


def deal(classes: ArrayLike, folds: int, rng: np.random.Generator) -> IntArray:
    """The fold of each row, shape (n,), in 0 .. folds - 1; each class is spread evenly.

    Raises:
        ParameterError: fewer than two folds (RW-114).
    """
    if folds < 2:
        raise ParameterError(f"{folds} folds leave nothing to test on.", remedy="Use at least two.")
    labels: NDArray[np.generic] = np.asarray(classes)
    fold = np.empty(labels.size, dtype=np.intp)
    start = 0
    for name in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == name))
        # Each class goes on where the last one stopped, or the first folds would get all the remainders.
        fold[members] = (start + np.arange(members.size)) % folds
        start += members.size
    return fold


def mean_auc(positive: BoolArray, scores: FloatArray, fold: IntArray, confidence: float = 0.95) -> Interval:
    """The AUC averaged over folds, with ``n`` = rows; unknown when a fold has fewer than two rows of a class.

    Args:
        positive: shape (n,).
        scores: out of fold, shape (n,).
        fold: of each row, shape (n,).
        confidence: two-sided level in (0, 1).
    """
    z = float(norm.ppf(0.5 + confidence / 2))
    parts = [delong(positive[fold == k], scores[fold == k], confidence, logit=False) for k in np.unique(fold)]
    if not parts or not all(part.known for part in parts):
        return unknown(positive.size)
    area = float(np.mean([part.estimate for part in parts]))
    # The wider side, because an interval that was cut at 0 or 1 understates the error on that side.
    errors = [max(part.upper - part.estimate, part.estimate - part.lower) / z for part in parts]
    half = z * math.sqrt(float(np.mean(np.square(errors))) / len(parts))
    return Interval(
        estimate=area, lower=max(0.0, area - half), upper=min(1.0, area + half), n=positive.size, confidence=confidence
    )
