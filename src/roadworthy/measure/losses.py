"""Quality as a mean of losses in [0, 1], unit by unit. Owns the loss of each metric; watching them is ``monitor_risk``'s.

A monitor that may be looked at for ever needs a loss for each independent unit, not a figure for all rows. For every
metric there is one whose mean is the metric's own shortfall, so that a margin in the metric's unit is one of the loss:

- accuracy: 1 for a wrong decision; the mean is 1 - accuracy;
- sensitivity, specificity: the same over rows of that outcome alone;
- Brier: the squared error of the probability; the mean is the Brier score;
- AUC: 1 for a pair of a positive and a negative row that is ordered wrongly, one half for a tie; the mean is 1 - AUC
  (the probability that a positive scores above a negative; Hanley and McNeil, Radiology 1982). The first positive is
  paired with the first negative and so on, so that each row is in at most one pair and pairs are independent.

Rules kept here:
1. Rows that share a cluster are not independent: they count as one unit, with the mean of their losses; for the AUC the
   first row of each cluster stands for it.
2. Losses come in the order of the rows.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.measure.delta import Metric, Sample

Losses = NDArray[np.float64]
Labels = NDArray[np.int64]


def unit_losses(sample: Sample, metric: Metric, *, threshold: float = 0.5) -> Losses:
    """The loss of every independent unit, each in [0, 1], shape (u,) with u up to the number of rows.

    Args:
        sample: labels 0 or 1, finite scores; probabilities for the Brier score.
        metric: AUC, accuracy, sensitivity, specificity or Brier.
        threshold: scores at or above it are positive decisions; not used by AUC and Brier.

    Raises:
        ParameterError: a metric that is no mean over units, or labels and scores that do not fit it (RW-114).
    """
    labels, scores = np.asarray(sample.labels), np.asarray(sample.scores, dtype=np.float64)
    if labels.shape != scores.shape or not np.isin(labels, (0, 1)).all() or not np.isfinite(scores).all():
        raise ParameterError(
            "Labels and scores do not fit.", remedy="Give a label of 0 or 1 and a finite score for every row."
        )
    clusters = np.arange(labels.size) if sample.clusters is None else _codes(sample.clusters)
    if metric is Metric.AUC:
        first = np.sort(np.unique(clusters, return_index=True)[1])
        return _pairs(labels[first], scores[first])
    if metric not in _COUNTED:
        raise ParameterError(f"{metric.value} is no mean over rows.", remedy="Watch another metric.")
    if metric is Metric.BRIER and not ((scores >= 0) & (scores <= 1)).all():
        raise ParameterError("A score is no probability.", remedy="Watch the AUC, which only needs an order.")
    losses = (scores - labels) ** 2 if metric is Metric.BRIER else _wrong(labels, scores, threshold)
    counted = _COUNTED[metric](labels)
    return _by_cluster(losses[counted], clusters[counted])


def _every(labels: Labels) -> NDArray[np.bool_]:
    return np.ones(labels.size, dtype=np.bool_)


def _wrong(labels: Labels, scores: Losses, threshold: float) -> Losses:
    return np.asarray((scores >= threshold) != (labels == 1), dtype=np.float64)


_COUNTED: dict[Metric, Callable[[Labels], NDArray[np.bool_]]] = {
    Metric.ACCURACY: _every,
    Metric.SENSITIVITY: lambda labels: labels == 1,
    Metric.SPECIFICITY: lambda labels: labels == 0,
    Metric.BRIER: _every,
}


def _pairs(labels: Labels, scores: Losses) -> Losses:
    positives, negatives = scores[labels == 1], scores[labels == 0]
    pairs = min(positives.size, negatives.size)
    above = positives[:pairs] - negatives[:pairs]
    return np.where(above > 0, 0.0, np.where(above < 0, 1.0, 0.5))


def _codes(clusters: ArrayLike) -> NDArray[np.int64]:
    """Clusters numbered in the order of their first row."""
    _, first, codes = np.unique(np.asarray(clusters).astype(str), return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return np.asarray(rank[codes], dtype=np.int64)


def _by_cluster(losses: Losses, clusters: NDArray[np.int64]) -> Losses:
    present, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=losses, minlength=present.size)
    # A mean of losses in [0, 1] must not leave it by rounding.
    return np.clip(sums / np.bincount(codes, minlength=present.size), 0.0, 1.0)
