"""How numbers are judged: the deciding end of the interval, never the point."""

import math
from dataclasses import replace

import pytest

from roadworthy.base.interval import Interval, exact, unknown
from roadworthy.domain.criterion import Assurance, Comparator, Estimate, Predicate, Verdict, judge, judge_all

AT_LEAST = Predicate(metric="auc", comparator=Comparator.AT_LEAST, bound=0.8, unit="1", n_min=30, provenance="test")
AT_MOST = replace(AT_LEAST, metric="p99_ms", comparator=Comparator.AT_MOST, bound=50.0, unit="ms")


def estimate(
    metric: str, lower: float, upper: float, *, n: int = 100, unit: str = "1", cohort: str | None = None
) -> Estimate:
    """An estimate whose point lies in the middle."""
    interval = Interval(estimate=(lower + upper) / 2, lower=lower, upper=upper, n=n)
    return Estimate(metric=metric, interval=interval, unit=unit, cohort=cohort)


@pytest.mark.parametrize(
    ("predicate", "lower", "upper", "verdict"),
    [
        (AT_LEAST, 0.80, 0.90, Verdict.MET),
        (AT_LEAST, 0.79, 0.95, Verdict.CANNOT_TELL),
        (AT_LEAST, 0.60, 0.79, Verdict.NOT_MET),
        (AT_LEAST, 0.60, 0.80, Verdict.CANNOT_TELL),
        (AT_MOST, 40.0, 50.0, Verdict.MET),
        (AT_MOST, 40.0, 51.0, Verdict.CANNOT_TELL),
        (AT_MOST, 51.0, 60.0, Verdict.NOT_MET),
    ],
)
def test_the_bound_of_the_interval_decides(predicate: Predicate, lower: float, upper: float, verdict: Verdict) -> None:
    """A good point with a wide interval is not a pass."""
    assert judge(predicate, [estimate(predicate.metric, lower, upper, unit=predicate.unit)]) is verdict


@pytest.mark.parametrize(
    "estimates",
    [
        [],
        [estimate("other", 0.9, 0.95)],
        [estimate("auc", 0.9, 0.95, cohort="site A")],
        [estimate("auc", 0.9, 0.95, unit="%")],
        [estimate("auc", 0.9, 0.95), estimate("auc", 0.9, 0.95)],
        [estimate("auc", 0.9, 0.95, n=29)],
        [Estimate(metric="auc", interval=unknown(100))],
        [Estimate(metric="auc", interval=Interval(estimate=0.9, lower=0.95, upper=0.99, n=100))],
        [Estimate(metric="auc", interval=Interval(estimate=0.9, lower=0.9, upper=math.inf, n=100))],
    ],
    ids=["absent", "other metric", "cohort only", "unit", "twice", "too few", "NaN", "disordered", "infinite"],
)
def test_what_cannot_be_known_is_never_a_pass(estimates: list[Estimate]) -> None:
    """Missing, NaN, doubled, too few, or in another unit: cannot tell."""
    assert judge(AT_LEAST, estimates) is Verdict.CANNOT_TELL


def test_an_undefined_bound_cannot_be_met() -> None:
    """A profile whose parameter was not given accepts nothing."""
    assert judge(replace(AT_LEAST, bound=math.nan), [estimate("auc", 0.9, 0.95)]) is Verdict.CANNOT_TELL


def test_one_miss_outweighs_any_number_of_passes() -> None:
    """Predicates are joined by and, worst first."""
    good, wide, bad = (
        estimate("auc", 0.9, 0.95),
        estimate("p99_ms", 40, 60, unit="ms"),
        estimate("p99_ms", 60, 70, unit="ms"),
    )
    assert judge_all([AT_LEAST, AT_MOST], [good, bad]) is Verdict.NOT_MET
    assert judge_all([AT_LEAST, AT_MOST], [good, wide]) is Verdict.CANNOT_TELL
    assert judge_all([AT_LEAST], [good, bad]) is Verdict.MET


def test_no_predicate_proves_nothing() -> None:
    """An empty acceptance is a doubt, not a pass."""
    assert judge_all([], [estimate("auc", 0.9, 0.95)]) is Verdict.CANNOT_TELL


def test_a_count_has_no_width() -> None:
    """Exact counts decide at the bound."""
    predicate = replace(AT_MOST, metric="rules_broken", bound=0, unit="rule", n_min=1)
    assert judge(predicate, [Estimate(metric="rules_broken", interval=exact(0, 9), unit="rule")]) is Verdict.MET
    assert judge(predicate, [Estimate(metric="rules_broken", interval=exact(1, 9), unit="rule")]) is Verdict.NOT_MET


def test_assurance_is_ordered() -> None:
    """Executed outranks a third party's word, which outranks one's own."""
    assert Assurance.EXECUTED.rank > Assurance.THIRD_PARTY.rank > Assurance.SELF_ATTESTED.rank
