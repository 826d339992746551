"""Relabelling against scipy, exact levels and its own rules."""

import math

import numpy as np
import pytest
from scipy.stats import permutation_test as scipy_permutation_test
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from roadworthy.base.errors import ParameterError
from roadworthy.stats.permutation import column_aucs, judge_against, orders_within, permutation_test


def test_p_value_agrees_with_all_orders() -> None:
    """Four against four: scipy goes through all 70 splits, 4,000 draws come near."""
    values = np.array([1.1, 2.0, 2.9, 3.7, 2.5, 4.1, 4.4, 5.2])

    def gap(order: np.ndarray) -> float:
        return float(values[order][4:].mean() - values[order][:4].mean())

    ours = permutation_test(gap, 8, seed=1, permutations=4_000)
    exact = scipy_permutation_test(
        (values[4:], values[:4]), lambda a, b: a.mean() - b.mean(), alternative="greater", n_resamples=np.inf
    )
    assert ours.p_interval.lower <= exact.pvalue <= ours.p_interval.upper
    assert ours.p_value == pytest.approx(exact.pvalue, abs=0.012)
    assert ours.usual == pytest.approx(0.0, abs=0.06)
    assert permutation_test(gap, 8, seed=1, permutations=50) == permutation_test(gap, 8, seed=1, permutations=50)


def test_p_value_is_never_zero_and_counts_ties() -> None:
    """Nothing exceeds: 1 / (1 + b); everything equal up to rounding: 1; nothing computed: 1."""
    assert judge_against(2.0, [0.0] * 99).p_value == 0.01
    assert judge_against(0.3, [0.1 + 0.2] * 9).p_value == 1.0
    assert judge_against(0.1 + 0.2, [0.3] * 9).p_value == 1.0
    assert judge_against(math.nan, [0.0] * 9).p_value == 1.0
    assert judge_against(1.0, [0.0, math.nan]).p_value == 1.0
    with pytest.raises(ParameterError):
        judge_against(1.0, [])


def test_level_is_kept() -> None:
    """Over 2,000 experiments without effect, at most about 5 % reach 5 % with 19 draws."""
    rng = np.random.default_rng(2)
    p_values = [judge_against(row[0], row[1:]).p_value for row in rng.normal(size=(2_000, 20))]
    assert 0.038 <= np.mean(np.array(p_values) <= 0.05) <= 0.062


def test_orders_stay_within_their_blocks() -> None:
    """Every order is a permutation, no row leaves its block, and all positions of a block are reached."""
    blocks = np.array([0, 1, 0, 1, 0, 2])
    orders = orders_within(blocks, 200, np.random.default_rng(3))
    assert orders.shape == (200, 6)
    assert (np.sort(orders, axis=1) == np.arange(6)).all()
    assert (blocks[orders] == blocks).all()
    assert set(orders[:, 0]) == {0, 2, 4}


def test_column_aucs_agree_with_scikit_learn() -> None:
    """Each column on its own, ties included; one class only has no AUC."""
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 8, size=(60, 3)).astype(float)
    positive = rng.random((60, 3)) < 0.4
    positive[:, 2] = True
    areas = column_aucs(positive, np.asarray(rankdata(scores, axis=0)))
    for k in range(2):
        assert areas[k] == pytest.approx(roc_auc_score(positive[:, k], scores[:, k]))
    assert math.isnan(areas[2])
