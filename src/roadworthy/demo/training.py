"""Fitting the logistic regression. Owns the recipe; the model itself belongs to ``model``.

Algorithm:
1. A missing value becomes the mean of its column.
2. Columns are standardised: mean 0, standard deviation 1; a column without spread keeps its scale.
3. Scikit-learn's regression is fitted with its default penalty, L2 with C = 1.
4. Everything is rounded, so that equal data give equal bytes on any machine.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from roadworthy.demo.model import LogisticModel

_DIGITS = 12


def train(name: str, features: Sequence[str], rows: NDArray[np.float64], labels: NDArray[np.int64]) -> LogisticModel:
    """Fit on rows of shape (n, k) with NaN for missing values, and labels 0 or 1 of shape (n,)."""
    # 1. Missing values.
    means = np.nanmean(rows, axis=0)
    filled = np.where(np.isnan(rows), means, rows)
    # 2. Scales.
    spread = filled.std(axis=0)
    scales = np.where(spread > 0, spread, 1.0)
    # 3. Weights.
    fitted = LogisticRegression(max_iter=5_000, tol=1e-10).fit((filled - means) / scales, labels)
    # 4. Rounding.
    return LogisticModel(
        name=name,
        features=tuple(features),
        means=_rounded(means),
        scales=_rounded(scales),
        weights=_rounded(fitted.coef_[0]),
        intercept=float(_rounded(fitted.intercept_)[0]),
        lowest=_rounded(filled.min(axis=0)),
        highest=_rounded(filled.max(axis=0)),
    )


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """To 12 significant digits: the last bits depend on the machine's linear algebra, the model must not."""
    return np.asarray([float(f"{value:.{_DIGITS}g}") for value in values], dtype=np.float64)
