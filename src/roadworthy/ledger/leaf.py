"""Leaves of the runtime's ledger. Owns reading them, the rare ones that the ledger writes itself, and what erases what.

A runtime leaf has the members of ``entry`` with ``v`` = 2 and, beside them, flat facts of its own: texts and integers
under ASCII names. Leaves of ``v`` = 1, which the control plane writes, are read too: they have no facts. The gateway
writes its leaves with a faster writer; that its bytes are these bytes is shown by reading them here.

Rules kept here:
1. The bytes that are read must be exactly the bytes that would be written: canonical, flat, no longer than a bundle of
   entries can frame.
2. An erasure says openly what it erased and why, under a salt of zeros, so that anybody can check its commitment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from roadworthy.base.canonical import canonical_bytes, parse_canonical
from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.base.digest import is_digest
from roadworthy.base.errors import InstantError, LedgerBroken, NotCanonical, ParameterError
from roadworthy.ledger import entry as control
from roadworthy.ledger.entry import MAX_LEAF_BYTES, SALT_BYTES, Entry, commit

VERSION = 2
PAYLOAD_ERASED = "payload.erased"
OPEN_SALT = b"\x00" * SALT_BYTES
"""The salt of a commitment to what stands in the leaf itself."""

ERASES, REASON = "erases", "reason"
_TEXTS = ("kind", "at", "actor", "use_case", "subject", "commitment")
_BASE = frozenset({"v", "size", *_TEXTS})
_REMEDY = "Do not trust this ledger; compare it with a copy that verifies."


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One leaf, read.

    Attributes:
        version: 1 for the control plane's, 2 for the runtime's.
        base: the members that every leaf has.
        facts: the other members, in the order of their names.
    """

    version: int
    base: Entry
    facts: Mapping[str, str | int]


def parse_leaf(data: bytes) -> Leaf:
    """Read a leaf of either version.

    Raises:
        LedgerBroken: the bytes are not exactly a leaf (RW-503).
    """
    if len(data) > MAX_LEAF_BYTES:
        raise _broken(f"it has {len(data)} bytes, more than {MAX_LEAF_BYTES}.")
    try:
        members = parse_canonical(data)
        if not isinstance(members, dict) or not members.keys() >= _BASE:
            raise _broken(f"it lacks one of the members {sorted(_BASE)}.")
        # The control plane's leaves have one reader, which also refuses every other version.
        if members["v"] != VERSION or isinstance(members["v"], bool):
            return Leaf(version=control.VERSION, base=control.parse(data), facts=MappingProxyType({}))
        base = _base(members)
    except (NotCanonical, InstantError) as error:
        raise _broken(error.what) from error
    facts = {name: value for name, value in members.items() if name not in _BASE}
    _require_facts(facts)
    return Leaf(version=VERSION, base=base, facts=MappingProxyType(facts))


def runtime_leaf_bytes(base: Entry, facts: Mapping[str, str | int]) -> bytes:
    """The canonical bytes of a runtime leaf. For the few leaves that are written outside the gateway's fast path.

    Raises:
        ParameterError: a fact has a base member's name, or the whole is not a leaf (RW-114).
        NotCanonical: a text holds a lone surrogate, or an integer is beyond 2**53 - 1 (RW-111).
        InstantError: ``at`` is naive (RW-110).
    """
    taken = sorted(_BASE & facts.keys())
    if taken:
        raise ParameterError(f"Facts cannot be called {taken}.", remedy="Give them names of their own.")
    data = canonical_bytes(
        {
            **facts,
            "v": VERSION,
            "kind": base.kind,
            "at": format_instant(base.at),
            "actor": base.actor,
            "use_case": base.use_case,
            "subject": base.subject,
            "commitment": base.commitment,
            "size": base.size,
        }
    )
    try:
        parse_leaf(data)
    except LedgerBroken as error:
        remedy = "Give a kind, a commitment, a length, and facts that are texts or integers under ASCII names."
        raise ParameterError(error.what, remedy=remedy) from error
    return data


def open_commitment(facts: Mapping[str, str | int]) -> tuple[str, int]:
    """Commitment and size of a leaf that keeps no payload beside it: over its own facts, under a salt of zeros."""
    payload = canonical_bytes(dict(facts))
    return commit(OPEN_SALT, payload), len(payload)


def erased_index(leaf: Leaf) -> int | None:
    """The index whose payload this leaf says was erased; None when it says nothing of the kind.

    Raises:
        LedgerBroken: it is an erasure, but names no index or no reason, or commits to other facts (RW-503).
    """
    if leaf.base.kind != PAYLOAD_ERASED or leaf.version != VERSION:
        return None
    index, reason = leaf.facts.get(ERASES), leaf.facts.get(REASON)
    if not isinstance(index, int) or index < 0 or not isinstance(reason, str):
        raise _broken("the erasure names no entry, or no reason.")
    if (leaf.base.commitment, leaf.base.size) != open_commitment({ERASES: index, REASON: reason}):
        raise _broken("the erasure commits to something else than it says.")
    return index


def _base(members: Mapping[str, Any]) -> Entry:
    if not all(isinstance(members[name], str) for name in _TEXTS):
        raise _broken("a member has the wrong type.")
    size = members["size"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise _broken(f"its size is {size!r:.80}.")
    if not members["kind"] or not is_digest(members["commitment"]):
        raise _broken("it has no kind, or no commitment.")
    at = parse_instant(members["at"])
    # An instant is the only member with more than one text form.
    if format_instant(at) != members["at"]:
        raise _broken(f"the instant {members['at']!r:.80} has another form.")
    return Entry(at=at, size=size, **{name: members[name] for name in _TEXTS if name != "at"})


def _require_facts(facts: Mapping[str, Any]) -> None:
    for name, value in facts.items():
        if not name.isascii() or not name:
            raise _broken(f"the name {name!r:.80} is not ASCII.")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise _broken(f"the member {name!r:.80} is neither text nor an integer.")


def _broken(what: str) -> LedgerBroken:
    return LedgerBroken(f"A ledger entry is malformed: {what}", remedy=_REMEDY)
