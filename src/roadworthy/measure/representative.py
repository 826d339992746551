"""Does production look like the pilot? Owns the two-sample classifier test; says nothing about harm.

A classifier is trained to tell pilot rows from production rows by their inputs. If it cannot (an AUC near 0.5), the
pilot was representative in everything that the classifier can see; if it can, something differs, which opens an
investigation and by itself proves no harm.

Algorithm:
1. Split all rows into stratified folds, by the seed.
2. Train gradient-boosted trees (which take nulls as they are) on all folds but one and score that one.
3. Average the AUC of the folds. Scores of different folds come from different models and are never ranked together:
   pooling them would push the AUC of equal samples below 0.5.
4. The variance is the mean of the folds' DeLong variances over their number; the folds' rows are disjoint, and that
   the models share training rows is neglected.

Rules kept here: the seed decides; too few rows of either sample for every fold to hold two: unknown.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.auc import delong

_FOLDS = 5
_ENOUGH_A_FOLD = 2
_TREES = 60
_LEAVES = 8


def two_sample_auc(pilot: ArrayLike, production: ArrayLike, *, seed: int, confidence: float = 0.95) -> Interval:
    """The cross-validated AUC at telling production rows from pilot rows.

    Args:
        pilot: inputs, shape (n, k); NaN for null.
        production: inputs, shape (m, k), the same columns.
        seed: of folds and trees.
        confidence: two-sided level in (0, 1).

    Returns:
        The interval with ``n`` = n + m; unknown with fewer than ten rows of either sample.

    Raises:
        ParameterError: the tables have different columns (RW-114).
    """
    first, second = np.asarray(pilot, dtype=np.float64), np.asarray(production, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ParameterError(
            f"Inputs of shapes {first.shape} and {second.shape} do not have the same columns.",
            remedy="Give both as rows by columns, with the same columns.",
        )
    rows = len(first) + len(second)
    if min(len(first), len(second)) < _FOLDS * _ENOUGH_A_FOLD:
        return unknown(rows)
    inputs = np.concatenate([first, second])
    origin = np.repeat([0, 1], [len(first), len(second)])
    # 1. Folds.
    folds = StratifiedKFold(n_splits=_FOLDS, shuffle=True, random_state=seed)
    z = float(norm.ppf(0.5 + confidence / 2))
    areas, variances = [], []
    for train, test in folds.split(inputs, origin):
        # 2. Small trees: the question is whether a difference is there, not how to squeeze it out.
        model = HistGradientBoostingClassifier(max_iter=_TREES, max_leaf_nodes=_LEAVES, random_state=seed)
        model.fit(inputs[train], origin[train])
        part = delong(origin[test], model.predict_proba(inputs[test])[:, 1], confidence, logit=False)
        areas.append(part.estimate)
        # The wider side, because an interval that was cut at 0 or 1 understates the error on that side.
        variances.append((max(part.upper - part.estimate, part.estimate - part.lower) / z) ** 2)
    # 3. Average,  4. with its variance.
    area = float(np.mean(areas))
    half = z * math.sqrt(float(np.mean(variances)) / _FOLDS)
    return Interval(
        estimate=area, lower=max(0.0, area - half), upper=min(1.0, area + half), n=rows, confidence=confidence
    )
