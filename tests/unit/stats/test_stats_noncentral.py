"""The tail of the non-central chi-squared law against scipy's series."""

import numpy as np
import pytest
from scipy.stats import ncx2

from roadworthy.stats.noncentral import upper_tail


@pytest.mark.parametrize(("df", "noncentrality"), [(1, 0), (1, 199), (1, 300), (19, 2_000), (255, 0), (255, 40_000)])
def test_tail_equals_the_series(df: int, noncentrality: float) -> None:
    """From four deviations below the mean to six above: within 2e-4 everywhere, exact where the series is summed."""
    x = df + noncentrality + np.linspace(-4, 6, 60) * np.sqrt(2 * df + 4 * noncentrality)
    x = x[x > 0]
    tail = upper_tail(x, np.full_like(x, df), np.full_like(x, noncentrality))
    exact = ncx2.sf(x, df, noncentrality)
    assert tail == pytest.approx(exact, abs=1e-12 if df + noncentrality <= 200 else 2e-4)


def test_below_zero_everything_lies_above() -> None:
    """A negative argument is no error: the variable is never below it."""
    assert upper_tail(np.array([-3.0]), np.array([2.0]), np.array([1.0])).tolist() == [1.0]
