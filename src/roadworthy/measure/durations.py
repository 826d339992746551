"""Spans as contracts write them. Owns the unit words of service levels; months have no fixed length and are refused."""

import math

from roadworthy.measure.odcs import KeyPath, Odcs

_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3_600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604_800.0),
}


def seconds(document: Odcs, text: str, at: KeyPath) -> float:
    """The seconds of ``4 d``, ``30 min`` and the like.

    Args:
        document: for error places.
        text: a number and a unit word, with a space between.
        at: key path of the value.

    Raises:
        ContractError: no positive number, or no unit of fixed length (RW-106).
    """
    number, _, unit = text.strip().partition(" ")
    try:
        count = float(number)
    except ValueError as error:
        raise _malformed(document, text, at) from error
    if unit.strip() not in _SECONDS or not (math.isfinite(count) and count > 0):
        raise _malformed(document, text, at)
    return count * _SECONDS[unit.strip()]


def _malformed(document: Odcs, text: str, at: KeyPath) -> Exception:
    return document.error(at, f"{text.strip()!r} is not a span.", "Write a positive number and s, min, h, d or w.")
