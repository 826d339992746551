"""Frozen dataclasses to plain JSON values and back. Owns the mapping; canonical bytes belong to ``canonical``.

Why here and not a library: the vocabulary of ``domain`` is standard library only, and the bytes of a decision must not
depend on a third party's release. The mapping is closed: dataclass, enum, instant, tuple, frozenset, mapping, optional,
and the JSON scalars. Anything else is an error at the first use.

Rules kept here:
1. Reading checks every member: a missing or unknown one is an error that names its path.
2. A float that is not finite is written as null and read back as NaN, since JSON has no word for it.
3. A frozenset is written sorted, an instant in the form of ``clock``: equal objects have equal JSON.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.base.errors import InstantError, MalformedEvidence

T = TypeVar("T")
_SCALARS = (str, int, bool)


def to_json(value: Any) -> Any:
    """The plain JSON value (dict, list, str, int, float, bool, None) of a domain object.

    Raises:
        TypeError: a type outside the closed set of the module; a programming error.
    """
    if value is None or isinstance(value, Enum):
        return None if value is None else value.value
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return format_instant(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_json(getattr(value, name)) for name in _field_names(type(value))}
    return _container_to_json(value)


def _container_to_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key.value if isinstance(key, Enum) else key): to_json(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(to_json(item) for item in value)
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def from_json(kind: type[T], value: Any, *, path: str = "$") -> T:
    """Read a value of type ``kind``.

    Args:
        kind: a dataclass of the domain, or a type of the closed set.
        value: plain JSON.
        path: where the value stands, for messages.

    Raises:
        MalformedEvidence: the value does not have that type (RW-201), with the path.
    """
    return typing.cast(T, _read(kind, value, path))


def _read(kind: Any, value: Any, path: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _read_optional(kind, value, path)
    if origin is not None:
        return _read_container(kind, origin, value, path)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(typing.cast(type, kind), value, path)
    return _read_scalar(kind, value, path)


def _read_optional(kind: Any, value: Any, path: str) -> Any:
    members = [member for member in get_args(kind) if member is not type(None)]
    if value is None and len(members) < len(get_args(kind)):
        return None
    for member in members[:-1]:
        try:
            return _read(member, value, path)
        except MalformedEvidence:
            continue
    return _read(members[-1], value, path)


def _read_container(kind: Any, origin: Any, value: Any, path: str) -> Any:
    arguments = get_args(kind)
    if origin is tuple or origin is frozenset:
        items = _expect(list, value, path)
        return origin(_read(arguments[0], item, f"{path}[{index}]") for index, item in enumerate(items))
    members = _expect(dict, value, path)
    return {
        _read_scalar(arguments[0], key, path): _read(arguments[1], item, f"{path}.{key}")
        for key, item in members.items()
    }


def _read_dataclass(kind: type, value: Any, path: str) -> Any:
    members = _expect(dict, value, path)
    hints = _hints(kind)
    unknown = sorted(set(members) - set(hints))
    missing = sorted(set(hints) - set(members) - _defaulted(kind))
    if unknown or missing:
        raise _malformed(f"{kind.__name__} has unknown members {unknown} and lacks {missing}.", path)
    return kind(**{name: _read(hints[name], item, f"{path}.{name}") for name, item in members.items()})


def _read_scalar(kind: Any, value: Any, path: str) -> Any:
    if kind is Any or kind is object:
        return value
    if kind is datetime:
        try:
            return parse_instant(_expect(str, value, path))
        except InstantError as error:
            raise _malformed(error.what, path) from error
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError as error:
            raise _malformed(f"{value!r} is not a {kind.__name__}.", path) from error
    if kind is float:
        return _read_float(value, path)
    return _expect(kind, value, path)


def _read_float(value: Any, path: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed(f"{value!r} is not a number.", path)
    try:
        return float(value)
    except OverflowError as error:
        raise _malformed("the number is too large.", path) from error


def _expect(kind: type, value: Any, path: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _malformed(f"expected {kind.__name__}, found {type(value).__name__}.", path)
    return value


def _malformed(what: str, path: str) -> MalformedEvidence:
    return MalformedEvidence(what, remedy="Record it again with this version of Roadworthy.", where=path)


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _defaulted(kind: type) -> frozenset[str]:
    absent = dataclasses.MISSING
    fields = dataclasses.fields(kind)
    return frozenset(f.name for f in fields if f.default is not absent or f.default_factory is not absent)
