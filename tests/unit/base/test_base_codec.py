"""Dataclasses to plain JSON and back: the closed set of types, and errors that name the path."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Optional

import pytest

from roadworthy.base.codec import from_json, to_json
from roadworthy.base.errors import MalformedEvidence


class Tier(StrEnum):
    """An enum to carry."""

    R1 = "r1"
    R2 = "r2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A nested value."""

    share: float
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """One member of every kind."""

    name: str
    tier: Tier
    inner: Inner
    parts: tuple[Inner, ...]
    tags: frozenset[str]
    by_tier: Mapping[Tier, int]
    choice: int | str
    anything: Any = None
    loose: object = None
    old: Optional[int] = None  # noqa: UP045  # the older spelling must be read as well
    many: tuple[str, ...] = field(default_factory=tuple)


AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OUTER = Outer(
    name="n",
    tier=Tier.R2,
    inner=Inner(share=0.5, at=AT),
    parts=(Inner(share=1.0), Inner(share=2.0)),
    tags=frozenset({"b", "a"}),
    by_tier={Tier.R1: 3},
    choice="x",
    anything={"k": [1]},
)


def test_there_and_back() -> None:
    """Every member kind survives; sets are sorted, enums and instants are text."""
    plain = to_json(OUTER)
    assert plain["tags"] == ["a", "b"]
    assert plain["by_tier"] == {"r1": 3}
    assert plain["inner"] == {"share": 0.5, "at": "2026-01-02T03:04:05.000000Z"}
    assert from_json(Outer, plain) == OUTER


def test_a_float_that_is_not_finite_is_null_and_nan_again() -> None:
    """JSON has no word for NaN; an integer is read as the float it stands for."""
    assert to_json(Inner(share=math.inf)) == {"share": None, "at": None}
    assert math.isnan(from_json(Inner, {"share": None}).share)
    assert from_json(Inner, {"share": 1}).share == 1.0


def test_what_is_outside_the_closed_set_is_a_programming_error() -> None:
    """Bytes have no form here."""
    with pytest.raises(TypeError, match="bytes"):
        to_json(b"x")
    assert to_json({"a": [None, True]}) == {"a": [None, True]}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"name": 1}, "$.name"),
        ({"tier": "r9"}, "$.tier"),
        ({"inner": []}, "$.inner"),
        ({"inner": {"share": True}}, "$.inner.share"),
        ({"inner": {"share": "1"}}, "$.inner.share"),
        ({"inner": {"share": 1, "at": "soon"}}, "$.inner.at"),
        ({"parts": [{"share": 1}, {"share": 1, "x": 2}]}, "$.parts[1]"),
        ({"by_tier": {"r1": True}}, "$.by_tier.r1"),
        ({"by_tier": {"r7": 1}}, "$.by_tier"),
        ({"choice": 1.5}, "$.choice"),
        ({"old": "x"}, "$.old"),
        ({"unknown": 1}, "$"),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(change: dict[str, Any], where: str) -> None:
    """Each wrong member is refused where it stands."""
    with pytest.raises(MalformedEvidence) as caught:
        from_json(Outer, {**to_json(OUTER), **change})
    assert caught.value.where == where


def test_a_missing_member_is_refused_unless_it_has_a_default() -> None:
    """The error says which one lacks."""
    plain = to_json(OUTER)
    del plain["many"], plain["old"]
    assert from_json(Outer, plain) == OUTER
    del plain["name"]
    with pytest.raises(MalformedEvidence, match=r"lacks \['name'\]"):
        from_json(Outer, plain)


def test_a_choice_of_types_takes_the_first_that_fits() -> None:
    """An integer stays one, null needs an optional member."""
    assert from_json(Outer, {**to_json(OUTER), "choice": 3}).choice == 3
    with pytest.raises(MalformedEvidence):
        from_json(Outer, {**to_json(OUTER), "choice": None})


def test_a_whole_number_beyond_every_float_is_malformed() -> None:
    """Not an overflow in somebody else's face."""
    with pytest.raises(MalformedEvidence, match="too large"):
        from_json(float, 10**400)
