"""PSI and Jensen-Shannon: value, bias and law against scipy, published values and simulation."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from roadworthy.stats.cells import CellCounts, Columns, columns_of
from roadworthy.stats.divergences import jensen_shannon, population_stability


def _draws(p: np.ndarray, q: np.ndarray, n: int, m: int, count: int, seed: int) -> Columns:
    rng = np.random.default_rng(seed)
    ordered = np.full(count, p.size, dtype=np.intp)
    return Columns(
        rng.multinomial(n, p, count).astype(float), rng.multinomial(m, q, count).astype(float), ordered, (None,) * count
    )


def test_jensen_shannon_is_scipys_distance_squared() -> None:
    """Base 2, from the same counts."""
    reference, current = [50, 30, 20, 0], [40, 35, 20, 5]
    law = jensen_shannon(columns_of([CellCounts(reference=reference, current=current)]))
    assert law.value[0] == pytest.approx(jensenshannon(reference, current, base=2) ** 2, rel=1e-12)


def test_jensen_shannon_equals_nannymls_published_values() -> None:
    """Its test suite, seed 1: distance 0.5 for one replaced category of four, 0.73 for half of six values."""
    rng = np.random.RandomState(1)
    before, after = rng.choice(["a", "b", "c", "d"], 10_000), rng.choice(["a", "b", "c", "e"], 1_000)
    counts = [[int((sample == letter).sum()) for letter in "abcde"] for sample in (before, after)]
    law = jensen_shannon(columns_of([CellCounts(reference=counts[0], current=counts[1])]))
    assert round(float(np.sqrt(law.value[0])), 2) == 0.5
    rng = np.random.RandomState(1)
    before, after = rng.choice(np.linspace(0, 2, 6), 10_000), rng.choice(np.linspace(0, 2, 3), 1_000)
    values = np.union1d(before, after)
    counts = [[int((sample == value).sum()) for value in values] for sample in (before, after)]
    law = jensen_shannon(columns_of([CellCounts(reference=counts[0], current=counts[1])]))
    assert round(float(np.sqrt(law.value[0])), 2) == 0.73


def test_psi_equals_frouros_published_value_before_its_bias_is_removed() -> None:
    """Its test suite, seed 31, no drift: 0.0184 on ten bins, all of it noise, and close to the known bias."""
    rng = np.random.RandomState(31)
    first, second = rng.normal(size=500), rng.normal(size=500)
    edges = np.histogram_bin_edges(np.concatenate((first, second)), 10)
    reference, current = np.histogram(first, edges)[0], np.histogram(second, edges)[0]
    law = population_stability(columns_of([CellCounts(reference=reference, current=current)]))
    assert law.value[0] == pytest.approx(0.01840072, abs=0.001)
    assert law.bias[0] == pytest.approx(9 * 2 / 500)
    assert law.estimate()[0] == 0.0


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.5])
def test_bias_is_removed_at_every_distance(shift: float) -> None:
    """Mean of value less bias is the truth, for equal and for far apart shares, with samples of unlike size."""
    weights = np.exp(shift * np.linspace(-1, 1, 12))
    p, q = np.full(12, 1 / 12), weights / weights.sum()
    columns = _draws(p, q, 2_000, 400, 4_000, seed=5)
    mixed = (p + q) / 2
    true_psi = ((p - q) * np.log(p / q)).sum()
    true_js = ((p * np.log2(p / mixed)).sum() + (q * np.log2(q / mixed)).sum()) / 2
    for law, truth in ((population_stability(columns), true_psi), (jensen_shannon(columns), true_js)):
        centred = law.value - law.bias
        error = centred.std() / np.sqrt(centred.size)
        assert abs(centred.mean() - truth) < 4 * error + 0.002 * truth
        # The bias is what matters: without its removal this test would fail.
        assert law.value.mean() - truth > 10 * error


def test_lower_bound_and_tail_are_one_statement() -> None:
    """The chance of the observed value at the lower bound is the error asked for; at the upper one, its complement."""
    columns = _draws(np.full(10, 0.1), np.linspace(0.05, 0.15, 10), 3_000, 1_000, 20, seed=6)
    for law in (population_stability(columns), jensen_shannon(columns)):
        low = law.lower(0.025)
        assert law.tail(low)[low > 0] == pytest.approx(0.025, abs=1e-6)
        assert law.tail(law.upper(0.025)) == pytest.approx(0.975, abs=1e-6)
        assert (low <= law.estimate()).all() and (law.estimate() <= law.upper(0.025)).all()


def test_without_difference_the_lower_bound_is_zero() -> None:
    """Equal counts: nothing above 0 is shown."""
    law = population_stability(columns_of([CellCounts(reference=[50, 50], current=[50, 50])]))
    assert law.lower(0.025).tolist() == [0.0]


def test_an_empty_cell_widens_the_upper_bound_of_psi_only() -> None:
    """Five new nulls among 1,000: a share of 1e-9 before would look the same, so the bound allows for it."""
    empty = columns_of([CellCounts(reference=[1_000, 0], current=[995, 5])])
    once = columns_of([CellCounts(reference=[999, 1], current=[995, 5])])
    assert population_stability(once).unseen.tolist() == [0.0]
    assert population_stability(empty).unseen[0] == pytest.approx(0.005 * np.log(0.5 / 1e-6))
    true_psi = 0.005 * np.log(0.005 / 1e-9) + (1 - 0.995) * np.log(1 / 0.995)
    assert population_stability(empty).upper(0.025)[0] > true_psi
    assert jensen_shannon(empty).unseen.tolist() == [0.0]


def test_divergence_of_disjoint_samples_is_one_bit() -> None:
    """Nothing in common: Jensen-Shannon is at its ceiling and stays there."""
    law = jensen_shannon(columns_of([CellCounts(reference=[500, 0], current=[0, 500])]))
    assert law.value[0] == pytest.approx(1.0)
    assert law.upper(0.025)[0] == 1.0 and law.lower(0.025)[0] > 0.85
