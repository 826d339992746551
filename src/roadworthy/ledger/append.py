"""The ledger grows by one entry. Owns the step from head to head; storing both in one transaction is the store's.

Rules kept here:
1. Pure: the same head, leaf and key always give the same next head.
2. Time does not go back: an entry may share the newest entry's instant, but not precede it.
"""

from dataclasses import dataclass
from datetime import datetime

from roadworthy.base.clock import format_instant
from roadworthy.base.errors import ClockWentBack
from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.entry import parse
from roadworthy.ledger.merkle import Frontier, leaf_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the ledger stands.

    Attributes:
        size: entries so far.
        frontier: what is needed to append.
        root: 32 bytes.
        checkpoint_note: the signed note of size and root.
        newest_at: the instant of the newest entry; None while there is none.
    """

    size: int
    frontier: Frontier
    root: bytes
    checkpoint_note: str
    newest_at: datetime | None


def empty_head(signer: CheckpointSigner) -> Head:
    """The head of a new ledger."""
    return _head(Frontier(), None, signer)


def append(head: Head, leaf: bytes, signer: CheckpointSigner) -> Head:
    """The head after one more entry.

    Args:
        head: the head before.
        leaf: the bytes from ``entry.leaf_bytes``.
        signer: the ledger's name and key.

    Raises:
        LedgerBroken: the leaf is not an entry (RW-503).
        ClockWentBack: its instant is before the newest entry's (RW-504).
    """
    at = parse(leaf).at
    if head.newest_at is not None and at < head.newest_at:
        what = f"The clock shows {format_instant(at)}, before the newest entry at {format_instant(head.newest_at)}."
        raise ClockWentBack(what, remedy="Set the machine's clock, then repeat; nothing was recorded.")
    return _head(head.frontier.append(leaf_hash(leaf)), at, signer)


def _head(frontier: Frontier, newest_at: datetime | None, signer: CheckpointSigner) -> Head:
    root = frontier.root()
    note = signer.sign(frontier.size, root)
    return Head(size=frontier.size, frontier=frontier, root=root, checkpoint_note=note, newest_at=newest_at)
