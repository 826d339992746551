"""Tests of equality on counts, against scipy, in simulation, and against the errors of other products."""

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency, chisquare, norm

from roadworthy.base.errors import ParameterError
from roadworthy.stats.cells import CellCounts
from roadworthy.stats.two_sample import Statistic, same_distribution, same_distributions


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("statistic", "name"), [(Statistic.PEARSON, "pearson"), (Statistic.LIKELIHOOD_RATIO, "log-likelihood")]
)
def test_equals_scipy_without_merging(seed: int, statistic: Statistic, name: str) -> None:
    """chi2_contingency without correction: statistic, p-value and degrees of freedom, to the last digits."""
    rng = np.random.default_rng(seed)
    reference, current = rng.integers(20, 400, 12), rng.integers(20, 90, 12)
    theirs = chi2_contingency(np.array([reference, current]), correction=False, lambda_=name)
    ours = same_distribution(reference, current, statistic=statistic)
    assert ours.df == theirs.dof
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-12)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def test_equals_scipy_on_the_merged_cells() -> None:
    """Thin neighbours 3 and 3 are one cell of 6."""
    ours = same_distribution([3, 3, 30, 30], [3, 4, 30, 40], ordered=4)
    theirs = chi2_contingency([[6, 30, 30], [7, 30, 40]], correction=False)
    assert ours.df == 2 and ours.p_value == pytest.approx(theirs.pvalue)


def test_huge_counts_keep_their_digits() -> None:
    """A billion rows in each cell: as scipy."""
    reference, current = [10**9, 10**9 + 40_000], [10**9 + 1, 10**9]
    theirs = chi2_contingency([reference, current], correction=False)
    assert same_distribution(reference, current).statistic == pytest.approx(theirs.statistic, rel=1e-6)


def test_williams_is_the_ratio_over_its_factor() -> None:
    """Two cells of 20 pooled rows: G / 1.0375."""
    plain = same_distribution([14, 6], [6, 14], statistic=Statistic.LIKELIHOOD_RATIO)
    corrected = same_distribution([14, 6], [6, 14], statistic=Statistic.WILLIAMS)
    assert corrected.statistic == pytest.approx(plain.statistic / 1.0375)
    assert corrected.p_value == pytest.approx(chi2.sf(corrected.statistic, 1))


@pytest.mark.parametrize(("reference", "current"), [([1, 2], [2, 1]), ([50, 50], [0, 0]), ([99], [99]), ([], [])])
def test_nothing_can_be_told(reference: list[int], current: list[int]) -> None:
    """Too few rows, an empty window, one cell: unknown, never a pass."""
    outcome = same_distribution(np.array(reference, dtype=int), np.array(current, dtype=int))
    assert np.isnan(outcome.p_value) and np.isnan(outcome.statistic) and outcome.df == 0


def test_shares_are_refused() -> None:
    """Integers only."""
    with pytest.raises(ParameterError):
        same_distribution([0.5, 0.5], [0.4, 0.6])


@pytest.mark.parametrize(
    ("n", "m", "cells"), [(100, 100, 10), (100, 100, 64), (1_000, 1_000, 256), (100_000, 100, 20), (10_000, 10_000, 20)]
)
@pytest.mark.parametrize("statistic", [Statistic.PEARSON, Statistic.WILLIAMS])
def test_false_alarms_are_those_promised(n: int, m: int, cells: int, statistic: Statistic) -> None:
    """Nothing differs: 5 % of 1,500 columns, within the 99.9 % binomial interval, thin cells included."""
    rng = np.random.default_rng([1, n, m, cells])
    shares = np.full(cells, 1 / cells)
    pairs = zip(rng.multinomial(n, shares, 1_500), rng.multinomial(m, shares, 1_500), strict=True)
    counts = [CellCounts(reference=p, current=q, ordered=cells) for p, q in pairs]
    rate = np.mean([each.p_value < 0.05 for each in same_distributions(counts, statistic=statistic)])
    assert rate == pytest.approx(0.05, abs=3.3 * np.sqrt(0.05 * 0.95 / 1_500))


def test_reference_taken_for_truth_would_be_caught() -> None:
    """The one-sample test alarms in three columns of four on 20 cells: far outside what the test above allows."""
    rng = np.random.default_rng(2)
    draws = rng.multinomial(1_000, np.full(20, 0.05), (300, 2))
    one_sample = np.mean([chisquare(current, reference).pvalue < 0.05 for reference, current in draws])
    two_sample = np.mean([same_distribution(reference, current).p_value < 0.05 for reference, current in draws])
    assert one_sample > 0.6
    assert two_sample < 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 300)


def test_dropping_nulls_would_be_caught() -> None:
    """Nulls rise from 5 to 95 %, the values among themselves stay: found with the null cell, invisible without."""
    reference, current = [475, 475, 50], [25, 25, 950]
    assert same_distribution(reference, current, ordered=2).p_value < 1e-100
    assert same_distribution(reference[:2], current[:2], ordered=2).p_value > 0.9


def test_cells_over_both_samples_would_be_caught() -> None:
    """One far value stretches cells laid over both samples until all rows share one; frozen cells do not move."""
    rng = np.random.default_rng(3)
    reference, current = rng.normal(size=2_000), rng.normal(0.5, 1, 2_000)
    current[0] = 1e6
    frozen, stretched = norm.ppf(np.arange(1, 20) / 20), np.linspace(-4.0, 1e6, 21)[1:-1]

    def p_value(edges: np.ndarray) -> float:
        counts = [np.bincount(np.searchsorted(edges, sample), minlength=20) for sample in (reference, current)]
        return same_distribution(*counts, ordered=20).p_value

    assert p_value(frozen) < 1e-6
    assert np.isnan(p_value(stretched))
