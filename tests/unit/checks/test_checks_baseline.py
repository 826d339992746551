"""Simpler models on the same rows, and the recipe that makes them."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from roadworthy.base.errors import EmptyData
from roadworthy.checks.baseline.simpler import SimplerCheck
from roadworthy.checks.recipe import train_logistic
from roadworthy.kit.context import Quality
from roadworthy.measure.probing.inputs import make_inputs

RNG = np.random.default_rng(14)


def rows(count=800, *, product=True):
    """Two inputs; the outcome follows their product or their sum."""
    a, b = RNG.normal(size=count), RNG.normal(size=count)
    told = a * b if product else a + b
    return {
        "a": a,
        "b": b,
        "ill": (told + RNG.normal(size=count) / 2 > 0).astype(float),
        "patient": [f"p{row // 2}" for row in range(count)],
    }


def prepare(case, *, product=True, **declared):
    """A pilot to learn from and production, and a model of the right form."""
    given = {"features": ("a", "b"), "label": "ill", **declared}
    case.add("pilot", rows(product=product), **given)
    case.add("production", rows(product=product), **given)
    case.answer(lambda row: float(1 / (1 + np.exp(-4 * row["a"] * row["b"]))))


@pytest.mark.parametrize("metric", ["auc", "accuracy", "brier", "sensitivity"])
@pytest.mark.parametrize("cluster", [None, "patient"])
def test_a_model_that_knows_more_beats_a_sum(case, figure, metric, cluster):
    """By every metric, with rows or patients as units."""
    case.quality = Quality(metric=metric, bound=0.5, threshold=0.5, margin_from_pilot=0.05)
    prepare(case, cluster=cluster)
    seen, findings = case.observe(SimplerCheck())
    assert figure(seen, "gain_over_logistic").lower > 0.05
    assert figure(seen, "gain_over_logistic").n == (800 if cluster is None else 400)
    assert findings == []
    assert seen.facts["metric"] == ("auc" if metric == "sensitivity" else metric)


def test_a_model_that_is_a_sum_does_not_beat_one(case, figure):
    """The same figure to a thousandth: nobody can say that it is better."""
    prepare(case, product=False)
    case.answer(lambda row: float(1 / (1 + np.exp(-2 * row["a"] - 2 * row["b"]))))
    seen, findings = case.observe(SimplerCheck())
    assert abs(figure(seen, "gain_over_logistic").estimate) < 0.01
    assert figure(seen, "gain_over_logistic").lower < 0.001
    assert figure(seen, "gain_over_single_input").lower > 0
    assert "a logistic regression on the same inputs" in findings[-1]


def test_it_learns_from_the_training_set_where_one_is_declared(case):
    """With production's inputs; one outcome alone teaches nothing."""
    prepare(case)
    training = rows()
    case.add("training", training, label="ill")
    seen, _ = case.observe(SimplerCheck())
    assert seen.facts["learned from"] == {"training": 800, "pilot": 800}
    case.add("training", training | {"ill": np.ones(800)}, label="ill")
    with pytest.raises(EmptyData, match="one outcome"):
        case.observe(SimplerCheck())


def test_production_of_one_outcome_cannot_be_compared(case):
    """The gain is unknown, which is said and is no pass."""
    prepare(case)
    case.add("production", rows() | {"ill": np.ones(800)}, features=("a", "b"), label="ill")
    seen, findings = case.observe(SimplerCheck())
    assert all(not each.interval.known for each in seen.estimates)
    assert all("not measurable" in finding for finding in findings)
    assert seen.facts["model"] is None


def test_the_recipe_is_a_ridge_logistic_regression():
    """Against an independent solver on standardised columns with the same penalty."""
    a, b = RNG.normal(3.0, 2.0, 500), RNG.normal(size=500)
    labels = (RNG.random(500) < 1 / (1 + np.exp(-(a - 3) + b))).astype(float)
    model = train_logistic(make_inputs({"a": a, "b": b}), labels)
    matrix = np.clip(np.column_stack([(x - x.mean()) / x.std() for x in (a, b)]), -4, 4)
    oracle = LogisticRegression(C=1.0, tol=1e-10, max_iter=1_000).fit(matrix, labels)
    assert model(make_inputs({"a": a, "b": b})) == pytest.approx(oracle.predict_proba(matrix)[:, 1], abs=1e-4)


def test_the_recipe_takes_texts_nulls_and_separated_outcomes():
    """Absence is an input of its own, an unknown text none, and the weights stay finite."""
    site = np.asarray(["x", "y", None, "x"] * 50, dtype=object)
    age = np.asarray([1.0, np.nan, 3.0, 4.0] * 50)
    empty = np.full(200, np.nan)
    labels = np.asarray([1.0, 0.0, 0.0, 1.0] * 50)
    model = train_logistic(make_inputs({"site": site, "age": age, "empty": empty}), labels)
    scores = model(
        make_inputs(
            {
                "site": np.asarray(["x", "y", None, "z"], dtype=object),
                "age": np.asarray([1.0, np.nan, 3.0, 1e9]),
                "empty": np.asarray([np.nan] * 4),
            }
        )
    )
    assert np.isfinite(scores).all()
    assert scores[0] > 0.9
    assert scores[1] < 0.1
    assert scores[2] < 0.1


def test_one_outcome_gives_its_share():
    """The faint hold on the intercept keeps the steps from running away."""
    model = train_logistic(make_inputs({"a": RNG.normal(size=100)}), np.ones(100))
    assert (model(make_inputs({"a": np.zeros(2)})) > 0.99).all()


def test_the_margin_of_the_quality_is_not_read(case):
    """What the baselines are held to does not depend on it."""
    prepare(case)
    first, _ = case.observe(SimplerCheck())
    assert case.quality is not None
    case.quality = replace(case.quality, margin_from_pilot=0.5)
    second, _ = case.observe(SimplerCheck())
    assert first.estimates == second.estimates


def test_a_training_set_that_teaches_badly_does_not_make_the_model_look_good(case, figure):
    """Shuffled outcomes, or two rows: the pilot teaches the stronger baseline, and two rows are refused."""
    prepare(case, product=False)
    case.answer(lambda row: float(1 / (1 + np.exp(-2 * row["a"] - 0.4 * row["b"]))))
    training = rows(product=False)
    case.add("training", training | {"ill": RNG.permutation(training["ill"])}, label="ill")
    seen, findings = case.observe(SimplerCheck())
    assert figure(seen, "gain_over_logistic").upper < 0
    assert seen.facts["stronger one learned from"]["logistic"] == "pilot"
    assert "a logistic regression on the same inputs" in findings[-1]
    two = [int(np.flatnonzero(training["ill"] == outcome)[0]) for outcome in (0, 1)]
    case.add("training", {name: np.asarray(values)[two] for name, values in training.items()}, label="ill")
    with pytest.raises(EmptyData, match="rarer outcome 1 times"):
        case.observe(SimplerCheck())


def test_a_pilot_that_cannot_teach_leaves_it_to_the_training_set(case):
    """Without a label, or with a handful of rows of one outcome."""
    prepare(case)
    case.add("training", rows(), label="ill")
    case.add("pilot", rows(), features=("a", "b"))
    assert list(case.observe(SimplerCheck())[0].facts["learned from"]) == ["training"]
    case.add("pilot", rows(12), features=("a", "b"), label="ill")
    assert list(case.observe(SimplerCheck())[0].facts["learned from"]) == ["training"]
