"""Quality without labels: what scores lead to expect, and what they cannot."""

import numpy as np
import pytest

from roadworthy.base.errors import EmptyData, ManifestError
from roadworthy.checks.performance.estimate import EstimateCheck
from roadworthy.kit.context import Quality

RNG = np.random.default_rng(5)


def probabilities(rows, spread):
    """Scores in (0, 1), the surer the larger the spread."""
    return 1 / (1 + np.exp(-spread * RNG.normal(size=rows)))


def prepare(case, production, *, rows=1_500):
    """A pilot whose scores mean what they say, and production scores without outcomes."""
    scores = probabilities(rows, 3.0)
    outcomes = (RNG.random(rows) < scores).astype(int)
    case.add("pilot", {"p": scores, "ill": outcomes}, features=("p",), label="ill")
    case.add("production", {"p": production}, features=("p",))
    case.answer(lambda row: None if row["p"] is None or row["p"] < 0 else row["p"])


def test_it_is_right_where_only_inputs_moved(case, figure):
    """Against the outcomes that the same scores have, which the check never sees."""
    production = probabilities(4_000, 1.5)
    prepare(case, production)
    seen, findings = case.observe(EstimateCheck())
    outcomes = RNG.random(4_000) < production
    above = np.asarray(production)[outcomes][:, None] > np.asarray(production)[~outcomes][None, :]
    assert figure(seen, "estimated_quality").estimate == pytest.approx(above.mean(), abs=0.02)
    assert figure(seen, "estimated_loss").lower > 0.05
    assert seen.facts["verdict"] == "harmed"
    assert len(findings) == 1
    assert "loses" in findings[0]
    assert seen.facts["labels that would bound it"] > 100
    assert "concept drift" in seen.facts["blind spot"]


def test_nothing_is_said_when_nothing_moved(case, figure):
    """Within the margin."""
    prepare(case, probabilities(4_000, 3.0))
    seen, findings = case.observe(EstimateCheck())
    assert figure(seen, "estimated_loss").upper < 0.05
    assert findings == []


def test_a_wide_interval_says_may(case):
    """Few rows on both sides."""
    prepare(case, probabilities(300, 2.4), rows=300)
    _, findings = case.observe(EstimateCheck())
    assert "may lose" in findings[0]


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_rows_that_are_declined_are_no_scores(case, figure, share):
    """A fifth of them, or all, is too much to expect anything."""
    production = probabilities(1_000, 3.0)
    production[: round(share * 1_000)] = -1.0
    prepare(case, production)
    seen, findings = case.observe(EstimateCheck())
    assert not figure(seen, "estimated_loss").known
    assert seen.facts["rows declined"] == round(share * 1_000)
    assert findings[0].startswith("No quality can be expected")


@pytest.mark.parametrize("metric", ["accuracy", "sensitivity", "specificity"])
def test_shares_are_estimated_too(case, figure, metric):
    """With the exact plan of the audit."""
    case.quality = Quality(metric=metric, bound=0.7, threshold=0.5, margin_from_pilot=0.05)
    prepare(case, probabilities(3_000, 3.0))
    seen, _ = case.observe(EstimateCheck())
    assert figure(seen, "estimated_quality").estimate == pytest.approx(figure(seen, "pilot_quality").estimate, abs=0.05)
    assert seen.facts["labels that would bound it"] > 100


def test_a_pilot_without_a_positive_expects_nothing(case, figure):
    """Two hundred negatives: no figure is known, and the finding says what the pilot lacks."""
    case.quality = Quality(metric="accuracy", bound=0.7, threshold=0.5, margin_from_pilot=0.05)
    case.add("pilot", {"p": probabilities(200, 3.0), "ill": [0] * 200}, features=("p",), label="ill")
    case.add("production", {"p": probabilities(500, 1.0)}, features=("p",))
    case.answer(lambda row: row["p"])
    seen, findings = case.observe(EstimateCheck())
    assert not figure(seen, "estimated_loss").known
    assert "5 rows or clusters of each outcome in the pilot, which shows 0 of the rarer" in findings[0]


def test_rows_of_one_patient_know_less(case, figure):
    """The same rows, said to be of 60 patients: a wider interval."""
    production = probabilities(2_000, 3.0)
    prepare(case, production, rows=600)
    plain = figure(case.observe(EstimateCheck())[0], "estimated_quality")
    scores = np.repeat(probabilities(60, 3.0), 10)
    outcomes = np.repeat((RNG.random(60) < scores[::10]).astype(int), 10)
    patients = [f"p{row // 10}" for row in range(600)]
    case.add("pilot", {"p": scores, "ill": outcomes, "who": patients}, features=("p",), label="ill", cluster="who")
    seen, _ = case.observe(EstimateCheck(), supported_share=0.95)
    clustered = figure(seen, "estimated_quality")
    assert not clustered.known or clustered.upper - clustered.lower > 1.5 * (plain.upper - plain.lower)


def test_the_brier_score_is_not_estimated(case):
    """And the check says so instead of guessing."""
    case.quality = Quality(metric="brier", bound=0.2, threshold=0.5, margin_from_pilot=0.05)
    prepare(case, probabilities(100, 3.0))
    with pytest.raises(ManifestError, match="Brier"):
        case.observe(EstimateCheck())


def test_no_audit_without_a_margin(case):
    """A margin of 0 would take all labels there are."""
    case.quality = Quality(metric="auc", bound=0.7, threshold=0.5, margin_from_pilot=0.0)
    prepare(case, probabilities(1_000, 1.5))
    seen, _ = case.observe(EstimateCheck())
    assert seen.facts["labels that would bound it"] is None
    assert EstimateCheck().explain(seen)[0].remedy.startswith("Label production rows.")


def test_declining_easy_pilot_rows_does_not_hide_a_loss(case, figure):
    """Those that the model would get right: the pilot seems poor, and production as good as it."""
    scores = probabilities(1_500, 3.0)
    outcomes = (RNG.random(1_500) < scores).astype(int)
    easy = ((scores >= 0.5) == (outcomes == 1)) & (np.arange(1_500) % 3 > 0)
    given = np.where(easy, -scores, scores)
    prepare(case, probabilities(4_000, 1.5))
    case.add("pilot", {"p": given, "ill": outcomes}, features=("p",), label="ill")
    seen, findings = case.observe(EstimateCheck())
    assert seen.facts["pilot rows declined"] == easy.sum()
    assert not figure(seen, "estimated_loss").upper <= 0.05
    assert figure(seen, "pilot_quality").estimate > 0.8
    assert findings


@pytest.mark.parametrize("metric", ["auc", "accuracy"])
def test_scores_that_are_all_alike_or_missing_expect_nothing(case, figure, metric):
    """No loss can be seen in them."""
    case.quality = Quality(metric=metric, bound=0.5, threshold=0.5, margin_from_pilot=0.05)
    prepare(case, probabilities(500, 3.0))
    case.answer(lambda row: 0.6)
    seen, findings = case.observe(EstimateCheck())
    assert not figure(seen, "estimated_loss").known
    assert findings == ["No quality can be expected: the pilot's scores are all alike."]
    case.answer(lambda row: None)
    with pytest.raises(EmptyData, match="none of 1500 pilot rows"):
        case.observe(EstimateCheck())
