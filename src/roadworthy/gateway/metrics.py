"""Figures of the data plane. Owns counting, adding up over workers, and the Prometheus text.

A worker counts in its own memory and writes what it has into its page of one file about twice a second; whoever is asked
for the metrics adds the pages up. A worker that starts again goes on from its page, so counters never fall.

Rules kept here:
1. Counting costs a dictionary look-up and three additions; nothing there allocates once a series exists.
2. The number of series is bounded; what comes beyond is counted under ``other``.
3. A page that is being written, or was torn by a crash, is read again or left out, never half used.
"""

import mmap
import os
import resource
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Series = tuple[str, str, int, str, str]
"""Use case, route, status, rung, reason."""

PAGE_BYTES = 1 << 20
MOST_SERIES = 2_048
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_HEAD = struct.Struct("<QII")
_READS = 16
_OTHER: Series = ("other", "other", 0, "other", "other")

_FIRST_BITS = 7
"""The first bucket ends at 2**7 = 128 microseconds."""
_OCTAVES = 20
_BUCKETS = 2 * _OCTAVES + 2
BOUNDS_US: tuple[int, ...] = (
    1 << _FIRST_BITS,
    *(
        (1 << (_FIRST_BITS + octave)) + half * (1 << (_FIRST_BITS + octave - 1))
        for octave in range(_OCTAVES)
        for half in (1, 2)
    ),
)
"""Inclusive upper ends in microseconds: two buckets to each doubling, from 128 us to 134 s; one more has no end."""


def bucket(took_us: int) -> int:
    """The index of the first bucket whose end is not below ``took_us``."""
    below = took_us - 1
    bits = below.bit_length()
    if bits <= _FIRST_BITS:
        return 0
    index = ((bits - _FIRST_BITS - 1) << 1) + ((below >> (bits - 2)) & 1) + 1
    return index if index < _BUCKETS else _BUCKETS - 1


@dataclass(slots=True)
class Figures:
    """What a page holds, or several added up.

    Attributes:
        exchanges: count by series.
        times: by (use case, route), the buckets, then the sum in microseconds.
        in_flight: by use case.
        refused: answers of the front door, by status.
        ledger_up: by worker.
        certificate_until_s: by use case, seconds since 1970; the earliest of all workers.
        cpu_s: processor seconds by worker.
        resident_bytes: memory by worker.
    """

    exchanges: dict[Series, int] = field(default_factory=dict)
    times: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    ledger_up: dict[int, int] = field(default_factory=dict)
    certificate_until_s: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[int, float] = field(default_factory=dict)
    resident_bytes: dict[int, int] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """As bytes for a page."""
        return orjson.dumps(
            {
                "exchanges": [[*key, count] for key, count in self.exchanges.items()],
                "times": [[*key, row] for key, row in self.times.items()],
                "in_flight": list(self.in_flight.items()),
                "refused": list(self.refused.items()),
                "ledger_up": list(self.ledger_up.items()),
                "certificate_until_s": list(self.certificate_until_s.items()),
                "cpu_s": list(self.cpu_s.items()),
                "resident_bytes": list(self.resident_bytes.items()),
            }
        )

    @classmethod
    def decoded(cls, data: bytes) -> "Figures":
        """Read what ``encoded`` wrote."""
        value: dict[str, Any] = orjson.loads(data)
        return cls(
            exchanges={(u, r, s, g, why): count for u, r, s, g, why, count in value.pop("exchanges")},
            times={(u, r): row for u, r, row in value.pop("times")},
            **{name: dict(pairs) for name, pairs in value.items()},
        )

    def add(self, other: "Figures") -> None:
        """Take another worker's figures in."""
        _add_up(self.exchanges, other.exchanges)
        _add_up(self.in_flight, other.in_flight)
        _add_up(self.refused, other.refused)
        for key, row in other.times.items():
            mine = self.times.setdefault(key, [0] * len(row))
            self.times[key] = [a + b for a, b in zip(mine, row, strict=True)]
        for use_case, until_s in other.certificate_until_s.items():
            self.certificate_until_s[use_case] = min(until_s, self.certificate_until_s.get(use_case, until_s))
        self.ledger_up.update(other.ledger_up)
        self.cpu_s.update(other.cpu_s)
        self.resident_bytes.update(other.resident_bytes)


def _add_up(into: dict[Any, int], more: Mapping[Any, int]) -> None:
    for key, count in more.items():
        into[key] = into.get(key, 0) + count


class Pages:
    """The file with a page for each worker.

    Args:
        path: of the file; it is made when it is not there.
        workers: how many pages it has.
    """

    def __init__(self, path: Path, workers: int) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = max(workers * PAGE_BYTES, os.fstat(descriptor).st_size)
            os.ftruncate(descriptor, size)
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._pages = size // PAGE_BYTES

    def close(self) -> None:
        """Give the file up."""
        self._map.close()

    def write(self, page: int, data: bytes) -> bool:
        """Replace a page. False when the data does not fit; the page then stays as it was.

        1. The sequence number becomes odd: a reader that sees it knows that the page is in change.
        2. The bytes, with their length and checksum.
        3. The sequence number becomes even again.
        """
        if _HEAD.size + len(data) > PAGE_BYTES:
            return False
        start = page * PAGE_BYTES
        sequence = _HEAD.unpack_from(self._map, start)[0] | 1
        _HEAD.pack_into(self._map, start, sequence, len(data), zlib.crc32(data))  # 1
        self._map[start + _HEAD.size : start + _HEAD.size + len(data)] = data  # 2
        _HEAD.pack_into(self._map, start, sequence + 1, len(data), zlib.crc32(data))  # 3
        return True

    def read(self, page: int) -> bytes | None:
        """The bytes of a page; None when it is empty, torn, or in change at every look."""
        start = page * PAGE_BYTES
        for _ in range(_READS):
            sequence, length, checksum = _HEAD.unpack_from(self._map, start)
            if sequence % 2 or length > PAGE_BYTES - _HEAD.size:
                continue
            data = self._map[start + _HEAD.size : start + _HEAD.size + length]
            if data and zlib.crc32(data) == checksum:
                return bytes(data)
        return None

    def __iter__(self) -> Iterator[bytes]:
        """Every page that can be read."""
        for page in range(self._pages):
            data = self.read(page)
            if data is not None:
                yield data


class Meter:
    """What one worker counts.

    Args:
        pages: where it publishes.
        worker: its number, from 0; also of its page.
    """

    def __init__(self, pages: Pages, worker: int) -> None:
        self._pages, self._worker = pages, worker
        kept = pages.read(worker)
        self._figures = Figures.decoded(kept) if kept else Figures()
        # What was under way when the page was written is not under way in this process.
        self._figures.in_flight.clear()
        self._exchanges: dict[Series, list[int]] = {}
        self._times: dict[tuple[str, str], list[int]] = {
            key: list(row) for key, row in self._figures.times.items() if len(row) == _BUCKETS + 1
        }
        self._cells: dict[Series, tuple[list[int], list[int]]] = {}
        for series, count in self._figures.exchanges.items():
            self._cell(series)[0][0] = count

    def exchange(  # noqa: PLR0917  # the pipeline's hot path calls it by position
        self, use_case: str, route: str, status: int, rung: str, reason: str, took_us: int
    ) -> None:
        """Count one exchange that took ``took_us`` microseconds."""
        cell = self._cells.get((use_case, route, status, rung, reason))
        if cell is None:
            cell = self._cell((use_case, route, status, rung, reason))
        count, row = cell
        count[0] += 1
        row[bucket(took_us)] += 1
        row[-1] += took_us

    def gauge_in_flight(self, use_case: str, delta: int) -> None:
        """One more, or one less, is under way."""
        in_flight = self._figures.in_flight
        in_flight[use_case] = in_flight.get(use_case, 0) + delta

    def refused(self, status: int) -> None:
        """The front door refused a request before any use case was known."""
        self._figures.refused[status] = self._figures.refused.get(status, 0) + 1

    def ledger_up(self, up: bool) -> None:  # noqa: FBT001  # the one thing that it says
        """Whether the ledger takes records."""
        self._figures.ledger_up[self._worker] = int(up)

    def certificate_until(self, use_case: str, until_s: float) -> None:
        """When the certificate in force ends, in seconds since 1970; 0 when there is none."""
        self._figures.certificate_until_s[use_case] = until_s

    def publish(self) -> None:
        """Write the figures into this worker's page."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        figures = self._figures
        figures.exchanges = {series: count[0] for series, count in self._exchanges.items()}
        figures.times = self._times
        figures.cpu_s = {self._worker: usage.ru_utime + usage.ru_stime}
        figures.resident_bytes = {self._worker: _resident_bytes()}
        self._pages.write(self._worker, figures.encoded())

    def text(self) -> bytes:
        """All workers' figures as Prometheus text."""
        self.publish()
        return exposition(self._pages)

    def _cell(self, series: Series) -> tuple[list[int], list[int]]:
        full = len(self._cells) >= MOST_SERIES
        kept = _OTHER if full else series
        cell = (self._exchanges.setdefault(kept, [0]), self._times.setdefault(kept[:2], [0] * (_BUCKETS + 1)))
        if not full:
            self._cells[series] = cell
        return cell


def exposition(pages: Iterable[bytes]) -> bytes:
    """Pages, added up, as Prometheus text, version 0.0.4."""
    figures = Figures()
    for page in pages:
        figures.add(Figures.decoded(page))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(figures))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        figures = self._figures
        names = ["use_case", "route", "status", "rung", "reason"]
        exchanges = CounterMetricFamily("roadworthy_exchanges", "Exchanges that ended, by how.", labels=names)
        for (use_case, route, status, rung, reason), count in figures.exchanges.items():
            exchanges.add_metric([use_case, route, str(status), rung, reason], count)
        yield exchanges
        times = HistogramMetricFamily(
            "roadworthy_exchange_seconds", "Time from the head to the last byte given out.", labels=names[:2]
        )
        for (use_case, route), row in figures.times.items():
            times.add_metric([use_case, route], _cumulated(row), row[-1] / 1e6)
        yield times
        refused = CounterMetricFamily("roadworthy_refused", "Requests refused at the front door.", labels=["status"])
        for status, count in figures.refused.items():
            refused.add_metric([str(status)], count)
        yield refused
        cpu = CounterMetricFamily("roadworthy_worker_cpu_seconds", "Processor time.", labels=["worker"])
        for worker, spent_s in figures.cpu_s.items():
            cpu.add_metric([str(worker)], spent_s)
        yield cpu
        yield _gauges("roadworthy_in_flight", "Exchanges under way.", "use_case", figures.in_flight)
        yield _gauges("roadworthy_ledger_up", "Whether the ledger takes records.", "worker", figures.ledger_up)
        what = "When the certificate in force ends, since 1970; 0 without one."
        until = figures.certificate_until_s
        yield _gauges("roadworthy_certificate_valid_until_seconds", what, "use_case", until)
        yield _gauges("roadworthy_worker_resident_bytes", "Resident memory.", "worker", figures.resident_bytes)


def _gauges(name: str, what: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


def _cumulated(row: list[int]) -> list[tuple[str, float]]:
    total, found = 0, []
    for index, count in enumerate(row[:-1]):
        total += count
        found.append((repr(BOUNDS_US[index] / 1e6) if index < len(BOUNDS_US) else "+Inf", float(total)))
    return found


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        # Elsewhere the peak is the nearest that the system tells without a library.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
