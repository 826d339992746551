"""Wilson, Clopper-Pearson and differences against scipy, the literature and simulation."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.difference import difference
from roadworthy.stats.proportions import clopper_pearson, wilson

CASES = [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (49, 200), (1, 5_000), (123, 123), (4_321, 9_999)]


@pytest.mark.parametrize(("successes", "n"), CASES)
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_both_intervals_equal_scipy(successes: int, n: int, confidence: float) -> None:
    """The closed forms agree with scipy's binomtest to ten digits."""
    test = binomtest(successes, n)
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = test.proportion_ci(confidence, method=method)
        interval = ours(successes, n, confidence)
        assert interval.lower == pytest.approx(theirs.low, abs=1e-10)
        assert interval.upper == pytest.approx(theirs.high, abs=1e-10)
        assert interval.known
        assert interval.n == n


@pytest.mark.parametrize("method", [wilson, clopper_pearson])
def test_no_trials_is_unknown(method: object) -> None:
    """Zero of zero is ignorance, not a share."""
    assert not method(0, 0).known  # type: ignore[operator]  # a parametrised function


@pytest.mark.parametrize(("successes", "n", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 0.0), (1, 5, 1.0)])
def test_impossible_counts_are_refused(successes: int, n: int, confidence: float) -> None:
    """More successes than trials, negative counts and silly levels raise RW-114."""
    for method in (wilson, clopper_pearson):
        with pytest.raises(ParameterError):
            method(successes, n, confidence)


def test_coverage_is_computed_exactly() -> None:
    """Summed over all outcomes, the exact interval never covers below 95 %, and Wilson stays near it."""
    n = 60
    outcomes = np.arange(n + 1)
    for truth in np.linspace(0.05, 0.95, 19):
        weights = binom.pmf(outcomes, n, truth)
        for method, floor in ((clopper_pearson, 0.95), (wilson, 0.92)):
            intervals = [method(int(k), n) for k in outcomes]
            covered = np.array([i.lower <= truth <= i.upper for i in intervals])
            assert weights[covered].sum() >= floor


def test_difference_is_newcombes_for_proportions() -> None:
    """Newcombe (1998), table II, 56/70 against 48/80: 0.2000 with 0.0524 to 0.3339."""
    interval = difference(wilson(48, 80), wilson(56, 70))
    assert interval.estimate == pytest.approx(0.2)
    assert interval.lower == pytest.approx(0.0524, abs=5e-5)
    assert interval.upper == pytest.approx(0.3339, abs=5e-5)
    assert interval.n == 70


def test_difference_keeps_ignorance_and_refuses_mixed_levels() -> None:
    """An unknown part makes the delta unknown; two levels cannot be combined."""
    assert not difference(unknown(3), wilson(1, 2)).known
    assert not difference(wilson(1, 2), unknown(3)).known
    with pytest.raises(ParameterError):
        difference(wilson(1, 2, 0.9), wilson(1, 2, 0.95))


def test_difference_of_flawless_samples_is_not_certain() -> None:
    """Two samples without an error differ by 0 with an interval that has width."""
    delta = difference(wilson(20, 20), wilson(30, 30))
    assert delta.estimate == 0.0
    assert delta.lower < 0.0 < delta.upper
    assert isinstance(delta, Interval)
