"""Canonical JSON: one value, one byte string. Owns RFC 8785 (JCS) writing and strict I-JSON (RFC 7493) reading.

What a value means, and how a dataclass becomes a plain value, is left to ``codec`` and to the rooms above.

Rules kept here:
1. Members are ordered by the UTF-16 code units of their names, not by code point (RFC 8785, section 3.2.3).
2. Numbers are written as ECMAScript writes a double: the shortest digits that read back (section 3.2.2.3).
3. Nothing is guessed: NaN, infinities, integers that a double cannot hold exactly, lone surrogates, names that are not
   text and names that occur twice are errors, with the path of the place.
4. ``parse_canonical(canonical_bytes(v))`` succeeds, and writing its result gives the same bytes again.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping
from json.encoder import encode_basestring as _quoted
from typing import Any, NoReturn, TypeAlias

from roadworthy.base.errors import NotCanonical

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer whose neighbours are doubles too (RFC 7493, section 2.2)."""

# A path is a chain of links from the leaf up, so that a good value costs one tuple per member and no formatting.
_Path: TypeAlias = "tuple[_Path, str | int] | None"
_SHOWN, _SHOWN_CHARS = 10, 80
_ARRAYS = (list, tuple)
_OBJECTS = (dict, Mapping)


def canonical_bytes(value: Any) -> bytes:
    """The RFC 8785 bytes of a plain JSON value.

    Args:
        value: None, bool, int, float, str, and mappings, lists and tuples of these.

    Raises:
        NotCanonical: the value has no canonical form (RW-111), with its path.
    """
    try:
        return _encode(value, None).encode("utf-8")
    except RecursionError as error:
        raise _too_deep() from error


def parse_json(data: bytes) -> Any:
    """Read strict JSON in any layout. An integer beyond ``MAX_SAFE_INTEGER`` is read as the double it stands for.

    Raises:
        NotCanonical: not UTF-8, not JSON, a name that occurs twice, a number that is no finite double, a lone
            surrogate (RW-111).
    """
    try:
        text = data.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise NotCanonical(f"The bytes are not UTF-8 at offset {error.start}.", remedy=_READ_REMEDY) from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise NotCanonical(f"This is not JSON: {error.msg}.", remedy=_READ_REMEDY, where=place) from error
    except RecursionError as error:
        raise _too_deep() from error
    if "\\u" in text:
        # Only an escape can smuggle in a lone surrogate: UTF-8 has no bytes for one.
        _refuse_lone_surrogates(value)
    return value


def parse_canonical(data: bytes) -> Any:
    """Read bytes that must be exactly what ``canonical_bytes`` writes.

    Raises:
        NotCanonical: not strict JSON, or another layout, order or number form of the same value (RW-111).
    """
    value = parse_json(data)
    again = canonical_bytes(value)
    if again != data:
        offset = next((i for i, (a, b) in enumerate(zip(again, data, strict=False)) if a != b), len(again))
        what = f"The JSON is well-formed but not canonical from offset {offset} on."
        raise NotCanonical(what, remedy="Write it with canonical_bytes and use those bytes unchanged.")
    return value


def _encode(value: Any, path: _Path) -> str:
    if isinstance(value, str):
        return _text(value, path)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _integer(value, path)
    if isinstance(value, float):
        return _number(float(value), path)
    if isinstance(value, _ARRAYS):
        return "[" + ",".join([_encode(item, (path, index)) for index, item in enumerate(value)]) + "]"
    if isinstance(value, _OBJECTS):
        return _members(value, path)
    return _refuse(f"A {type(value).__name__} has no JSON form.", path)


def _members(value: Mapping[Any, Any], path: _Path) -> str:
    for name in value:
        if not isinstance(name, str):
            _refuse(f"The name {name!r} is a {type(name).__name__}, not text.", path)
    # Among ASCII names, code point order and UTF-16 order are the same.
    names = sorted(value) if "".join(value).isascii() else sorted(value, key=_utf16)
    return "{" + ",".join([_text(n, (path, n)) + ":" + _encode(value[n], (path, n)) for n in names]) + "}"


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _text(value: str, path: _Path) -> str:
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            _refuse(f"The text holds a lone surrogate at character {error.start}.", path)
    return _quoted(value)


def _integer(value: int, path: _Path) -> str:
    if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        _refuse(f"The integer {value} is beyond 2**53 - 1, where a double loses digits.", path)
    return int.__repr__(value)


def _number(value: float, path: _Path) -> str:
    if not math.isfinite(value):
        _refuse(f"{value} is not a JSON number.", path)
    if value == 0:
        return "0"
    text = repr(value)
    if 1e-4 <= abs(value) < 1e16:
        # Python and ECMAScript choose the same shortest digits, and here the same layout but for a final ".0".
        return text.removesuffix(".0")
    return _ecmascript(text)


def _ecmascript(text: str) -> str:
    """Lay out the shortest digits as ECMAScript does (ECMA-262, Number::toString, steps 6 to 10).

    Only for magnitudes outside [1e-4, 1e16): Python writes every one of these with an exponent.
    """
    sign = "-" if text.startswith("-") else ""
    mantissa, _, exponent = text.removeprefix("-").partition("e")
    digits = mantissa.replace(".", "")
    point = int(exponent) + 1
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    fraction = "." + digits[1:] if count > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _refuse_lone_surrogates(value: Any) -> None:
    """Look with the standard library's writer, which is quick; only our own knows how to name the place."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        canonical_bytes(value)
    except RecursionError as error:
        raise _too_deep() from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        # Counted in one pass: strangers send such objects, and would choose one with a million names.
        twice = sorted(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        more = " and more" if len(twice) > _SHOWN else ""
        shown = f"{[name[:_SHOWN_CHARS] for name in twice[:_SHOWN]]}{more}"
        raise NotCanonical(f"These names occur more than once in one object: {shown}.", remedy=_READ_REMEDY)
    return members


def _read_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotCanonical(f"The number {text[:40]} is too large for a double.", remedy=_READ_REMEDY)
    return value


def _read_integer(text: str) -> int | float:
    value = _read_float(text)
    return int(text) if abs(value) <= MAX_SAFE_INTEGER else value


def _refuse_constant(text: str) -> NoReturn:
    raise NotCanonical(f"{text} is not a JSON number.", remedy=_READ_REMEDY)


def _refuse(what: str, path: _Path) -> NoReturn:
    place = ""
    while path is not None:
        path, link = path
        place = (f"[{link}]" if isinstance(link, int) else f".{link}") + place
    remedy = "Give finite doubles, integers within 2**53 - 1 and well-formed text; write larger integers as text."
    # A lone surrogate in a name must not make the message itself unprintable.
    raise NotCanonical(what, remedy=remedy, where=("$" + place).encode("utf-8", "backslashreplace").decode())


def _too_deep() -> NotCanonical:
    return NotCanonical("The value is nested too deeply.", remedy="Give a value that nests less than 100 levels.")


_READ_REMEDY = "Give strict JSON: UTF-8, unique names, finite numbers."
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_read_float,
    parse_int=_read_integer,
    parse_constant=_refuse_constant,
)
