import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.kit.context import Peak
from roadworthy.probes.load.schedule import at_peak, peak_of


@given(
    st.floats(0.05, 20.0),
    st.floats(1.0, 6.0),
    st.floats(1.0, 10.0),
    st.floats(1.0, 3.0),
    st.floats(60.0, 200.0),
    st.integers(0, 2**32),
)
def test_at_peak_always_reaches_the_declared_triple(per_60_s, of_ten, of_one, factor, duration_s, seed):
    """For every consistent triple, factor, duration from a minute on, and seed."""
    per_10_s = per_60_s * of_ten
    declared = Peak(per_1_s=per_10_s * of_one, per_10_s=per_10_s, per_60_s=per_60_s, derived_from="test")
    times = at_peak(declared, duration_s, seed, factor=factor)
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] < duration_s
    reached = peak_of(times)
    assert reached.per_1_s >= declared.per_1_s * factor - 1e-6
    assert reached.per_10_s >= declared.per_10_s * factor - 1e-6
    assert reached.per_60_s >= declared.per_60_s * factor - 1e-6
