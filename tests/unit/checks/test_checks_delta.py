"""The loss from pilot to production: its verdict, its parts, and patients as units."""

import numpy as np
import pytest

from roadworthy.checks.performance.delta import DeltaCheck
from roadworthy.checks.performance.production import ProductionCheck
from roadworthy.checks.performance.threshold import ThresholdCheck
from roadworthy.kit.context import Quality

RNG = np.random.default_rng(15)


def rows(count, *, hard_share, moved=0.0, wrong=0.0):
    """Easy and hard cases; the outcome is told well at the easy site and badly at the hard one."""
    hard = RNG.random(count) < hard_share
    told = RNG.normal(size=count)
    flips = RNG.random(count) < np.where(hard, 0.35, 0.02) + wrong
    return {
        "told": told + moved,
        "ill": ((told > 0) ^ flips).astype(float),
        "site": np.where(hard, "hard", "easy").tolist(),
        "patient": [f"p{row // 10}" for row in range(count)],
    }


def prepare(case, pilot, production, **declared):
    """Accuracy, with a margin of 5 points."""
    case.quality = Quality(metric="accuracy", bound=0.5, threshold=0.5, margin_from_pilot=0.05)
    given = {"features": ("told",), "label": "ill", "cohort": "site", **declared}
    case.add("pilot", pilot, **given)
    case.add("production", production, **given)
    case.answer(lambda row: float(1 / (1 + np.exp(-row["told"]))))


def test_another_mix_is_told_from_a_worse_model(case, figure):
    """More hard cases, each site as before: the loss comes from the mix."""
    prepare(case, rows(2_000, hard_share=0.2), rows(2_000, hard_share=0.8))
    seen, findings = case.observe(DeltaCheck())
    assert seen.facts["verdict"] == "harmed"
    assert figure(seen, "harmed").estimate == 1.0
    parts = seen.facts["parts of the loss"]
    total = sum(parts[name]["loss"] for name in ("mix shift", "within slices", "new slices"))
    assert total == pytest.approx(parts["total"]["loss"], abs=1e-5)
    assert parts["mix shift"]["lower"] > 0.1
    assert abs(parts["within slices"]["loss"]) < 0.03
    assert "comes from the mix of cohorts" in findings[0]


def test_a_worse_model_is_told_from_another_mix(case):
    """The same mix, and more mistakes everywhere."""
    prepare(case, rows(2_000, hard_share=0.2), rows(2_000, hard_share=0.2, wrong=0.2))
    seen, findings = case.observe(DeltaCheck())
    assert seen.facts["parts of the loss"]["within slices"]["lower"] > 0.1
    assert "comes from change within cohorts" in findings[0]


def test_inputs_that_moved_are_no_harm(case, figure):
    """A shift that the decision does not see."""
    pilot, production = rows(3_000, hard_share=0.2), rows(3_000, hard_share=0.2)
    pilot["told"], production["told"] = pilot["told"] * 3, production["told"] * 6
    prepare(case, pilot, production)
    seen, findings = case.observe(DeltaCheck())
    assert seen.facts["inputs that moved"] == ["told"]
    assert seen.facts["verdict"] == "shifted but not harmed"
    assert figure(seen, "harmed").upper == 0.0
    assert findings == []


def test_few_rows_cannot_tell(case, figure):
    """And the finding says may."""
    prepare(case, rows(60, hard_share=0.2), rows(60, hard_share=0.5), cohort=None)
    seen, findings = case.observe(DeltaCheck())
    assert seen.facts["verdict"] == "cannot tell"
    assert (figure(seen, "harmed").lower, figure(seen, "harmed").upper) == (0.0, 1.0)
    assert seen.facts["parts of the loss"] is None
    assert "may lose" in findings[0]


def test_a_loss_without_a_clear_part_names_none(case):
    """New cohorts alone, with few rows."""
    pilot, production = rows(200, hard_share=0.0), rows(200, hard_share=1.0)
    prepare(case, pilot, production)
    seen, findings = case.observe(DeltaCheck())
    assert seen.facts["parts of the loss"]["rows of new slices"] == 1.0
    assert "Most of it" not in findings[0]


def test_inputs_of_another_form_cannot_be_compared(case, figure):
    """The delta is measured all the same."""
    pilot, production = rows(200, hard_share=0.2), rows(200, hard_share=0.2)
    pilot["told"] = [f"{value:.3f}" for value in pilot["told"]]
    prepare(case, pilot, production)
    case.answer(lambda row: float(float(row["told"]) > 0))
    seen, _ = case.observe(DeltaCheck())
    assert seen.facts["inputs that moved"] is None
    assert figure(seen, "production_quality").known


@pytest.mark.parametrize(("check", "metric"), [(ThresholdCheck, "quality"), (ProductionCheck, "quality")])
def test_patients_are_the_units_where_they_are_named(case, figure, check, metric):
    """Ten equal rows of one patient are no ten observations."""
    production = rows(1_000, hard_share=0.0)
    for name in ("told", "ill"):
        production[name] = np.repeat(production[name][:100], 10)
    prepare(case, rows(100, hard_share=0.2), production)
    alone, _ = case.observe(check())
    prepare(case, rows(100, hard_share=0.2), production, cluster="patient")
    together, _ = case.observe(check())
    assert figure(together, metric).n == 100
    width = [figure(seen, metric).upper - figure(seen, metric).lower for seen in (alone, together)]
    assert width[1] > 2 * width[0]
