"""A log-linear histogram of durations. Owns the buckets; what a duration means belongs to its caller.

Every octave [2**k, 2**(k+1)) seconds is cut into 128 equal buckets, so a bucket's upper edge is above anything inside
it by at most 1/128 (0.8 %) of its value, at every scale. 32 octaves cover 2**-20 s (under one microsecond) to 2**12 s
(over one hour) in 4,096 counters, whatever the number of durations.

Rules kept here:
1. A percentile is the bucket's upper edge, or the largest duration seen if that is lower: it never flatters.
2. What lies outside the range is counted in the outermost bucket; the exact smallest and largest are kept beside.
3. Merging is addition: the order in which parts arrive does not matter.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import MalformedEvidence, NotEnoughData, ParameterError

BUCKETS_PER_OCTAVE = 128
_FIRST_OCTAVE = -20
_OCTAVES = 32
BUCKETS = BUCKETS_PER_OCTAVE * _OCTAVES
LOWEST_S = 2.0**_FIRST_OCTAVE
HIGHEST_S = 2.0 ** (_FIRST_OCTAVE + _OCTAVES)
RELATIVE_ERROR = 1.0 / BUCKETS_PER_OCTAVE


def _edges() -> NDArray[np.float64]:
    octaves = 2.0 ** np.arange(_FIRST_OCTAVE, _FIRST_OCTAVE + _OCTAVES)
    steps = 1.0 + np.arange(BUCKETS_PER_OCTAVE) / BUCKETS_PER_OCTAVE
    return np.append(np.outer(octaves, steps).ravel(), HIGHEST_S)


_EDGES_S = _edges()


class Histogram:
    """Counts of durations, in seconds."""

    __slots__ = ("counts", "highest_s", "lowest_s")

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(BUCKETS, dtype=np.int64)
        self.lowest_s = math.inf
        self.highest_s = -math.inf

    @property
    def total(self) -> int:
        """How many durations were recorded."""
        return int(self.counts.sum())

    def record(self, duration_s: float) -> None:
        """Count one duration, in constant time.

        Raises:
            ParameterError: it is negative or not finite (RW-114).
        """
        if not 0.0 <= duration_s < math.inf:
            raise _not_a_duration(duration_s)
        mantissa, exponent = math.frexp(duration_s)  # duration = mantissa * 2**exponent, mantissa in [1/2, 1)
        index = (exponent - 1 - _FIRST_OCTAVE) * BUCKETS_PER_OCTAVE + int((mantissa * 2 - 1) * BUCKETS_PER_OCTAVE)
        self.counts[0 if duration_s < LOWEST_S else min(index, BUCKETS - 1)] += 1
        self.lowest_s = min(self.lowest_s, duration_s)
        self.highest_s = max(self.highest_s, duration_s)

    def record_many(self, durations_s: ArrayLike) -> None:
        """Count durations, shape (n,).

        Raises:
            ParameterError: one is negative or not finite (RW-114).
        """
        durations = np.asarray(durations_s, dtype=np.float64).ravel()
        if durations.size == 0:
            return
        lowest, highest = float(durations.min()), float(durations.max())
        if not (lowest >= 0.0 and highest < math.inf):
            raise _not_a_duration(lowest if lowest < 0.0 else highest)
        indices = np.clip(np.searchsorted(_EDGES_S, durations, side="right") - 1, 0, BUCKETS - 1)
        self.counts += np.bincount(indices, minlength=BUCKETS)
        self.lowest_s = min(self.lowest_s, lowest)
        self.highest_s = max(self.highest_s, highest)

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another histogram."""
        self.counts += other.counts
        self.lowest_s = min(self.lowest_s, other.lowest_s)
        self.highest_s = max(self.highest_s, other.highest_s)

    def quantile(self, share: float) -> float:
        """A duration, in seconds, that at least ``share`` of all are at or below; at most 0.8 % too high.

        Raises:
            ParameterError: a share outside (0, 1] (RW-114).
            NotEnoughData: nothing was recorded (RW-204).
        """
        if not 0.0 < share <= 1.0:
            raise ParameterError(f"A quantile of {share} is not in (0, 1].", remedy="Give a share such as 0.99.")
        total = self.total
        if total == 0:
            raise NotEnoughData("No duration was recorded.", remedy="Let the run answer at least one request.")
        # The subtraction keeps 0.999 * 1000 from asking for rank 1000 through rounding.
        rank = max(1, math.ceil(share * total - 1e-9))
        bucket = int(np.searchsorted(np.cumsum(self.counts), rank, side="left"))
        return self._upper_edge_s(bucket)

    def count_above(self, threshold_s: float) -> int:
        """How many durations lie in buckets that end above ``threshold_s``."""
        return int(self.counts[_EDGES_S[1:] > threshold_s].sum())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: the filled buckets by number, with the exact extremes (null when empty)."""
        filled = np.flatnonzero(self.counts)
        empty = filled.size == 0
        return {
            "buckets_per_octave": BUCKETS_PER_OCTAVE,
            "counts": {str(bucket): int(self.counts[bucket]) for bucket in filled.tolist()},
            "lowest_s": None if empty else self.lowest_s,
            "highest_s": None if empty else self.highest_s,
        }

    def _upper_edge_s(self, bucket: int) -> float:
        # The outermost bucket also holds what lies beyond the range, so only the largest seen bounds it.
        return self.highest_s if bucket == BUCKETS - 1 else min(float(_EDGES_S[bucket + 1]), self.highest_s)


def histogram_of(durations_s: ArrayLike) -> Histogram:
    """A histogram of durations in seconds, shape (n,).

    Raises:
        ParameterError: one is negative or not finite (RW-114).
    """
    histogram = Histogram()
    histogram.record_many(durations_s)
    return histogram


def histogram_from_json(value: Mapping[str, Any]) -> Histogram:
    """Read what ``Histogram.to_json`` wrote.

    Raises:
        MalformedEvidence: other members, another resolution, or counts that cannot be (RW-201).
    """
    histogram = Histogram()
    try:
        if value["buckets_per_octave"] != BUCKETS_PER_OCTAVE:
            raise ValueError(f"{value['buckets_per_octave']} buckets per octave")
        for bucket, count in value["counts"].items():
            if not (0 <= int(bucket) < BUCKETS and count > 0):
                raise ValueError(f"{count} durations in bucket {bucket}")
            histogram.counts[int(bucket)] = count
        if value["counts"]:
            histogram.lowest_s, histogram.highest_s = float(value["lowest_s"]), float(value["highest_s"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedEvidence(
            f"This is not a histogram of durations: {error!r}.",
            remedy="Record it again with this version of Roadworthy.",
        ) from error
    return histogram


def _not_a_duration(value: float) -> ParameterError:
    return ParameterError(f"{value} s is not a duration.", remedy="Record finite seconds, zero or more.")
