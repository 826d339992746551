"""AUC and DeLong against brute force, scikit-learn, the covariance formula and simulation."""

import math

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score

from roadworthy.base.errors import ParameterError
from roadworthy.stats.auc import (
    auc,
    delong,
    delong_paired_delta,
    delong_unpaired_delta,
    delong_variance,
    hanley_mcneil_variance,
)


def _sample(rng: np.random.Generator, n: int, shift: float, digits: int = 1) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.random(n) < 0.4
    labels[:2], labels[2:4] = True, False
    return labels.astype(float), np.round(rng.normal(size=n) + shift * labels, digits)


def _kernel(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    positive, negative = scores[labels == 1], scores[labels == 0]
    return (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])


def _brute_variance(kernel: np.ndarray) -> float:
    return float(kernel.mean(1).var(ddof=1) / kernel.shape[0] + kernel.mean(0).var(ddof=1) / kernel.shape[1])


@pytest.mark.parametrize("seed", range(5))
def test_area_equals_brute_force_and_sklearn_with_ties(seed: int) -> None:
    """Rounded scores bring many ties; three implementations agree."""
    labels, scores = _sample(np.random.default_rng(seed), 150, 0.8)
    assert auc(labels, scores) == pytest.approx(_kernel(labels, scores).mean(), abs=1e-12)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_variance_equals_the_quadratic_definition(seed: int) -> None:
    """Midranks give what the n-squared formula gives, ties included."""
    labels, scores = _sample(np.random.default_rng(seed), 120, 0.8)
    assert delong_variance(labels, scores) == pytest.approx(_brute_variance(_kernel(labels, scores)), rel=1e-9)


def test_variance_equals_the_published_one() -> None:
    """109 CT images rated 1 to 5 (Radiology 143, table I): area 0.8932 with DeLong's standard error 0.0307 (Stata)."""
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    labels = np.repeat([0, 1], [58, 51])
    ratings = np.concatenate([np.repeat(np.arange(1, 6), counts) for counts in (normal, abnormal)])
    assert auc(labels, ratings) == pytest.approx(0.8932, abs=5e-5)
    assert math.sqrt(delong_variance(labels, ratings)) == pytest.approx(0.0307, abs=5e-5)
    assert math.isnan(delong_variance(labels, np.full(109, math.nan)))


@pytest.mark.parametrize("seed", range(5))
def test_reach_is_the_larger_of_both_errors(seed: int) -> None:
    """Without the transform the reach is t times DeLong's error or z times Hanley and McNeil's."""
    labels, scores = _sample(np.random.default_rng(seed), 120, 0.8)
    interval = delong(labels, scores, 0.9, logit=False)
    positives = int(labels.sum())
    modelled = max(
        hanley_mcneil_variance(interval.estimate, *counts)
        for counts in ((positives, 120 - positives), (120 - positives, positives))
    )
    of_delong = t.ppf(0.95, min(positives, 120 - positives) - 1) * math.sqrt(delong_variance(labels, scores))
    reach = max(of_delong, norm.ppf(0.95) * math.sqrt(modelled))
    assert interval.upper - interval.estimate == pytest.approx(reach, rel=1e-9)
    assert interval.estimate - interval.lower == pytest.approx(reach, rel=1e-9)
    assert (interval.confidence, interval.n) == (0.9, 120)


def test_paired_delta_uses_the_covariance() -> None:
    """The delta's width is that of the differences of the kernels, far below the unpaired one."""
    labels, before = _sample(np.random.default_rng(3), 200, 1.0)
    after = np.round(before + 0.2 * np.random.default_rng(4).normal(size=200), 2)
    delta = delong_paired_delta(labels, before, after)
    kernel = _kernel(labels, after) - _kernel(labels, before)
    assert delta.estimate == pytest.approx(kernel.mean(), abs=1e-12)
    reach = t.ppf(0.975, min(sum(labels), 200 - sum(labels)) - 1) * math.sqrt(_brute_variance(kernel))
    assert delta.upper - delta.estimate == pytest.approx(reach, rel=1e-9)
    unpaired = delong_unpaired_delta((labels, before), (labels, after))
    assert delta.upper - delta.lower < 0.5 * (unpaired.upper - unpaired.lower)


def test_degenerate_samples_are_unknown() -> None:
    """One class, a lonely positive, no rows and NaN scores give no number."""
    assert math.isnan(auc([1, 1], [0.1, 0.2]))
    assert math.isnan(auc([0, 1], [0.1, math.nan]))
    for labels, scores in (
        ([0, 0, 0], [1, 2, 3]),
        ([0, 0, 1], [1, 2, 3]),
        ([], []),
        ([0, 0, 1, 1], [1, 2, 3, math.inf]),
    ):
        assert not delong(labels, scores).known
        assert not delong_paired_delta(labels, scores, scores).known
        assert not delong_unpaired_delta((labels, scores), ([0, 0, 1, 1], [1, 3, 2, 4])).known


@pytest.mark.parametrize("flip", [False, True])
def test_flawless_separation_is_not_certainty(flip: bool) -> None:
    """AUC 1 from eight positives has a lower bound of 0.025 ** (1 / 8); AUC 0 mirrors it."""
    labels = np.array([0] * 30 + [1] * 8)
    interval = delong(1 - labels if flip else labels, labels * 1.0)
    bound = 0.025 ** (1 / 8)
    assert (interval.lower, interval.upper) == pytest.approx((0.0, 1 - bound) if flip else (bound, 1.0))


def test_paired_corner_cases() -> None:
    """Equal scores differ by exactly 0; two flawless scorers differ by 0 with width."""
    labels = [0, 0, 0, 1, 1, 1]
    same = delong_paired_delta(labels, [1, 3, 2, 2, 5, 6], [1, 3, 2, 2, 5, 6])
    assert (same.lower, same.upper, same.confidence) == (0.0, 0.0, 1.0)
    flawless = delong_paired_delta(labels, [1, 2, 3, 4, 5, 6], [1, 1, 1, 2, 2, 2])
    assert flawless.estimate == 0.0
    assert flawless.lower < 0.0 < flawless.upper


@pytest.mark.parametrize(("labels", "scores"), [([0, 2], [1, 2]), ([0, math.nan], [1, 2]), ([0, 1], [1, 2, 3])])
def test_wrong_labels_are_refused(labels: list[float], scores: list[float]) -> None:
    """Labels other than 0 and 1, and lengths that differ, raise RW-114."""
    with pytest.raises(ParameterError):
        delong(labels, scores)


def test_a_silly_level_is_refused() -> None:
    """A confidence of 95 instead of 0.95 raises."""
    with pytest.raises(ParameterError):
        delong([0, 1], [0, 1], 95)


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_interval_covers_the_true_area(shift: float) -> None:
    """In 800 simulated samples the true area is inside 95 % of the time, within five points of simulation and method."""
    rng = np.random.default_rng(20)
    truth = norm.cdf(shift / math.sqrt(2))
    labels = np.repeat([1, 0], [40, 60])
    hits = 0
    for _ in range(800):
        interval = delong(labels, rng.normal(size=100) + shift * labels)
        hits += interval.lower <= truth <= interval.upper
    # Near 1 the spread that rule 3 asks for is more than a smooth score needs.
    assert 0.935 <= hits / 800 <= (0.98 if shift < 2 else 0.995)


@pytest.mark.parametrize("positives", [10, 30])
def test_few_of_one_class_seldom_reach_a_bound_that_they_do_not_meet(positives: int) -> None:
    """On the bound itself, AUC 0.9, the lower end reaches it in at most 2.5 %; a normal quantile would let 7 % through."""
    rng = np.random.default_rng(31)
    labels = np.repeat([1, 0], [positives, 100 - positives])
    shift = math.sqrt(2) * norm.ppf(0.9)
    met = sum(delong(labels, rng.normal(size=100) + shift * labels).lower >= 0.9 for _ in range(400))
    assert met / 400 <= 0.035


def _binary(rng: np.random.Generator, right: tuple[float, float], labels: np.ndarray) -> np.ndarray:
    return (rng.random(labels.size) < np.where(labels == 1, right[0], 1 - right[1])).astype(float)


@pytest.mark.parametrize(
    ("right", "positives", "negatives"),
    [((0.9, 0.9), 10, 100), ((0.95, 0.95), 20, 200), ((0.8, 0.99), 10, 1_000), ((0.9, 0.97), 300, 30)],
)
def test_a_coarse_score_seldom_reaches_a_bound_that_it_does_not_meet(
    right: tuple[float, float], positives: int, negatives: int
) -> None:
    """A score of two values, a rare class: DeLong's own lower end lies above the truth in 10 to 22 of 100 samples."""
    rng = np.random.default_rng(32)
    labels = np.repeat([1, 0], [positives, negatives])
    met = sum(delong(labels, _binary(rng, right, labels)).lower > sum(right) / 2 for _ in range(250))
    assert met / 250 <= 0.04


@pytest.mark.parametrize(("positives", "negatives"), [(10, 2_000), (2_000, 10)])
def test_a_rare_class_and_a_high_area(positives: int, negatives: int) -> None:
    """AUC 0.97 with ten of either class: DeLong's own lower end is too good in 15 of 100 samples."""
    rng = np.random.default_rng(33)
    labels = np.repeat([1, 0], [positives, negatives])
    shift = math.sqrt(2) * norm.ppf(0.97)
    met = sum(delong(labels, rng.normal(size=labels.size) + shift * labels).lower > 0.97 for _ in range(300))
    assert met / 300 <= 0.04


@pytest.mark.parametrize("fails", [0.2, 0.31])
def test_separation_by_luck_is_no_high_area(fails: float) -> None:
    """Some positives rank below every negative, the others above all of them: no sample of ten without such claims more."""
    rng = np.random.default_rng(34)
    labels = np.repeat([1, 0], [10, 50])
    too_good = flawless = 0
    for _ in range(500):
        scores = np.where(labels == 1, np.where(rng.random(60) < fails, -9.0, 9.0), rng.normal(size=60))
        interval = delong(labels, scores)
        flawless += interval.estimate == 1.0
        too_good += interval.lower > 1 - fails
    assert flawless > 0
    assert too_good / 500 <= 0.045


def test_nearly_flawless_is_nearly_the_exact_bound() -> None:
    """One pair of 20,000 in the wrong order: the end follows from ten trials, neither 0.9999 nor 0."""
    labels = np.repeat([1, 0], [10, 2_000])
    scores = np.concatenate((np.linspace(5, 6, 10), np.linspace(0, 4, 2_000)))
    whole = delong(labels, scores)
    scores[-1] = 5.05
    nearly = delong(labels, scores)
    assert whole.lower == pytest.approx(0.025 ** (1 / 10))
    assert 0.99 < nearly.estimate < 1.0
    assert nearly.lower == pytest.approx(whole.lower, abs=0.005)


def test_unpaired_delta_covers_the_true_difference() -> None:
    """Two areas 0.921 and 0.760 on 100 rows each: at least the promised coverage, more by what rule 3 adds."""
    rng = np.random.default_rng(21)
    labels = np.repeat([1, 0], [40, 60])
    truth = norm.cdf(1 / math.sqrt(2)) - norm.cdf(2 / math.sqrt(2))
    hits = 0
    for _ in range(500):
        pilot, production = (labels, rng.normal(size=100) + 2 * labels), (labels, rng.normal(size=100) + labels)
        delta = delong_unpaired_delta(pilot, production)
        hits += delta.lower <= truth <= delta.upper
    assert 0.93 <= hits / 500 <= 0.995


def test_hanley_mcneil_against_its_paper() -> None:
    """Area 0.893 on 51 and 58 images has a standard error of about 0.032 (Radiology 143, table II)."""
    assert math.sqrt(hanley_mcneil_variance(0.893, 51, 58)) == pytest.approx(0.032, abs=0.001)
    with pytest.raises(ParameterError):
        hanley_mcneil_variance(1.2, 10, 10)
