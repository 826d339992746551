"""Which values ``Moments`` counts as near, as two ends of a range. Owns the search for them; counts nothing.

An engine could ask of every value whether ``abs(rint((x - centre) * scale)) <= FAR``. But some engines stop at the
overflow, or the underflow, that a far value causes. Subtraction, multiplication by a positive number and rounding never
change an order, so the near values are a range, whose ends are doubles that can be found once, in Python.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from roadworthy.measure.volume.accumulators import FAR, Moments
from roadworthy.measure.volume.ordered import from_ordered, to_ordered

LARGEST = math.nextafter(math.inf, 0.0)
"""The largest finite double: a value is finite when it lies between its negative and it."""
_KEPT = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Ranges of finite values, both ends inside.

    Attributes:
        lowest: the smallest near value.
        highest: the largest near value.
        zero_from: the smallest value that rounds to 0 units.
        zero_to: the largest value that rounds to 0 units.
    """

    lowest: float
    highest: float
    zero_from: float
    zero_to: float


@lru_cache(maxsize=_KEPT)
def near_of(item: Moments) -> Near:
    """The ranges of one accumulator; the centre itself is always in both."""
    scale = math.ldexp(1.0, -item.unit_exponent)

    def units(value: float) -> float:
        # The rounding is left out: half a unit decides in both directions, and ties round to the even 0 and FAR.
        return abs((value - item.centre) * scale)

    return Near(
        lowest=_last(item.centre, -LARGEST, lambda value: units(value) <= FAR + 0.5),
        highest=_last(item.centre, LARGEST, lambda value: units(value) <= FAR + 0.5),
        zero_from=_last(item.centre, -LARGEST, lambda value: units(value) <= 0.5),
        zero_to=_last(item.centre, LARGEST, lambda value: units(value) <= 0.5),
    )


def _last(start: float, end: float, holds: Callable[[float], bool]) -> float:
    """The value nearest to ``end`` for which the condition holds; it holds at ``start`` and, once lost, stays so."""
    inside, outside = to_ordered(start), to_ordered(end)
    if holds(end):
        return end
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if holds(from_ordered(middle)):
            inside = middle
        else:
            outside = middle
    return from_ordered(inside)
