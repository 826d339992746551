"""Losses whose mean is the shortfall of a metric."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, recall_score, roc_auc_score

from roadworthy.base.errors import ParameterError
from roadworthy.measure.delta import Metric, Sample
from roadworthy.measure.losses import unit_losses
from roadworthy.measure.monitor_risk import feed, start_monitor


def drawn(rows: int, seed: int, *, harm: float = 0.0) -> Sample:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    scores = np.clip(rng.normal(0.35 + 0.3 * labels * (1 - harm), 0.2), 0, 1)
    return Sample(labels=labels, scores=scores)


def test_the_mean_loss_is_the_shortfall() -> None:
    """Against scikit-learn, for every metric that is a mean over rows."""
    sample = drawn(500, 1)
    labels, scores = sample.labels, sample.scores
    decided = scores >= 0.4
    expected = {
        Metric.ACCURACY: 1 - accuracy_score(labels, decided),
        Metric.SENSITIVITY: 1 - recall_score(labels, decided),
        Metric.SPECIFICITY: 1 - recall_score(labels, decided, pos_label=0),
        Metric.BRIER: brier_score_loss(labels, scores),
    }
    for metric, shortfall in expected.items():
        losses = unit_losses(sample, metric, threshold=0.4)
        assert losses.mean() == pytest.approx(shortfall, abs=1e-12)
        assert ((losses >= 0) & (losses <= 1)).all()


def test_the_loss_of_the_auc_is_unbiased() -> None:
    """Mean over 400 draws within four standard errors of 1 - AUC; ties count one half."""
    shortfalls, means = zip(
        *(
            (1 - roc_auc_score(s.labels, s.scores), unit_losses(s, Metric.AUC).mean())
            for s in (drawn(200, seed) for seed in range(400))
        ),
        strict=True,
    )
    apart = np.subtract(shortfalls, means)
    assert abs(apart.mean()) < 4 * apart.std() / np.sqrt(apart.size)
    pair = Sample(labels=np.array([1, 0, 0, 1, 1]), scores=np.array([0.5, 0.5, 0.9, 0.1, 0.7]))
    assert unit_losses(pair, Metric.AUC).tolist() == [0.5, 1.0]


def test_rows_of_a_cluster_are_one_unit() -> None:
    """With the mean of their losses; for the AUC the first row stands for all, in the order of the rows."""
    sample = Sample(
        labels=np.array([1, 1, 0, 0]),
        scores=np.array([0.9, 0.1, 0.2, 0.8]),
        clusters=np.array(["z", "z", "a", "a"], dtype=object),
    )
    assert unit_losses(sample, Metric.ACCURACY).tolist() == [0.5, 0.5]
    assert unit_losses(sample, Metric.SENSITIVITY).tolist() == [0.5]
    assert unit_losses(sample, Metric.AUC).tolist() == [0.0]
    order = Sample(labels=np.array([1, 1]), scores=np.array([0.9, 0.1]), clusters=np.array(["z", "a"], dtype=object))
    assert unit_losses(order, Metric.ACCURACY).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("sample", "metric"),
    [
        (Sample(labels=np.array([2]), scores=np.array([0.5])), Metric.ACCURACY),
        (Sample(labels=np.array([1]), scores=np.array([np.nan])), Metric.ACCURACY),
        (Sample(labels=np.array([1, 0]), scores=np.array([0.5])), Metric.AUC),
        (Sample(labels=np.array([1]), scores=np.array([1.5])), Metric.BRIER),
        (Sample(labels=np.array([1]), scores=np.array([0.5])), Metric.PPV),
    ],
)
def test_what_has_no_loss(sample: Sample, metric: Metric) -> None:
    """Refused: the bound of the monitor would not hold."""
    with pytest.raises(ParameterError):
        unit_losses(sample, metric)


@pytest.mark.parametrize("metric", [Metric.AUC, Metric.ACCURACY, Metric.BRIER])
def test_monitors_on_these_losses_keep_their_level_and_find_harm(metric: Metric) -> None:
    """At no harm and no margin at most 5 % of 100 monitors ever alarm; with the signal gone all do within 40 windows."""
    alarmed = {0.0: 0, 1.0: 0}
    for harm in alarmed:
        for seed in range(100 if not harm else 10):
            monitor = start_monitor(unit_losses(drawn(3000, seed), metric), tolerance=0.0, level=0.05)
            for window in range(40 if harm else 10):
                monitor = feed(monitor, unit_losses(drawn(300, 10_000 + 100 * seed + window, harm=harm), metric))
            alarmed[harm] += monitor.alarmed
    assert alarmed[0.0] <= 5
    assert alarmed[1.0] == 10
