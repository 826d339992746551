"""The planned n really tells, and one row less does not."""

import numpy as np
import pytest
from scipy.stats import norm

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.auc import delong
from roadworthy.stats.proportions import wilson
from roadworthy.stats.sample_size import samples_needed_auc, samples_needed_proportion, samples_needed_scaled


@pytest.mark.parametrize(("estimate", "bound"), [(0.9, 0.88), (0.5, 0.6), (0.75, 0.7), (0.2, 0.25)])
def test_proportion_plan_is_tight(estimate: float, bound: float) -> None:
    """At the planned n (rounded to whole successes) Wilson excludes the bound; at 90 % of it, not."""
    n = samples_needed_proportion(estimate, bound)
    assert n is not None

    def excluded(rows: int) -> bool:
        interval = wilson(round(rows * estimate), rows)
        return not interval.lower <= bound <= interval.upper

    step = 20
    assert excluded((n // step + 1) * step)
    assert not excluded(int(0.9 * n) // step * step)


def test_no_sample_tells_equal_values_apart() -> None:
    """An estimate on its bound has no plan."""
    assert samples_needed_proportion(0.9, 0.9) is None
    assert samples_needed_auc(0.8, 0.8, 0.3) is None
    assert samples_needed_scaled(wilson(9, 10), 0.9) is None


def test_auc_plan_tells_in_simulation() -> None:
    """With the planned n the DeLong interval excludes the bound about half of the time, as a plan at the estimate must."""
    n = samples_needed_auc(0.85, 0.80, 0.3)
    assert n is not None
    rng = np.random.default_rng(6)
    shift = norm.ppf(0.85) * np.sqrt(2)
    labels = np.zeros(n)
    labels[: round(0.3 * n)] = 1
    told = np.mean([delong(labels, rng.normal(size=n) + shift * labels).lower > 0.80 for _ in range(300)])
    assert 0.35 <= told <= 0.75


def test_auc_plan_grows_as_the_gap_shrinks_and_ends() -> None:
    """Half the gap needs about four times the rows; a gap of nothing measurable needs more than anyone has."""
    wide, narrow = samples_needed_auc(0.85, 0.80, 0.3), samples_needed_auc(0.825, 0.80, 0.3)
    assert wide is not None and narrow is not None
    assert 3.0 < narrow / wide < 6.0
    assert samples_needed_auc(0.8 + 1e-9, 0.8, 0.3) is None
    assert samples_needed_auc(0.99, 0.01, 0.5) == 7
    assert samples_needed_auc(0.6, 0.01, 0.5, 0.1) == 4


def test_scaled_plan() -> None:
    """Half-width 0.04 against a gap of 0.02 needs four times the rows; a bound already outside needs no more."""
    interval = Interval(estimate=0.90, lower=0.86, upper=0.93, n=100)
    assert samples_needed_scaled(interval, 0.88) in (400, 401)
    assert samples_needed_scaled(interval, 0.92) in (225, 226)
    assert samples_needed_scaled(interval, 0.80) == 100
    assert samples_needed_scaled(unknown(5), 0.8) is None


def test_values_that_are_no_shares_are_refused() -> None:
    """Percentages, certain areas and silly levels raise."""
    with pytest.raises(ParameterError):
        samples_needed_proportion(90, 88)
    with pytest.raises(ParameterError):
        samples_needed_proportion(0.9, 0.8, 95)
    with pytest.raises(ParameterError):
        samples_needed_auc(1.0, 0.8, 0.3)
