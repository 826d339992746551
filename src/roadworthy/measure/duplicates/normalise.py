"""When two cells say the same in other letters. Owns the normal form of text and of values; compares nothing itself.

The form is for comparing, never for showing: it throws away what typing and exporting add, and keeps what can change
the meaning.

Rules kept here:
1. Case, width, ligatures, runs of spaces, control signs and punctuation do not count. Apostrophes vanish without a gap
   (``O'Brien``, ``OBrien``), other punctuation leaves one.
2. What carries meaning stays: the decimal point between digits, the sign before a number, ``%`` and ``‰``, and every
   symbol (``<5`` is not ``>5``, ``C++`` is not ``C``).
3. A cell that is a plain decimal number is written canonically: ``12``, ``12.0`` and ``+12.00`` are one. Leading zeros
   (``01234``, a code) and exponents (``1e5``, a code or a number) leave it text, because guessing would merge codes.
4. The form of a form is the form itself.
"""

import math
import re
import unicodedata
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

_PLAIN_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
# Letters, digits and blanks need no thought; only the other signs are looked at one by one.
_BEYOND_WORDS = re.compile(r"[^\w ]|_")
_APOSTROPHES = frozenset("'’‘ʼ`´")
_DASHES = frozenset("‐‑‒–—―−﹣-")
_KEPT_PUNCTUATION = frozenset("%‰")


def normal_text(text: str) -> str:
    """The normal form of a text; empty when nothing but spaces and punctuation is in it.

    Algorithm of one round:
    1. Drop apostrophes and invisible format signs (soft hyphen, joiners), which split no word.
    2. Compatibility composition, case folding, composition again, since folding can undo it (Unicode, NFKC_Casefold).
    3. A plain number is written without a plus and without trailing zeros, and is done.
    4. Otherwise each character is kept or turned into a gap, by rules 1 and 2 of the module; runs of gaps become one
       space and ends are trimmed.
    Rounds are repeated until nothing changes: what step 4 takes away can bring a number or a composition together.
    """
    form = _round(text)
    # After the first round characters only vanish or join, so each further round shortens the text, and it ends.
    while (again := _round(form)) != form:
        form = again
    return form


def normal_value(value: Any) -> str | None:
    """The normal form of a cell of any plain type; None for a null and for a text in which nothing is left.

    Numbers are exact: an integer beyond 2**53 keeps its digits, and a float has those of its shortest text.

    Raises:
        TypeError: a nested value; a caller's mistake.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return normal_text(value) or None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        return _number(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, bytes):
        return value.hex() or None
    raise TypeError(f"{type(value).__name__} is not a plain value")


def _round(text: str) -> str:
    joined = _BEYOND_WORDS.sub(_without_joiners, text)  # 1
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", joined).casefold()).strip()  # 2
    if _PLAIN_NUMBER.fullmatch(folded):  # 3
        return _plain(folded)
    return " ".join(_BEYOND_WORDS.sub(_kept, folded).split())  # 4


def _without_joiners(found: re.Match[str]) -> str:
    sign = found[0]
    return "" if sign in _APOSTROPHES or unicodedata.category(sign) == "Cf" else sign


def _kept(found: re.Match[str]) -> str:
    sign, text, place = found[0], found.string, found.start()
    before = text[place - 1] if place else " "
    after = text[place + 1] if place + 1 < len(text) else " "
    if sign == "." and before.isdecimal() and after.isdecimal():
        return "."
    if sign in _DASHES:
        return "-" if after.isdecimal() and _may_stand_before_a_sign(before) else " "
    return " " if _is_gap(sign) else sign


def _is_gap(sign: str) -> bool:
    category = unicodedata.category(sign)
    return sign not in _KEPT_PUNCTUATION and (category[0] in "PZ" or category == "Cc")


def _may_stand_before_a_sign(before: str) -> bool:
    """A dash after a letter, a digit or another dash joins or separates; only elsewhere it is a sign."""
    return before not in _DASHES and (_is_gap(before) or unicodedata.category(before)[0] == "S")


def _plain(number: str) -> str:
    sign = "-" if number.startswith("-") else ""
    whole, _, fraction = number.lstrip("+-").partition(".")
    fraction = fraction.rstrip("0")
    digits = f"{whole}.{fraction}" if fraction else whole
    return digits if digits == "0" else sign + digits


def _number(value: float | Decimal) -> str:
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    # Decimal(repr) takes the shortest digits of a float, so 0.1 is 0.1 and not its binary neighbour.
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return _plain(format(exact, "f"))
