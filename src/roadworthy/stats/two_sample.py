"""Whether two rows of cell counts come from one distribution. Owns the tests of equality; how far apart is ``drift``'s.

Both rows are samples. Taking the reference's shares for the truth would count its noise as drift: with samples of one
size the statistic is then twice too large, and 20 cells raise a false alarm in three windows out of four.

With enough rows every real pair of samples differs, so a small p-value says that there is a difference and nothing of
its size; alarms are raised on severity (``alarm``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincc, xlogy

from roadworthy.stats.cells import (
    EXPECTED_ROWS,
    EXPECTED_ROWS_OF_MANY,
    CellCounts,
    Columns,
    columns_of,
    merged,
    williams,
)
from roadworthy.stats.sample import FloatArray


class Statistic(StrEnum):
    """What is compared with the chi-squared law of k - 1 degrees of freedom, k being the cells after merging."""

    PEARSON = "pearson"
    """The sum of (observed - expected)**2 / expected; nearest to its level at 5 %."""

    LIKELIHOOD_RATIO = "likelihood_ratio"
    """G, twice the logarithm of the likelihood ratio; too large where cells are thin."""

    WILLIAMS = "williams"
    """G over its correction for thin cells (Williams, Biometrika 63, 1976); nearest to its level far in the tail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualityTest:
    """The outcome for one column.

    Attributes:
        p_value: chance of a statistic at least as large, were both samples of one distribution; NaN where the cells
            cannot tell (fewer than two after merging).
        statistic: of the kind that was asked for; NaN likewise.
        df: degrees of freedom, cells after merging less 1.
    """

    p_value: float
    statistic: float
    df: int


def same_distribution(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    ordered: int = 0,
    statistic: Statistic = Statistic.PEARSON,
    expected_rows: float = EXPECTED_ROWS,
) -> EqualityTest:
    """Test two rows of counts on the same cells for equality.

    Where no cell is merged, PEARSON and LIKELIHOOD_RATIO equal scipy's ``chi2_contingency`` without correction.

    Args:
        reference: integers, shape (k,): ordered cells first.
        current: integers, shape (k,).
        ordered: how many of the cells, from the first, are ordered; only neighbours among them are merged.
        statistic: which one.
        expected_rows: cells are merged until each is expected to hold that many rows in the smaller sample.

    Raises:
        ParameterError: the counts make no sense (RW-114).
    """
    counts = CellCounts(reference=reference, current=current, ordered=ordered)
    return same_distributions([counts], statistic=statistic, expected_rows=expected_rows)[0]


def same_distributions(
    counts: Sequence[CellCounts],
    *,
    statistic: Statistic = Statistic.WILLIAMS,
    expected_rows: float = EXPECTED_ROWS_OF_MANY,
) -> tuple[EqualityTest, ...]:
    """Test every column; the defaults hold their level at the small p-values that remain after adjustment.

    Raises:
        ParameterError: the counts make no sense (RW-114).
    """
    columns = merged(columns_of(counts), expected_rows)
    values, p_values = tested(columns, statistic)
    df = np.maximum(columns.filled - 1, 0)
    return tuple(
        EqualityTest(p_value=float(p), statistic=float(value), df=int(degrees))
        for p, value, degrees in zip(p_values, values, df, strict=True)
    )


def tested(columns: Columns, statistic: Statistic) -> tuple[FloatArray, FloatArray]:
    """Statistic and p-value of columns that are merged already, each of shape (c,); NaN where the cells cannot tell."""
    able = (columns.filled > 1) & (columns.reference_rows > 0) & (columns.current_rows > 0)
    # What is not able divides by 0; it is masked at the end.
    with np.errstate(divide="ignore", invalid="ignore"):
        values = _pearson(columns) if statistic is Statistic.PEARSON else _likelihood_ratio(columns)
        if statistic is Statistic.WILLIAMS:
            values = values / williams(columns)
        p_values = gammaincc(np.maximum(columns.filled - 1, 1) / 2, values / 2)
    return np.where(able, values, np.nan), np.where(able, p_values, np.nan)


def _pearson(columns: Columns) -> FloatArray:
    n, m = columns.reference_rows[:, None], columns.current_rows[:, None]
    pooled = columns.reference + columns.current
    apart = (columns.reference / n - columns.current / m) ** 2
    # Both samples' terms have one difference in common: n m / (n + m) (p - q)**2 / pooled share.
    return np.asarray(
        (n * m * np.divide(apart, pooled, out=np.zeros_like(apart), where=pooled > 0)).sum(axis=1), dtype=np.float64
    )


def _likelihood_ratio(columns: Columns) -> FloatArray:
    n, m = columns.reference_rows[:, None], columns.current_rows[:, None]
    pooled = np.maximum(columns.reference + columns.current, 1.0)
    of_reference = xlogy(columns.reference, columns.reference * (n + m) / (pooled * n))
    of_current = xlogy(columns.current, columns.current * (n + m) / (pooled * m))
    return np.asarray(2 * (of_reference + of_current).sum(axis=1), dtype=np.float64)
