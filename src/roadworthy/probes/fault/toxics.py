"""What a network can do to bytes on their way. Owns the words and their limits; ``proxy`` does it.

The set is the one that fault proxies have in common: latency, bandwidth, slow close, timeout, reset, slicing, and a limit of
the data. *Down* is no toxic: the proxy itself goes away.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from roadworthy.base.errors import ParameterError

_LONGEST_S = 3600.0


class Direction(Enum):
    """Which way the bytes flow."""

    UP = "up"
    """From the client to the server."""
    DOWN = "down"
    """From the server to the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Every block arrives later, in order.

    Attributes:
        delay_s: of every block.
        jitter_s: the delay is uniform in ``delay_s`` plus and minus this, never below zero.
    """

    delay_s: float
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        _check_time("delay_s", self.delay_s)
        _check_time("jitter_s", self.jitter_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """At most so many bytes per second, for each connection."""

    bytes_per_s: float

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if not (math.isfinite(self.bytes_per_s) and self.bytes_per_s >= 1):
            raise _out_of_range("bytes_per_s", self.bytes_per_s, "Give at least one byte per second.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowClose:
    """The end of the connection arrives later."""

    delay_s: float

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        _check_time("delay_s", self.delay_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """Nothing passes, and the connection ends ``after_s`` after the first block that was swallowed; 0 means never."""

    after_s: float

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        _check_time("after_s", self.after_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPeer:
    """Both sides get a reset ``after_s`` after the connection began, or after the toxic came."""

    after_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        _check_time("after_s", self.after_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicer:
    """Blocks are cut into small ones, with a pause after each.

    Attributes:
        average_bytes: size of a slice.
        variation_bytes: sizes are uniform in ``average_bytes`` plus and minus this, at least one byte.
        delay_s: pause after each slice.
    """

    average_bytes: int
    variation_bytes: int = 0
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        _check_time("delay_s", self.delay_s)
        if self.average_bytes < 1:
            raise _out_of_range("average_bytes", self.average_bytes, "Give at least one byte.")
        if not 0 <= self.variation_bytes <= self.average_bytes:
            raise _out_of_range("variation_bytes", self.variation_bytes, "Give 0 to average_bytes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitData:
    """The connection ends in order after so many bytes."""

    most_bytes: int

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if self.most_bytes < 0:
            raise _out_of_range("most_bytes", self.most_bytes, "Give zero or more.")


Toxic: TypeAlias = Latency | Bandwidth | SlowClose | Timeout | ResetPeer | Slicer | LimitData


def _check_time(name: str, value: float) -> None:
    if not 0 <= value <= _LONGEST_S:
        raise _out_of_range(name, value, f"Give seconds from 0 to {_LONGEST_S:g}.")


def _out_of_range(name: str, value: float, remedy: str) -> ParameterError:
    return ParameterError(f"{name} is {value}.", remedy=remedy, where=name)
