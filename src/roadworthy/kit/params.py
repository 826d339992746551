"""Parameters of checks. Owns reading them from a manifest: types, units and the rule that they only tighten.

A field says in its metadata which way is stricter: ``stricter="higher"`` or ``stricter="lower"``. The default is the
least strict value allowed; a manifest may go further, never back.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from roadworthy.base.errors import LooseningRefused, ParameterError

STRICTER = "stricter"


def higher(default: Any) -> Any:
    """A field whose higher values are stricter."""
    return dataclasses.field(default=default, metadata={STRICTER: "higher"})


def lower(default: Any) -> Any:
    """A field whose lower values are stricter."""
    return dataclasses.field(default=default, metadata={STRICTER: "lower"})


def read_params(kind: type, given: Mapping[str, Any], *, where: str) -> Any:
    """An instance of the parameter dataclass ``kind``.

    Args:
        kind: frozen dataclass with a default for every field.
        given: values from the manifest.
        where: key path, for messages.

    Raises:
        ParameterError: unknown name or wrong type (RW-114).
        LooseningRefused: a value less strict than the default (RW-304).
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in given.items():
        if name not in fields:
            known = ", ".join(sorted(fields)) or "none"
            raise ParameterError(f"Unknown parameter {name!r}.", remedy=f"Known here: {known}.", where=where)
        _accept(fields[name], value, f"{where}.{name}")
    # 30 written for 30.0 means the same, and must give the same evidence.
    return kind(**{name: float(value) if _real(fields[name]) else value for name, value in given.items()})


def _real(field: "dataclasses.Field[Any]") -> bool:
    return isinstance(field.default, float)


def _accept(field: "dataclasses.Field[Any]", value: Any, where: str) -> None:
    default: Any = field.default
    number = isinstance(default, int | float) and not isinstance(default, bool)
    wanted = (int, float) if isinstance(default, float) else (type(default),)
    fits = isinstance(value, wanted) and (not number or not isinstance(value, bool))
    if not fits:
        raise ParameterError(
            f"{value!r} is not a {type(default).__name__}.", remedy=f"Write a value like {default!r}.", where=where
        )
    side = field.metadata.get(STRICTER)
    if (side == "higher" and value < default) or (side == "lower" and value > default):
        raise LooseningRefused(
            f"{value!r} is less strict than {default!r}.",
            remedy="Parameters may only tighten; ask for a waiver instead.",
            where=where,
        )
