"""Calibration against scikit-learn, exact identities, and simulation with a known error."""

import math

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from roadworthy.base.errors import ParameterError
from roadworthy.stats.calibration import (
    ReliabilityTable,
    brier_parts,
    calibration_error,
    calibration_line,
    calibration_line_of,
    reliability_table,
    squared_calibration_error,
)


def _rows(seed: int, n: int, slope: float = 1.0, level: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose true log-odds are ``level + slope * log-odds``."""
    rng = np.random.default_rng(seed)
    probability = rng.uniform(0.02, 0.98, n)
    return (rng.random(n) < expit(level + slope * logit(probability))).astype(int), probability


def test_table_counts_and_adds_up() -> None:
    """A bin holds its lower edge, the last one also 1; two halves add up to the whole; other edges raise."""
    table = reliability_table([0, 1, 1, 0], [0.0, 0.5, 1.0, 0.49], edges=[0, 0.5, 1])
    assert table.rows.tolist() == [2, 2]
    assert table.positives.tolist() == [0, 2]
    labels, values = _rows(1, 500)
    whole = reliability_table(labels, values)
    halves = reliability_table(labels[:200], values[:200]) + reliability_table(labels[200:], values[200:])
    for name in ReliabilityTable.__slots__:
        assert getattr(halves, name) == pytest.approx(getattr(whole, name))
    with pytest.raises(ParameterError):
        whole + table


def test_brier_parts_add_up_to_sklearns_score() -> None:
    """The identity holds to rounding, within-bin terms included; reliability is nil for the observed shares."""
    labels, values = _rows(2, 800, slope=0.5)
    parts = brier_parts(reliability_table(labels, values, edges=np.linspace(0, 1, 5)))
    assert parts.score == pytest.approx(brier_score_loss(labels, values), abs=1e-12)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within_variance - parts.within_covariance
    assert total == pytest.approx(parts.score, abs=1e-12)
    assert parts.within_variance > 1e-3
    flat = brier_parts(reliability_table([1, 0, 1, 0], [0.5] * 4))
    assert (flat.reliability, flat.resolution, flat.score) == (0.0, 0.0, 0.25)


def test_bias_is_removed_and_the_interval_covers() -> None:
    """Perfect model: the plug-in says 0.038 on average, ours far less, and zero is inside; a bent one is covered."""
    truth = _true_error(0.5)
    plugged, estimates, squares, inside, low = [], [], [], 0, 0
    for seed in range(80):
        table = reliability_table(*_rows(seed, 1_000))
        interval = calibration_error(table)
        plugged.append(float(np.abs(table.positives - table.probability_sum).sum() / 1_000))
        estimates.append(interval.estimate)
        squares.append(squared_calibration_error(table))
        low += interval.lower == 0.0
        bent = calibration_error(reliability_table(*_rows(seed + 1_000, 1_000, slope=0.5)))
        inside += bent.lower <= truth <= bent.upper
    assert np.mean(plugged) > 0.03
    assert np.mean(estimates) < np.mean(plugged) / 2.5
    assert low / 80 >= 0.94
    assert inside / 80 >= 0.90
    assert abs(np.mean(squares)) < 3 * np.std(squares) / math.sqrt(80)


def _true_error(slope: float) -> float:
    grid = np.linspace(0.02, 0.98, 200_001)
    places = np.searchsorted(np.linspace(0, 1, 16), grid, side="right")
    gap = expit(slope * logit(grid)) - grid
    return float(np.abs(np.bincount(places, weights=gap)).sum() / grid.size)


def test_a_large_error_is_found() -> None:
    """All at 0.9 with 60 in 100 right: the error is 0.3 with an interval around it."""
    interval = calibration_error(reliability_table(np.arange(1_000) % 10 < 6, np.full(1_000, 0.9)))
    assert interval.estimate == pytest.approx(0.3, abs=1e-6)
    assert interval.lower == pytest.approx(0.3 - 1.96 * math.sqrt(0.24 / 1_000), abs=2e-3)
    assert interval.upper == pytest.approx(0.3 + 1.96 * math.sqrt(0.24 / 1_000), abs=2e-3)


def test_line_equals_sklearn_and_its_interval_covers() -> None:
    """Maximum likelihood to six digits; the true slope 0.7 and, with slope one, level 0.4 are covered."""
    labels, values = _rows(3, 600, slope=0.7)
    line = calibration_line(labels, values)
    model = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(values)[:, None], labels)
    assert line.slope.estimate == pytest.approx(model.coef_[0, 0], rel=1e-4)
    slopes = levels = 0
    for seed in range(150):
        slope = calibration_line(*_rows(seed, 300, slope=0.7)).slope
        level = calibration_line(*_rows(seed, 300, level=0.4)).intercept
        slopes += slope.lower <= 0.7 <= slope.upper
        levels += level.lower <= 0.4 <= level.upper
    assert slopes / 150 >= 0.90
    assert levels / 150 >= 0.90


@pytest.mark.parametrize("too_bold", [3.0, 8.0])
def test_line_of_a_far_too_bold_model_is_found(too_bold: float) -> None:
    """Log-odds up to ninefold, many probabilities at the clip: the fit must not run away; the oracle is sklearn."""
    rng = np.random.default_rng(5)
    odds = 3 * rng.normal(size=400)
    labels = (rng.random(400) < expit(0.3 * odds)).astype(int)
    values = np.round(expit(too_bold * odds), 3)
    line = calibration_line(labels, values)
    clipped = logit(np.clip(values, 1e-6, 1 - 1e-6))
    model = LogisticRegression(C=np.inf, tol=1e-10).fit(clipped[:, None], labels)
    assert line.slope.estimate == pytest.approx(model.coef_[0, 0], rel=1e-4)
    assert line.slope.upper < 0.3
    assert line.intercept.known


def test_line_from_bins_is_near_that_from_rows() -> None:
    """A hundred bins: the same slope and level to two digits."""
    labels, values = _rows(4, 3_000, slope=0.8, level=0.2)
    exact, binned = (
        calibration_line(labels, values),
        calibration_line_of(reliability_table(labels, values, edges=np.linspace(0, 1, 101))),
    )
    assert binned.slope.estimate == pytest.approx(exact.slope.estimate, abs=0.01)
    assert binned.intercept.estimate == pytest.approx(exact.intercept.estimate, abs=0.01)


def test_what_cannot_be_told_is_unknown() -> None:
    """No rows, one class, separated classes; a bin that agrees exactly is still not certain."""
    empty = reliability_table([], [])
    assert not calibration_error(empty).known
    assert math.isnan(squared_calibration_error(empty))
    assert math.isnan(brier_parts(empty).score)
    assert not calibration_line([1, 1], [0.4, 0.6]).intercept.known
    separated = calibration_line([0, 0, 1, 1], [0.2, 0.3, 0.7, 0.8])
    assert not separated.slope.known
    assert separated.intercept.known
    constant = calibration_line([0, 1, 1, 1], [0.5] * 4)
    assert not constant.slope.known
    assert constant.intercept.estimate == pytest.approx(math.log(3))
    agreeing = calibration_error(reliability_table([0, 1], [0.5, 0.5]))
    assert agreeing.estimate == 0.0
    assert agreeing.upper > 0.3


def test_nonsense_raises() -> None:
    """Probabilities outside [0, 1] or NaN, edges that do not span [0, 1], levels."""
    for call in (
        lambda: reliability_table([1], [1.2]),
        lambda: reliability_table([1], [math.nan]),
        lambda: reliability_table([1], [0.2], edges=[0, 0.5]),
        lambda: calibration_error(reliability_table([1], [0.2]), 1.0),
    ):
        with pytest.raises(ParameterError):
            call()
