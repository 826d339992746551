"""Counting, adding up over workers, and what Prometheus reads."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from roadworthy.gateway.metrics import BOUNDS_US, MOST_SERIES, PAGE_BYTES, Figures, Meter, Pages, bucket, exposition


@pytest.fixture
def pages(tmp_path: Path):
    """Pages for three workers."""
    found = Pages(tmp_path / "metrics", 3)
    yield found
    found.close()


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, by name and labels, as the official parser reads it."""
    families = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


@given(st.integers(min_value=0, max_value=2**40))
def test_a_time_lies_in_its_bucket(took_us: int) -> None:
    """Above the end before, not above its own."""
    index = bucket(took_us)
    assert index == len(BOUNDS_US) or took_us <= BOUNDS_US[index]
    assert index == 0 or took_us > BOUNDS_US[index - 1]


def test_bounds_are_where_they_are_said_to_be() -> None:
    """Two to each doubling."""
    assert BOUNDS_US[:5] == (128, 192, 256, 384, 512)
    assert BOUNDS_US[-1] == 2**27


def test_workers_are_added_up(pages: Pages) -> None:
    """Counters and histograms are sums; a gauge of a worker keeps its label."""
    first, second = Meter(pages, 0), Meter(pages, 1)
    for meter in (first, second, second):
        meter.exchange("heart", "chat", 200, "primary", "", 300)
        meter.gauge_in_flight("heart", 1)
        meter.refused(431)
    first.ledger_up(True)
    second.ledger_up(False)
    first.certificate_until("heart", 2e9)
    second.certificate_until("heart", 1e9)
    second.publish()
    found = samples(first.text())
    labels = (("reason", ""), ("route", "chat"), ("rung", "primary"), ("status", "200"), ("use_case", "heart"))
    assert found["roadworthy_exchanges_total", labels] == 3
    assert found["roadworthy_in_flight", (("use_case", "heart"),)] == 3
    assert found["roadworthy_refused_total", (("status", "431"),)] == 3
    assert found["roadworthy_ledger_up", (("worker", "0"),)] == 1
    assert found["roadworthy_ledger_up", (("worker", "1"),)] == 0
    assert found["roadworthy_certificate_valid_until_seconds", (("use_case", "heart"),)] == 1e9
    place = (("route", "chat"), ("use_case", "heart"))
    assert found["roadworthy_exchange_seconds_count", place] == 3
    assert found["roadworthy_exchange_seconds_sum", place] == pytest.approx(9e-4)
    assert found["roadworthy_exchange_seconds_bucket", (("le", "0.000256"), *place)] == 0
    assert found["roadworthy_exchange_seconds_bucket", (("le", "0.000384"), *place)] == 3
    assert found["roadworthy_worker_resident_bytes", (("worker", "0"),)] > 1_000_000


def test_a_worker_that_starts_again_goes_on_counting(pages: Pages) -> None:
    """Counters never fall; what was under way is not any more."""
    before = Meter(pages, 2)
    before.exchange("heart", "chat", 503, "refuse", "deadline", 10)
    before.gauge_in_flight("heart", 5)
    before.publish()
    after = Meter(pages, 2)
    after.exchange("heart", "chat", 503, "refuse", "deadline", 10)
    found = samples(after.text())
    assert [v for (name, _), v in found.items() if name == "roadworthy_exchanges_total"] == [2]
    assert [v for (name, _), v in found.items() if name == "roadworthy_exchange_seconds_count"] == [2]
    assert not [v for (name, _), v in found.items() if name == "roadworthy_in_flight"]


def test_series_are_bounded(pages: Pages) -> None:
    """What comes beyond is counted, under another name."""
    meter = Meter(pages, 0)
    for number in range(MOST_SERIES + 50):
        meter.exchange("u", "r", number, "primary", "", 1)
    found = samples(meter.text())
    counts = {labels: v for (name, labels), v in found.items() if name == "roadworthy_exchanges_total"}
    assert len(counts) == MOST_SERIES + 1
    assert sum(counts.values()) == MOST_SERIES + 50
    assert max(counts.values()) == 50


def test_a_torn_page_is_left_out(pages: Pages) -> None:
    """A crash in the middle of writing does not break the scrape."""
    assert pages.write(0, Figures().encoded())
    assert pages.write(1, Figures(refused={400: 7}).encoded())
    pages._map[0] = 1  # an odd sequence number: in change
    assert len(list(pages)) == 1
    pages._map[0] = 2
    pages._map[20] ^= 1  # another byte than its checksum says
    assert len(list(pages)) == 1
    assert b'roadworthy_refused_total{status="400"} 7.0' in exposition(pages)


def test_a_page_that_is_too_small_stays_as_it_was(pages: Pages) -> None:
    """Half of a page would be worse than an old one."""
    assert pages.write(0, b"old")
    assert not pages.write(0, b"x" * PAGE_BYTES)
    assert pages.read(0) == b"old"


def test_a_file_with_more_pages_is_read_whole(tmp_path: Path) -> None:
    """Fewer workers than yesterday: their counts stay."""
    wide = Pages(tmp_path / "metrics", 2)
    wide.write(1, Figures(refused={400: 1}).encoded())
    wide.close()
    narrow = Pages(tmp_path / "metrics", 1)
    assert len(list(narrow)) == 1
    narrow.close()


def test_promtool_takes_the_text(pages: Pages) -> None:
    """The linter of the project that reads it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    meter = Meter(pages, 0)
    meter.exchange("heart", "chat", 200, "primary", "", 1_000)
    meter.gauge_in_flight("heart", 1)
    meter.refused(400)
    meter.ledger_up(True)
    meter.certificate_until("heart", 2e9)
    result = subprocess.run([promtool, "check", "metrics"], input=meter.text(), capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


@pytest.mark.alone
def test_counting_costs_about_a_microsecond(pages: Pages) -> None:
    """The hot path; the bound leaves room for a slow machine."""
    meter = Meter(pages, 0)
    meter.exchange("heart", "chat", 200, "primary", "", 300)
    best_s = min(_round(meter) for _ in range(5))
    assert best_s / 20_000 < 3e-6


def _round(meter: Meter) -> float:
    began = time.perf_counter()
    for took_us in range(20_000):
        meter.exchange("heart", "chat", 200, "primary", "", took_us)
    return time.perf_counter() - began
