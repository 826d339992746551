"""Abstention against brute force, MAPIE's risk control and the promise by simulation."""

import math

import numpy as np
import pytest
from mapie.risk_control import BinaryClassificationController
from scipy.special import expit

from roadworthy.base.errors import ParameterError
from roadworthy.stats.abstention import abstention_threshold, risk_coverage, risk_coverage_area
from roadworthy.stats.proportions import clopper_pearson


def _rows(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    confidence = rng.normal(1, 1.5, n)
    return confidence, (rng.random(n) < 1 - expit(confidence)).astype(int)


def test_curve_equals_brute_force_and_ties_move_together() -> None:
    """Every distinct confidence is one point; the last one answers all."""
    confidence, wrong = _rows(1, 200)
    confidence = np.round(confidence, 1)
    curve = risk_coverage(confidence, wrong)
    assert curve.thresholds.tolist() == sorted(set(confidence.tolist()), reverse=True)
    for threshold, share, risk in zip(curve.thresholds, curve.coverage_share, curve.risk, strict=True):
        answered = confidence >= threshold
        assert share == pytest.approx(answered.mean())
        assert risk == pytest.approx(wrong[answered].mean())
    assert curve.coverage_share[-1] == 1.0


def test_area_is_the_mean_risk_along_the_ranking() -> None:
    """Without ties it is the mean of the running means; a constant confidence gives the plain risk; clusters count."""
    confidence, wrong = _rows(2, 300)
    running = np.cumsum(wrong[np.argsort(-confidence)]) / np.arange(1, 301)
    interval = risk_coverage_area(confidence, wrong, seed=1, replicates=300)
    assert interval.estimate == pytest.approx(running.mean())
    assert interval.lower < interval.estimate < interval.upper
    flat = risk_coverage_area(np.ones(300), wrong, seed=1, replicates=100)
    assert flat.estimate == pytest.approx(wrong.mean())
    assert interval.estimate < flat.estimate
    assert risk_coverage_area(confidence, wrong, seed=1, clusters=np.arange(300) // 3, replicates=100).n == 100


@pytest.mark.parametrize("seed", [3, 5, 6, 7, 8])  # empirical risks in order, without which MAPIE warns
def test_valid_thresholds_are_mapies_but_for_its_rounding(seed: int) -> None:
    """Precision is one less the risk; MAPIE counts one error too many where n * (1 - mean) rounds up, we count errors."""
    score, wrong = _rows(seed, 400)
    score = expit(score)
    grid = np.arange(0.30, 0.96, 0.05)
    peer = BinaryClassificationController(
        lambda rows: np.stack([1 - rows[:, 0], rows[:, 0]], axis=1),
        risk="precision",
        target_level=0.8,
        confidence_level=0.9,
        list_predict_params=grid[::-1],
        fwer_method="fixed_sequence",
    )
    peer.calibrate(score[:, None], 1 - wrong)
    theirs = set(np.round(np.atleast_1d(peer.valid_predict_params), 2).tolist())
    mine = abstention_threshold(score, wrong, 0.2, confidence=0.9, starts=1, grid=grid.tolist())
    ours = {round(each, 2) for each in mine.valid}
    assert len(theirs) >= 3
    assert mine.threshold == min(mine.valid)
    rounded_up = set()
    for each in grid:
        among = wrong[score >= each]
        if math.ceil(among.size * (1 - (1 - among).mean())) > among.sum():
            rounded_up.add(round(float(each), 2))
    # A chain that a rounding ended is ended for all that follow.
    assert theirs <= ours
    assert ours == theirs or max(ours - theirs) in rounded_up


@pytest.mark.parametrize("starts", [1, 5])
def test_risk_stays_below_the_target(starts: int) -> None:
    """Over 200 calibrations the true risk at the chosen threshold exceeds the target in at most 10 of 100."""
    everyone = np.sort(np.random.default_rng(0).normal(1, 1.5, 200_000))
    risk = np.cumsum((1 - expit(everyone))[::-1])[::-1] / np.arange(everyone.size, 0, -1)
    broken, answered = 0, []
    for seed in range(200):
        found = abstention_threshold(*_rows(seed, 400), 0.15, confidence=0.9, starts=starts)
        answered.append(found.answered_share)
        if found.threshold is not None:
            assert found.risk <= found.risk_upper <= 0.15 + 1e-12
            broken += risk[np.searchsorted(everyone, found.threshold)] > 0.15
    assert broken / 200 <= 0.10
    assert np.mean(answered) > 0.2


def test_upper_bound_is_clopper_pearsons_and_some_targets_cannot_be_shown() -> None:
    """No error in 100 answers all and bounds the risk at the one-sided exact value; ten rows show nothing."""
    sure = abstention_threshold(np.linspace(0, 1, 100), np.zeros(100), 0.05, starts=1)
    assert sure.answered_share == 1.0
    assert sure.risk_upper == pytest.approx(clopper_pearson(0, 100, 0.9).upper)
    few = abstention_threshold(np.linspace(0, 1, 10), np.zeros(10), 0.05)
    assert few.threshold is None
    assert math.isnan(few.risk_upper)
    assert few.valid == ()


def test_nonsense_raises() -> None:
    """No rows, NaN, losses that are no errors, no start, impossible targets."""
    for call in (
        lambda: risk_coverage([], []),
        lambda: risk_coverage([math.nan], [0]),
        lambda: abstention_threshold([1.0], [0.5], 0.1),
        lambda: abstention_threshold([1.0], [0], 0.1, starts=0),
        lambda: abstention_threshold([1.0], [0], 1.0),
    ):
        with pytest.raises(ParameterError):
            call()
