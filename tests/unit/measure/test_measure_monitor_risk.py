"""The monitor against MAPIE's own class, by simulation of whole calendars, and on a stream with known changes."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from mapie.exchangeability_testing import RiskMonitoring
from sklearn.neighbors import KNeighborsClassifier

from roadworthy.base.errors import EmptyData, ParameterError
from roadworthy.measure.monitor_risk import RiskMonitor, feed, from_record, start_monitor, to_record


def _errors(seed: int, n: int, share: float) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < share).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_threshold_bound_and_alarm_row_are_mapies(seed: int) -> None:
    """Healthy for 60 rows, then one in two wrong: the same threshold, the same first row above it, the same bound."""
    pilot, stream = _errors(seed, 600, 0.1), np.r_[_errors(seed + 10, 60, 0.1), _errors(seed + 20, 240, 0.6)]
    peer = RiskMonitoring("accuracy", warn=False)
    peer.compute_threshold(np.zeros(600), pilot)
    peer.update(np.zeros(300), stream)
    history = peer.online_risk_lower_bound_sequence_history
    monitor = start_monitor(pilot, tolerance=0.05)
    assert monitor.threshold == peer.threshold
    done = feed(monitor, stream)
    assert done.alarm_row == int(np.argmax(history > peer.threshold)) + 1
    # MAPIE reports the best bound so far, the state the present one.
    running = [feed(monitor, stream[:n]).risk_lower_bound for n in range(1, 301)]
    assert np.maximum.accumulate(running) == pytest.approx(history, abs=1e-9)


def test_batches_and_storage_change_nothing() -> None:
    """One batch, single rows, or a state that went through JSON in between: the same state to the last bit."""
    losses = np.random.default_rng(1).random(400) * 0.9
    monitor = start_monitor(_errors(2, 2_000, 0.1), tolerance=0.05)
    whole = feed(monitor, losses)
    single = monitor
    for loss in losses:
        single = feed(single, [loss])
    resumed = feed(from_record(json.loads(json.dumps(to_record(feed(monitor, losses[:123]))))), losses[123:])
    assert whole == single == resumed
    assert whole.alarmed
    assert feed(whole, []) == whole
    assert feed(whole, np.zeros(1_000)).alarm_row == whole.alarm_row


def test_false_alarms_over_a_whole_calendar_stay_below_the_level() -> None:
    """400 calendars of 4,000 rows, each with its own pilot, at exactly the worst risk that is still acceptable."""
    rng = np.random.default_rng(3)
    alarms = sum(
        feed(
            start_monitor((rng.random(300) < 0.1).astype(float), tolerance=0.02, level=0.2),
            (rng.random(4_000) < 0.12).astype(float),
        ).alarmed
        for _ in range(400)
    )
    # Three standard errors above the promise would still be 0.26; Hoeffding's pilot bound makes it far rarer.
    assert alarms / 400 <= 0.2


def test_known_threshold_uses_its_level_but_keeps_it() -> None:
    """With the pilot's bound taken as exact, looking after every row for 4,000 rows alarms below the level."""
    rng = np.random.default_rng(4)
    start = RiskMonitor(pilot_rows=1, threshold=0.3, level=0.4)
    alarms = sum(feed(start, (rng.random(4_000) < 0.3).astype(float)).alarmed for _ in range(300))
    assert 0 < alarms / 300 <= 0.1


def test_harm_is_noticed_and_larger_harm_sooner() -> None:
    """From 10 to 30 in 100 wrong: noticed within 800 rows in all of 60 calendars; to 60 in 100: sooner."""
    delays = {}
    for share in (0.3, 0.6):
        rows = [
            feed(start_monitor(_errors(seed, 2_000, 0.1), tolerance=0.05), _errors(seed + 100, 3_000, share)).alarm_row
            for seed in range(60)
        ]
        assert None not in rows
        delays[share] = sorted(row for row in rows if row is not None)
    assert delays[0.3][-1] < 900
    assert delays[0.6][30] < delays[0.3][30] / 3


def test_stream_with_a_known_change(shared_data: Path) -> None:
    """SINE1, rule reversed at row 20,000: trained on the first 5,000, no alarm before the change, one soon after."""
    packed = (shared_data / "drift_streams_sine1" / "sine1_w_50_n_0.1_101.arff.gz").read_bytes()
    text = gzip.decompress(packed).decode()
    cells = [line.split(",") for line in text.split("@data")[1].split()[:24_000]]
    inputs = np.array([line[:2] for line in cells], dtype=float)
    outcome = np.array([line[2] == "p" for line in cells])
    model = KNeighborsClassifier(25).fit(inputs[:5_000], outcome[:5_000])
    losses = (model.predict(inputs[5_000:]) != outcome[5_000:]).astype(float)
    monitor = feed(start_monitor(losses[:5_000], tolerance=0.05), losses[5_000:])
    assert monitor.alarm_row is not None
    first_alarm = 10_000 + monitor.alarm_row
    assert 20_000 < first_alarm < 21_500
    # A monitor that was started anew at the last whole period notices much sooner.
    anew = feed(start_monitor(losses[:5_000], tolerance=0.05), losses[14_000:])
    assert anew.alarm_row is not None
    assert 20_000 < 19_000 + anew.alarm_row < first_alarm - 800


def test_nothing_seen_knows_nothing() -> None:
    """Before the first row the bound is nil and there is no alarm."""
    monitor = start_monitor([0.0, 1.0], tolerance=0.0)
    assert monitor.risk_lower_bound == 0.0
    assert not monitor.alarmed


def test_nonsense_raises() -> None:
    """Losses outside [0, 1] or NaN, no pilot, tolerances, levels, and records that were touched."""
    good = to_record(feed(start_monitor([0.1, 0.2], tolerance=0.1), [0.3]))
    for call in (
        lambda: start_monitor([1.5], tolerance=0.1),
        lambda: start_monitor([0.5], tolerance=-0.1),
        lambda: start_monitor([0.5], tolerance=0.1, level=0.0),
        lambda: feed(start_monitor([0.5], tolerance=0.1), [float("nan")]),
        lambda: from_record({}),
        lambda: from_record({**good, "threshold": 0.2}),
        lambda: from_record({**good, "rows": 0}),
        lambda: from_record({**good, "alarm_row": 7}),
    ):
        with pytest.raises(ParameterError):
            call()
    with pytest.raises(EmptyData):
        start_monitor([], tolerance=0.1)
