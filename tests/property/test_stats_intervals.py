"""Properties that every interval of the statistics room keeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.stats.auc import auc, delong
from roadworthy.stats.multiplicity import benjamini_hochberg, holm
from roadworthy.stats.proportions import clopper_pearson, wilson

shares = st.floats(min_value=0.01, max_value=0.999)
p_values = st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=30)
samples = st.lists(st.tuples(st.booleans(), st.integers(min_value=-20, max_value=20)), min_size=1, max_size=60).map(
    lambda rows: (np.array([r[0] for r in rows], dtype=float), np.array([r[1] for r in rows], dtype=float))
)


@given(st.integers(min_value=1, max_value=5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), shares)
def test_share_intervals_contain_the_estimate_and_stay_possible(counts: tuple[int, int], confidence: float) -> None:
    """0 <= lower <= estimate <= upper <= 1, and mirroring successes mirrors the interval."""
    for method in (wilson, clopper_pearson):
        interval = method(*counts, confidence)
        mirrored = method(counts[1] - counts[0], counts[1], confidence)
        assert interval.known
        assert 0.0 <= interval.lower <= interval.upper <= 1.0
        assert interval.lower == pytest.approx(1 - mirrored.upper, abs=1e-9)


@settings(deadline=None)
@given(samples)
def test_delong_contains_its_estimate_or_says_unknown(sample: tuple[np.ndarray, np.ndarray]) -> None:
    """Known exactly when both classes have two rows; always inside [0, 1]."""
    labels, scores = sample
    interval = delong(labels, scores)
    enough = min(labels.sum(), (1 - labels).sum()) >= 2
    assert interval.known == enough
    if enough:
        assert 0.0 <= interval.lower <= interval.estimate <= interval.upper <= 1.0


@given(samples)
def test_auc_is_a_rank_statistic(sample: tuple[np.ndarray, np.ndarray]) -> None:
    """A monotone change of scores changes nothing; swapping classes mirrors it."""
    labels, scores = sample
    area = auc(labels, scores)
    if np.isfinite(area):
        assert auc(labels, scores**3 + 7) == pytest.approx(area)
        assert auc(1 - labels, scores) == pytest.approx(1 - area)


@given(p_values)
def test_adjustment_never_helps_and_keeps_order(values: list[float]) -> None:
    """p <= BH <= Holm is not required, but p <= both, BH <= Holm, both within [0, 1] and order-preserving."""
    raw, stepped, scaled = np.array(values), holm(values), benjamini_hochberg(values)
    assert (stepped >= raw - 1e-12).all() and (scaled >= raw - 1e-12).all()
    assert (scaled <= stepped + 1e-12).all() and (stepped <= 1).all()
    order = np.argsort(raw, kind="stable")
    assert (np.diff(stepped[order]) >= -1e-12).all() and (np.diff(scaled[order]) >= -1e-12).all()
