"""Unseen sites: a model that reads the site's token overestimates itself, an honest one does not; real hospitals."""

from pathlib import Path

import numpy as np
import pytest
from probing_worlds import TRUE_AUC, hospitals, logistic, sites_with_shares

from roadworthy.base.errors import ParameterError
from roadworthy.measure.delta import Metric
from roadworthy.measure.probing.inputs import make_inputs
from roadworthy.measure.probing.leave_out import leave_one_site_out, train_at_one_site
from roadworthy.stats.proportions import clopper_pearson


def test_a_model_that_reads_the_site_is_overestimated() -> None:
    """The usual figure is far above the known truth; the mean of unseen sites is within 4 % of it."""
    inputs, labels, site = sites_with_shares(1)
    report = leave_one_site_out(logistic, inputs, labels, site, seed=1)
    assert report.pooled.lower > TRUE_AUC + 0.05
    assert report.overestimate.lower > 0.05
    corrected = np.mean([row.unseen.estimate for row in report.sites])
    assert corrected == pytest.approx(TRUE_AUC, rel=0.04)
    assert report.overestimate.estimate == pytest.approx(report.pooled.estimate - corrected)


@pytest.mark.slow
def test_a_model_that_does_not_is_not() -> None:
    """Without the token the usual figure is the truth, and no site loses."""
    inputs, labels, site = sites_with_shares(1)
    report = leave_one_site_out(logistic, inputs.only(["measured"]), labels, site, seed=1)
    assert report.pooled.lower < TRUE_AUC < report.pooled.upper
    assert report.overestimate.lower < 0 < report.overestimate.upper
    assert all(row.loss.lower <= 0.01 and row.loss.upper < 0.05 for row in report.sites)


def test_shares_and_losses_are_turned_so_that_worse_is_positive() -> None:
    """With the token an unseen site's probabilities are off: the Brier loss is positive, and so is that of accuracy."""
    inputs, labels, site = sites_with_shares(2, n=400)
    for metric in (Metric.BRIER, Metric.ACCURACY):
        report = leave_one_site_out(logistic, inputs, labels, site, metric=metric, seed=1)
        losses = {row.site: row.loss for row in report.sites}
        assert losses["north"].estimate > 0.03
        assert report.worst is not None
        assert report.worst.loss.estimate == max(loss.estimate for loss in losses.values())
        assert report.overestimate.estimate > 0.03


def test_trained_at_cleveland(shared_data: Path) -> None:
    """The known figures: 0.904 at home (mean of folds), 0.884, 0.697 and 0.687 elsewhere."""
    inputs, labels, site = hospitals(shared_data)
    figures = {
        row.tested_at: row.figure
        for row in train_at_one_site(logistic, inputs, labels, site, trained_at="cleveland", folds=10, seed=0)
    }
    assert figures["cleveland"].estimate == pytest.approx(0.904, abs=0.015)
    assert figures["hungarian"].estimate == pytest.approx(0.884, abs=0.002)
    assert figures["switzerland"].estimate == pytest.approx(0.697, abs=0.002)
    assert figures["va"].estimate == pytest.approx(0.687, abs=0.002)


def test_four_hospitals_left_out(shared_data: Path) -> None:
    """Over all rows the claim is about 0.88; the mean of the unseen hospitals is ten points lower."""
    inputs, labels, site = hospitals(shared_data)
    report = leave_one_site_out(logistic, inputs, labels, site, seed=0)
    assert report.pooled.estimate == pytest.approx(0.88, abs=0.01)
    assert report.overestimate.lower > 0.04
    assert report.overestimate.estimate == pytest.approx(0.10, abs=0.02)


def test_a_site_with_one_outcome_stays_as_unknown() -> None:
    """It has no AUC and no loss, and the overestimate is unknown too."""
    inputs, labels, site = sites_with_shares(3, n=400)
    labels[site == "west"] = 1.0
    report = leave_one_site_out(logistic, inputs, labels, site, seed=1)
    west = next(row for row in report.sites if row.site == "west")
    assert not west.unseen.known
    assert not west.loss.known
    assert not report.overestimate.known
    assert report.worst is not None


@pytest.mark.parametrize("metric", [Metric.ACCURACY, Metric.SENSITIVITY, Metric.SPECIFICITY, Metric.PPV, Metric.BRIER])
def test_sites_without_an_error_may_hide_one(metric: Metric) -> None:
    """Six rows a site, all right, seen and unseen: a loss of some tenths stays possible, and so does an overestimate."""
    truth = np.tile([0.0, 1.0], 9)
    report = leave_one_site_out(
        lambda rows, labels: lambda asked: asked.column("x"),
        make_inputs({"x": truth}),
        truth,
        np.repeat(["a", "b", "c"], 6),
        metric=metric,
        seed=1,
    )
    for row in report.sites:
        assert row.loss.estimate == 0.0
        assert row.loss.upper == -row.loss.lower >= clopper_pearson(0, 6).upper
    assert report.overestimate.upper > 0.1


def test_refusals_name_what_is_wrong() -> None:
    """One site, a site that is not there, labels that are none."""
    inputs, labels, site = sites_with_shares(4, n=100)
    with pytest.raises(ParameterError):
        leave_one_site_out(logistic, inputs, labels, np.repeat("a", 100), seed=1)
    with pytest.raises(ParameterError):
        train_at_one_site(logistic, inputs, labels, site, trained_at="moon", seed=1)
    with pytest.raises(ParameterError):
        leave_one_site_out(logistic, inputs, labels + 1, site, seed=1)
