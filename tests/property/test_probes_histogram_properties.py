import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.probes.load.histogram import LOWEST_S, RELATIVE_ERROR, histogram_from_json, histogram_of

durations = st.lists(st.floats(1e-6, 3600.0), min_size=1, max_size=200)
shares = st.floats(0.001, 1.0)


@given(durations, shares)
def test_a_quantile_is_never_below_the_true_one_and_at_most_a_hundredth_above(values, share):
    """Against numpy's inverted empirical distribution, which uses the same rank."""
    true = float(np.quantile(values, share, method="inverted_cdf"))
    reported = histogram_of(values).quantile(share)
    ranks_may_tie_by_rounding = sorted(values)[max(0, int(np.ceil(share * len(values) - 1e-9)) - 1)]
    assert reported >= min(true, ranks_may_tie_by_rounding)
    assert reported <= max(true, LOWEST_S) * (1 + RELATIVE_ERROR) * (1 + 1e-12)
    assert RELATIVE_ERROR <= 0.01


@given(durations)
def test_one_by_one_is_the_same_as_all_at_once(values):
    """The fast path and the constant-time path agree on every bucket."""
    slow = histogram_of([])
    for value in values:
        slow.record(value)
    fast = histogram_of(values)
    assert np.array_equal(slow.counts, fast.counts)
    assert (slow.lowest_s, slow.highest_s) == (fast.lowest_s, fast.highest_s)


@given(durations, durations)
def test_merging_is_recording_both(one, other):
    """In either order, and through JSON."""
    both = histogram_of(one + other)
    for first, second in ((one, other), (other, one)):
        merged = histogram_from_json(histogram_of(first).to_json())
        merged.merge(histogram_of(second))
        assert merged.to_json() == both.to_json()
