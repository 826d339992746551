"""How a single value is read: as a number, an instant, a time of day, or text. Owns the shapes; judges no value.

The batch engine and the inline filter must agree on every value. So the shapes that a text may have stand here once,
as patterns that mean the same to RE2 (``predicates``) and to Python, and everything outside of them is refused by
both, however generous the casts of either engine are.

Rules kept here:
1. A number in text is decimal, with an optional exponent and white space around it. ``nan``, ``inf``, ``0x1F`` and
   ``1_000`` are no numbers. Numbers are compared as doubles.
2. An instant in text is ISO 8601 with a four-digit year, to the minute or finer; digits after the sixth of a fraction
   are cut off. Without a zone it is read as UTC, and a date is its first instant.
3. Nothing here raises: what cannot be read is None.
"""

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

_SPACE = r"[ \t\n\v\f\r]*"
_DAY = (
    "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-"
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
)
_HOUR_MINUTE = "([01][0-9]|2[0-3]):[0-5][0-9]"
_SECOND = r":[0-5][0-9](\.[0-9]{1,9})?"
_ZONE = "(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)"

NUMBER = rf"{_SPACE}[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?{_SPACE}"
INSTANT = f"{_DAY}([T ]{_HOUR_MINUTE}({_SECOND}{_ZONE}?)?)?"
CLOCK = f"{_HOUR_MINUTE}({_SECOND})?"
TRUTH = "(?i:true|false|t|f|yes|no|y|n|1|0)"
# UTF-8 that was read as Latin-1 or Windows-1252 shows as a capital A with tilde or circumflex, or a small a with
# circumflex, before a character of the upper half; U+FFFD and the C1 controls are what other wrong turns leave behind.
_CP1252_UPPER = "\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d"
_CP1252_UPPER += "\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178"
MOJIBAKE = (
    "[\u00c2\u00c3][\u00a0-\u00bf" + _CP1252_UPPER + "]|\u00e2[\u20ac\u201a\u2020\u02c6\u2030]|[\ufffd\u0080-\u009f]"
)

DAY_US = 86_400_000_000
_SECOND_US = 1_000_000
_DAY_S = 86_400
_EXACT_IN_DOUBLE = 1 << 53
_DECIMAL_PLACES = 38
_WRITABLE_BITS = 10_000
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # compared with instants whose zone was taken off
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_NO_OFFSET = timedelta(0)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_is_number = re.compile(NUMBER).fullmatch
_is_instant = re.compile(INSTANT).fullmatch
_is_clock = re.compile(CLOCK).fullmatch
_is_truth = re.compile(TRUTH).fullmatch


def is_missing(value: object) -> bool:
    """Whether it holds no value: None, or NaN."""
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124  # NaN alone differs from itself


def number_of(value: object) -> float | None:
    """The value as a double, or None; infinities stay infinite."""
    kind = type(value)
    if kind is float:
        return value  # type: ignore[return-value]  # its type was asked for, faster than isinstance
    if isinstance(value, str):
        return float(value) if _is_number(value) else None
    if isinstance(value, int | float):  # a boolean is 0 or 1
        return _whole(value) if isinstance(value, int) else float(value)
    return _decimal(value) if isinstance(value, Decimal) else None


def microseconds(at: datetime) -> int:
    """Microseconds since 1970; an instant without a zone is read as UTC."""
    if at.tzinfo is UTC:
        span = at - _EPOCH_UTC  # the usual case, and the quick one: no offset is asked for
    else:
        span = at.replace(tzinfo=None) - _EPOCH
        span -= at.utcoffset() or _NO_OFFSET
    return (span.days * _DAY_S + span.seconds) * _SECOND_US + span.microseconds


def instant_of(value: object) -> int | None:
    """The value as microseconds since 1970, or None."""
    if isinstance(value, datetime):
        return microseconds(value)
    if isinstance(value, date):
        return (value.toordinal() - _EPOCH_DAY) * DAY_US
    if isinstance(value, str) and _is_instant(value):
        try:
            return microseconds(datetime.fromisoformat(value))
        except ValueError:
            return None  # the 29th of February of a common year
    return None


def clock_of(value: object) -> int | None:
    """The value as microseconds since midnight, UTC for an instant, or None."""
    if isinstance(value, datetime):
        return microseconds(value) % DAY_US
    if isinstance(value, str):
        value = time.fromisoformat(value) if _is_clock(value) else None
    if not isinstance(value, time):
        return None
    return ((value.hour * 60 + value.minute) * 60 + value.second) * _SECOND_US + value.microsecond


def truth_of(value: object) -> bool:
    """Whether it can be read as true or false; of the numbers, 0 and 1 can."""
    if isinstance(value, str):
        return _is_truth(value) is not None
    return number_of(value) in {0.0, 1.0}


def text_of(value: object) -> str | None:
    """The value as the batch engine writes it, or None for lists, mappings and bytes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, int):
        return str(value) if value.bit_length() < _WRITABLE_BITS else hex(value)  # Python refuses to write it out
    if isinstance(value, Decimal):
        return format(value, "f")
    return _text_of_time(value)


def _text_of_time(value: object) -> str | None:
    if isinstance(value, datetime):
        zone = "" if value.tzinfo is None else "+00"
        at = _EPOCH + timedelta(microseconds=microseconds(value))
        return _without_zeros(at.isoformat(sep=" ")) + zone
    if isinstance(value, date):
        return value.isoformat()
    return _without_zeros(value.isoformat()) if isinstance(value, time) else None


def _without_zeros(text: str) -> str:
    return text.rstrip("0") if "." in text else text


def _whole(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _decimal(value: Decimal) -> float | None:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return None
    if exponent > 0 or exponent < -_DECIMAL_PLACES:
        return float(value)  # no column can hold it
    # As the batch engine does it: unscaled over a power of ten; whole and rest apart where that is not exact.
    unscaled = int("".join(str(digit) for digit in digits))
    power: int = 10**-exponent
    if unscaled <= _EXACT_IN_DOUBLE or power == 1:
        size = unscaled / float(power)
    else:
        whole, rest = divmod(unscaled, power)
        size = float(whole) + rest / float(power)
    return math.copysign(size, value)
