"""Figures at a threshold and the Brier score against scikit-learn and simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, precision_score, recall_score

from roadworthy.stats.classification import brier, confusion
from roadworthy.stats.proportions import wilson

RNG = np.random.default_rng(2)
LABELS = (RNG.random(300) < 0.35).astype(int)
SCORES = np.clip(0.3 + 0.3 * LABELS + 0.2 * RNG.normal(size=300), 0, 1)


def test_counts_and_figures_equal_sklearn() -> None:
    """Counts, accuracy, sensitivity, specificity and ppv at 0.5."""
    table = confusion(LABELS, SCORES)
    decided = SCORES >= 0.5
    counts = (table.true_negatives, table.false_positives, table.false_negatives, table.true_positives)
    assert counts == tuple(confusion_matrix(LABELS, decided).ravel())
    assert table.accuracy().estimate == pytest.approx(accuracy_score(LABELS, decided))
    assert table.sensitivity().estimate == pytest.approx(recall_score(LABELS, decided))
    assert table.specificity().estimate == pytest.approx(recall_score(LABELS, decided, pos_label=0))
    assert table.ppv().estimate == pytest.approx(precision_score(LABELS, decided))
    assert table.ppv(0.9) == wilson(table.true_positives, table.true_positives + table.false_positives, 0.9)


def test_a_score_at_the_threshold_is_positive() -> None:
    """Ties with the threshold are decided positive."""
    assert confusion([1, 0], [0.5, 0.4999], 0.5).true_positives == 1
    assert confusion([1, 0], [0.5, 0.4999], 0.5).true_negatives == 1


def test_undecided_rows_make_every_figure_unknown() -> None:
    """A NaN score is no decision, so nothing may be claimed."""
    table = confusion([1, 0, 1], [0.9, 0.1, math.nan])
    assert table.undecided == 1
    assert not table.accuracy().known
    assert not table.sensitivity().known


def test_a_figure_without_rows_is_unknown() -> None:
    """No positive label: no sensitivity."""
    assert not confusion([0, 0], [0.1, 0.2]).sensitivity().known
    assert confusion([0, 0], [0.1, 0.2]).specificity().known


def test_brier_equals_sklearn_and_covers() -> None:
    """The mean is scikit-learn's; over 1,000 samples of calibrated scores the truth is inside about 95 %."""
    assert brier(LABELS, SCORES).estimate == pytest.approx(brier_score_loss(LABELS, SCORES))
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(1_000):
        risk = rng.random(200)
        interval = brier((rng.random(200) < risk).astype(int), risk)
        # E[p (1 - p)] = 1 / 6 for uniform risks.
        hits += interval.lower <= 1 / 6 <= interval.upper
    assert 0.93 <= hits / 1_000 <= 0.97


@pytest.mark.parametrize(("forecast", "risk", "n"), [(0.05, 0.05, 300), (0.02, 0.02, 300), (0.001, 0.02, 300)])
def test_brier_of_a_rare_outcome_is_not_too_good(forecast: float, risk: float, n: int) -> None:
    """Summed over all numbers of events: Student's upper end lies below the truth in 6 of 100 samples."""
    truth = risk * (1 - forecast) ** 2 + (1 - risk) * forecast**2
    events = np.arange(int(n * risk * 6))
    too_good = sum(
        binom.pmf(each, n, risk)
        for each in events
        if brier(np.repeat([1, 0], [each, n - each]), np.full(n, forecast)).upper < truth
    )
    assert too_good <= 0.03


def test_brier_corners() -> None:
    """One row, NaN and values outside [0, 1] are unknown; a flawless forecast keeps a width."""
    assert not brier([1], [0.5]).known
    assert not brier([1, 0], [0.5, math.nan]).known
    assert not brier([1, 0], [0.5, 1.5]).known
    flawless = brier([1, 0, 1], [1, 0, 1])
    assert flawless.lower == flawless.estimate == 0.0
    assert flawless.upper == pytest.approx(1 - 0.025 ** (1 / 3))
