"""Pilot against production, the same metric by the same code. Owns performance figures and their deltas by cohort.

Algorithm of ``delta``:
1. Measure the metric on both samples at the wanted confidence, and their difference by combining the two intervals.
2. For the k cohorts of production, measure each at the confidence at which all k hold together (Bonferroni), so that
   the worst of many is not an accident of looking at many.
3. The worst cohort is the one with the worst estimate among those that could be measured.

Rules kept here: a cohort that cannot be measured (one class only, too few rows) stays in the table as unknown; it is
never left out and never a pass.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval
from roadworthy.stats.auc import delong
from roadworthy.stats.classification import brier, confusion
from roadworthy.stats.difference import difference
from roadworthy.stats.multiplicity import simultaneous_confidence


class Metric(Enum):
    """What is measured on labels in {0, 1} and scores."""

    AUC = "auc"
    ACCURACY = "accuracy"
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"
    PPV = "ppv"
    BRIER = "brier"

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is good; only the Brier score is a loss."""
        return self is not Metric.BRIER


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Labelled and scored rows of one data set.

    Attributes:
        labels: 0 or 1, shape (n,).
        scores: probabilities, or anything that orders rows for the AUC, shape (n,).
        cohorts: the cohort of each row, shape (n,); None when rows are not split.
    """

    labels: NDArray[Any]
    scores: NDArray[Any]
    cohorts: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortDelta:
    """One production cohort.

    Attributes:
        cohort: its name.
        production: the metric there, at the simultaneous confidence.
        difference: production minus pilot, at the same confidence.
    """

    cohort: str
    production: Interval
    difference: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaReport:
    """How production differs from the pilot.

    Attributes:
        metric: that was measured on both.
        pilot: at the wanted confidence.
        production: at the wanted confidence, all cohorts together.
        difference: production minus pilot.
        cohorts: by name; empty when production is not split.
        worst: the cohort with the worst estimate, None when none could be measured.
    """

    metric: Metric
    pilot: Interval
    production: Interval
    difference: Interval
    cohorts: tuple[CohortDelta, ...]
    worst: CohortDelta | None


def performance(
    labels: ArrayLike, scores: ArrayLike, metric: Metric, *, threshold: float = 0.5, confidence: float = 0.95
) -> Interval:
    """One metric with its interval (DeLong for AUC, Wilson for shares, Student for Brier).

    Args:
        labels: 0 or 1, shape (n,).
        scores: shape (n,); probabilities for the Brier score.
        metric: what to measure.
        threshold: scores at or above it are positive decisions; not used by AUC and Brier.
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: labels outside {0, 1}, or shapes that differ (RW-114).
    """
    if metric is Metric.AUC:
        return delong(labels, scores, confidence)
    if metric is Metric.BRIER:
        return brier(labels, scores, confidence)
    table = confusion(labels, scores, threshold)
    figures: dict[Metric, Callable[[float], Interval]] = {
        Metric.ACCURACY: table.accuracy,
        Metric.SENSITIVITY: table.sensitivity,
        Metric.SPECIFICITY: table.specificity,
        Metric.PPV: table.ppv,
    }
    return figures[metric](confidence)


def delta(
    pilot: Sample, production: Sample, metric: Metric, *, threshold: float = 0.5, confidence: float = 0.95
) -> DeltaReport:
    """Compare production with the pilot, as a whole and by production's cohorts.

    Args:
        pilot: the reference rows; its cohorts are not used.
        production: the rows that stand for production, independent of the pilot's.
        metric: what to measure.
        threshold: see ``performance``.
        confidence: two-sided level in (0, 1) for the whole, and for all cohorts together.

    Raises:
        ParameterError: labels outside {0, 1}, or shapes that differ (RW-114).
    """

    def measure(sample: Sample, level: float) -> Interval:
        return performance(sample.labels, sample.scores, metric, threshold=threshold, confidence=level)

    # 1. As a whole.
    whole_pilot, whole_production = measure(pilot, confidence), measure(production, confidence)
    # 2. By cohort, at the level at which all hold together.
    parts = _split(production)
    level = simultaneous_confidence(confidence, max(1, len(parts)))
    reference = measure(pilot, level)
    rows = []
    for name, part in parts:
        there = measure(part, level)
        rows.append(CohortDelta(cohort=name, production=there, difference=difference(reference, there)))
    # 3. The worst of those that could be measured.
    sign = 1.0 if metric.higher_is_better else -1.0
    measured = [row for row in rows if not math.isnan(row.production.estimate)]
    return DeltaReport(
        metric=metric,
        pilot=whole_pilot,
        production=whole_production,
        difference=difference(whole_pilot, whole_production),
        cohorts=tuple(rows),
        worst=min(measured, key=lambda row: (sign * row.production.estimate, row.cohort), default=None),
    )


def _split(sample: Sample) -> list[tuple[str, Sample]]:
    if sample.cohorts is None:
        return []
    if sample.cohorts.shape != sample.labels.shape:
        raise ParameterError(
            f"{sample.cohorts.size} cohort names do not fit {sample.labels.size} rows.",
            remedy="Give one cohort name for each row.",
        )
    names = sample.cohorts.astype(str)
    return [
        (str(name), Sample(labels=sample.labels[names == name], scores=sample.scores[names == name]))
        for name in np.unique(names)
    ]
