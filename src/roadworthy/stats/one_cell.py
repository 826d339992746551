"""Two samples whose rows lie in one cell, all or nearly all. Owns the most that their sources can differ by.

A column that never varies, or a column without nulls of which only the nulls are judged, has no second cell from which
the laws of ``drift`` could read a variance. What can be told rests on the share of rows outside the cell alone, and
needs no law at all:

1. With k of n rows outside, that share lies above ``u`` with a chance of at most ``error`` (Clopper and Pearson,
   Biometrika 26, 1934). For k = 0 it is ``1 - error**(1/n)``, about ``-ln(error) / n``: the rule of three, where three
   stands for an error of 5 %. Both samples share the error, half of it each.
2. With at most a of the reference outside and at most b of the current window, no event differs by more than
   max(a, b). That bounds total variation, therefore Kolmogorov-Smirnov, and the Jensen-Shannon divergence in bits,
   which never exceeds total variation (Lin, IEEE Transactions on Information Theory 37, 1991, theorem 3).
3. PSI is largest when what lies outside is disjoint, each in one cell of its own. With shares below ``SMALLEST_SHARE``
   counted as that, d for short, it is at most a ln(a / d) + b ln(b / d) - c ln(1 - c) with c = max(a, b).
4. Wasserstein's distance has no unit here: the reference has no interquartile range.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.stats import beta

from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.cells import EXPECTED_ROWS_OF_MANY, Columns
from roadworthy.stats.divergences import SMALLEST_SHARE
from roadworthy.stats.drift import LAWS, Effect

_DOUBLINGS = 40


def one_cell_severity(effect: Effect, column: Columns, confidence: float) -> Interval:
    """The effect in one column, shape (1, k), whose thin cells leave nothing to compare.

    Returns:
        An interval from 0; its estimate is the one of the cells as they are, which is 0 when one cell holds all rows.
        Unknown for Wasserstein's distance, and without rows.
    """
    rows = _rows(column)
    most = _most(effect, _strays(column), rows, (1 - confidence) / 2)
    if math.isnan(most):
        return unknown(min(rows))
    # A cell that only one sample fills has no variance in the other; its estimate needs none.
    with np.errstate(invalid="ignore"):
        point = float(LAWS[effect](column).estimate()[0]) if max(_strays(column)) else 0.0
    return Interval(estimate=min(point, most), lower=0.0, upper=most, n=min(rows), confidence=confidence)


def one_cell_rows(
    effect: Effect, column: Columns, tolerance: float, confidence: float
) -> tuple[int | None, int] | None:
    """Rows that would tell: of the window beside this reference (None when none would), and of both if alike.

    Where all rows lie in one cell, those with which the bound reaches the tolerance; otherwise those with which the
    second cell would be expected to hold enough rows for the laws of ``drift``. None where rows do not help.
    """
    reference, current = _rows(column)
    if max(_strays(column)):
        pooled = sorted((column.reference + column.current)[0])
        each = math.ceil(EXPECTED_ROWS_OF_MANY * (reference + current) / pooled[-2])
        return (each if reference >= each else None), each
    error = (1 - confidence) / 2

    def enough(rows: tuple[int, int]) -> bool:
        return _most(effect, (0, 0), rows, error) <= tolerance

    alike = _least(lambda rows: enough((rows, rows)))
    if alike is None:
        return None
    return _least(lambda rows: enough((reference, rows))), alike


def _rows(column: Columns) -> tuple[int, int]:
    return int(column.reference_rows[0]), int(column.current_rows[0])


def _strays(column: Columns) -> tuple[int, int]:
    """Rows of each sample outside the fullest cell."""
    fullest = int((column.reference + column.current)[0].argmax())
    return (
        int(column.reference_rows[0] - column.reference[0, fullest]),
        int(column.current_rows[0] - column.current[0, fullest]),
    )


def _most(effect: Effect, strays: tuple[int, int], rows: tuple[int, int], error: float) -> float:
    if effect is Effect.WASSERSTEIN or min(rows) == 0:  # 4.
        return math.nan
    # 1.
    a, b = (
        1.0 if out == n else float(beta.ppf(1 - error / 2, out + 1, n - out))
        for out, n in zip(strays, rows, strict=True)
    )
    larger = max(a, b)
    if effect is not Effect.PSI:
        return larger  # 2.
    if larger >= 1.0:
        return math.inf
    return _disjoint(a) + _disjoint(b) - larger * math.log1p(-larger)  # 3.


def _disjoint(share: float) -> float:
    # The most that it can be for any share up to this one: s ln(s / d) grows from d / e on, far below any bound here.
    return share * math.log(share / SMALLEST_SHARE)


def _least(enough: Callable[[int], bool]) -> int | None:
    """The fewest rows that are enough, by doubling and halving; None when no number is."""
    high = 1
    for _ in range(_DOUBLINGS):
        if enough(high):
            break
        high *= 2
    else:
        return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
