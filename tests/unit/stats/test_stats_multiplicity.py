"""Adjusted p-values against hand-computed values, scipy and simulated families."""

import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from roadworthy.base.errors import ParameterError
from roadworthy.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm, simultaneous_confidence


def test_holm_by_hand() -> None:
    """Four p-values: 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1, then made monotone."""
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("seed", range(5))
def test_benjamini_hochberg_equals_scipy(seed: int) -> None:
    """scipy's false_discovery_control is an independent implementation."""
    values = np.random.default_rng(seed).random(50) ** 3
    assert benjamini_hochberg(values) == pytest.approx(false_discovery_control(values))
    assert benjamini_yekutieli(values) == pytest.approx(false_discovery_control(values, method="by"))


def test_holm_bounds_the_chance_of_any_false_alarm() -> None:
    """Twenty true nulls: 5 % of families alarm instead of 64 %."""
    rng = np.random.default_rng(8)
    families = rng.random((2_000, 20))
    alarms = np.mean([holm(family).min() < 0.05 for family in families])
    assert alarms < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2_000)
    assert np.mean(families.min(1) < 0.05) > 0.5


def test_empty_family_stays_empty() -> None:
    """Nothing asked, nothing answered."""
    assert holm([]).size == 0
    assert benjamini_hochberg([]).size == 0
    assert benjamini_yekutieli([]).size == 0


def test_simultaneous_level() -> None:
    """Three intervals at 98.33 % hold together with 95 %."""
    assert simultaneous_confidence(0.95, 3) == pytest.approx(1 - 0.05 / 3)
    assert simultaneous_confidence(0.95, 1) == pytest.approx(0.95)


def test_nonsense_is_refused() -> None:
    """p-values outside [0, 1], NaN, tables, and zero comparisons raise."""
    for values in ([1.2], [-0.1], [math.nan], [[0.1]]):
        with pytest.raises(ParameterError):
            holm(values)
        with pytest.raises(ParameterError):
            benjamini_hochberg(values)
    with pytest.raises(ParameterError):
        simultaneous_confidence(0.95, 0)
