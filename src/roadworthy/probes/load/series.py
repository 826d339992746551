"""What became of each request of a run, in the order of time. Owns the outcomes and the compact form between processes.

Percentiles and counts forget when something happened; an interval for requests that wait in one queue needs to know.

Rules kept here:
1. One row for each scheduled request, in the order of intended send times, whatever became of it.
2. 14 bytes a request: the intended time as float64 seconds, the duration as uint32 microseconds, the outcome as int16.
   ``spec.MAX_REQUESTS`` bounds the whole to 280 MB.
3. A duration counts from the intended send time until the request was settled, well or badly.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import MalformedEvidence

# Outcomes below 100; an HTTP status other than ok stands for itself.
PENDING, OK, TIMEOUT, CONNECT_ERROR, CONNECTION_LOST, MALFORMED, NOT_JSON, INTERRUPTED = range(8)
_NAMES = {
    TIMEOUT: "timeout",
    CONNECT_ERROR: "connect_error",
    CONNECTION_LOST: "connection_lost",
    MALFORMED: "malformed",
    NOT_JSON: "not_json",
    INTERRUPTED: "interrupted",
}
_MICROSECONDS = 1e6
_LONGEST_US = float(np.iinfo(np.uint32).max)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """The requests of one run, n of them.

    Attributes:
        intended_s: when each was meant to leave, in seconds from the start, sorted, shape (n,).
        duration_us: from then until it was settled, in microseconds, shape (n,).
        outcome: ``OK``, another constant of this module, or an HTTP status, shape (n,).
    """

    intended_s: NDArray[np.float64]
    duration_us: NDArray[np.uint32]
    outcome: NDArray[np.int16]

    @property
    def timed(self) -> NDArray[np.bool_]:
        """Which requests have a latency: those that ended ok and, at their age, those that timed out; shape (n,)."""
        return np.isin(self.outcome, (OK, TIMEOUT))

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which requests did not end ok, shape (n,)."""
        return np.isin(self.outcome, (OK,), invert=True)

    def latency_s(self) -> NDArray[np.float64]:
        """Latencies in seconds in the order of intended send times, shape (number ``timed``,)."""
        return self.duration_us[self.timed] / _MICROSECONDS

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: three arrays in little-endian base64."""
        return {
            "intended_s": _to_base64(self.intended_s, "<f8"),
            "duration_us": _to_base64(self.duration_us, "<u4"),
            "outcome": _to_base64(self.outcome, "<i2"),
        }


def series_of(intended_s: ArrayLike, duration_s: ArrayLike, outcome: ArrayLike) -> Series:
    """A series from seconds; durations are rounded to the microsecond, and those beyond 4,294 s cut there."""
    duration_us = np.rint(np.asarray(duration_s, dtype=np.float64) * _MICROSECONDS)
    return Series(
        intended_s=np.asarray(intended_s, dtype=np.float64),
        duration_us=np.clip(duration_us, 0.0, _LONGEST_US).astype(np.uint32),
        outcome=np.asarray(outcome, dtype=np.int16),
    )


def series_from_json(value: Mapping[str, Any]) -> Series:
    """Read what ``Series.to_json`` wrote.

    Raises:
        MalformedEvidence: other members, no base64, or arrays of different lengths (RW-201).
    """
    try:
        series = Series(
            intended_s=_from_base64(value["intended_s"], "<f8").astype(np.float64),
            duration_us=_from_base64(value["duration_us"], "<u4").astype(np.uint32),
            outcome=_from_base64(value["outcome"], "<i2").astype(np.int16),
        )
        if not series.intended_s.size == series.duration_us.size == series.outcome.size:
            raise ValueError("arrays of different lengths")
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise MalformedEvidence(
            f"This is not the series of a load run: {error!r}.", remedy="Run it again with this version of Roadworthy."
        ) from error
    return series


def outcome_name(outcome: int) -> str:
    """For people: ``timeout``, ``http_503``."""
    return _NAMES.get(outcome, f"http_{outcome}")


def _to_base64(array: NDArray[Any], kind: str) -> str:
    return base64.b64encode(array.astype(kind).tobytes()).decode("ascii")


def _from_base64(text: str, kind: str) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=kind)
