"""The three parts add up, mean what they say, and cover their truth."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from roadworthy.base.errors import ParameterError
from roadworthy.stats.decomposition import SlicedRows, decompose, hidden_share
from roadworthy.stats.proportions import clopper_pearson
from roadworthy.stats.weighted import weighted_auc, weighted_mean

_RIGHT = {"young": 0.9, "old": 0.6}


def _side(seed: int, n: int, old_share: float, loss: float = 0.0, new_share: float = 0.0) -> SlicedRows:
    rng = np.random.default_rng(seed)
    slices = np.where(rng.random(n) < old_share, "old", "young")
    right = rng.random(n) < np.where(slices == "old", 0.6, 0.9) - loss
    slices = np.where(rng.random(n) < new_share, "unheard", slices)
    return SlicedRows(metric=weighted_mean(right.astype(float)), slices=slices)


def test_parts_add_up_to_the_change_for_the_auc_too() -> None:
    """The identity holds to rounding for a metric that is no mean, with a new slice and one that vanished."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 400)
    scores = np.round(rng.normal(size=400) + labels, 1)
    slices = rng.choice(["a", "b", "c", "d"], 400)
    before, after = slices[:200] != "d", slices[200:] != "a"
    first = (labels[:200][before], scores[:200][before])
    second = (labels[200:][after], scores[200:][after])
    result = decompose(
        SlicedRows(metric=weighted_auc(*first), slices=slices[:200][before]),
        SlicedRows(metric=weighted_auc(*second), slices=slices[200:][after]),
        seed=1,
        replicates=200,
    )
    total = roc_auc_score(*second) - roc_auc_score(*first)
    assert result.total.estimate == pytest.approx(total, abs=1e-12)
    parts = result.mix_shift.estimate + result.within_slices.estimate + result.new_slices.estimate
    assert parts == pytest.approx(total, abs=1e-12)
    assert result.new_share == (slices[200:][after] == "d").mean()
    assert [each.name for each in result.slices] == ["a", "b", "c", "d"]
    assert np.isnan(result.slices[0].production) and np.isnan(result.slices[3].pilot)


def test_mean_is_kitagawas_formula() -> None:
    """Mix = sum of share changes times pilot values; within = sum of production shares times value changes."""
    pilot, production = _side(1, 500, 0.2), _side(2, 700, 0.6, loss=0.1)
    result = decompose(pilot, production, seed=1, replicates=100)
    mix = sum((each.production_share - each.pilot_share) * each.pilot for each in result.slices)
    within = sum(each.production_share * (each.production - each.pilot) for each in result.slices)
    assert result.mix_shift.estimate == pytest.approx(mix, abs=1e-12)
    assert result.within_slices.estimate == pytest.approx(within, abs=1e-12)
    assert (result.new_slices.estimate, result.new_slices.lower, result.new_slices.upper) == (0.0, 0.0, 0.0)


def test_a_shift_of_mix_alone_is_not_blamed_on_the_slices() -> None:
    """From 20 to 60 in 100 old: the loss of 0.12 is all mix; within is covered by nil; and the other way round."""
    mix = decompose(_side(3, 3_000, 0.2), _side(4, 3_000, 0.6), seed=1, replicates=400)
    assert mix.mix_shift.upper < -0.09
    assert mix.within_slices.lower < 0 < mix.within_slices.upper
    within = decompose(_side(5, 3_000, 0.2), _side(6, 3_000, 0.2, loss=0.12), seed=1, replicates=400)
    assert within.within_slices.upper < -0.08
    assert abs(within.mix_shift.estimate) < 0.02


def test_intervals_cover() -> None:
    """Mix shift -0.12 and within -0.05 are inside in about 95 of 100."""
    mix = within = 0
    for seed in range(100):
        pilot, production = _side(2 * seed, 400, 0.2), _side(2 * seed + 1, 400, 0.6, loss=0.05)
        result = decompose(pilot, production, seed=seed, replicates=200)
        mix += result.mix_shift.lower <= -0.12 <= result.mix_shift.upper
        within += result.within_slices.lower <= -0.05 <= result.within_slices.upper
    assert mix >= 88
    assert within >= 88


def test_clusters_widen_and_nothing_in_common_is_unknown() -> None:
    """Rows of one patient are drawn together; without a common slice there is nothing to reweight."""
    pilot, production = _side(7, 300, 0.3), _side(8, 300, 0.3)
    four = np.repeat(np.arange(300), 4)
    rng = np.random.default_rng(9)
    values = rng.random(300) < 0.7

    def copied(side: SlicedRows, clusters: np.ndarray | None) -> SlicedRows:
        return SlicedRows(metric=weighted_mean(values[four].astype(float)), slices=side.slices[four], clusters=clusters)

    plain = decompose(copied(pilot, None), copied(production, None), seed=1, replicates=300).total
    clustered = decompose(copied(pilot, four), copied(production, four), seed=1, replicates=300).total
    assert clustered.n == 300
    assert clustered.upper - clustered.lower > 1.6 * (plain.upper - plain.lower)
    apart = SlicedRows(metric=production.metric, slices=np.full(300, "elsewhere"))
    nothing = decompose(pilot, apart, seed=1, replicates=100)
    assert nothing.total.known
    assert not nothing.mix_shift.known
    assert nothing.new_share == 1.0


def test_ten_right_of_ten_prove_nothing() -> None:
    """Nobody erred on either side: total and within reach as far as ten rows without an error leave open."""
    slices = np.repeat(["a", "b"], 5)
    flawless = SlicedRows(metric=weighted_mean(np.ones(10)), slices=slices)
    result = decompose(flawless, flawless, seed=1, replicates=100)
    reach = clopper_pearson(0, 10).upper
    assert (result.total.lower, result.total.upper) == pytest.approx((-reach, reach))
    assert result.within_slices.lower <= -reach
    assert (result.mix_shift.lower, result.mix_shift.upper) == (0.0, 0.0)


def test_a_tiny_slice_that_stands_for_much_may_hide_much() -> None:
    """Two rows of the pilot stand for half of production: within is open by half of what two rows leave open."""
    pilot = SlicedRows(metric=weighted_mean(np.ones(1_000)), slices=np.repeat(["a", "b"], [998, 2]))
    production = SlicedRows(metric=weighted_mean(np.ones(1_000)), slices=np.repeat(["a", "b"], 500))
    result = decompose(pilot, production, seed=1, replicates=100)
    assert result.slices[1].pilot_share == 0.002
    tight = decompose(production, production, seed=1, replicates=100)
    assert tight.within_slices.upper < 0.02
    wide = hidden_share(np.repeat([0.5 / 998, 0.25], [998, 2]), np.arange(1_000), 0.95, pilot.slices)
    assert wide >= 0.5 * clopper_pearson(0, 2).upper
    assert not result.within_slices.known or result.within_slices.upper >= wide


def test_few_rows_are_not_too_good() -> None:
    """0.97 in the pilot and 0.90 among ten rows of production: the loss is below the interval in 10 % or fewer."""
    missed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        pilot, production = (
            SlicedRows(metric=weighted_mean((rng.random(n) < right).astype(float)), slices=rng.integers(0, 2, n))
            for n, right in ((300, 0.97), (10, 0.9))
        )
        total = decompose(pilot, production, seed=seed, replicates=100).total
        missed += total.lower > -0.07
    assert missed <= 10


def test_the_auc_rests_on_its_rarer_class() -> None:
    """A hundred negatives and three positives, perfectly ranked, may hide what three positives may."""
    labels = np.repeat([1, 0], [3, 100])
    side = SlicedRows(
        metric=weighted_auc(labels, labels.astype(float)),
        slices=np.full(103, "a"),
        groups=(labels == 1, labels == 0),
    )
    total = decompose(side, side, seed=1, replicates=200).total
    assert not total.known or total.lower <= -clopper_pearson(0, 3).upper
    assert hidden_share(np.zeros(3), np.arange(3), 0.95) == 0.0


def test_nonsense_raises() -> None:
    """No rows; clusters of another length."""
    side = _side(1, 20, 0.5)
    empty = SlicedRows(metric=weighted_mean([]), slices=np.empty(0, dtype=str))
    crooked = SlicedRows(metric=side.metric, slices=side.slices, clusters=np.arange(3))
    for other in (empty, crooked):
        with pytest.raises(ParameterError):
            decompose(side, other, seed=1)
