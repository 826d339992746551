"""The five questions, from evidence that is made here: what is shown is what stands in it, and nothing else."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roadworthy.base.interval import Interval, exact, unknown
from roadworthy.demo.figures import five_answers
from roadworthy.domain.criterion import Assurance, Estimate
from roadworthy.domain.evidence import Control, Evidence, RunOutcome

AT = datetime(2026, 11, 21, tzinfo=UTC)
MEASURED = re.compile(r"-?\d+\.\d{3} \[-?\d+\.\d{3}, -?\d+\.\d{3}\]")
BLIND = "It sees no change of the outcome."


def run_of(check, estimates=(), facts=None, control=None):
    """A completed run of a check."""
    return Evidence(
        use_case_id="case",
        release_digest="sha256:" + "0" * 64,
        environment="test",
        criteria=(),
        check=check,
        check_version=1,
        parameters={},
        inputs={},
        outcome=RunOutcome.COMPLETED,
        problem=None,
        estimates=tuple(estimates),
        control=control,
        findings=(),
        facts=facts or {},
        attachments=(),
        attestation=None,
        tool={},
        seed=1,
        observed_from=AT,
        observed_until=AT,
        produced_at=AT,
        producer="test",
        assurance=Assurance.EXECUTED,
    )


def figure(estimate, reach=0.02, level=0.95):
    return Interval(estimate=estimate, lower=estimate - reach, upper=estimate + reach, n=100, confidence=level)


def delta(losses, *, verdict):
    estimates = [Estimate(metric="quality_loss", interval=figure(0.081))]
    estimates += [
        Estimate(metric="quality_loss", interval=figure(loss, level=0.975), cohort=name)
        for name, loss in losses.items()
    ]
    estimates.append(Estimate(metric="production_quality", interval=figure(0.884)))
    return run_of("performance.delta", estimates, {"metric": "auc", "verdict": verdict})


def drift(**severities):
    rows = [
        {"input": name, "severity": value, "lower": value - 0.1, "upper": value + 0.1, "verdict": verdict}
        for name, (value, verdict) in severities.items()
    ]
    return run_of("drift.inputs", facts={"inputs": rows, "tolerance": 0.2})


def shortcut(auc, *, taken=()):
    row = {"circumstance": "site", "auc": auc, "lower": auc - 0.05, "upper": auc + 0.05, "adjusted p": 0.03}
    return run_of(
        "shortcut.site",
        [Estimate(metric="decisions_flipped_share", interval=exact(0.0, 100))],
        {"predicted": [row], "inputs that tell circumstances": list(taken)},
        Control(fixture="a model that decides by the scanner", failed=True, detail="decisions_flipped_share 1"),
    )


def contract(zeros):
    rule = {"rule": "completeness.texture.sentinel", "bad rows": zeros}
    other = {"rule": "completeness.texture.nullValues", "bad rows": 31}
    said = ["texture is 0 in 4 of 50 rows in site-b: declared as a sentinel.", "radius in site-c has the median 0.01."]
    return run_of("data_quality.contract", facts={"rows": 100, "rules": [rule, other], "suspicions": said})


def estimate(quality, share):
    known = {"rows with a score that the pilot had": share, "blind spot": BLIND, "labels that would bound it": 162}
    return run_of("performance.estimate", [Estimate(metric="estimated_quality", interval=quality)], known)


DELIVERED = (
    delta({"site-a": 0.011, "site-c": 0.179}, verdict="harmed"),
    drift(radius=(0.64, "exceeds"), symmetry=(0.7, "exceeds"), texture=(0.05, "within")),
    shortcut(0.76),
    contract(4),
    estimate(unknown(100), 0.886),
)
REPAIRED = (
    *DELIVERED,
    delta({"site-a": -0.009, "site-c": 0.001}, verdict="shifted but not harmed"),
    drift(radius=(0.02, "within"), symmetry=(0.67, "exceeds"), texture=(0.15, "cannot_tell")),
    shortcut(0.44),
    contract(0),
    estimate(figure(0.98), 0.997),
)


def test_the_loss_of_each_site_comes_with_its_interval():
    """Both feeds, each site and all of them, at the level that stands in the evidence."""
    answer = five_answers(DELIVERED, REPAIRED)[0]
    assert answer.rows == (
        ("site-a", "0.011 [-0.009, 0.031]", "-0.009 [-0.029, 0.011]"),
        ("site-c", "0.179 [0.159, 0.199]", "0.001 [-0.019, 0.021]"),
        ("all sites", "0.081 [0.061, 0.101]", "0.081 [0.061, 0.101]"),
    )
    assert "AUC" in answer.question
    assert "97.5% confidence" in answer.remark


def test_what_moved_stands_beside_whether_it_harmed():
    """Inputs that moved at either time, and the verdict of the loss; those that never did are left out."""
    answer = five_answers(DELIVERED, REPAIRED)[1]
    assert answer.rows == (
        ("radius", "0.640 [0.540, 0.740] moved", "0.020 [-0.080, 0.120] within tolerance"),
        ("symmetry", "0.700 [0.600, 0.800] moved", "0.670 [0.570, 0.770] moved"),
        ("is it harm?", "harmed", "shifted but not harmed"),
    )
    assert "0.2 is tolerated" in answer.remark


def test_what_can_be_told_is_not_what_decides():
    """How well the site is told, how many decisions hang on it, and what the control found."""
    answer = five_answers(DELIVERED, REPAIRED)[2]
    assert answer.rows[0] == ("AUC of telling site", "0.760 [0.710, 0.810] p 0.03", "0.440 [0.390, 0.490] p 0.03")
    assert answer.rows[1][1:] == ("0.000 [0.000, 0.000]", "0.000 [0.000, 0.000]")
    assert "takes none" in answer.remark
    assert "decides by the scanner: decisions flipped share 1." in answer.remark
    assert "takes scanner" in five_answers(DELIVERED, [shortcut(0.5, taken=["scanner"])])[2].remark


def test_zeros_are_counted_where_they_stand_for_nothing():
    """The column, the rows, and the site; other rules and other suspicions are not of this question."""
    answer = five_answers(DELIVERED, REPAIRED)[3]
    assert answer.rows == (("texture", "4 of 100 rows", "0 of 100 rows"),)
    assert answer.remark == "texture is 0 in 4 of 50 rows in site-b: declared as a sentinel."


def test_no_zeros_at_all_are_an_answer_too():
    """None of the columns that were looked at, which is not the same as not looked."""
    answer = five_answers([contract(0)], [contract(0)])[3]
    assert answer.rows == (("columns", "none found", "none found"),)
    assert answer.remark == ""


def test_the_estimate_without_labels_stands_beside_the_realised_figure():
    """Where it refuses it says so, and what it cannot see is said with it."""
    answer = five_answers(DELIVERED, REPAIRED)[4]
    assert answer.rows == (
        ("rows whose score the pilot had", "88.6%", "99.7%"),
        ("expected from scores alone", "cannot be told", "0.980 [0.960, 1.000]"),
        ("realised, by the labels", "0.884 [0.864, 0.904]", "0.884 [0.864, 0.904]"),
    )
    assert answer.remark.startswith(BLIND)
    assert "162 labels" in answer.remark


def test_every_answer_is_measured():
    """Each of the five shows a number for the repaired feed."""
    answers = five_answers(DELIVERED, REPAIRED)
    assert len(answers) == 5
    for answer in answers:
        told = " ".join(row[2] for row in answer.rows)
        assert MEASURED.search(told) or "0 of 100 rows" in told
        assert "not measured" not in told


def test_without_evidence_nothing_is_told():
    """Not one digit: what has not run is not measured."""
    for answer in five_answers((), ()):
        cells = [cell for row in answer.rows for cell in row[1:]]
        assert cells
        assert set(cells) == {"not measured"}
        assert answer.remark == ""


@pytest.mark.parametrize("outcome", [RunOutcome.ERROR, RunOutcome.TERMINATED])
def test_a_run_that_did_not_complete_tells_nothing(outcome):
    """Its figures are not shown, and those of an earlier run stay."""
    broken = replace(shortcut(0.99), outcome=outcome)
    assert five_answers([broken], [broken])[2].rows == five_answers((), ())[2].rows
    assert five_answers(DELIVERED, [*REPAIRED, broken]) == five_answers(DELIVERED, REPAIRED)


def test_figures_that_nobody_knows_are_no_numbers():
    """A severity or an AUC that could not be computed reads so."""
    nothing = {"severity": None, "lower": None, "upper": None}
    moved = run_of(
        "drift.inputs", facts={"inputs": [{"input": "a", "verdict": "exceeds", **nothing}], "tolerance": 0.2}
    )
    told = shortcut(0.5)
    row = {**told.facts["predicted"][0], "auc": None}
    answers = five_answers([moved, replace(told, facts={**told.facts, "predicted": [row]})], ())
    assert answers[1].rows[0] == ("a", "cannot be told", "not measured")
    assert answers[2].rows[0] == ("AUC of telling site", "cannot be told", "not measured")
