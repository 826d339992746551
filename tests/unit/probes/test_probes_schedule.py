import numpy as np
import pytest

from roadworthy.base.errors import EmptyData, MissingFile, ParameterError, UnreadableData
from roadworthy.kit.context import Peak
from roadworthy.probes.load.recording import read_arrivals
from roadworthy.probes.load.schedule import (
    at_peak,
    compression_for,
    constant,
    peak_of,
    poisson,
    recorded,
    recorded_at_peak,
)


def peak(per_1_s, per_10_s, per_60_s):
    return Peak(per_1_s=per_1_s, per_10_s=per_10_s, per_60_s=per_60_s, derived_from="test")


def test_poisson_is_seeded_and_has_the_law_of_a_poisson_process():
    """Same seed same array; gaps are exponential: mean 1/rate, coefficient of variation 1."""
    times = poisson(200, 100, 7)
    assert np.array_equal(times, poisson(200, 100, 7))
    assert not np.array_equal(times[:100], poisson(200, 100, 8)[:100])
    gaps = np.diff(times)
    assert (gaps >= 0).all()
    assert times[0] >= 0 and times[-1] < 100
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.03)


def test_constant_is_evenly_spaced():
    """Rate times duration arrivals, at equal gaps."""
    times = constant(50, 2)
    assert times.size == 100
    assert np.allclose(np.diff(times), 0.02)
    assert times[0] == 0


def test_recorded_starts_at_zero_and_gets_denser():
    """A scale of 2 halves every gap, whatever the order and origin of the record."""
    assert recorded([105.0, 100.0, 101.0], scale=2.0).tolist() == [0.0, 0.5, 2.5]


def test_peak_of_counts_sliding_windows_not_aligned_ones():
    """Four requests around a whole second are one burst."""
    measured = peak_of([0.9, 0.95, 1.0, 1.05, 9.0], derived_from="x")
    assert (measured.per_1_s, measured.per_10_s, measured.per_60_s) == (4.0, 0.5, 5 / 60)
    assert measured.derived_from == "x"


def test_peak_window_excludes_its_end():
    """Requests exactly one second apart are never in the same window of one second."""
    assert peak_of([0.0, 1.0, 2.0]).per_1_s == 1.0


@pytest.mark.parametrize("declared", [peak(24, 9, 4), peak(67, 32.7, 10.5), peak(100, 100, 100), peak(1, 0.2, 0.05)])
@pytest.mark.parametrize("duration_s", [60.0, 150.0])
def test_at_peak_reaches_all_three_windows_and_not_grossly_more(declared, duration_s):
    """Each busiest window holds at least the target count, and at most that plus what chance explains."""
    times = at_peak(declared, duration_s, 3)
    assert times[-1] < duration_s
    reached = peak_of(times)
    for name, window_s in (("per_1_s", 1), ("per_10_s", 10), ("per_60_s", 60)):
        target = getattr(declared, name) * 1.5 * window_s
        count = getattr(reached, name) * window_s
        assert count >= target - 1e-6, name
        assert count <= target + 5 * np.sqrt(target) + 6, name


@pytest.mark.parametrize("seed", range(20))
def test_at_peak_reaches_its_target_for_every_seed(seed):
    """The counts are exact, not expected values."""
    reached = peak_of(at_peak(peak(16, 9.8, 8.45), 60, seed, factor=1.5))
    assert reached.per_1_s >= 24
    assert reached.per_10_s >= 14.7
    assert reached.per_60_s >= 12.675


@pytest.mark.parametrize("duration_s", [1.0, 5.0, 10.0, 30.0])
def test_a_short_run_reaches_the_windows_that_fit(duration_s):
    """A run of 5 s reaches the burst, and shows that it did not reach the minute."""
    reached = peak_of(at_peak(peak(20, 10, 5), duration_s, 1, factor=2.0))
    assert reached.per_1_s >= 40
    assert (reached.per_10_s >= 20) == (duration_s >= 10)
    assert reached.per_60_s < 10


def test_rates_that_contradict_each_other_are_refused():
    """Ten seconds cannot be busier than their busiest second, nor hold fewer requests than it."""
    for impossible in (peak(5, 10, 4), peak(100, 5, 4), peak(10, 5, 0.5)):
        with pytest.raises(ParameterError, match="cannot both be peaks"):
            at_peak(impossible, 60, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: poisson(0, 1, 1),
        lambda: poisson(1, float("nan"), 1),
        lambda: constant(-1, 1),
        lambda: constant(1, float("inf")),
        lambda: recorded([1.0], scale=0),
        lambda: recorded([1.0, float("nan")]),
        lambda: at_peak(peak(1, 1, 1), 0.5, 1),
        lambda: at_peak(peak(0, 1, 1), 60, 1),
        lambda: at_peak(peak(1, 1, 1), 60, 1, factor=0),
        lambda: compression_for([0.0, 1.0], peak(5, 5, 5)),
        lambda: compression_for([0.0, 1.0], peak(1, 1, 1), least=0),
        lambda: recorded_at_peak(poisson(5, 100, 1), peak(1, 1, 1), 59.9),
        lambda: recorded_at_peak(poisson(5, 100, 1), peak(1, 1, 1), float("nan")),
        lambda: recorded_at_peak(poisson(5, 100, 1), peak(1, 1, 1), 60, factor=0),
        lambda: recorded_at_peak([0.0, 1.0], peak(5, 5, 5), 60),
    ],
)
def test_values_out_of_range_are_refused(call):
    """RW-114 with a remedy."""
    with pytest.raises(ParameterError) as caught:
        call()
    assert caught.value.remedy


def test_no_arrivals_are_refused():
    """RW-104."""
    with pytest.raises(EmptyData):
        peak_of([])
    with pytest.raises(EmptyData):
        recorded([])


def test_compression_reaches_the_target_and_no_more():
    """At the scale found all rates are met; a thousandth slower they are not."""
    times = poisson(2, 600, 5)
    target = peak(30, 15, 12)
    scale = compression_for(times, target)
    reached = peak_of(recorded(times, scale=scale))
    assert min(reached.per_1_s - 30, reached.per_10_s - 15, reached.per_60_s - 12) >= -1e-9
    slower = peak_of(recorded(times, scale=scale * 0.999))
    assert slower.per_1_s < 30 or slower.per_10_s < 15 or slower.per_60_s < 12


def test_a_trace_that_is_dense_enough_is_not_compressed():
    """The smallest scale is one."""
    assert compression_for(poisson(50, 70, 1), peak(1, 1, 1)) == 1.0


def reaches(times, declared, factor=1.5):
    """Smallest ratio of the busiest windows to what they must reach."""
    there = peak_of(times)
    return min(getattr(there, name) / getattr(declared, name) for name in ("per_1_s", "per_10_s", "per_60_s")) / factor


@pytest.mark.parametrize("declared", [peak(30, 15, 12), peak(3, 1.2, 0.9), peak(12, 9, 7)])
@pytest.mark.parametrize("duration_s", [60.0, 300.0])
def test_a_record_is_replayed_to_the_peak_within_the_time_given(declared, duration_s):
    """Faster or slower than it was, all windows reach their rates and one of them no more than that."""
    record = np.concatenate([poisson(2, 1800, 5), 900 + poisson(20, 15, 6)])
    times, scale = recorded_at_peak(record, declared, duration_s)
    assert times[0] == 0
    assert times[-1] <= duration_s + 1e-6
    assert reaches(times, declared) >= 1 - 1e-9
    assert reaches(recorded(times, scale=0.99), declared) < 1
    assert (scale < 1) == (declared.per_1_s == 3)


def test_a_record_shorter_than_the_run_is_replayed_whole():
    """Nothing is cut from it, and nothing repeated."""
    times, scale = recorded_at_peak(poisson(5, 100, 3), peak(12, 6, 4), 300.0)
    assert times.size == poisson(5, 100, 3).size
    assert scale > 1


def test_the_stretch_holds_the_busiest_minute():
    """At the end of a record too."""
    record = np.concatenate([poisson(1, 3600, 1), 3500 + poisson(30, 60, 2)])
    times, scale = recorded_at_peak(record, peak(24, 21, 20), 120.0)
    assert peak_of(times).per_60_s >= 30
    assert times.size > 0.9 * 1800
    assert scale == pytest.approx(1.0, abs=0.6)


def test_the_azure_trace_is_cut_to_its_busiest_minutes(shared_data):
    """Five minutes of an hour reach 1.5 times the declared peak in all three windows."""
    record = read_arrivals(shared_data / "azure_llm_trace_2023" / "AzureLLMInferenceTrace_code.csv")
    declared = peak(67, 32.7, 10.53)
    times, scale = recorded_at_peak(record, declared, 300.0)
    assert reaches(times, declared) >= 1 - 1e-9
    assert 60 < times[-1] <= 300
    assert 1 < scale < 3


@pytest.mark.parametrize(
    ("name", "count", "span_s", "aligned", "sliding"),
    [
        ("conv", 19_366, 3_502, (16, 9.8, 8.45), (19, 11.2, 8.7)),
        ("code", 8_819, 3_436, (67, 32.7, 10.53), (72, 41.5, 12.05)),
    ],
)
def test_the_azure_traces_have_their_known_peaks(shared_data, name, count, span_s, aligned, sliding):
    """The shared data's list gives peaks of aligned windows; a sliding window finds the burst that they cut in two."""
    times = read_arrivals(shared_data / "azure_llm_trace_2023" / f"AzureLLMInferenceTrace_{name}.csv")
    assert times.size == count
    assert times[-1] == pytest.approx(span_s, abs=1)
    in_bins = [np.bincount((times // window_s).astype(int)).max() / window_s for window_s in (1, 10, 60)]
    assert in_bins == pytest.approx(aligned, rel=0.001)
    measured = peak_of(times)
    assert (measured.per_1_s, measured.per_10_s, measured.per_60_s) == pytest.approx(sliding, rel=0.001)


def test_a_recorded_trace_reaches_half_as_much_again(shared_data):
    """The conversation trace, compressed until each of its peaks is 1.5 times what it was."""
    times = read_arrivals(shared_data / "azure_llm_trace_2023" / "AzureLLMInferenceTrace_conv.csv")
    was = peak_of(times)
    target = peak(was.per_1_s * 1.5, was.per_10_s * 1.5, was.per_60_s * 1.5)
    reached = peak_of(recorded(times, scale=compression_for(times, target)))
    assert reached.per_1_s >= target.per_1_s
    assert reached.per_10_s >= target.per_10_s
    assert reached.per_60_s >= target.per_60_s


def test_arrivals_are_read_to_the_tenth_of_a_microsecond(tmp_path):
    """Seven fractional digits, unsorted, with and without Z."""
    path = tmp_path / "trace.csv"
    path.write_text("id,TIMESTAMP\n1,2023-11-16 18:15:50.0000005\n2,2023-11-16 18:15:49.5000000Z\n")
    assert read_arrivals(path).tolist() == pytest.approx([0.0, 0.5000005], abs=1e-9)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (b"WHEN,WHO\n1,2\n", UnreadableData, "no 'TIMESTAMP'"),
        (b"WHEN\n1700000000\n", UnreadableData, "'1700000000' is not an instant"),
        (b"2023-11-16 18:15:50\n2023-11-16 18:15:51\n", UnreadableData, "names no"),
        (b"", UnreadableData, "no 'TIMESTAMP'"),
        (b"TIMESTAMP\n", EmptyData, "no rows"),
        (b"TIMESTAMP\nyesterday\n", UnreadableData, "'yesterday' is not an instant"),
        (b"a,TIMESTAMP\n1\n", UnreadableData, "'' is not an instant"),
        (b"TIMESTAMP\n\xff\xfe\n", UnreadableData, "not a CSV file"),
    ],
)
def test_a_trace_that_cannot_be_read_is_refused_whole(tmp_path, text, error, words):
    """No row is skipped: a thinned trace would understate the peak."""
    path = tmp_path / "trace.csv"
    path.write_bytes(text)
    with pytest.raises(error, match=words):
        read_arrivals(path)


def test_the_only_column_may_have_any_name(tmp_path):
    """A list of instants under its name; with a second column the usual name decides."""
    path = tmp_path / "trace.csv"
    path.write_text("arrived\n2023-11-16 18:15:50\n2023-11-16 18:15:52\n")
    assert read_arrivals(path).tolist() == [0.0, 2.0]
    path.write_text("arrived,TIMESTAMP\nx,2023-11-16 18:15:50\nx,2023-11-16 18:15:53\n")
    assert read_arrivals(path).tolist() == [0.0, 3.0]


def test_a_trace_that_is_not_there(tmp_path):
    """RW-102."""
    with pytest.raises(MissingFile):
        read_arrivals(tmp_path / "absent.csv")
