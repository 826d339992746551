"""Conformal sets against MAPIE on the same data, and their promise by simulation."""

import math

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from mapie.regression import SplitConformalRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from roadworthy.base.errors import ParameterError
from roadworthy.stats.conformal import (
    aps_scores,
    conformal_threshold,
    judge_ranges,
    judge_sets,
    lac_scores,
    prediction_sets,
    scores_of_truth,
)


def _classes(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return labels, rng.normal(size=(n, 2)) + 1.2 * np.array([[0, 0], [1, 0], [0, 1]])[labels]


def test_sets_equal_mapies() -> None:
    """LAC on 200 calibration rows: the same sets, row for row."""
    train, calibration, new = (_classes(seed, 200) for seed in range(3))
    model = LogisticRegression().fit(train[1], train[0])
    peer = SplitConformalClassifier(model, confidence_level=0.9, conformity_score="lac", prefit=True)
    _, sets = peer.conformalize(calibration[1], calibration[0]).predict_set(new[1])
    scores = lac_scores(model.predict_proba(calibration[1]))
    threshold = conformal_threshold(scores_of_truth(scores, calibration[0]), 0.9)
    mine = prediction_sets(lac_scores(model.predict_proba(new[1])), threshold)
    assert np.array_equal(mine, sets[:, :, 0])


def test_ranges_equal_mapies() -> None:
    """Absolute residuals: the same half width."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(300, 1))
    truth = 2 * inputs[:, 0] + rng.normal(size=300)
    model = LinearRegression().fit(inputs[:100], truth[:100])
    peer = SplitConformalRegressor(model, confidence_level=0.8, prefit=True).conformalize(
        inputs[100:200], truth[100:200]
    )
    points, ends = peer.predict_interval(inputs[200:])
    width = conformal_threshold(np.abs(truth[100:200] - model.predict(inputs[100:200])), 0.8)
    assert ends[:, 1, 0] - points == pytest.approx(width)
    figures = judge_ranges(truth[200:], points, width)
    assert figures.coverage.estimate == np.mean((ends[:, 0, 0] <= truth[200:]) & (truth[200:] <= ends[:, 1, 0]))
    assert figures.mean_size.estimate == pytest.approx(2 * width)
    assert figures.empty_share == 0.0


@pytest.mark.parametrize("scores_of", [lac_scores, aps_scores])
def test_promise_is_kept_on_average_over_calibrations(scores_of) -> None:
    """Coverage of 0.9 over 150 calibrations of 60 rows; LAC is exact up to 1/61, APS covers more."""
    covered = []
    model = LogisticRegression().fit(*reversed(_classes(999, 300)))
    for seed in range(150):
        calibration, new = _classes(seed, 60), _classes(seed + 5_000, 100)
        threshold = conformal_threshold(
            scores_of_truth(scores_of(model.predict_proba(calibration[1])), calibration[0]), 0.9
        )
        sets = prediction_sets(scores_of(model.predict_proba(new[1])), threshold)
        covered.append(judge_sets(sets, new[0]).coverage.estimate)
    error = np.std(covered) / math.sqrt(150)
    assert np.mean(covered) >= 0.9 - 3 * error
    if scores_of is lac_scores:
        assert np.mean(covered) <= 0.9 + 1 / 61 + 3 * error


def test_broken_promise_is_seen() -> None:
    """Rows of another law: the measured coverage, not the promised one, is reported with its interval."""
    calibration = _classes(1, 500)
    model = LogisticRegression().fit(*reversed(_classes(2, 500)))
    threshold = conformal_threshold(
        scores_of_truth(lac_scores(model.predict_proba(calibration[1])), calibration[0]), 0.9
    )
    labels, inputs = _classes(3, 500)
    figures = judge_sets(prediction_sets(lac_scores(model.predict_proba(inputs[:, ::-1])), threshold), labels)
    assert figures.coverage.upper < 0.9
    clustered = judge_sets(
        prediction_sets(lac_scores(model.predict_proba(inputs)), threshold), labels, clusters=np.arange(500) // 5
    )
    assert clustered.coverage.n == clustered.mean_size.n == 100


def test_worked_scores_and_sets() -> None:
    """Probabilities 0.5, 0.3, 0.2: APS masses 0.5, 0.8, 1.0; empty and single sets are counted."""
    table = [[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]]
    assert aps_scores(table) == pytest.approx(np.array([[0.5, 0.8, 1.0], [1.0, 0.8, 0.5]]))
    figures = judge_sets(np.array([[True, False, False], [False, False, False]]), [0, 2])
    assert (figures.coverage.estimate, figures.empty_share, figures.single_share) == (0.5, 0.5, 0.5)
    nothing = judge_sets(np.empty((0, 3), dtype=bool), [])
    assert not nothing.coverage.known


def test_too_few_rows_promise_by_giving_everything() -> None:
    """Eight rows cannot promise 0.9, nine can; a score that is NaN counts as strangest."""
    assert conformal_threshold(np.arange(8), 0.9) == math.inf
    assert conformal_threshold(np.arange(9), 0.9) == 8.0
    assert conformal_threshold([1, 2, 3, math.nan], 0.9) == math.inf
    assert prediction_sets(lac_scores([[0.9, 0.1]]), math.inf).all()


def test_nonsense_raises() -> None:
    """A coverage of one, a flat list, no such class, lengths that differ."""
    for call in (
        lambda: conformal_threshold([1.0], 1.0),
        lambda: lac_scores([0.5, 0.5]),
        lambda: scores_of_truth(lac_scores([[0.5, 0.5]]), [2]),
        lambda: judge_ranges([1.0], [1.0, 2.0], 1.0),
    ):
        with pytest.raises(ParameterError):
            call()
