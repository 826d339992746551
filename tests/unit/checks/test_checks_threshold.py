"""What the threshold check tells people to do when it cannot tell."""

from datetime import UTC, datetime

import numpy as np
import pytest

from roadworthy.checks.performance.threshold import Params, Subject, ThresholdCheck
from roadworthy.checks.scoring import ScoredSet
from roadworthy.kit.check import Run
from roadworthy.kit.context import Quality
from roadworthy.measure.delta import Sample

RUN = Run(at=datetime(2026, 11, 21, tzinfo=UTC), seed=1, cancelled=lambda: False)


def advice(share_right: float, *, bound: float = 0.8, rows: int = 100, metric: str = "accuracy") -> list[str]:
    """Remedies for so many right answers in a hundred."""
    labels = np.tile([0, 1], rows // 2)
    right = np.arange(rows) < round(share_right * rows)
    scores = np.where(right, labels, 1 - labels).astype(np.float64)
    scored = ScoredSet(sample=Sample(labels=labels, scores=scores), rows=rows, unlabelled=0, declined=0)
    quality = Quality(metric=metric, bound=bound, threshold=0.5, margin_from_pilot=0.05)
    check = ThresholdCheck()
    return [f.remedy for f in check.explain(check.observe(Subject(production=scored, quality=quality), Params(), RUN))]


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.84, "Label about"),
        (0.78, "Improve the model or its data: the estimate"),
        (0.5, "Improve the model or its data;"),
    ],
)
def test_the_advice_fits_the_side_of_the_estimate(share: float, said: str) -> None:
    """More labels for a good estimate, work for a bad one."""
    (remedy,) = advice(share)
    assert remedy.startswith(said)


def test_nothing_is_said_against_a_bound_that_is_met() -> None:
    """All right, all quiet."""
    assert advice(0.99) == []


def test_for_a_loss_the_right_side_is_below() -> None:
    """A Brier score of 0.16 against at most 0.2 needs labels, against at most 0.14 it needs work."""
    assert advice(0.84, bound=0.2, metric="brier")[0].startswith("Label about")
    assert advice(0.84, bound=0.14, metric="brier")[0].startswith("Improve")


def test_one_outcome_only_cannot_be_judged() -> None:
    """No interval, and what to do about it."""
    labels = np.ones(50, dtype=np.int64)
    scored = ScoredSet(sample=Sample(labels=labels, scores=labels * 0.9), rows=50, unlabelled=0, declined=0)
    quality = Quality(metric="auc", bound=0.8, threshold=0.5, margin_from_pilot=0.05)
    check = ThresholdCheck()
    seen = check.observe(Subject(production=scored, quality=quality), Params(), RUN)
    assert [f.remedy for f in check.explain(seen)] == ["Label rows of both outcomes."]
    assert seen.facts["more labels needed"] is None
