"""The sources that an answer cites, checked against what the caller may reach. Owns finding and blotting them out.

The AI system looks its sources up with rights of its own; whether this caller may see them is asked here once more.

Rules kept here:
1. A source whose data scope the caller does not hold is denied, and so is one that nobody gave a scope to, also for a
   caller who holds every scope.
2. Its place stays, so that numbers in the text still fit: an id becomes ``redacted``; an object that holds the id, with
   title and excerpt, becomes an object with that id alone.
3. An answer without a denied source leaves byte for byte as it came. One that is no JSON cannot be checked, so it does
   not leave.
4. The list of scopes is read again when it changes; while it cannot be read, nobody's sources have a scope.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import ManifestError
from roadworthy.domain.exchange import Caller
from roadworthy.gateway.config import Citations
from roadworthy.gateway.declared_file import parse_declared
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.json_place import parse_pointer, values_at
from roadworthy.gateway.policy import ANY
from roadworthy.gateway.watched_file import WatchedFile

Steps: TypeAlias = tuple[str, ...]

EVERY = "*"
REDACTED = "redacted"
NO_ID = "(not an id)"
MOST_IDS = 20
MOST_ID_CHARS = 200
WHAT = "The sources of the answer could not be checked."


class ScopeFile(BaseModel):
    """The file that gives every source its data scope, version 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source_scopes: Literal[1]
    sources: dict[str, str]


class _Place(NamedTuple):
    """Where something is replaced when an id is denied: a list or an object, the place in it, and by what."""

    holder: Any
    key: Any
    instead: Any


class Cite:
    """The stage that checks sources.

    Args:
        ids_at: JSON pointer to the ids; ``*`` stands for every item of a list.
        scopes: file that gives every source its scope.

    Raises:
        ManifestError: the pointer is none (RW-101).
    """

    def __init__(self, ids_at: str, scopes: Path) -> None:
        try:
            self._steps: Steps = parse_pointer(ids_at)
        except ValueError as error:
            remedy = "Write it as RFC 6901 does, for example /sources/*/id."
            raise ManifestError(
                f"Sources cannot be found: {error}.", remedy=remedy, where="citations.ids_at"
            ) from error
        self._scopes = WatchedFile(scopes, lambda data: parse_declared(data, scopes.name, ScopeFile).sources)

    @property
    def fault(self) -> str:
        """Why the list of scopes cannot be read now; "" when it can."""
        self._scopes.content(monotonic_s())
        return self._scopes.fault

    def check(self, caller: Caller, body: bytes) -> tuple[bytes, tuple[str, ...]]:
        """The body with the denied sources blotted out, and at most twenty of their ids, shortened.

        Args:
            caller: who will read the answer.
            body: of the answer.

        Raises:
            Refused: the answer is no JSON (502).
        """
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Refused(Reason.UPSTREAM_FAILED, 502, WHAT) from error
        scopes = self._scopes.content(monotonic_s()) or {}
        every = ANY in caller.scopes
        denied: dict[str, None] = {}
        # A list first: blotting out must not disturb the walk.
        for source, place in list(_cited(document, self._steps, None)):
            name = str(source) if _is_id(source) else NO_ID
            scope = scopes.get(name)
            if scope is None or not (every or scope in caller.scopes):
                denied[name[:MOST_ID_CHARS]] = None
                place.holder[place.key] = place.instead
        if not denied:
            return body, ()
        return orjson.dumps(document), tuple(denied)[:MOST_IDS]


def cite_of(citations: Citations) -> Cite:
    """The stage as the configuration asks for it.

    Raises:
        ManifestError: the pointer is none (RW-101).
    """
    return Cite(citations.ids_at, citations.scopes)


def _is_id(source: Any) -> bool:
    return isinstance(source, str) or (isinstance(source, int) and not isinstance(source, bool))


def _cited(value: Any, steps: Steps, place: _Place | None) -> Iterator[tuple[Any, _Place]]:
    """Every id below a value, and what its denial replaces. An answer that is nothing but an id has no place for it."""
    if not steps:
        if isinstance(value, list):
            yield from ((item, _Place(value, index, REDACTED)) for index, item in enumerate(value))
        elif place is not None and value is not None:
            yield value, place
    elif steps[0] == EVERY:
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _cited(item, steps[1:], _Place(value, index, REDACTED))
    else:
        for below in values_at(value, steps[:1]):
            yield from _cited(below, steps[1:], _place_below(value, steps, place))


def _place_below(value: Any, steps: Steps, place: _Place | None) -> _Place:
    # 2. An object that is an item of a list and holds the id itself is the source, with all that it says.
    if len(steps) == 1 and isinstance(value, dict) and place is not None and isinstance(place.holder, list):
        return place._replace(instead={steps[0]: REDACTED})
    return _Place(value, int(steps[0]) if isinstance(value, list) else steps[0], REDACTED)
