"""The leaf of the ledger: what happened, when, by whom, and a commitment to the payload. Owns its one byte form.

The payload itself lives apart and can be erased; the leaf stays, so the tree never changes.

Rules kept here:
1. The record is flat canonical JSON, and the bytes that were read must be the bytes that would be written.
2. The commitment is salted: who lost the salt cannot test guesses of an erased payload against the leaf.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from roadworthy.base.canonical import canonical_bytes, parse_canonical
from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.base.digest import is_digest
from roadworthy.base.errors import InputError, InstantError, LedgerBroken, NotCanonical, ParameterError

VERSION = 1
MAX_LEAF_BYTES = 65_535
SALT_BYTES = 32

_TEXTS = ("kind", "at", "actor", "use_case", "subject", "commitment")
_NAMES = frozenset({"v", "size", *_TEXTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry.

    Attributes:
        kind: what happened, for example ``evidence.recorded``.
        at: when it was recorded.
        actor: id of the person or producer.
        use_case: id of the use case; empty for what concerns the whole ledger.
        subject: id or digest of what it is about.
        commitment: digest over salt and payload, see ``commit``.
        size: length of the payload in bytes.
    """

    kind: str
    at: datetime
    actor: str
    use_case: str
    subject: str
    commitment: str
    size: int


def commit(salt: bytes, payload: bytes) -> str:
    """``sha256:`` and the hex of SHA-256(salt || payload).

    Raises:
        ParameterError: the salt is not 32 bytes; of another length, its end could be taken for payload (RW-114).
    """
    if len(salt) != SALT_BYTES:
        raise ParameterError(f"A salt has {SALT_BYTES} bytes, not {len(salt)}.", remedy="Use salt_bytes().")
    return "sha256:" + hashlib.sha256(salt + payload).hexdigest()


def leaf_bytes(entry: Entry) -> bytes:
    """The canonical record that is hashed into the tree.

    Raises:
        ParameterError: longer than 65,535 bytes, a negative size, no kind, or a malformed commitment (RW-114).
        NotCanonical: a text holds a lone surrogate (RW-111).
        InstantError: ``at`` is naive (RW-110).
    """
    if not entry.kind or entry.size < 0 or not is_digest(entry.commitment):
        remedy = "Give a kind, the payload's length, and the commitment from commit()."
        raise ParameterError(f"This is not a whole entry: {entry!r:.200}.", remedy=remedy)
    leaf = canonical_bytes(
        {
            "v": VERSION,
            "kind": entry.kind,
            "at": format_instant(entry.at),
            "actor": entry.actor,
            "use_case": entry.use_case,
            "subject": entry.subject,
            "commitment": entry.commitment,
            "size": entry.size,
        }
    )
    if len(leaf) > MAX_LEAF_BYTES:
        remedy = "Put the long text into the payload."
        raise ParameterError(f"The entry has {len(leaf)} bytes, more than {MAX_LEAF_BYTES}.", remedy=remedy)
    return leaf


def parse(data: bytes) -> Entry:
    """Read a leaf.

    Raises:
        LedgerBroken: the bytes are not exactly what ``leaf_bytes`` writes (RW-503).
    """
    try:
        members = parse_canonical(data)
        _require_shape(members)
        entry = Entry(
            kind=members["kind"],
            at=parse_instant(members["at"]),
            actor=members["actor"],
            use_case=members["use_case"],
            subject=members["subject"],
            commitment=members["commitment"],
            size=members["size"],
        )
        again = leaf_bytes(entry)
    except (NotCanonical, InstantError, ParameterError) as error:
        raise _broken(error) from error
    # The instant is the only member with more than one text form.
    if again != data:
        raise _broken(InputError(f"the instant {members['at']!r} has another form.", remedy=""))
    return entry


def _require_shape(members: Any) -> None:
    if not isinstance(members, dict) or set(members) != _NAMES:
        raise ParameterError(f"its members are not {sorted(_NAMES)}.", remedy="")
    if members["v"] != VERSION or isinstance(members["v"], bool):
        raise ParameterError(f"its version is {members['v']!r}, not {VERSION}.", remedy="")
    texts = all(isinstance(members[name], str) for name in _TEXTS)
    if not texts or not isinstance(members["size"], int) or isinstance(members["size"], bool):
        raise ParameterError("a member has the wrong type.", remedy="")


def _broken(error: InputError) -> LedgerBroken:
    remedy = "Do not trust this ledger; compare it with a copy that verifies."
    return LedgerBroken(f"A ledger entry is malformed: {error.what}", remedy=remedy)
