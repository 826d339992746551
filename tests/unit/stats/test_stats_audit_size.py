"""The audit's size against exact enumeration and simulation."""

import numpy as np
import pytest
from scipy.stats import binom

from roadworthy.base.errors import ParameterError
from roadworthy.stats.auc import delong
from roadworthy.stats.audit_size import audit_sample_size, audit_sample_size_auc


def _power(n: int, expected: float, loss: float) -> tuple[float, float]:
    """Chance of showing it when the estimate is right, and when it is wrong by exactly the loss."""
    critical = next(c for c in range(n + 2) if binom.sf(c - 1, n, expected - loss) <= 0.05)
    return float(binom.sf(critical - 1, n, expected)), float(binom.sf(critical - 1, n, expected - loss))


@pytest.mark.parametrize(("expected", "loss"), [(0.9, 0.05), (0.8, 0.1), (0.97, 0.03), (0.6, 0.04)])
def test_share_keeps_both_promises_and_is_not_wasteful(expected: float, loss: float) -> None:
    """Power at least 0.8 from the size on, level at most 0.05; a fifth fewer rows would not do."""
    n = audit_sample_size(expected, loss)
    for size in (n, n + 1, n + 7):
        power, level = _power(size, expected, loss)
        assert power >= 0.8
        assert level <= 0.05
    assert _power(int(0.8 * n), expected, loss)[0] < 0.8


def test_a_perfect_estimate_follows_the_rule_of_three() -> None:
    """All of n right shows 0.97 from 0.97^n <= 0.05 on: 99."""
    assert audit_sample_size(1.0, 0.03) == 99


def test_auc_size_shows_it_by_simulation() -> None:
    """Scores whose true AUC is 0.85: at the planned size the lower bound exceeds 0.80 in about 80 of 100."""
    n = audit_sample_size_auc(0.85, 0.05, 0.3)
    shown = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        labels = (rng.random(n) < 0.3).astype(int)
        scores = rng.normal(size=n) + 1.4657 * labels
        shown += delong(labels, scores, 0.9).lower > 0.80
    assert 0.68 <= shown / 150 <= 0.95
    assert audit_sample_size_auc(0.85, 0.02, 0.3) > 5 * n


def test_nonsense_raises() -> None:
    """A loss of nothing or of everything, shares and levels outside their range."""
    for call in (
        lambda: audit_sample_size(0.9, 0.0),
        lambda: audit_sample_size(0.9, 0.9),
        lambda: audit_sample_size(0.9, 0.1, power=1.0),
        lambda: audit_sample_size_auc(0.9, 0.1, 0.0),
    ):
        with pytest.raises(ParameterError):
            call()
