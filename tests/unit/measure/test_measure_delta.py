"""Performance, deltas by cohort, and the two-sample classifier."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from roadworthy.base.errors import ParameterError
from roadworthy.measure.delta import Metric, Sample, delta, performance
from roadworthy.stats.multiplicity import simultaneous_confidence


def _sample(seed: int, n: int, gain: float, cohorts: list[str] | None = None) -> Sample:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.4).astype(float)
    scores = 1 / (1 + np.exp(-(gain * (labels - 0.5) + rng.normal(size=n))))
    names = None if cohorts is None else np.array([cohorts[k % len(cohorts)] for k in range(n)])
    return Sample(labels=labels, scores=scores, cohorts=names)


@pytest.mark.parametrize("metric", list(Metric))
def test_each_metric_has_a_known_interval(metric: Metric) -> None:
    """All six give an interval around their figure; two are checked against scikit-learn."""
    sample = _sample(1, 400, 2.0)
    interval = performance(sample.labels, sample.scores, metric)
    assert interval.known
    assert interval.lower < interval.estimate < interval.upper
    if metric is Metric.AUC:
        assert interval.estimate == pytest.approx(roc_auc_score(sample.labels, sample.scores))
    if metric is Metric.BRIER:
        assert interval.estimate == pytest.approx(brier_score_loss(sample.labels, sample.scores))


def test_a_loss_in_one_cohort_is_seen_and_named() -> None:
    """Three cohorts, one without signal: the worst is named, its interval is the wider simultaneous one."""
    production = _sample(2, 900, 2.5, ["north", "south", "west"])
    assert production.cohorts is not None
    rng = np.random.default_rng(9)
    scores = np.where(production.cohorts == "west", rng.random(900), production.scores)
    report = delta(
        _sample(1, 400, 2.5), Sample(labels=production.labels, scores=scores, cohorts=production.cohorts), Metric.AUC
    )
    assert report.worst is not None
    assert report.worst.cohort == "west"
    assert report.worst.difference.upper < 0
    assert report.worst.production.confidence == simultaneous_confidence(0.95, 3)
    assert [row.cohort for row in report.cohorts] == ["north", "south", "west"]
    assert report.difference.estimate == pytest.approx(report.production.estimate - report.pilot.estimate)
    assert report.cohorts[0].difference.lower < 0 < report.cohorts[0].difference.upper


def test_worst_is_highest_for_a_loss() -> None:
    """For the Brier score the worst cohort has the largest value."""
    report = delta(_sample(1, 200, 2.0), _sample(2, 600, 2.0, ["a", "b", "c"]), Metric.BRIER)
    assert report.worst is not None
    assert report.worst.production.estimate == max(row.production.estimate for row in report.cohorts)


def test_a_cohort_without_both_classes_stays_as_unknown() -> None:
    """It is listed, is not the worst, and cannot pass."""
    production = _sample(2, 300, 2.0, ["a", "b"])
    labels = np.where(production.cohorts == "b", 0.0, production.labels)
    report = delta(
        _sample(1, 200, 2.0), Sample(labels=labels, scores=production.scores, cohorts=production.cohorts), Metric.AUC
    )
    assert not report.cohorts[1].production.known
    assert not report.cohorts[1].difference.known
    assert report.worst is not None and report.worst.cohort == "a"


def test_without_cohorts_there_is_no_worst_and_shapes_are_checked() -> None:
    """An undivided sample has an empty table; names of another length raise."""
    report = delta(_sample(1, 100, 2.0), _sample(2, 100, 2.0), Metric.ACCURACY)
    assert report.cohorts == ()
    assert report.worst is None
    crooked = Sample(labels=np.ones(3), scores=np.ones(3), cohorts=np.array(["a"]))
    with pytest.raises(ParameterError):
        delta(_sample(1, 100, 2.0), crooked, Metric.ACCURACY)
