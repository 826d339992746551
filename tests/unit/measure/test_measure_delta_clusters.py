"""Deltas where rows share a patient, their parts, and the four verdicts of a shift."""

import math

import numpy as np
import pytest

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.measure.delta import Metric, Sample, ShiftVerdict, delta, delta_parts, performance, shift_verdict


def _patients(seed: int, patients: int, visits: int, gain: float = 2.0) -> Sample:
    """Each patient has one outcome and one disposition; visits differ little."""
    rng = np.random.default_rng(seed)
    outcome = (rng.random(patients) < 0.4).astype(float)
    disposition = gain * (outcome - 0.5) + rng.normal(size=patients)
    patient = np.repeat(np.arange(patients), visits)
    scores = 1 / (1 + np.exp(-(disposition[patient] + 0.05 * rng.normal(size=patient.size))))
    cohorts = np.where(patient % 3 == 0, "north", "south")
    return Sample(labels=outcome[patient], scores=scores, cohorts=cohorts, clusters=patient)


@pytest.mark.parametrize("metric", list(Metric))
def test_visits_do_not_narrow_the_interval(metric: Metric) -> None:
    """150 patients seen six times: as wide as 150 patients seen once, over twice as wide as by rows; same estimate."""
    sample = _patients(1, 150, 6)
    by_patient = performance(sample.labels, sample.scores, metric, clusters=sample.clusters)
    by_row = performance(sample.labels, sample.scores, metric)
    once = performance(sample.labels[::6], sample.scores[::6], metric)
    assert by_patient.estimate == pytest.approx(by_row.estimate)
    assert by_patient.n == 150
    assert by_patient.upper - by_patient.lower == pytest.approx(once.upper - once.lower, rel=0.15)
    assert by_patient.upper - by_patient.lower > 2 * (by_row.upper - by_row.lower)


def test_clusters_of_one_row_change_nothing() -> None:
    """Without a repeated patient the exact forms are used, whole and by cohort."""
    sample = _patients(2, 200, 1)
    bare = Sample(labels=sample.labels, scores=sample.scores, cohorts=sample.cohorts)
    assert delta(sample, sample, Metric.AUC) == delta(bare, bare, Metric.AUC)


def test_delta_by_cohort_counts_patients() -> None:
    """The table's n is patients of the cohort; the seed decides the ends."""
    pilot, production = _patients(3, 120, 4), _patients(4, 150, 4, gain=0.3)
    report = delta(pilot, production, Metric.AUC)
    assert [row.production.n for row in report.cohorts] == [50, 100]
    assert report.difference.upper < 0
    assert report == delta(pilot, production, Metric.AUC)
    assert report.pilot != delta(pilot, production, Metric.AUC, seed=5).pilot


def test_coverage_with_repeated_patients() -> None:
    """40 patients, five visits: the true accuracy is inside in about 95 of 100; by rows in far fewer."""
    inside = by_row = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        patient = np.repeat(np.arange(40), 5)
        right = (rng.random(40) < 0.8)[patient] ^ (rng.random(200) < 0.05)
        labels = rng.integers(0, 2, 200)
        scores = np.where(right, labels, 1 - labels).astype(float)
        truth = 0.8 * 0.95 + 0.2 * 0.05
        clustered = performance(labels, scores, Metric.ACCURACY, clusters=patient)
        plain = performance(labels, scores, Metric.ACCURACY)
        inside += clustered.lower <= truth <= clustered.upper
        by_row += plain.lower <= truth <= plain.upper
    assert inside / 150 >= 0.90
    assert by_row / 150 <= 0.75


def test_no_error_at_all_is_not_certainty() -> None:
    """Twenty perfect patients leave room below one; one patient of a class, or an undecided row, is unknown."""
    patient = np.repeat(np.arange(20), 5)
    labels = (patient % 2).astype(float)
    for metric in (Metric.AUC, Metric.ACCURACY, Metric.SENSITIVITY):
        interval = performance(labels, labels, metric, clusters=patient)
        assert interval.estimate == interval.upper == 1.0
        assert 0.6 < interval.lower < 0.9
    assert performance(labels, labels, Metric.BRIER, clusters=patient).upper > 0.1
    lonely = (patient == 3).astype(float)
    assert not performance(lonely, labels, Metric.AUC, clusters=patient).known
    holed = np.where(np.arange(100) == 7, math.nan, labels)
    for metric in Metric:
        assert not performance(labels, holed, metric, clusters=patient).known
    with pytest.raises(ParameterError):
        performance(labels, labels, Metric.AUC, clusters=patient[:3])


@pytest.mark.parametrize("metric", list(Metric))
def test_parts_add_up_for_every_metric(metric: Metric) -> None:
    """Mix, within and new cohorts are the whole difference; the whole is the difference of the two figures."""
    pilot, production = _patients(5, 120, 2), _patients(6, 150, 2, gain=1.0)
    parts = delta_parts(pilot, production, metric, replicates=100)
    total = parts.mix_shift.estimate + parts.within_slices.estimate + parts.new_slices.estimate
    assert total == pytest.approx(parts.total.estimate, abs=1e-12)
    report = delta(pilot, production, metric)
    assert parts.total.estimate == pytest.approx(report.difference.estimate, abs=1e-12)
    assert parts.total.n == 120


def test_parts_need_cohorts() -> None:
    """A sample that is not split has no mix; names of another length raise too."""
    sample = _patients(7, 30, 2)
    bare = Sample(labels=sample.labels, scores=sample.scores)
    crooked = Sample(labels=sample.labels, scores=sample.scores, cohorts=np.array(["a"]))
    for other in (bare, crooked):
        with pytest.raises(ParameterError):
            delta_parts(sample, other, Metric.AUC)


_HARMED, _FINE, _SHIFTED, _UNSURE = (
    ShiftVerdict.HARMED,
    ShiftVerdict.NOT_HARMED,
    ShiftVerdict.SHIFTED_NOT_HARMED,
    ShiftVerdict.CANNOT_TELL,
)


@pytest.mark.parametrize(
    ("lower", "upper", "still", "shifted"),
    [
        (0.06, 0.10, _HARMED, _HARMED),
        (0.0500001, 0.10, _HARMED, _HARMED),
        (0.05, 0.10, _UNSURE, _UNSURE),
        (-0.01, 0.0500001, _UNSURE, _UNSURE),
        (-0.01, 0.05, _FINE, _SHIFTED),
        (-0.04, 0.02, _FINE, _SHIFTED),
        (-0.20, -0.10, _FINE, _SHIFTED),
        (0.02, 0.04, _FINE, _SHIFTED),
        (-0.50, 0.50, _UNSURE, _UNSURE),
        (-math.inf, 0.01, _UNSURE, _UNSURE),
    ],
)
def test_truth_table_of_verdicts(lower: float, upper: float, still: ShiftVerdict, shifted: ShiftVerdict) -> None:
    """A margin of 0.05: ends decide, on the margin is still acceptable, shifted inputs never change whether it harmed."""
    loss = Interval(estimate=(max(lower, -1) + upper) / 2, lower=lower, upper=upper, n=100)
    assert shift_verdict(loss, 0.05, inputs_shifted=False) is still
    assert shift_verdict(loss, 0.05, inputs_shifted=True) is shifted


def test_unknown_loss_is_never_a_pass_and_margins_are_losses() -> None:
    """An unknown loss cannot tell, whatever the inputs did; a negative or infinite margin raises."""
    for inputs_shifted in (False, True):
        assert shift_verdict(unknown(), 0.05, inputs_shifted=inputs_shifted) is _UNSURE
    for margin in (-0.01, math.inf, math.nan):
        with pytest.raises(ParameterError):
            shift_verdict(unknown(), margin, inputs_shifted=False)
