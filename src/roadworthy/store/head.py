"""The head of the ledger as a row. Owns reading it with suspicion and writing it back."""

import base64
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.base.errors import InstantError, LedgerBroken, StoreBroken
from roadworthy.domain.decision import LedgerHead
from roadworthy.ledger.append import Head
from roadworthy.ledger.checkpoint import VerifierKey, open_checkpoint
from roadworthy.ledger.merkle import HASH_BYTES, Frontier
from roadworthy.store import tables

WRITES = "roadworthy_writes"
"""The execution option by which a connection says, before it begins, that it will write."""

_REMEDY = "Restore the store from a backup, and verify that."


def read_head(connection: Connection, verifier: VerifierKey) -> Head:
    """The newest head, checked against its own signed checkpoint. Inside a writer's transaction the row stays locked.

    Raises:
        SignatureBroken: the checkpoint is not signed by that key (RW-502).
        LedgerBroken: the head does not agree with itself (RW-503).
        StoreBroken: there is no head (RW-505).
    """
    query = select(tables.head)
    if connection.get_execution_options().get(WRITES):
        # SQLite has locked everything already and leaves these words out; a server locks the row by them.
        query = query.with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise StoreBroken("The store has no head.", remedy=_REMEDY)
    checkpoint = open_checkpoint(row.note, [verifier])
    hashes = tuple(row.frontier[i : i + HASH_BYTES] for i in range(0, len(row.frontier), HASH_BYTES))
    frontier = Frontier(size=row.size, hashes=hashes)
    signed = (checkpoint.origin, checkpoint.size, checkpoint.root)
    if signed != (verifier.name, row.size, row.root) or frontier.root() != row.root:
        raise LedgerBroken("The head of the ledger is not what its checkpoint signs.", remedy=_REMEDY)
    return Head(
        size=row.size,
        frontier=frontier,
        root=row.root,
        checkpoint_note=row.note,
        newest_at=None if row.newest_at is None else _instant(row.newest_at),
    )


def head_row(head: Head) -> dict[str, Any]:
    """The columns of a head."""
    return {
        "id": 1,
        "size": head.size,
        "frontier": b"".join(head.frontier.hashes),
        "root": head.root,
        "note": head.checkpoint_note,
        "newest_at": None if head.newest_at is None else format_instant(head.newest_at),
    }


def ledger_head(head: Head) -> LedgerHead:
    """What a decision embeds of a head."""
    return LedgerHead(size=head.size, root=encoded_root(head.root), note=head.checkpoint_note)


def encoded_root(root: bytes) -> str:
    """The root as a checkpoint writes it: base64."""
    return base64.b64encode(root).decode("ascii")


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except InstantError as error:
        raise LedgerBroken(f"The head of the ledger is malformed: {error.what}", remedy=_REMEDY) from error
