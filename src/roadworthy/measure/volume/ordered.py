"""Doubles as whole numbers in the same order. Owns that one mapping, which keeps every result of a scan a whole number.

The bits of a positive double, read as an integer, grow with its value; those of a negative one fall. Turning the latter
over gives integers that compare as the doubles do (the order of IEEE 754-2019, section 5.10, without NaN).
"""

import struct

_SIGN = 1 << 63


def to_ordered(value: float) -> int:
    """The integer for a double that is not NaN; -0.0 counts as 0.0, which maps to 0."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", value + 0.0))
    magnitude = int(bits) & ~_SIGN
    return -magnitude if bits & _SIGN else magnitude


def from_ordered(number: int) -> float:
    """The double for an integer of ``to_ordered``."""
    (value,) = struct.unpack("<d", struct.pack("<Q", abs(number)))
    return -float(value) if number < 0 else float(value)
