"""Shares of outcomes: counts, clusters, cohorts, what was not scored, and verdicts against a bound."""

import math

import numpy as np
import pytest

from roadworthy.base.errors import ContractError, EmptyData
from roadworthy.domain.criterion import Comparator, Predicate, Verdict
from roadworthy.measure.answers.evaluate import evaluate, score_all, summarise
from roadworthy.measure.answers.outcome import Answer, Item, RefusalRule, ScoredAnswer
from roadworthy.measure.answers.scorers import Exact
from roadworthy.stats.bootstrap import cluster_bootstrap
from roadworthy.stats.outcomes import Outcome
from roadworthy.stats.proportions import wilson

SCORER = Exact(refusal=RefusalRule(patterns=("no idea",)))
RIGHT, WRONG, REFUSED = Outcome.CORRECT, Outcome.INCORRECT, Outcome.REFUSED


def row(item: int, outcome: Outcome | None, repeat: int = 0, cluster: str | None = None, cohort: str | None = None):
    return ScoredAnswer(item_id=f"q{item}", repeat=repeat, outcome=outcome, cluster=cluster, cohort=cohort)


def bound(metric: str, comparator: Comparator, value: float) -> Predicate:
    return Predicate(metric=metric, comparator=comparator, bound=value, unit="1", n_min=10, provenance="a test")


def test_three_outcomes_with_wilson():
    """Independent items get Wilson's interval, and accuracy is given twice."""
    items = [Item(id=f"q{n}", question="?", expected=("yes",)) for n in range(100)]
    texts = ["yes"] * 70 + ["no"] * 10 + ["no idea"] * 20
    answers = [Answer(item_id=f"q{n}", text=text) for n, text in enumerate(texts)]
    found = evaluate(items, answers, SCORER)
    assert found.shares.correct == wilson(70, 100)
    assert found.shares.incorrect == wilson(10, 100)
    assert found.shares.refused == wilson(20, 100)
    assert found.shares.correct_of_answered == wilson(70, 80)
    assert found.unscored.share.estimate == 0 and found.unscored.item_ids == ()
    assert math.isnan(found.flipping.estimate)
    assert (found.items, found.repeats) == (100, 1)


def test_repeats_are_not_more_items():
    """Ten equal answers to each of twenty questions know no more than twenty answers."""
    once = summarise([row(n, RIGHT if n < 15 else WRONG) for n in range(20)])
    often = summarise([row(n, RIGHT if n < 15 else WRONG, repeat) for n in range(20) for repeat in range(10)])
    assert often.shares.correct.n == 20
    assert often.shares.correct.estimate == once.shares.correct.estimate
    width = often.shares.correct.upper - often.shares.correct.lower
    assert width >= once.shares.correct.upper - once.shares.correct.lower


def test_clusters_widen_as_the_bootstrap_says():
    """Questions about one document go together: near the cluster bootstrap, far from Wilson."""
    rng = np.random.default_rng(4)
    easy = rng.beta(1.5, 1.0, 80)
    rows = [
        row(document * 10 + n, RIGHT if rng.random() < easy[document] else WRONG, cluster=f"d{document}")
        for document in range(80)
        for n in range(10)
    ]
    found = summarise(rows).shares.correct
    hits = np.array([each.outcome is RIGHT for each in rows], dtype=float)
    resampled = cluster_bootstrap(lambda drawn: float(hits[drawn].mean()), [each.cluster for each in rows], seed=1)
    naive = wilson(int(hits.sum()), hits.size)
    assert found.n == 80
    assert found.lower == pytest.approx(resampled.lower, abs=0.02)
    assert found.upper == pytest.approx(resampled.upper, abs=0.02)
    assert found.upper - found.lower > 1.5 * (naive.upper - naive.lower)


def test_a_document_may_be_called_like_an_item():
    """Names of clusters and of items do not mix."""
    rows = [row(1, RIGHT), row(2, WRONG, cluster="q1"), row(3, WRONG, cluster="q1")]
    assert summarise(rows).shares.correct.n == 2


def test_flips_between_repeats():
    """An item that is right once and wrong once is counted as flipping; single answers are not."""
    rows = [row(n, RIGHT, repeat) for n in range(8) for repeat in range(3)]
    rows += [row(8, outcome, repeat) for repeat, outcome in enumerate((RIGHT, WRONG, RIGHT))]
    rows += [row(9, outcome, repeat) for repeat, outcome in enumerate((RIGHT, None, None))]
    found = summarise(rows)
    assert found.flipping == wilson(1, 9)


def test_what_was_not_scored_is_counted_apart():
    """Missing answers and missing repeats show in a share of their own and in no other."""
    items = [Item(id=f"q{n}", question="?", expected=("yes",)) for n in range(10)]
    answers = [Answer(item_id=f"q{n}", text="yes", repeat=repeat) for n in range(8) for repeat in range(2)]
    found = evaluate(items, answers[:-1], SCORER)
    assert found.shares.correct.estimate == 1.0
    assert found.unscored.share.estimate == pytest.approx(5 / 20)
    assert found.unscored.item_ids == ("q8", "q9")
    assert found.verdict(bound("unscored_share", Comparator.AT_MOST, 0.01)) is Verdict.NOT_MET


def test_nothing_answered_is_unknown():
    """Without a single outcome no figure passes."""
    found = evaluate([Item(id="q1", question="?", expected=("yes",))], [], SCORER)
    assert not found.shares.correct.known
    assert found.unscored.share.estimate == 1.0
    assert found.verdict(bound("correct_share", Comparator.AT_LEAST, 0.0)) is Verdict.CANNOT_TELL


def test_only_refusals_leave_accuracy_among_answered_unknown():
    """Nothing was answered, so nothing can be said of answers."""
    found = summarise([row(n, REFUSED) for n in range(50)])
    assert found.shares.refused.estimate == 1.0
    assert not found.shares.correct_of_answered.known


def test_verdict_straddles():
    """The interval decides: well above, well below, and around the bound."""
    rows = [row(n, RIGHT if n < 80 else WRONG) for n in range(100)]
    found = summarise(rows)
    verdicts = [found.verdict(bound("correct_share", Comparator.AT_LEAST, value)) for value in (0.6, 0.8, 0.95)]
    assert verdicts == [Verdict.MET, Verdict.CANNOT_TELL, Verdict.NOT_MET]


def test_cohorts_hold_together():
    """Each cohort is measured at the level at which all hold, and a bad one is seen."""
    rows = [row(n, RIGHT, cohort="de") for n in range(100)]
    rows += [row(100 + n, RIGHT if n < 50 else WRONG, cohort="es") for n in range(100)]
    rows += [row(200 + n, RIGHT) for n in range(10)]
    rows += [row(300, None, cohort="fr")]
    found = summarise(rows)
    assert [each.cohort for each in found.cohorts] == ["de", "es", "fr"]
    assert found.cohorts[1].shares.correct == wilson(50, 100, 1 - 0.05 / 3)
    told = wilson(160, 210)
    assert found.shares.correct.estimate == told.estimate
    assert found.shares.correct.lower == pytest.approx(told.lower * 210 / 211)
    assert found.shares.correct.upper == pytest.approx((told.upper * 210 + 1) / 211)
    verdicts = found.cohort_verdicts(bound("correct_share", Comparator.AT_LEAST, 0.7))
    assert verdicts == {"de": Verdict.MET, "es": Verdict.NOT_MET, "fr": Verdict.CANNOT_TELL}
    assert {each.cohort for each in found.estimates()} == {None, "de", "es", "fr"}


def test_simultaneous_coverage():
    """With six equal cohorts, all six intervals hold together about as often as promised."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(60):
        draws = rng.random((6, 50)) < 0.8
        rows = [
            row(cohort * 50 + n, RIGHT if draws[cohort, n] else WRONG, cohort=f"c{cohort}")
            for cohort in range(6)
            for n in range(50)
        ]
        held += all(each.shares.correct.lower <= 0.8 <= each.shares.correct.upper for each in summarise(rows).cohorts)
    assert held >= 60 * 0.88


@pytest.mark.parametrize(
    ("ids", "answered", "said"),
    [
        (["a", "a"], [], "Two items"),
        (["a"], [("b", 0)], "belongs to no item"),
        (["a"], [("a", 0), ("a", 0)], "given twice"),
    ],
)
def test_a_muddled_set_is_refused(ids, answered, said):
    """Double ids, stray answers and double answers are errors."""
    items = [Item(id=each, question="?", expected=("yes",)) for each in ids]
    answers = [Answer(item_id=name, text="yes", repeat=repeat) for name, repeat in answered]
    with pytest.raises(ContractError, match=said):
        score_all(items, answers, SCORER)


def test_nothing_to_evaluate():
    """No items and no rows are errors."""
    with pytest.raises(EmptyData):
        evaluate([], [], SCORER)
    with pytest.raises(EmptyData):
        summarise([])


def test_what_was_not_scored_widens_every_interval() -> None:
    """60 right answers of 200 items are no proof of 0.9, and no proof of failure either."""
    rows = [
        ScoredAnswer(item_id=f"q{k}", repeat=0, outcome=Outcome.CORRECT if k < 60 else None, cluster=None, cohort="a")
        for k in range(200)
    ]
    found = summarise(rows)
    assert found.shares.correct.lower < 0.3
    assert found.shares.correct.upper == 1.0
    assert found.cohorts[0].shares.correct_of_answered.lower < 0.3
    assert found.verdict(bound("correct_share", Comparator.AT_LEAST, 0.9)) is Verdict.CANNOT_TELL
