"""Total variation and Kolmogorov-Smirnov against scipy, published values and simulation."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm

from roadworthy.stats.cells import CellCounts, Columns, columns_of
from roadworthy.stats.distances import GammaTail, kink_bias, kolmogorov_smirnov, total_variation


def _columns(reference: np.ndarray, current: np.ndarray, ordered: int) -> Columns:
    count = len(reference)
    return Columns(
        reference.astype(float), current.astype(float), np.full(count, ordered, dtype=np.intp), (None,) * count
    )


def test_total_variation_by_hand() -> None:
    """Half of |0.5 - 0.4| + |0.3 - 0.3| + |0.2 - 0.3|."""
    law = total_variation(columns_of([CellCounts(reference=[50, 30, 20], current=[40, 30, 30])]))
    assert law.value[0] == pytest.approx(0.1)


def test_infinity_norm_of_nannyml() -> None:
    """Its test suite: one new category among seven rows is 0.14."""
    law = kolmogorov_smirnov(columns_of([CellCounts(reference=[2, 2, 2, 0], current=[2, 2, 2, 1])]))
    assert round(float(law.value[0]), 2) == 0.14


def test_ks_equals_scipy_when_every_value_has_a_cell() -> None:
    """Integers from 0 to 9: the edges lie between all values, so nothing is lost."""
    rng = np.random.default_rng(2)
    first, second = rng.binomial(9, 0.4, 700), rng.binomial(9, 0.45, 500)
    counts = [np.bincount(sample, minlength=10) for sample in (first, second)]
    law = kolmogorov_smirnov(columns_of([CellCounts(reference=counts[0], current=counts[1], ordered=10)]))
    assert law.value[0] == pytest.approx(ks_2samp(first, second).statistic, rel=1e-12)


def test_ks_on_cells_is_below_the_exact_one_by_less_than_a_cell() -> None:
    """256 reference quantiles of continuous values."""
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=20_000), rng.normal(0.1, 1, 5_000)
    edges = np.quantile(first, np.arange(1, 256) / 256)
    counts = [np.bincount(np.searchsorted(edges, sample), minlength=256) for sample in (first, second)]
    law = kolmogorov_smirnov(columns_of([CellCounts(reference=counts[0], current=counts[1], ordered=256)]))
    exact = ks_2samp(first, second).statistic
    assert exact - 1.5 / 256 < law.value[0] <= exact


def test_a_rise_of_nulls_shows_in_ks() -> None:
    """The values keep their law among themselves, half of the rows become null: 0.5."""
    law = kolmogorov_smirnov(columns_of([CellCounts(reference=[50, 50, 0], current=[25, 25, 50], ordered=2)]))
    assert law.value[0] == pytest.approx(0.5)


def test_kink_bias_is_that_of_a_folded_normal() -> None:
    """No difference observed beyond one deviation: the half-normal mean; a clear one: nothing."""
    bias = kink_bias(np.array([0.0, 1.0, 8.0, 0.0]), np.array([1.0, 1.0, 1.0, 0.0]))
    assert bias == pytest.approx([np.sqrt(2 / np.pi), np.sqrt(2 / np.pi), 0.0, 0.0], abs=1e-9)


def test_gamma_tail_follows_one_half_normal() -> None:
    """Two cells are one half-normal variable; its quantile is exceeded by less than 5 %."""
    law = GammaTail(np.array([np.sqrt(2 / np.pi)]), np.array([1 - 2 / np.pi]))
    assert norm.isf(0.0125) < law.quantile(0.025)[0] < 1.05 * norm.isf(0.0125)
    assert law.tail(law.quantile(0.025))[0] == pytest.approx(0.025)


def test_without_noise_the_value_is_the_truth() -> None:
    """Every row changed its cell, all in both samples: no overshoot, no division by zero."""
    law = GammaTail(np.array([0.0, 0.1]), np.array([0.0, 0.01]))
    assert law.quantile(0.025)[0] == 0.0
    assert law.tail(np.array([0.5, 0.5]))[0] == 0.0 and law.tail(np.array([-0.1, 0.0])).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("distance", [total_variation, kolmogorov_smirnov])
@pytest.mark.parametrize(("cells", "n", "m"), [(2, 200, 200), (20, 5_000, 500), (40, 2_000, 2_000)])
@pytest.mark.parametrize("tilt", [0.0, 0.3, 1.0])
def test_bounds_cover_the_truth(distance, cells: int, n: int, m: int, tilt: float) -> None:
    """Each 97.5 % bound misses at most 2.5 % of 800 draws, up to three binomial deviations."""
    weights = np.exp(tilt * np.linspace(-1, 1, cells))
    p, q = np.full(cells, 1 / cells), weights / weights.sum()
    rng = np.random.default_rng([7, cells, n])
    law = distance(_columns(rng.multinomial(n, p, 800), rng.multinomial(m, q, 800), cells))
    truth = np.abs(p - q).sum() / 2 if distance is total_variation else np.abs(np.cumsum(p - q)).max()
    most = 0.025 + 3 * np.sqrt(0.025 * 0.975 / 800)
    assert np.mean(law.lower(0.025) > truth) <= most
    assert np.mean(law.upper(0.025) < truth - 1e-12) <= most
    assert (law.lower(0.025) <= law.estimate() + 1e-12).all() and (law.estimate() <= law.upper(0.025) + 1e-12).all()


def test_bias_removal_takes_most_of_the_noise_away() -> None:
    """No difference, 40 cells of 25 rows: total variation shows 0.12, of which less than a third stays."""
    rng = np.random.default_rng(8)
    counts = rng.multinomial(1_000, np.full(40, 1 / 40), (2, 300))
    law = total_variation(_columns(counts[0], counts[1], 40))
    assert law.value.mean() > 0.1
    assert law.estimate().mean() < law.value.mean() / 3
