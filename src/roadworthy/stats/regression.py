"""How far predicted values lie from true ones. Owns MAE, RMSE, bias and R2 with intervals.

MAE and bias are means of rows, so they take Student's interval over clusters; RMSE is the root of such a mean, and its
interval the root of that interval. R2 is a ratio whose law is far from normal, so clusters are resampled for it.

Rules kept here: a prediction or truth that is not finite makes every figure unknown; a truth without any spread leaves
R2 unknown.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.bootstrap import cluster_codes, weighted_bootstrap
from roadworthy.stats.means import Range, mean_interval
from roadworthy.stats.weighted import weighted_r2

_NOT_NEGATIVE = Range(low=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionFigures:
    """Errors in the unit of the truth; errors are prediction minus truth.

    Attributes:
        mae: mean absolute error.
        rmse: root of the mean squared error.
        bias: mean error; positive when predictions are too high.
        r2: 1 - SSE / SST, at most 1, below 0 when the mean of the truths would do better.
    """

    mae: Interval
    rmse: Interval
    bias: Interval
    r2: Interval


def regression_figures(
    truths: ArrayLike,
    predictions: ArrayLike,
    *,
    seed: int,
    clusters: ArrayLike | None = None,
    replicates: int = 2_000,
    confidence: float = 0.95,
) -> RegressionFigures:
    """All four figures on the same rows.

    Args:
        truths: shape (n,).
        predictions: shape (n,), in the same unit.
        seed: of the resampling for R2.
        clusters: of each row, shape (n,); None when rows are independent.
        replicates: how many times to resample, at least 100.
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: shapes that differ, too few replicates, or a level outside (0, 1) (RW-114).
    """
    truth, prediction = np.asarray(truths, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != prediction.shape:
        raise ParameterError(
            f"Truths of shape {truth.shape} do not fit predictions of shape {prediction.shape}.",
            remedy="Give one truth and one prediction for each row.",
        )
    names = np.arange(truth.size) if clusters is None else np.asarray(clusters)
    error = prediction - truth
    if not np.isfinite(error).all():
        nothing = unknown(cluster_codes(names)[1])
        return RegressionFigures(mae=nothing, rmse=nothing, bias=nothing, r2=nothing)
    square = mean_interval(error**2, names, confidence=confidence, within=_NOT_NEGATIVE)
    return RegressionFigures(
        mae=mean_interval(np.abs(error), names, confidence=confidence, within=_NOT_NEGATIVE),
        rmse=_root(square),
        bias=mean_interval(error, names, confidence=confidence),
        r2=weighted_bootstrap(
            weighted_r2(truth, prediction), names, seed=seed, replicates=replicates, confidence=confidence
        ),
    )


def _root(square: Interval) -> Interval:
    if not square.known:
        return square
    return Interval(
        estimate=math.sqrt(square.estimate),
        lower=math.sqrt(square.lower),
        upper=math.sqrt(square.upper),
        n=square.n,
        confidence=square.confidence,
    )
