"""Reading the tables. Owns every query that the store and a unit of work share; each needs a constant number of them.

Rules kept here:
1. The caller's transaction makes several queries one snapshot.
2. Nothing is believed because it stands in a table: the entries must lead to the root of the signed head.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import StoreBroken
from roadworthy.domain.record import Record
from roadworthy.ledger.append import Head
from roadworthy.ledger.layout import Sealed
from roadworthy.ledger.merkle import leaf_hash
from roadworthy.store import tables
from roadworthy.store.records import Held, broken, read_leaf, record_of, require_root
from roadworthy.store.vault import Locked, Vault

_REMEDY = "Restore the store from a backup, and verify that."


def read_held(connection: Connection, vault: Vault, head: Head, until: int | None = None) -> list[Held]:
    """All entries below ``until`` with their payloads, in order.

    Raises:
        LedgerBroken: an entry is missing or was changed, or the entries do not have the head's root (RW-503).
        StoreBroken: the vault's key is not the one that locked them (RW-505).
    """
    entry, payload, key = tables.entry.c, tables.payload.c, tables.payload_key.c
    everything = tables.entry.outerjoin(tables.payload, payload.entry_index == entry.index).outerjoin(
        tables.payload_key, key.entry_index == entry.index
    )
    columns = (entry.index, entry.leaf, entry.leaf_hash, payload.salt, payload.nonce, payload.ciphertext)
    end = head.size if until is None else max(0, min(until, head.size))
    query = select(*columns, key.wrapped_key).select_from(everything).order_by(entry.index)
    # Up to the head itself, nothing may stand beyond it either; below, the rest is not even read.
    rows = connection.execute(query if end == head.size else query.where(entry.index < end)).all()
    held = [_held(position, row, vault) for position, row in enumerate(rows)]
    if len(held) != end:
        raise broken(min(len(held), end), f"There are {len(held)} entries where the checkpoint demands {end}.")
    if end == head.size:
        require_root([each.leaf for each in held], head.root)
        if head.newest_at != (held[-1].entry.at if held else None):
            # The instant stands in the head for speed only and is not signed there.
            raise broken(end - 1, "The head of the ledger shows another instant than its newest entry.")
    return held


def read_records(connection: Connection, vault: Vault, head: Head, until: int | None = None) -> list[Record]:
    """All records below ``until``, in ledger order; raises what ``read_held`` and ``record_of`` raise."""
    return [record_of(held) for held in read_held(connection, vault, head, until)]


def read_blob(connection: Connection, digest: str) -> bytes:
    """The bytes of an attachment.

    Raises:
        StoreBroken: there is none, or its bytes no longer have that digest (RW-505).
    """
    data = connection.execute(select(tables.blob.c.data).where(tables.blob.c.digest == digest)).scalar_one_or_none()
    if data is None:
        raise StoreBroken("The store has no such attachment.", remedy="Check the digest.", where=digest)
    return require_digest(digest, data)


def read_blobs(connection: Connection) -> dict[str, bytes]:
    """All attachments by digest, each checked like ``read_blob``."""
    rows = connection.execute(select(tables.blob.c.digest, tables.blob.c.data).order_by(tables.blob.c.digest))
    return {digest: require_digest(digest, data) for digest, data in rows}


def require_digest(digest: str, data: bytes) -> bytes:
    """The bytes, if they have that digest.

    Raises:
        StoreBroken: they have another one (RW-505).
    """
    if digest_bytes(data) != digest:
        raise StoreBroken("The attachment's bytes were changed.", remedy=_REMEDY, where=digest)
    return data


def _held(position: int, row: Sequence[Any], vault: Vault) -> Held:
    index, leaf, hashed, salt, nonce, ciphertext, wrapped_key = row
    if index != position:
        raise broken(position, f"Entry {position} is missing.")
    if leaf_hash(leaf) != hashed:
        raise broken(index, "The entry was changed: its hash is another one.")
    entry = read_leaf(index, leaf)
    if (ciphertext is None) != (wrapped_key is None):
        raise broken(index, "Half of the payload is gone, and erasing leaves nothing.")
    if ciphertext is None:
        return Held(index, leaf, entry, None)
    payload = vault.unlock(index, entry.commitment, Locked(nonce, ciphertext, wrapped_key))
    return Held(index, leaf, entry, Sealed(salt, payload))
