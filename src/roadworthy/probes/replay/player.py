"""Ask the same twice, compare the answers.

Owns the comparison; the choice of requests belongs to ``sampler``, and what counts as reproducible enough to checks.

How it goes:
1. All requests are sent once, in order.
2. All are sent again in the reverse order, so that a model which remembers, batches or caches shows it.
3. Two answers are *equal* byte for byte. Otherwise they are compared as JSON values: *within the band* when they have
   the same structure and text, and every pair of numbers differs by at most the band.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from roadworthy.base.errors import EmptyData, ParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What a replay saw.

    Attributes:
        n: requests played twice.
        equal: pairs of answers with the same bytes.
        within_band: pairs with other bytes, but numbers within the band; never counts an equal pair.
        worst_difference: largest absolute difference of two numbers, in their own unit; infinite when two answers
            differ in anything but numbers.
        differing: positions of the requests that are neither equal nor within the band.
    """

    n: int
    equal: int
    within_band: int
    worst_difference: float
    differing: tuple[int, ...]


def replay(send: Callable[[bytes], bytes], requests: Sequence[bytes], *, band: float = 0.0) -> ReplayReport:
    """Play requests twice.

    Args:
        send: one request in, the part of the answer that shall be reproducible out. Whatever it raises ends the replay.
        requests: bodies.
        band: largest absolute difference of two numbers that still counts, zero or more.

    Raises:
        EmptyData: there are no requests (RW-104).
        ParameterError: the band is negative or not finite (RW-114).
    """
    if not requests:
        raise EmptyData("There are no requests to replay.", remedy="Record some.", where="requests")
    if not 0 <= band < math.inf:
        raise ParameterError(f"band is {band}.", remedy="Give a finite difference, zero or more.", where="band")
    first = [send(request) for request in requests]  # step 1
    second = [send(request) for request in reversed(requests)][::-1]  # step 2
    differences = [_difference(one, other) for one, other in zip(first, second, strict=True)]  # step 3
    equal = sum(one == other for one, other in zip(first, second, strict=True))
    tolerated = sum(difference <= band for difference in differences)
    return ReplayReport(
        n=len(requests),
        equal=equal,
        within_band=tolerated - equal,
        worst_difference=max(differences),
        differing=tuple(index for index, difference in enumerate(differences) if difference > band),
    )


def _difference(one: bytes, other: bytes) -> float:
    if one == other:
        return 0.0
    try:
        return _distance(json.loads(one), json.loads(other))
    except (ValueError, RecursionError):  # not both JSON, and the bytes differ
        return math.inf


def _distance(one: Any, other: Any) -> float:
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return math.inf
        return max((_distance(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return math.inf
        return max((_distance(a, b) for a, b in zip(one, other, strict=True)), default=0.0)
    if _is_number(one) and _is_number(other):
        distance = abs(float(one) - float(other))
        return math.inf if math.isnan(distance) else distance
    return 0.0 if type(one) is type(other) and one == other else math.inf


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
