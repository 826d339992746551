"""Wasserstein's distance on cells against scipy, by hand and in simulation."""

import numpy as np
import pytest
from scipy.stats import norm, wasserstein_distance

from roadworthy.base.errors import ParameterError
from roadworthy.stats.cells import CellCounts, Columns, columns_of
from roadworthy.stats.transport import discretisation_bound, reference_iqr, wasserstein


def _counted(first: np.ndarray, second: np.ndarray, edges: np.ndarray) -> CellCounts:
    counts = [np.bincount(np.searchsorted(edges, sample), minlength=edges.size + 1) for sample in (first, second)]
    return CellCounts(reference=counts[0], current=counts[1], ordered=edges.size + 1, edges=edges.tolist())


def test_one_step_by_hand() -> None:
    """Edges 0, 1, 2; a fifth of the rows moves from the second to the third cell: 0.2 over two half widths."""
    columns = columns_of(
        [CellCounts(reference=[20, 40, 20, 20], current=[20, 20, 40, 20], ordered=4, edges=[0.0, 1.0, 2.0])]
    )
    # Quartiles 0.25 and 0.75 of the ladder 0.2, 0.6, 0.8: at 0.125 and at 1.75.
    assert reference_iqr(columns)[0] == pytest.approx(1.625)
    assert wasserstein(columns).value[0] == pytest.approx(0.2 * 1.0 / 1.625)


@pytest.mark.parametrize(("scale", "seed"), [(1.0, 1), (100.0, 2)])
def test_fine_cells_approach_scipy(scale: float, seed: int) -> None:
    """Even fine cells over all values: the exact distance in quartile ranges, inside the published bound."""
    rng = np.random.default_rng(seed)
    first, second = scale * rng.normal(size=20_000), scale * rng.normal(0.4, 1.2, 20_000)
    edges = np.linspace(min(first.min(), second.min()), max(first.max(), second.max()), 400)
    columns = columns_of([_counted(first, second, edges)])
    exact = wasserstein_distance(first, second) / np.subtract(*np.quantile(first, [0.75, 0.25]))
    assert wasserstein(columns).value[0] == pytest.approx(exact, rel=0.01)
    coarse = columns_of([_counted(first, second, edges[::20])])
    within = discretisation_bound(coarse)[0] * reference_iqr(coarse)[0] + 0.02 * scale
    there = wasserstein(coarse).value[0] * reference_iqr(coarse)[0]
    assert abs(there - wasserstein_distance(first, second)) < within
    assert discretisation_bound(columns)[0] < discretisation_bound(coarse)[0]


def test_one_far_value_moves_it_by_one_row() -> None:
    """A value of 1e12 falls into the open outer cell; scipy's exact distance explodes."""
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=20_000), rng.normal(1.0, 1, 20_000)
    edges = norm.ppf(np.arange(1, 64) / 64)
    before = wasserstein(columns_of([_counted(first, second, edges)])).value[0]
    second[0] = 1e12
    after = wasserstein(columns_of([_counted(first, second, edges)])).value[0]
    assert after == pytest.approx(before, rel=0.001)
    assert wasserstein_distance(first, second) > 1e6


def test_a_row_that_becomes_null_costs_one_range() -> None:
    """Half of the rows null, the rest unmoved: 0.5. All of them null: 1."""
    half = CellCounts(reference=[25, 25, 25, 25, 0], current=[12, 12, 12, 12, 48], ordered=4, edges=[0.0, 1.0, 2.0])
    whole = CellCounts(reference=[25, 25, 25, 25, 0], current=[0, 0, 0, 0, 99], ordered=4, edges=[0.0, 1.0, 2.0])
    law = wasserstein(columns_of([half, whole]))
    assert law.value == pytest.approx([0.5, 1.0])
    assert law.bias[1] == 0.0
    assert (law.lower(0.025) > 0.2).all()


def test_no_unit_no_distance() -> None:
    """Quartiles in an open cell, coinciding quartiles, or an empty scale: NaN."""
    edges = [0.0, 1.0, 2.0]
    outside = CellCounts(reference=[40, 20, 20, 20], current=[40, 20, 20, 20], ordered=4, edges=edges)
    nothing = CellCounts(reference=[0, 0, 0, 0, 9], current=[1, 1, 1, 1, 1], ordered=4, edges=edges)
    two_cells = CellCounts(reference=[5, 5], current=[5, 5], ordered=2, edges=[0.0])
    assert np.isnan(reference_iqr(columns_of([outside, nothing, two_cells]))).all()


def test_an_empty_stretch_of_the_scale_is_no_spread() -> None:
    """A quarter below 1, nothing from 1 to 9, half from 9 to 10: the range starts at 9, not at 1."""
    columns = columns_of(
        [CellCounts(reference=[0, 25, 0, 50, 25], current=[0, 25, 0, 50, 25], ordered=5, edges=[0.0, 1.0, 9.0, 10.0])]
    )
    assert reference_iqr(columns)[0] == pytest.approx(1.0)


def test_edges_are_needed() -> None:
    """A categorical column has no scale."""
    columns = columns_of([CellCounts(reference=[5, 5], current=[5, 5])])
    for function in (wasserstein, discretisation_bound):
        with pytest.raises(ParameterError):
            function(columns)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
@pytest.mark.parametrize(("n", "m"), [(200, 200), (20_000, 500)])
def test_bounds_cover_the_truth(n: int, m: int, shift: float) -> None:
    """Each 97.5 % bound misses at most 2.5 % of 800 draws, up to three binomial deviations; nulls included."""
    edges = norm.ppf(np.arange(1, 20) / 20)
    p = np.concatenate((np.full(20, 0.95 / 20), [0.05]))
    moved = np.diff(np.concatenate(([0.0], norm.cdf(edges - shift), [1.0])))
    q = np.concatenate((0.9 * moved, [0.1]))
    rng = np.random.default_rng([9, n])
    count = 800
    columns = Columns(
        rng.multinomial(n, p, count).astype(float),
        rng.multinomial(m, q, count).astype(float),
        np.full(count, 20, dtype=np.intp),
        (edges,) * count,
    )
    ladder = np.abs(np.cumsum(p[:-1] / 0.95) - np.cumsum(moved))[:-1]
    truth = np.trapezoid(ladder, edges) / reference_iqr(columns) + 0.05
    law = wasserstein(columns)
    most = 0.025 + 3 * np.sqrt(0.025 * 0.975 / count)
    assert np.mean(law.lower(0.025) > truth) <= most
    assert np.mean(law.upper(0.025) < truth) <= most
