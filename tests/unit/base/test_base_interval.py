"""Intervals: exact, unknown, and when one counts as known."""

import math

import pytest

from roadworthy.base.interval import Interval, exact, unknown


def test_an_exact_count_has_no_width() -> None:
    """Both ends are the value, with full confidence."""
    assert exact(3.0, 7) == Interval(estimate=3.0, lower=3.0, upper=3.0, n=7, confidence=1.0)
    assert exact(3.0, 7).known


def test_what_could_not_be_computed_is_not_known() -> None:
    """NaN everywhere, and no sample unless given."""
    assert not unknown().known
    assert (unknown().n, unknown(4).n) == (0, 4)


@pytest.mark.parametrize(
    ("estimate", "lower", "upper", "known"),
    [
        (0.5, 0.4, 0.6, True),
        (0.7, 0.4, 0.6, False),
        (0.3, 0.4, 0.6, False),
        (math.nan, 0.4, 0.6, False),
        (0.5, -math.inf, 0.6, False),
        (0.5, 0.4, math.inf, False),
    ],
)
def test_known_means_finite_and_in_order(estimate: float, lower: float, upper: float, known: bool) -> None:
    """Each end and the point matter."""
    assert Interval(estimate=estimate, lower=lower, upper=upper, n=1).known is known
