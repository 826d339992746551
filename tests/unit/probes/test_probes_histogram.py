import json

import numpy as np
import pytest

from roadworthy.base.errors import MalformedEvidence, NotEnoughData, ParameterError
from roadworthy.probes.load.histogram import HIGHEST_S, LOWEST_S, Histogram, histogram_from_json, histogram_of


def test_the_range_covers_a_microsecond_to_an_hour():
    """As specified, in a fixed number of counters."""
    assert LOWEST_S <= 1e-6
    assert HIGHEST_S >= 3600
    assert Histogram().counts.dtype == np.int64


def test_the_quantile_is_the_upper_edge_but_never_above_the_largest():
    """999 durations of 1 ms and one of 1 s."""
    histogram = histogram_of([0.001] * 999 + [1.0])
    assert 0.001 <= histogram.quantile(0.5) <= 0.001 * 1.01
    assert histogram.quantile(0.999) <= 0.001 * 1.01
    assert histogram.quantile(1.0) == 1.0


def test_what_lies_outside_the_range_is_kept_at_its_ends():
    """Zero and a day are counted; the largest is exact."""
    histogram = histogram_of([0.0, 86_400.0])
    histogram.record(0.0)
    histogram.record(90_000.0)
    assert histogram.total == 4
    assert histogram.counts[0] == 2
    assert histogram.quantile(0.25) <= LOWEST_S * 1.01
    assert histogram.quantile(1.0) == 90_000.0
    assert histogram.lowest_s == 0.0


def test_counting_above_a_threshold():
    """The bucket that holds the threshold counts as above."""
    histogram = histogram_of([0.01, 0.2, 0.3])
    assert histogram.count_above(0.1) == 2
    assert histogram.count_above(10.0) == 0


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_what_is_not_a_duration_is_refused(value):
    """RW-114, one at a time and many at once, and nothing is counted."""
    histogram = Histogram()
    with pytest.raises(ParameterError):
        histogram.record(value)
    with pytest.raises(ParameterError):
        histogram.record_many([1.0, value])
    assert histogram.total == 0


def test_an_empty_histogram_has_no_quantile():
    """RW-204 rather than zero."""
    with pytest.raises(NotEnoughData):
        histogram_of([]).quantile(0.5)
    with pytest.raises(ParameterError):
        histogram_of([1.0]).quantile(0.0)


def test_json_round_trip():
    """Counts and extremes survive; an empty one too."""
    for histogram in (histogram_of([0.001, 0.002, 3.0]), Histogram()):
        again = histogram_from_json(json.loads(json.dumps(histogram.to_json(), allow_nan=False)))
        assert np.array_equal(again.counts, histogram.counts)
        assert (again.lowest_s, again.highest_s) == (histogram.lowest_s, histogram.highest_s)


@pytest.mark.parametrize(
    "change",
    [
        {"buckets_per_octave": 64},
        {"counts": {"4096": 1}},
        {"counts": {"0": -1}},
        {"counts": {"x": 1}},
        {"counts": None},
        {"highest_s": None},
    ],
)
def test_json_that_cannot_be_a_histogram_is_refused(change):
    """RW-201."""
    with pytest.raises(MalformedEvidence):
        histogram_from_json(histogram_of([1.0]).to_json() | change)
