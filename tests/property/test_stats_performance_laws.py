"""Laws of the performance statistics that hold for every input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.stats.agreement import cohens_kappa
from roadworthy.stats.calibration import brier_parts, calibration_error, reliability_table
from roadworthy.stats.conformal import conformal_threshold
from roadworthy.stats.label_free import expected_figures
from roadworthy.stats.means import UNIT, mean_interval, share_interval
from roadworthy.stats.ranking import Gain, JudgedQuery, RankMetric, rank_metric

shares = st.floats(min_value=0, max_value=1)
forecasts = st.lists(st.tuples(st.booleans(), shares), min_size=1, max_size=80)
clustered = st.lists(st.tuples(shares, st.integers(0, 9)), min_size=2, max_size=60)
judgements = st.lists(st.integers(0, 3), min_size=1, max_size=15)


@given(forecasts)
def test_brier_parts_always_add_up(rows: list[tuple[bool, float]]) -> None:
    """The identity needs no assumption; the error of calibration stays a share around its estimate."""
    table = reliability_table([row[0] for row in rows], [row[1] for row in rows])
    parts = brier_parts(table)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within_variance - parts.within_covariance
    assert total == pytest.approx(parts.score, abs=1e-9)
    error = calibration_error(table)
    assert error.known
    assert 0.0 <= error.lower <= error.estimate <= error.upper <= 1.0


@given(clustered)
def test_means_of_shares_stay_shares(rows: list[tuple[float, int]]) -> None:
    """Known with two clusters or more, inside [0, 1], around the estimate; the order of rows is irrelevant."""
    values, clusters = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    interval = mean_interval(values, clusters, within=UNIT)
    share = share_interval(values > 0.5, clusters)
    assert interval.known == (np.unique(clusters).size >= 2)
    for each in (interval, share):
        assert not each.known or 0.0 <= each.lower <= each.estimate <= each.upper <= 1.0
    if interval.known:
        turned = mean_interval(values[::-1], clusters[::-1], within=UNIT)
        assert (turned.lower, turned.upper) == pytest.approx((interval.lower, interval.upper), abs=1e-9)


@given(judgements, st.integers(1, 15), st.sampled_from(list(RankMetric)), st.sampled_from(list(Gain)))
def test_best_order_is_best(gains: list[int], k: int, metric: RankMetric, gain: Gain) -> None:
    """Every metric lies in [0, 1], and no order beats the one sorted by judgement, for which nDCG is 1."""
    judged = tuple(float(each) for each in gains if each)
    given_order = rank_metric(JudgedQuery(gains=tuple(map(float, gains)), judged=judged), metric, k, gain)
    best = rank_metric(
        JudgedQuery(gains=tuple(sorted(map(float, gains), reverse=True)), judged=judged), metric, k, gain
    )
    if judged:
        assert 0.0 <= given_order <= best + 1e-12 <= 1.0 + 2e-12
        assert metric is not RankMetric.NDCG or best == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_kappa_does_not_ask_who_is_who(pairs: list[tuple[int, int]]) -> None:
    """Swapping the judges changes nothing; the interval stays in [-1, 1] around the estimate, or is unknown."""
    first, second = (np.array([pair[k] for pair in pairs]) for k in (0, 1))
    one, two = cohens_kappa(first, second), cohens_kappa(second, first)
    # A judge who gave one value only leaves nothing to measure.
    assert one.known == two.known == (min(np.unique(first).size, np.unique(second).size) > 1)
    if one.known:
        assert one.estimate == pytest.approx(two.estimate, abs=1e-12)
        assert -1.0 <= one.lower <= one.estimate <= one.upper <= 1.0


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=50), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_more_coverage_needs_no_lower_threshold(scores: list[float], one: float, two: float) -> None:
    """The threshold rises with the promise, and keeps it on the calibration rows themselves."""
    low, high = sorted((one, two))
    assert conformal_threshold(scores, low) <= conformal_threshold(scores, high)
    assert np.mean(np.array(scores) <= conformal_threshold(scores, high)) >= high - 1e-9


@given(st.lists(st.tuples(st.integers(1, 50), shares), min_size=2, max_size=20), st.integers(0, 20))
def test_expected_figures_are_shares_and_scale_free(cells: list[tuple[int, float]], first: int) -> None:
    """Each is a share or cannot be divided; ten times as many rows change nothing."""
    rows = np.array([cell[0] for cell in cells], dtype=float)
    hits = rows * np.array([cell[1] for cell in cells])
    once, often = (expected_figures(k * rows, k * hits, min(first, rows.size)) for k in (1, 10))
    for name in ("accuracy", "sensitivity", "specificity", "ppv", "f1", "auc"):
        value, again = float(getattr(once, name)[0]), float(getattr(often, name)[0])
        assert np.isnan(value) or -1e-9 <= value <= 1 + 1e-9
        assert value == pytest.approx(again, nan_ok=True)
