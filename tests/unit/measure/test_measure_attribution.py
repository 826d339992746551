"""Attributions of models whose truth is known: values, mass, stability against relabelling, cost."""

import math

import numpy as np
import pytest
from probing_worlds import logistic, sites_with_shares

from roadworthy.base.errors import EmptyData, ParameterError
from roadworthy.measure.probing.attribution import (
    DIRECTION,
    WEIGHT,
    Attributions,
    explanation_cost,
    mass_on,
    occlude,
    stability,
)
from roadworthy.measure.probing.inputs import Inputs, make_inputs


def _linear(weights: dict[str, float]):
    return lambda rows: sum(weight * rows.column(name) for name, weight in weights.items())


def _normal(seed: int, n: int = 300, k: int = 4) -> Inputs:
    rng = np.random.default_rng(seed)
    return make_inputs({f"x{j}": rng.normal(size=n) for j in range(k)})


def _attributions(rng: np.random.Generator, n: int, weights: np.ndarray) -> Attributions:
    observed = rng.normal(size=(n, weights.size))
    return Attributions(names=tuple(f"x{k}" for k in range(weights.size)), values=observed * weights, observed=observed)


def test_a_linear_model_is_read_exactly() -> None:
    """The attribution is weight x (value - background mean); an input that is not read has none."""
    rows = _normal(1)
    found = occlude(_linear({"x0": 3.0, "x1": -1.0}), rows, rows, draws=200, seed=1)
    values = dict(zip(found.names, found.values.T, strict=True))
    x0 = rows.column("x0")
    assert np.abs(values["x0"] - 3 * (x0 - x0.mean())).max() < 1.0
    assert not values["x2"].any()
    assert list(found.weights)[:2] == ["x0", "x1"]
    assert found.weights["x0"] == pytest.approx(3 * found.weights["x1"], rel=0.15)


def test_groups_are_replaced_together() -> None:
    """Two columns that only matter together have one attribution."""
    code = np.arange(60) % 3
    rows = make_inputs({"a": code, "b": code, "c": np.arange(60.0)})

    def mismatch(asked: Inputs) -> np.ndarray:
        return (asked.column("a") != asked.column("b")).astype(float)

    assert occlude(mismatch, rows, rows, seed=1).weights["a"] > 0.5
    grouped = occlude(mismatch, rows, rows, groups={"scanner": ["a", "b"]}, seed=1)
    assert grouped.names == ("c", "scanner")
    assert grouped.weights["scanner"] == 0.0


def test_mass_falls_on_the_token_that_is_read() -> None:
    """With the token most of the attribution is on it; a model that does not read it has none there, and says how sure."""
    inputs, labels, _ = sites_with_shares(1, n=600)
    reading = occlude(logistic(inputs, labels), inputs, inputs, seed=1)
    assert mass_on(reading, ["token"]).lower > 0.4
    honest = logistic(inputs.only(["measured"]), labels)
    blind = mass_on(occlude(lambda rows: honest(rows.only(["measured"])), inputs, inputs, seed=1), ["token"])
    assert blind.estimate == blind.lower == 0.0
    assert 0.0 < blind.upper < 0.01
    whole = mass_on(reading, ["token", "measured"])
    assert (whole.estimate, whole.upper) == (1.0, 1.0)


def test_mass_covers() -> None:
    """Over 400 samples of 80 rows the true share, 1 / 3, is inside about 95 % of the time."""
    hits = 0
    for seed in range(400):
        found = _attributions(np.random.default_rng(seed), 80, np.array([1.0, 2.0]))
        interval = mass_on(found, ["x0"])
        hits += interval.lower <= 1 / 3 <= interval.upper
    assert 0.92 <= hits / 400 <= 0.98


def test_mass_that_cannot_be_told_is_unknown() -> None:
    """One row, or a model that reads nothing; a name that is not there is refused."""
    rows = _normal(2, n=50)
    assert not mass_on(occlude(lambda asked: np.zeros(asked.row_count), rows, rows, seed=1), ["x0"]).known
    one = rows.take(np.arange(1))
    assert not mass_on(occlude(_linear({"x0": 1.0}), one, rows, seed=1), ["x0"]).known
    with pytest.raises(ParameterError):
        mass_on(occlude(_linear({"x0": 1.0}), rows, rows, seed=1), ["site"])


def test_quiet_windows_seldom_alarm() -> None:
    """Equal weights are the hard case: their ranks are noise in both windows; 5 % promised over 30 pairs."""
    alarms, correlations = 0, []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        weights = np.ones(8)
        report = stability(
            _attributions(rng, 150, weights), _attributions(rng, 60, weights), seed=seed, permutations=59
        )
        alarms += report.alarm()
        correlations.append(report.rank_correlation.estimate)
    assert alarms <= 5
    assert np.mean(correlations) < 0.4


def test_a_changed_order_and_a_turned_direction_alarm() -> None:
    """Reversed weights lower correlation and overlap; one turned input among the heaviest is seen as such."""
    rng = np.random.default_rng(3)
    weights = np.linspace(1, 4, 8)
    reference = _attributions(rng, 300, weights)
    reversed_order = stability(reference, _attributions(rng, 150, weights[::-1]), top=3, seed=1, permutations=199)
    assert reversed_order.alarm()
    assert reversed_order.rank_correlation.upper < 0
    assert reversed_order.overlap_share == 0.0
    assert reversed_order.adjusted[WEIGHT] == pytest.approx(2 / 200)
    turned = weights.copy()
    turned[-1] *= -1
    report = stability(reference, _attributions(rng, 150, turned), top=4, seed=1, permutations=199)
    assert report.flipped_share == 0.25
    assert report.adjusted[DIRECTION] == pytest.approx(2 / 200)
    assert report.furthest[DIRECTION] == "x7"
    assert report.adjusted[WEIGHT] > 0.05


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([2, 1, 0.5, 0.3], [-2, 1, 0.5, 0.3]),
        ([2, 1, 0.5, 0.3], [2, 1, -0.5, 0.3]),
        ([10, 1, 0.5, 0.1], [1, 10, 0.5, 0.1]),
    ],
)
def test_a_hundred_rows_show_an_input_that_turns_or_takes_over(before: list[float], after: list[float]) -> None:
    """The heaviest turned, the third turned, the heaviest two exchanged: seen in 20 of 20, which mixed ranks never did."""
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        windows = [_attributions(rng, 100, np.array(weights)) for weights in (before, after)]
        alarms += stability(*windows, top=3, seed=seed, permutations=99).alarm()
    assert alarms == 20


def test_scores_on_another_scale_hang_on_the_same_inputs() -> None:
    """Every attribution doubled in one window is no change of shares or directions."""
    rng = np.random.default_rng(4)
    weights = np.array([2, 1, 0.5, 0.3])
    reference, window = _attributions(rng, 200, weights), _attributions(rng, 200, weights)
    doubled = Attributions(names=window.names, values=2 * window.values, observed=window.observed)
    assert stability(reference, doubled, top=2, seed=1).adjusted[WEIGHT] > 0.05


def test_texts_and_nulls_have_no_direction_to_turn() -> None:
    """Attributions without numbers behind them are ranked, not directed; a null stands in the middle."""
    rows = make_inputs(
        {
            "t": np.array(["a", "b"] * 50, dtype=object),
            "u": np.array(["a", "b", "c", "d"] * 25, dtype=object),
            "v": np.array(["a"] * 50 + ["b"] * 50, dtype=object),
        }
    )
    found = occlude(lambda asked: (asked.column("t") == "a").astype(float), rows, rows, seed=1)
    report = stability(found, found, top=2, seed=1, permutations=19)
    assert report.flipped_share == 0.0
    assert report.rank_correlation.estimate == 1.0
    nulls = make_inputs({f"x{k}": np.where(np.arange(40) % 5 == k, np.nan, np.arange(40.0)) for k in range(3)})

    def filled(asked: Inputs) -> np.ndarray:
        return np.nan_to_num(asked.column("x0"), nan=20.0)

    again = stability(occlude(filled, nulls, nulls, seed=1), occlude(filled, nulls, nulls, seed=2), top=1, seed=1)
    assert not again.alarm()


def test_a_model_that_reads_nothing_is_stable() -> None:
    """Equal zeros rank nothing on both sides; ranks on one side only count as no agreement."""
    rows = _normal(4, n=30)
    nothing = occlude(lambda asked: np.zeros(asked.row_count), rows, rows, seed=1)
    assert stability(nothing, nothing, top=2, seed=1, permutations=9).rank_correlation.estimate == 1.0
    something = occlude(_linear({"x0": 1.0}), rows, rows, seed=1)
    assert stability(nothing, something, top=2, seed=1, permutations=9).rank_correlation.estimate == 0.0


def test_cost_is_read_off_the_clock() -> None:
    """Ten milliseconds a batch to score and thirty to explain: 100 rows a second become 25."""
    at = [0.0]

    def model(rows: Inputs) -> np.ndarray:
        at[0] += 0.010
        return np.zeros(rows.row_count)

    def explain(rows: Inputs) -> None:
        at[0] += 0.030

    cost = explanation_cost(model, explain, _normal(5, n=7), monotonic_s=lambda: at[0])
    assert cost.plain_rows_per_s == pytest.approx(100)
    assert cost.explained_rows_per_s == pytest.approx(25)
    assert cost.slowdown == pytest.approx(4)
    assert cost.overhead_p95_s.estimate == pytest.approx(0.030)
    assert cost.overhead_p95_s.known
    few = explanation_cost(model, explain, _normal(5, n=7), monotonic_s=lambda: at[0], batch_rows=5, batches=71)
    assert few.plain_rows_per_s == pytest.approx(500)
    assert math.isinf(few.overhead_p95_s.upper)


def test_refusals_name_what_is_wrong() -> None:
    """No draw, a bad group, a declined row, other inputs, too few rows, a stopped clock, nothing to time."""
    rows = _normal(6, n=20)
    model = _linear({"x0": 1.0})
    with pytest.raises(ParameterError):
        occlude(model, rows, rows, draws=0, seed=1)
    for groups in ({"g": ["nowhere"]}, {"g": ["x0"], "h": ["x0"]}, {"g": []}):
        with pytest.raises(ParameterError):
            occlude(model, rows, rows, groups=groups, seed=1)
    with pytest.raises(ParameterError):
        occlude(lambda asked: np.full(asked.row_count, np.nan), rows, rows, seed=1)
    found = occlude(model, rows, rows, seed=1)
    with pytest.raises(ParameterError):
        stability(found, occlude(model, rows.only(["x0", "x1"]), rows, seed=1), seed=1)
    with pytest.raises(ParameterError):
        stability(found, found, top=4, seed=1)
    with pytest.raises(EmptyData):
        stability(found, occlude(model, rows.take(np.arange(1)), rows, seed=1), top=2, seed=1)
    with pytest.raises(ParameterError):
        explanation_cost(model, lambda _: None, rows, monotonic_s=lambda: 1.0)
    with pytest.raises(ParameterError):
        explanation_cost(model, lambda _: None, rows, monotonic_s=lambda: 1.0, batches=0)
