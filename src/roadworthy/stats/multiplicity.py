"""Several questions to the same data. Owns adjusted p-values and the level of simultaneous intervals.

Looking at k cohorts and reporting the worst one is k looks: without correction some cohort alarms almost always.
Holm bounds the chance of any false alarm under every dependence; Benjamini-Hochberg bounds the expected share of false
alarms among alarms, for independent or positively dependent tests; Benjamini-Yekutieli does so under every dependence,
at the price of a factor that grows like the logarithm of their number.
"""

import numpy as np
from numpy.typing import ArrayLike

from roadworthy.base.errors import ParameterError
from roadworthy.stats.sample import FloatArray, check_confidence


def holm(p_values: ArrayLike) -> FloatArray:
    """Step-down adjusted p-values (Holm, Scandinavian Journal of Statistics 6, 1979), shape (k,), in the given order.

    Raises:
        ParameterError: a value outside [0, 1] or NaN (RW-114).
    """
    values, order = _sorted(p_values)
    k = values.size
    # 1. The smallest is multiplied by k, the next by k - 1, ...  2. and none may fall below its predecessor.
    stepped = np.maximum.accumulate(values[order] * np.arange(k, 0, -1))
    return _restore(stepped, order)


def benjamini_hochberg(p_values: ArrayLike) -> FloatArray:
    """Step-up adjusted p-values (Benjamini and Hochberg, JRSS B 57, 1995), shape (k,), in the given order.

    Raises:
        ParameterError: a value outside [0, 1] or NaN (RW-114).
    """
    values, order = _sorted(p_values)
    k = values.size
    # 1. The i-th smallest is multiplied by k / i,  2. and none may exceed its successor.
    scaled = values[order] * k / np.arange(1, k + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    return _restore(stepped, order)


def benjamini_yekutieli(p_values: ArrayLike) -> FloatArray:
    """Step-up adjusted p-values under any dependence (Benjamini and Yekutieli, Annals of Statistics 29, 2001), shape (k,).

    Raises:
        ParameterError: a value outside [0, 1] or NaN (RW-114).
    """
    adjusted = benjamini_hochberg(p_values)
    # The worst dependence costs the sum of 1 / i over the tests.
    return np.minimum(adjusted * np.sum(1 / np.arange(1, adjusted.size + 1)), 1.0)


def simultaneous_confidence(confidence: float, comparisons: int) -> float:
    """The level for each of ``comparisons`` intervals so that all hold together with ``confidence`` (Bonferroni).

    Holm has no simultaneous two-sided intervals in closed form, so intervals use Bonferroni; the price is width.

    Raises:
        ParameterError: no comparison, or a level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    if comparisons < 1:
        raise ParameterError(f"{comparisons} comparisons.", remedy="Compare at least one cohort.")
    return 1 - (1 - confidence) / comparisons


def _sorted(p_values: ArrayLike) -> tuple[FloatArray, np.ndarray[tuple[int, ...], np.dtype[np.intp]]]:
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ParameterError("A p-value is outside [0, 1].", remedy="Give a flat list of p-values without NaN.")
    return values, np.argsort(values, kind="stable")


def _restore(stepped: FloatArray, order: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> FloatArray:
    adjusted = np.empty_like(stepped)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
