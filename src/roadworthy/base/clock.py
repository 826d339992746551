"""Instants. Owns the only call that reads the machine's clock, and the one text form of an instant.

An instant is an aware ``datetime`` in UTC. Ends of spans are exclusive. Every evaluation takes one instant as an
argument; nothing below ``actions`` asks what time it is.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from roadworthy.base.errors import InstantError

Clock = Callable[[], datetime]
SECONDS_PER_DAY = 86_400


def now() -> datetime:
    """The current instant, cut to whole microseconds, in UTC."""
    return datetime.now(UTC)


def now_us() -> int:
    """Microseconds since 1970, for paths on which a ``datetime`` costs too much."""
    return time.time_ns() // 1000


def monotonic_s() -> float:
    """Seconds on a clock that never goes back; only differences mean anything."""
    return time.perf_counter()


def days(count: float) -> timedelta:
    """A span of ``count`` days of 86,400 seconds."""
    return timedelta(days=count)


def format_instant(at: datetime) -> str:
    """RFC 3339 with six fractional digits and ``Z``: the same instant always has the same text.

    Raises:
        InstantError: the value is naive (RW-110).
    """
    if at.tzinfo is None:
        raise InstantError(f"The instant {at.isoformat()} has no time zone.", remedy="Give an aware instant, in UTC.")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant; a bare date means its midnight in UTC.

    Raises:
        InstantError: not an instant, or without a zone (RW-110).
    """
    remedy = "Write RFC 3339 with a zone, for example 2026-11-21T10:42:00Z."
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None and len(text) == len("2026-11-21"):
            at = at.replace(tzinfo=UTC)
        if at.tzinfo is None:
            raise InstantError(f"The instant {text!r} has no time zone.", remedy=remedy)
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InstantError(f"{text!r} is not an instant.", remedy=remedy) from error
