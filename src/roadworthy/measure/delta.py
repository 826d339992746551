"""Pilot against production, the same metric by the same code. Owns performance figures, their deltas and the verdict.

Algorithm of ``delta``:
1. Measure the metric on both samples at the wanted confidence, and their difference by combining the two intervals.
2. For the k cohorts of production, measure each at the confidence at which all k hold together (Bonferroni), so that
   the worst of many is not an accident of looking at many.
3. The worst cohort is the one with the worst estimate among those that could be measured.

Rules kept here:
1. A cohort that cannot be measured (one class only, too few rows) stays in the table as unknown; it is never left out
   and never a pass.
2. Where rows share a cluster (a patient, a document), whole clusters are resampled, since their rows are not
   independent. Few clusters or few errors make such an interval too narrow, so an end is never closer to the estimate
   than what that many clusters without an exception leave open.
3. Inputs that moved are not harm, and harm is not excused by inputs that did not: ``shift_verdict`` reads both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.auc import delong
from roadworthy.stats.bootstrap import WeightedStatistic, cluster_codes, weighted_bootstrap
from roadworthy.stats.classification import brier, confusion
from roadworthy.stats.decomposition import Decomposition, SlicedRows, decompose
from roadworthy.stats.difference import difference
from roadworthy.stats.multiplicity import simultaneous_confidence
from roadworthy.stats.proportions import clopper_pearson
from roadworthy.stats.sample import BoolArray, scored
from roadworthy.stats.weighted import weighted_auc, weighted_mean, weighted_ratio

_ENOUGH_CLUSTERS = 2


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
        clusters: the patient, document or other unit that rows share, shape (n,); None when rows are independent.
    """

    labels: NDArray[Any]
    scores: NDArray[Any]
    cohorts: NDArray[Any] | None = None
    clusters: NDArray[Any] | None = None


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


class ShiftVerdict(Enum):
    """What a shift between pilot and production did."""

    HARMED = "harmed"
    NOT_HARMED = "not harmed"
    SHIFTED_NOT_HARMED = "shifted but not harmed"
    CANNOT_TELL = "cannot tell"


def shift_verdict(loss: Interval, margin: float, *, inputs_shifted: bool) -> ShiftVerdict:
    """Judge a loss against the margin that is acceptable; the ends of the interval decide, never its middle.

    Args:
        loss: of quality, positive when production is worse, measured or estimated.
        margin: the largest acceptable loss, at least 0, in the same unit.
        inputs_shifted: whether the inputs moved beyond tolerance; it never turns harm into no harm or back.

    Returns:
        Harmed when the whole interval lies above the margin; one of the two forms of not harmed when the whole interval
        lies at or below it; otherwise, or when the loss is unknown, that nobody can tell.

    Raises:
        ParameterError: a margin below 0 or not finite (RW-114).
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise ParameterError(
            f"A margin of {margin} is no acceptable loss.", remedy="Give a finite margin of 0 or more."
        )
    if not loss.known:
        return ShiftVerdict.CANNOT_TELL
    if loss.lower > margin:
        return ShiftVerdict.HARMED
    if loss.upper > margin:
        return ShiftVerdict.CANNOT_TELL
    return ShiftVerdict.SHIFTED_NOT_HARMED if inputs_shifted else ShiftVerdict.NOT_HARMED


def performance(
    labels: ArrayLike,
    scores: ArrayLike,
    metric: Metric,
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
    clusters: ArrayLike | None = None,
    seed: int = 0,
) -> Interval:
    """One metric with its interval (DeLong for AUC, Wilson for shares, Student for Brier; resampled where rows share clusters).

    Args:
        labels: 0 or 1, shape (n,).
        scores: shape (n,); probabilities for the Brier score.
        metric: what to measure.
        threshold: scores at or above it are positive decisions; not used by AUC and Brier.
        confidence: two-sided level in (0, 1).
        clusters: of each row, shape (n,); None when rows are independent.
        seed: of the resampling; not used where no cluster repeats.

    Returns:
        The interval; ``n`` counts rows, or clusters where they repeat.

    Raises:
        ParameterError: labels outside {0, 1}, or shapes that differ (RW-114).
    """
    if clusters is not None:
        names = np.asarray(clusters)
        if names.shape != np.shape(labels):
            raise ParameterError(
                f"{names.size} clusters do not fit {np.size(labels)} rows.", remedy="Give one cluster for each row."
            )
        if np.unique(names).size < names.size:
            return _clustered(
                labels, scores, metric, threshold=threshold, confidence=confidence, clusters=names, seed=seed
            )
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
    pilot: Sample,
    production: Sample,
    metric: Metric,
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
    seed: int = 0,
) -> DeltaReport:
    """Compare production with the pilot, as a whole and by production's cohorts.

    Args:
        pilot: the reference rows; its cohorts are not used.
        production: the rows that stand for production, independent of the pilot's.
        metric: what to measure.
        threshold: see ``performance``.
        confidence: two-sided level in (0, 1) for the whole, and for all cohorts together.
        seed: of the resampling; not used where no cluster repeats.

    Raises:
        ParameterError: labels outside {0, 1}, or shapes that differ (RW-114).
    """

    def measure(sample: Sample, level: float) -> Interval:
        return performance(
            sample.labels,
            sample.scores,
            metric,
            threshold=threshold,
            confidence=level,
            clusters=sample.clusters,
            seed=seed,
        )

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


def delta_parts(
    pilot: Sample,
    production: Sample,
    metric: Metric,
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
    seed: int = 0,
    replicates: int = 2_000,
) -> Decomposition:
    """Take the difference apart into a shift of the mix of cohorts, change within cohorts, and new cohorts.

    Args:
        pilot: the reference rows, with their cohorts.
        production: the rows that stand for production, with theirs; independent of the pilot's.
        metric: what to measure.
        threshold: see ``performance``.
        confidence: two-sided level in (0, 1), of each part.
        seed: of the resampling.
        replicates: how many times to resample, at least 100.

    Returns:
        The parts of production minus pilot, see ``stats.decomposition``; unknown where a score is not finite.

    Raises:
        ParameterError: a sample without cohorts or rows, labels outside {0, 1}, or shapes that differ (RW-114).
    """

    def side(sample: Sample) -> SlicedRows:
        if sample.cohorts is None:
            raise ParameterError("A sample without cohorts has no mix.", remedy="Name the cohort of each row.")
        statistic, groups = _weighted(sample.labels, sample.scores, metric, threshold)
        return SlicedRows(metric=statistic, slices=_cohort_names(sample), clusters=sample.clusters, groups=groups)

    return decompose(side(pilot), side(production), seed=seed, replicates=replicates, confidence=confidence)


def _clustered(
    labels: ArrayLike,
    scores: ArrayLike,
    metric: Metric,
    *,
    threshold: float,
    confidence: float,
    clusters: NDArray[Any],
    seed: int,
) -> Interval:
    """Rule 2: whole clusters resampled, and ends that admit what so few clusters cannot show."""
    statistic, groups = _weighted(labels, scores, metric, threshold)
    informative = min(int(np.unique(clusters[rows]).size) for rows in groups)
    if informative < _ENOUGH_CLUSTERS:
        return unknown(cluster_codes(clusters)[1])
    interval = weighted_bootstrap(statistic, clusters, seed=seed, confidence=confidence)
    if not interval.known:
        return interval
    unseen = clopper_pearson(0, informative, confidence).upper
    return Interval(
        estimate=interval.estimate,
        lower=min(interval.lower, interval.estimate * (1 - unseen)),
        upper=max(interval.upper, interval.estimate + (1 - interval.estimate) * unseen),
        n=interval.n,
        confidence=confidence,
    )


def _weighted(
    labels: ArrayLike, scores: ArrayLike, metric: Metric, threshold: float
) -> tuple[WeightedStatistic, tuple[BoolArray, ...]]:
    """The metric under weights, and the groups of rows that it cannot do without."""
    positive, values = scored(labels, scores)
    everyone = np.ones(positive.shape, dtype=np.bool_)
    if metric is Metric.AUC:
        return weighted_auc(labels, scores), (positive, ~positive)
    if metric is Metric.BRIER:
        losses = np.where((values >= 0) & (values <= 1), (values - positive) ** 2, math.nan)
        return weighted_mean(losses), (everyone,)
    decided = values >= threshold
    right = np.where(np.isfinite(values), (decided == positive).astype(np.float64), math.nan)
    among = {
        Metric.ACCURACY: everyone,
        Metric.SENSITIVITY: positive,
        Metric.SPECIFICITY: ~positive,
        Metric.PPV: decided,
    }[metric]
    # NaN times nil is NaN: one undecided row leaves every share unknown, as it does without clusters.
    return weighted_ratio(right * among, among), (among,)


def _split(sample: Sample) -> list[tuple[str, Sample]]:
    if sample.cohorts is None:
        return []
    names = _cohort_names(sample)
    return [
        (
            str(name),
            Sample(
                labels=sample.labels[names == name],
                scores=sample.scores[names == name],
                clusters=None if sample.clusters is None else sample.clusters[names == name],
            ),
        )
        for name in np.unique(names)
    ]


def _cohort_names(sample: Sample) -> NDArray[np.str_]:
    assert sample.cohorts is not None
    if sample.cohorts.shape != sample.labels.shape:
        raise ParameterError(
            f"{sample.cohorts.size} cohort names do not fit {sample.labels.size} rows.",
            remedy="Give one cohort name for each row.",
        )
    return sample.cohorts.astype(str)
