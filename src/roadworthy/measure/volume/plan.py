"""Everything that one scan shall count. Owns the plan: its accumulators, each once, its split and its digest.

Rules kept here:
1. Accumulators stand in the order in which they were first asked for; asking twice changes nothing.
2. The digest covers what is counted, not where, when or by which engine: equal plans have states that join.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_of
from roadworthy.base.errors import ParameterError
from roadworthy.measure.volume.accumulators import Accumulator


class Kind(Enum):
    """How a column is read."""

    NUMBER = "number"
    INSTANT = "instant"
    TEXT = "text"
    FLAG = "flag"
    OTHER = "other"
    """A type that can only be counted as null or not: lists, structs, bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnKind:
    """A column and how it is read."""

    name: str
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows are counted apart by the values of a column.

    Attributes:
        column: a text, flag or whole number.
        values: the groups, as text; every other value, null included, falls into the group ``OTHER_GROUP``.
    """

    column: str
    values: tuple[str, ...]


ALL = ""
"""The one group of a plan that is not split."""
OTHER_GROUP = "\u2026other"
"""Rows whose split value the plan does not know, null included; no column value starts with an ellipsis by accident."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to count in one scan of one table.

    Attributes:
        kinds: the columns that accumulators read, and how.
        accumulators: each once.
        split: None when all rows are counted together.
    """

    kinds: tuple[ColumnKind, ...]
    accumulators: tuple[Accumulator, ...]
    split: Split | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the groups that a state of this plan may have."""
        return (ALL,) if self.split is None else (*self.split.values, OTHER_GROUP)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that a scan must read, each once, in the order of ``kinds``."""
        names = [item.name for item in self.kinds]
        if self.split is not None and self.split.column not in names:
            names.append(self.split.column)
        return tuple(names)

    def kind_of(self, column: str) -> Kind:
        """How a column is read."""
        return self._kinds[column]

    def position(self, accumulator: Accumulator) -> int | None:
        """Where an accumulator's result stands in a state; None when it is not counted."""
        return self._positions.get(accumulator)

    @cached_property
    def _positions(self) -> dict[Accumulator, int]:
        return {item: index for index, item in enumerate(self.accumulators)}

    @cached_property
    def _kinds(self) -> dict[str, Kind]:
        return {item.name: item.kind for item in self.kinds}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical form."""
        return digest_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The plain form that the digest covers; doubles as hexadecimal text, which loses no bit."""
        return {
            "kinds": to_json(self.kinds),
            "split": to_json(self.split),
            "accumulators": [{"kind": item.kind, **exact_json(to_json(item))} for item in self.accumulators],
        }


def make_plan(kinds: Iterable[ColumnKind], accumulators: Iterable[Accumulator], split: Split | None = None) -> Plan:
    """A plan with every accumulator once and only the columns that are read.

    Raises:
        ParameterError: an accumulator reads a column that is not among ``kinds`` (RW-114).
    """
    wanted = tuple(dict.fromkeys(accumulators))
    read = {name for item in wanted for name in item.columns()}
    known = tuple(kinds)
    missing = sorted(read - {item.name for item in known})
    if missing:
        raise ParameterError(
            f"The plan reads {', '.join(missing)}, which the table does not have.",
            remedy="Deliver the column, or plan without it.",
        )
    return Plan(kinds=tuple(item for item in known if item.name in read), accumulators=wanted, split=split)


def exact_json(value: Any) -> Any:
    """Plain JSON with every double as hexadecimal text, which loses no bit."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {name: exact_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [exact_json(item) for item in value]
    return value
