"""A judging model judged: its noise floor, its agreement with people, and prevalence corrected for its error."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from roadworthy.base.errors import ContractError, EmptyData, ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.domain.criterion import Verdict
from roadworthy.measure.answers.judge import (
    JudgeBounds,
    JudgedItem,
    JudgeReport,
    corrected_prevalence,
    judge_report,
)
from roadworthy.stats.agreement import cohens_kappa
from roadworthy.stats.proportions import wilson

BOUNDS = JudgeBounds(
    flipping_at_most=0.15,
    kappa_at_least=0.5,
    sensitivity_at_least=0.7,
    specificity_at_least=0.8,
    provenance="a test",
)


def judged(n: int, *, prevalence=0.3, sensitivity=0.95, specificity=0.97, repeats=3, flip=0.02, seed=0):
    """Answers with a judge that errs on some of them for good and wavers on single runs."""
    rng = np.random.default_rng(seed)
    items = []
    for number in range(n):
        marked = bool(rng.random() < prevalence)
        leaning = marked if rng.random() < (sensitivity if marked else specificity) else not marked
        verdicts = tuple(bool(leaning != (rng.random() < flip)) for _ in range(repeats))
        items.append(JudgedItem(id=str(number), verdicts=verdicts, marked=marked))
    return items


def test_reading():
    """Two against one is no reading, and neither is a verdict that cannot be read."""
    assert JudgedItem(id="a", verdicts=(True, True, True)).reading is True
    assert JudgedItem(id="a", verdicts=(True, True, False)).reading is None
    assert JudgedItem(id="a", verdicts=(True, None)).reading is None
    assert JudgedItem(id="a", verdicts=(None, None)).reading is None
    assert not JudgedItem(id="a", verdicts=(None, None)).flips


def test_a_good_judge_is_usable():
    """Small noise, high agreement: usable; every figure is near what was simulated."""
    report = judge_report(judged(1500), seed=1)
    assert report.usable(BOUNDS) is Verdict.MET
    assert report.sensitivity.estimate == pytest.approx(0.95 * 0.98 + 0.05 * 0.02, abs=0.025)
    assert report.specificity.estimate == pytest.approx(0.97 * 0.98 + 0.03 * 0.02, abs=0.02)
    assert report.specificity.estimate + report.false_marks.estimate == pytest.approx(1.0)
    assert report.flipping.estimate == pytest.approx(1 - 0.98**3 - 0.02**3, abs=0.015)
    assert report.alpha.known and report.alpha.estimate > 0.85
    assert report.sensitivity.n == sum(item.marked is True for item in judged(1500))


def test_a_wavering_judge_is_not_usable():
    """Noise above the floor that was declared."""
    assert judge_report(judged(600, flip=0.2), seed=1).usable(BOUNDS) is Verdict.NOT_MET


def test_few_items_cannot_tell():
    """Intervals that straddle the bounds decide nothing."""
    assert judge_report(judged(40), seed=1).usable(BOUNDS) is Verdict.CANNOT_TELL


@pytest.mark.parametrize("repeats", [1, 2])
def test_without_repeats_nothing_can_be_told(repeats):
    """A single run may agree with people perfectly and still is no measurement."""
    report = judge_report(judged(1500, repeats=repeats), seed=1)
    assert report.kappa.estimate > 0.8
    assert report.flipping.known is (repeats == 2)
    assert report.usable(BOUNDS) is Verdict.CANNOT_TELL


def test_bounds_ask_for_repeats():
    """One repeat shows no noise, so it cannot be enough."""
    with pytest.raises(ParameterError, match="show no noise"):
        replace(BOUNDS, repeats_at_least=1)


def test_unreadable_verdicts_count_against_the_judge():
    """A run that says nothing neither finds a fault nor clears an answer."""
    items = [JudgedItem(id=str(n), verdicts=(None, None, None), marked=n % 2 == 0) for n in range(60)]
    report = judge_report(items, seed=1)
    assert (report.sensitivity.estimate, report.specificity.estimate, report.false_marks.estimate) == (0, 0, 0)
    assert report.undecided == 60
    assert not report.alpha.known
    assert report.usable(BOUNDS) is Verdict.NOT_MET


def test_kappa_is_the_known_one():
    """For a judge that never wavers the agreement is scikit-learn's kappa."""
    items = judged(400, flip=0.0, sensitivity=0.8)
    expected = cohen_kappa_score([item.marked for item in items], [item.verdicts[0] for item in items])
    assert judge_report(items, seed=1).kappa.estimate == pytest.approx(expected, abs=1e-12)


def test_clusters_widen():
    """A judge that errs by document knows less than its answers seem to say."""
    rng = np.random.default_rng(2)
    wrong = rng.random(60) < 0.2
    items = [
        JudgedItem(
            id=f"{document}-{n}",
            verdicts=((n % 2 == 0) != bool(wrong[document]),) * 3,
            marked=n % 2 == 0,
            cluster=f"d{document}",
        )
        for document in range(60)
        for n in range(10)
    ]
    apart = judge_report([replace(item, cluster=None) for item in items], seed=1)
    together = judge_report(items, seed=1)
    for name in ("kappa", "sensitivity", "specificity"):
        one, other = getattr(apart, name), getattr(together, name)
        assert other.estimate == one.estimate
        assert other.upper - other.lower > 1.5 * (one.upper - one.lower)
        assert other.n == 60


@pytest.mark.parametrize(
    ("items", "error", "said"),
    [
        ([], EmptyData, "no judged items"),
        ([JudgedItem(id="a", verdicts=(True,), marked=True)] * 2, ContractError, "one id"),
        ([JudgedItem(id="a", verdicts=(), marked=True)], ContractError, "the judge's verdict"),
        ([JudgedItem(id="a", verdicts=(True,))], ContractError, "people's mark"),
    ],
)
def test_what_cannot_be_judged(items, error, said):
    """Nothing, doubles, no verdict, no mark."""
    with pytest.raises(error, match=said):
        judge_report(items, seed=1)


def test_corrected_prevalence_finds_the_truth():
    """A judge that marks far too many still tells the true share, because its error is known."""
    report = judge_report(judged(1200, prevalence=0.4, sensitivity=0.8, specificity=0.85, seed=1000), seed=1)
    target = judged(3000, prevalence=0.05, sensitivity=0.8, specificity=0.85, seed=5000)
    marks = np.mean([item.verdicts[0] for item in target])
    found = corrected_prevalence([replace(item, marked=None) for item in target], report)
    assert marks > 0.17
    assert found.lower <= 0.05 <= found.upper < 0.13
    assert found.n == 3000


def test_corrected_prevalence_covers():
    """In simulation with known truth the interval holds about as often as it says."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(120):
        labelled = _fast(rng, 250, 0.3)
        target = _fast(rng, 400, 0.15)
        found = corrected_prevalence(target, _single_run(labelled))
        held += found.lower <= 0.15 <= found.upper
    assert 0.90 <= held / 120 <= 0.999


def _fast(rng, n, prevalence):
    marked = rng.random(n) < prevalence
    verdict = rng.random(n) < np.where(marked, 0.85, 0.1)
    return [
        JudgedItem(id=str(number), verdicts=(bool(verdict[number]),), marked=bool(marked[number]))
        for number in range(n)
    ]


def _single_run(items) -> JudgeReport:
    """Only what the correction reads; alpha and kappa would take most of the time."""
    ill = [item.verdicts[0] for item in items if item.marked]
    well = [item.verdicts[0] for item in items if not item.marked]
    return JudgeReport(
        items=len(items),
        repeats=1,
        flipping=unknown(),
        alpha=unknown(),
        kappa=unknown(),
        sensitivity=wilson(sum(ill), len(ill)),
        specificity=unknown(),
        false_marks=wilson(sum(well), len(well)),
        undecided=0,
    )


def test_a_guessing_judge_corrects_nothing():
    """Where sensitivity cannot be told from false marks, any prevalence fits."""
    report = judge_report(judged(200, sensitivity=0.5, specificity=0.5), seed=1)
    assert not corrected_prevalence(judged(200), report).known


def test_one_confidence():
    """Intervals of two levels are not combined."""
    report = judge_report(judged(400), seed=1, confidence=0.9)
    with pytest.raises(ParameterError, match="another confidence"):
        corrected_prevalence(judged(400), report)
    assert corrected_prevalence(judged(400), report, confidence=0.9).confidence == 0.9


def test_two_annotators_of_pubmedqa(shared_data: Path):
    """Known figures: the two annotators agree on 70.1 %, kappa 0.457."""
    rows = json.loads((shared_data / "pubmedqa" / "ori_pqal.json").read_text()).values()
    one = [row["reasoning_required_pred"] for row in rows]
    two = [row["reasoning_free_pred"] for row in rows]
    assert len(one) == 1000
    assert np.mean(np.array(one) == np.array(two)) == pytest.approx(0.701, abs=5e-4)
    kappa = cohens_kappa(one, two)
    assert kappa.estimate == pytest.approx(0.457, abs=5e-4)
    assert kappa.lower < 0.457 < kappa.upper and kappa.upper - kappa.lower < 0.1


@pytest.fixture(scope="module")
def halueval(shared_data: Path) -> tuple[list[JudgedItem], list[JudgedItem], float]:
    """A weak stand-in judge on real answers: learnt on a third, then measured, then used; and its AUC."""
    lines = (shared_data / "halueval_general" / "general_data.json").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    texts = [f"{row['user_query']} {row['chatgpt_response']}" for row in rows]
    marked = np.array([row["hallucination"] == "yes" for row in rows])
    rng = np.random.default_rng(0)
    learnt, measured, used = np.array_split(rng.permutation(len(rows)), 3)
    words = TfidfVectorizer(min_df=3, max_features=8000, sublinear_tf=True)
    judge = LogisticRegression(C=1.0, class_weight="balanced", max_iter=200)
    judge.fit(words.fit_transform([texts[row] for row in learnt]), marked[learnt])
    rest = np.concatenate([measured, used])
    scores = judge.decision_function(words.transform([texts[row] for row in rest]))
    # A seeded wobble stands for a model that does not answer alike twice.
    runs = scores[:, None] + rng.normal(0, 0.1, (rest.size, 3)) > 0.35
    items = [
        JudgedItem(id=f"line {row}", verdicts=tuple(bool(one) for one in run), marked=bool(marked[row]))
        for row, run in zip(rest, runs, strict=True)
    ]
    assert (len(rows), int(marked.sum())) == (4507, 815)
    return items[: measured.size], items[measured.size :], float(roc_auc_score(marked[rest], scores))


def test_a_weak_judge_on_real_answers_is_not_usable(halueval):
    """Its AUC is the known one, and its agreement with people is far below any use."""
    measured, _, auc = halueval
    report = judge_report(measured, seed=1)
    assert auc == pytest.approx(0.698, abs=0.03)
    assert report.kappa.upper < 0.4
    assert report.usable(BOUNDS) is Verdict.NOT_MET
    assert report.flipping.lower > 0.02


def test_even_a_weak_judge_tells_the_share_with_its_error(halueval):
    """The corrected share covers what people found; the bare share of marks does not."""
    measured, used, _ = halueval
    truth = float(np.mean([item.marked for item in used]))
    found = corrected_prevalence(used, judge_report(measured, seed=1))
    marks = np.mean([one for item in used for one in item.verdicts])
    assert found.lower <= truth <= found.upper
    assert isinstance(found, Interval) and abs(marks - truth) > 0.05
