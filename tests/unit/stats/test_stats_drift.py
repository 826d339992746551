"""Severity: intervals that cover, units that are stated, and outliers that do not weigh."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import norm

from roadworthy.base.errors import ParameterError
from roadworthy.stats.cells import CellCounts, Columns, columns_of
from roadworthy.stats.divergences import Divergence
from roadworthy.stats.drift import LAWS, LEAST_ROWS, Effect, intervals, measured, severity

EDGES = norm.ppf(np.arange(1, 20) / 20)


def _cells(values: np.ndarray, edges: np.ndarray = EDGES) -> np.ndarray:
    return np.bincount(np.searchsorted(edges, values), minlength=edges.size + 1)


def _severity(effect: Effect, reference: np.ndarray, current: np.ndarray):
    return severity(effect, reference, current, ordered=20, edges=EDGES.tolist())


@pytest.mark.parametrize("effect", Effect)
def test_a_clear_shift_is_measured(effect: Effect) -> None:
    """Half a deviation at 20,000 rows: the truth of the cells lies in the interval, n and level are stated."""
    rng = np.random.default_rng(1)
    p = np.full(20, 0.05)
    q = np.diff(np.concatenate(([0.0], norm.cdf(EDGES - 0.5), [1.0])))
    interval = _severity(effect, rng.multinomial(20_000, p), rng.multinomial(30_000, q))
    ladder = np.abs(np.cumsum(p - q))[:-1]
    truth = {
        Effect.PSI: ((p - q) * np.log(p / q)).sum(),
        Effect.JENSEN_SHANNON: jensenshannon(p, q, base=2) ** 2,
        Effect.TOTAL_VARIATION: np.abs(p - q).sum() / 2,
        Effect.KOLMOGOROV_SMIRNOV: ladder.max(),
        Effect.WASSERSTEIN: np.trapezoid(ladder, EDGES) / (2 * norm.ppf(0.75)),
    }[effect]
    assert interval.known and interval.n == 20_000 and interval.confidence == 0.95
    assert interval.lower < truth < interval.upper
    assert interval.upper - interval.lower < 0.35 * truth


@pytest.mark.parametrize("effect", Effect)
def test_one_outlier_in_20000_rows_changes_less_than_one_percent(effect: Effect) -> None:
    """A value of 1e6 in the window, a shift of one deviation: other products fall from 0.986 to 0.022."""
    rng = np.random.default_rng(2)
    reference, current = rng.normal(size=20_000), rng.normal(1.0, 1, 20_000)
    before = _severity(effect, _cells(reference), _cells(current))
    current[17] = 1e6
    after = _severity(effect, _cells(reference), _cells(current))
    for one, other in ((before.estimate, after.estimate), (before.lower, after.lower), (before.upper, after.upper)):
        assert other == pytest.approx(one, rel=0.01)
    assert after.lower > 0.1


def test_cells_over_both_samples_would_be_caught() -> None:
    """The same outlier with cells laid over reference and window: nothing is left of the shift."""
    rng = np.random.default_rng(2)
    reference, current = rng.normal(size=20_000), rng.normal(1.0, 1, 20_000)
    current[17] = 1e6
    stretched = np.histogram_bin_edges(np.concatenate((reference, current)), "sturges")
    counts = [np.histogram(sample, stretched)[0] for sample in (reference, current)]
    assert not severity(Effect.PSI, *counts, ordered=len(stretched) - 1).lower > 0.1


@pytest.mark.parametrize("effect", [Effect.PSI, Effect.JENSEN_SHANNON, Effect.WASSERSTEIN])
def test_a_fixed_threshold_would_be_caught(effect: Effect) -> None:
    """Reference 5,000, window 100, nothing differs: the value alone alarms in a third of windows."""
    rng = np.random.default_rng(3)
    reference, current = rng.multinomial(5_000, np.full(20, 0.05), 200), rng.multinomial(100, np.full(20, 0.05), 200)
    columns = columns_of(
        [
            CellCounts(reference=p, current=q, ordered=20, edges=EDGES.tolist())
            for p, q in zip(reference, current, strict=True)
        ]
    )
    # What a PSI of 0.1 is in the other units, near enough.
    scale = 0.025 if effect is Effect.JENSEN_SHANNON else 0.08 if effect is Effect.WASSERSTEIN else 0.1
    assert np.mean(LAWS[effect](columns).value > scale) > 0.3
    assert np.mean(measured(effect, columns).law.lower(0.025) > scale) <= 0.01


@pytest.mark.parametrize("effect", Effect)
def test_nulls_count(effect: Effect) -> None:
    """95 % of the window null, the values as before: a large severity for each effect; without the cell, none."""
    reference, current = np.append(_even(10_000), 0), np.append(_even(500), 9_500)
    edges = EDGES.tolist()
    assert severity(effect, reference, current, ordered=20, edges=edges).lower > 0.5
    assert severity(effect, reference[:20], current[:20], ordered=20, edges=edges).lower == 0.0


def _even(rows: int) -> np.ndarray:
    return np.full(20, rows // 20)


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize(("rows", "new"), [(0, 100), (LEAST_ROWS - 10, 100), (100, LEAST_ROWS - 10), (100, 0)])
def test_too_few_rows_are_unknown(effect: Effect, rows: int, new: int) -> None:
    """Empty or small samples: three NaN and the number of rows, never a pass."""
    interval = _severity(effect, _even(rows), _even(new))
    assert not interval.known and np.isnan(interval.estimate) and interval.n == min(rows, new) // 20 * 20


@pytest.mark.parametrize("effect", [Effect.PSI, Effect.JENSEN_SHANNON, Effect.TOTAL_VARIATION])
def test_the_upper_end_speaks_of_the_cells_as_they_are(effect: Effect) -> None:
    """Pairs of rare cells exchange their rows: nothing of it is left on merged cells, all of it in the upper end."""
    reference, current = [1_000] + [9, 1] * 50, [1_000] + [1, 9] * 50
    p, q = np.array(reference) / 1_500, np.array(current) / 1_500
    truth = {
        Effect.PSI: ((p - q) * np.log(p / q)).sum(),
        Effect.JENSEN_SHANNON: jensenshannon(p, q, base=2) ** 2,
        Effect.TOTAL_VARIATION: np.abs(p - q).sum() / 2,
    }[effect]
    interval = severity(effect, reference, current)
    (merged,) = intervals(measured(effect, columns_of([CellCounts(reference=reference, current=current)])), 0.95)
    assert interval.lower == merged.lower == 0.0
    assert merged.upper < 0.3 * truth < 0.8 * truth < interval.upper


def test_one_cell_is_unknown() -> None:
    """A constant column shows no effect that its cells could measure."""
    assert not severity(Effect.PSI, [500, 0], [500, 0], ordered=2).known


def test_wasserstein_without_unit_is_unknown_and_without_edges_refused() -> None:
    """Nine rows of ten in the lowest, open cell: no quartile range."""
    assert not severity(Effect.WASSERSTEIN, [900, 50, 50], [900, 50, 50], ordered=3, edges=[0.0, 1.0]).known
    with pytest.raises(ParameterError):
        severity(Effect.WASSERSTEIN, [900, 100], [900, 100], ordered=2)
    with pytest.raises(ParameterError):
        severity(Effect.PSI, [900, 100], [900, 100], confidence=1.0)


def _shifted(cells: int, shift: float) -> np.ndarray:
    edges = norm.ppf(np.arange(1, cells) / cells)
    return np.diff(np.concatenate(([0.0], norm.cdf(edges - shift), [1.0])))


def _draws(n: int, m: int, cells: int, shift: float, count: int) -> Columns:
    rng = np.random.default_rng([4, cells, n, m])
    return Columns(
        rng.multinomial(n, np.full(cells, 1 / cells), count).astype(float),
        rng.multinomial(m, _shifted(cells, shift), count).astype(float),
        np.full(count, cells, dtype=np.intp),
        (None,) * count,
    )


@pytest.mark.parametrize("effect", [Effect.PSI, Effect.JENSEN_SHANNON])
@pytest.mark.parametrize(
    ("cells", "n", "m"), [(2, 100, 100), (20, 100, 100), (256, 1_000, 1_000), (20, 100_000, 1_000), (64, 10**6, 10**6)]
)
@pytest.mark.parametrize("shift", [0.05, 0.3, 1.0])
def test_intervals_cover_the_truth(effect: Effect, cells: int, n: int, m: int, shift: float) -> None:
    """2.5 % promised on either side; 400 draws against four binomial deviations, thin cells included."""
    columns = _draws(n, m, cells, shift, 400)
    p, q = np.full(cells, 1 / cells), _shifted(cells, shift)
    law = measured(effect, columns).law
    truth = ((p - q) * np.log(p / q)).sum() if effect is Effect.PSI else jensenshannon(p, q, base=2) ** 2
    most = 0.025 + 4 * np.sqrt(0.025 * 0.975 / 400)
    assert np.mean(law.lower(0.025) > truth) <= most
    assert np.mean(law.upper(0.025) < truth) <= most


def test_intervals_cover_far_from_equality() -> None:
    """A shift of two deviations: errors vary more than near equality, which the plain non-central law would not know."""
    columns = _draws(10_000, 10_000, 10, 2.0, 2_000)
    p, q = np.full(10, 0.1), _shifted(10, 2.0)
    law = measured(Effect.PSI, columns).law
    assert isinstance(law, Divergence)
    truth = ((p - q) * np.log(p / q)).sum()
    most = 2 * (0.025 + 2 * np.sqrt(0.025 * 0.975 / 2_000))

    def missed(at: Divergence) -> float:
        return float(np.mean((at.lower(0.025) > truth) | (at.upper(0.025) < truth)))

    assert missed(law) <= most
    assert missed(law._replace(ratio=np.ones_like(law.ratio))) > most
