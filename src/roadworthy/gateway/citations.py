"""The sources that an answer cites, checked against what the caller may reach. Owns finding and blotting them out.

The AI system looks its sources up with rights of its own; whether this caller may see them is asked here once more.

Where ids stand is said by a JSON pointer in which ``*`` stands for every item of a list. With a ``*``, the item of the
last one is a source, and what follows leads to its id: ``/citations/*/id``, ``/choices/*/sources/*``. Without one, the
pointer leads to a list of ids, or to one.

Rules kept here:
1. A source passes when its data scope may be asked for by this caller, in this use case and for this purpose, by policy
   and credential, and when the certificate that admitted the caller reaches that far. One that nobody gave a scope to
   never passes, also for a caller who holds every scope.
2. Its place stays, so that numbers in the text still fit: an id becomes ``redacted``; an object that holds the id, with
   title and excerpt, becomes an object with that id alone.
3. What has another form than the pointer says is a denied source: an item without an id, with null or an object as its
   id, anything but a list where ``*`` stands. Only what is absent or null on the way to the list cites nothing.
4. An answer without a denied source leaves byte for byte as it came. One that is no strict JSON could be read in two
   ways, so it does not leave; nor does one in which a denied source has no place.
5. The list of scopes is read again when it changes; while it cannot be read, nobody's sources have a scope.
6. What stands in the record of a denied source is an id of the list of scopes, or ``unknown``: never the answer's words.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict

from roadworthy.base.canonical import parse_json
from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import ManifestError, NotCanonical
from roadworthy.domain.exchange import Caller
from roadworthy.gateway.config import Citations
from roadworthy.gateway.declared_file import parse_declared
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.json_place import parse_pointer, values_at
from roadworthy.gateway.stages import Authorise
from roadworthy.gateway.watched_file import WatchedFile

Steps: TypeAlias = tuple[str, ...]

EVERY = "*"
REDACTED = "redacted"
UNKNOWN = "unknown"
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


class _Asked(NamedTuple):
    """Who asked, and how far that reaches."""

    caller: Caller
    use_case: str
    purpose: str
    admitted_scopes: frozenset[str] | None


_Found: TypeAlias = tuple[tuple[Any, ...], _Place | None]


class Cite:
    """The stage that checks sources.

    Args:
        ids_at: JSON pointer to the ids; ``*`` stands for every item of a list.
        scopes: file that gives every source its scope.
        authorise: decides on every source's scope.

    Raises:
        ManifestError: the pointer is none (RW-101).
    """

    def __init__(self, ids_at: str, scopes: Path, authorise: Authorise) -> None:
        self._authorise = authorise
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

    def check(
        self, caller: Caller, use_case: str, purpose: str, admitted_scopes: frozenset[str] | None, body: bytes
    ) -> tuple[bytes, tuple[str, ...]]:
        """The body with the denied sources blotted out, and at most twenty of their ids, shortened.

        Args:
            caller: who will read the answer.
            use_case: whose answer it is.
            purpose: for which it was asked.
            admitted_scopes: to which the certificate limits it; None when nothing does.
            body: of the answer.

        Raises:
            Refused: the answer is no strict JSON, or a denied source cannot be taken out of it (502).
        """
        document = _read(body)
        scopes = self._scopes.content(monotonic_s()) or {}
        asked = _Asked(caller, use_case, purpose, admitted_scopes)
        denied: dict[str, None] = {}
        # A list first: blotting out must not disturb the walk.
        for ids, place in list(_cited(document, self._steps, None)):
            wrong = [each for each in ids if not self._passes(asked, scopes, each)]
            if ids and not wrong:
                continue
            if place is None:
                raise Refused(Reason.UPSTREAM_FAILED, 502, WHAT)
            # 6
            known = [str(each)[:MOST_ID_CHARS] for each in wrong if _is_id(each) and str(each) in scopes]
            denied.update(dict.fromkeys(known or [UNKNOWN]))
            place.holder[place.key] = place.instead
        if not denied:
            return body, ()
        try:
            return orjson.dumps(document), tuple(denied)[:MOST_IDS]
        except orjson.JSONEncodeError as error:
            raise Refused(Reason.UPSTREAM_FAILED, 502, WHAT) from error

    def _passes(self, asked: _Asked, scopes: Mapping[str, str], source: Any) -> bool:
        # 1
        scope = scopes.get(str(source)) if _is_id(source) else None
        if scope is None or (asked.admitted_scopes is not None and scope not in asked.admitted_scopes):
            return False
        try:
            self._authorise.check(asked.caller, asked.use_case, asked.purpose, scope)
        except Refused:
            return False
        return True


def cite_of(citations: Citations, authorise: Authorise) -> Cite:
    """The stage as the configuration asks for it.

    Raises:
        ManifestError: the pointer is none (RW-101).
    """
    return Cite(citations.ids_at, citations.scopes, authorise)


def _read(body: bytes) -> Any:
    try:
        document = orjson.loads(body)
        # The other one keeps the last of two equal names, whoever reads the answer may keep the first.
        parse_json(body)
    except (orjson.JSONDecodeError, NotCanonical) as error:
        raise Refused(Reason.UPSTREAM_FAILED, 502, WHAT) from error
    return document


def _is_id(source: Any) -> bool:
    return isinstance(source, str) or (isinstance(source, int) and not isinstance(source, bool))


def _cited(value: Any, steps: Steps, place: _Place | None) -> Iterator[_Found]:
    """Every source below a value: its ids, of which none or a wrong one denies it, and what its denial replaces."""
    if value is None:
        return
    if not steps:
        if isinstance(value, list):
            yield from (((item,), _Place(value, index, REDACTED)) for index, item in enumerate(value))
        else:
            yield (value,), place
    elif steps[0] == EVERY and isinstance(value, list):
        below = _source if EVERY not in steps[1:] else _cited
        for index, item in enumerate(value):
            yield from below(item, steps[1:], _Place(value, index, REDACTED))
    elif steps[0] != EVERY and isinstance(value, dict | list):
        for found in values_at(value, steps[:1]):
            key = int(steps[0]) if isinstance(value, list) else steps[0]
            yield from _cited(found, steps[1:], _Place(value, key, REDACTED))
    else:
        yield (), place  # 3


def _source(item: Any, steps: Steps, place: _Place) -> Iterator[_Found]:
    """One source, with all that it says."""
    if not steps:
        if isinstance(item, list):
            yield from _cited(item, (), place)
        else:
            yield (item,), place
        return
    found = values_at(item, steps)
    ids = found[0] if found and isinstance(found[0], list) else found
    # 2
    instead: Any = REDACTED
    if isinstance(item, dict):
        for name in reversed(steps):
            instead = {name: instead}
    yield tuple(ids), place._replace(instead=instead)
