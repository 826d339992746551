"""From an entry and its payload to a record. Owns that step, which the store and a bundle share.

Rules kept here: a payload counts only if the entry commits to it, and whatever is wrong is named by its index.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from roadworthy.base.canonical import parse_canonical
from roadworthy.base.errors import LedgerBroken, NotCanonical, StoreBroken
from roadworthy.domain.record import Record, RecordKind
from roadworthy.ledger.entry import SALT_BYTES, Entry, commit, parse
from roadworthy.ledger.layout import Sealed
from roadworthy.ledger.merkle import leaf_hash, root

_REMEDY = "Do not trust this ledger; compare it with a copy that verifies."


@dataclass(frozen=True, slots=True)
class Held:
    """One entry as it is held: its bytes, what they say, and the payload (None where it was erased)."""

    index: int
    leaf: bytes
    entry: Entry
    sealed: Sealed | None


def broken(index: int, what: str) -> LedgerBroken:
    """The error that names an entry."""
    return LedgerBroken(what, remedy=_REMEDY, where=f"entry {index}")


def read_leaf(index: int, leaf: bytes) -> Entry:
    """What the leaf says.

    Raises:
        LedgerBroken: not an entry (RW-503), with the index.
    """
    try:
        return parse(leaf)
    except LedgerBroken as error:
        raise broken(index, error.what) from error


def require_root(leaves: Sequence[bytes], expected: bytes) -> None:
    """Refuse entries that are not those of the checkpoint.

    Raises:
        LedgerBroken: their root is another one (RW-503).
    """
    if root([leaf_hash(leaf) for leaf in leaves]) != expected:
        what = f"The {len(leaves)} entries do not have the root that the checkpoint signs."
        raise LedgerBroken(what, remedy=_REMEDY)


def record_of(held: Held) -> Record:
    """The record.

    Raises:
        LedgerBroken: the payload is not the one that the entry commits to, or is not canonical JSON (RW-503).
        StoreBroken: a newer version wrote an entry of a kind that this one does not know (RW-505).
    """
    entry, sealed = held.entry, held.sealed
    payload = None
    if sealed is not None:
        whole = len(sealed.salt) == SALT_BYTES and len(sealed.payload) == entry.size
        if not whole or commit(sealed.salt, sealed.payload) != entry.commitment:
            raise broken(held.index, "The payload is not the one that the entry commits to.")
        payload = _read(held.index, sealed.payload)
    return Record(
        index=held.index,
        kind=_kind(held.index, entry.kind),
        at=entry.at,
        actor=entry.actor,
        use_case_id=entry.use_case,
        subject=entry.subject,
        payload=payload,
    )


def _read(index: int, payload: bytes) -> dict[str, object]:
    try:
        value = parse_canonical(payload)
    except NotCanonical as error:
        raise broken(index, f"The payload is malformed: {error.what}") from error
    if not isinstance(value, dict):
        raise broken(index, "The payload is not a JSON object.")
    return value


def _kind(index: int, text: str) -> RecordKind:
    try:
        return RecordKind(text)
    except ValueError as error:
        what = f"This version of Roadworthy does not know the kind {text!r}."
        raise StoreBroken(what, remedy="Install the version that wrote it.", where=f"entry {index}") from error
