"""The ledger's growth: heads, their signatures, and a clock that must not go back."""

from datetime import UTC, datetime, timedelta

import pytest

from roadworthy.base.errors import ClockWentBack, LedgerBroken
from roadworthy.ledger.append import append, empty_head
from roadworthy.ledger.checkpoint import CheckpointSigner, open_checkpoint
from roadworthy.ledger.entry import Entry, commit, leaf_bytes
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.merkle import EMPTY_ROOT, leaf_hash, root

LOG = CheckpointSigner("ledger.example", key_from_seed(b"\x03" * 32))
START = datetime(2026, 1, 1, tzinfo=UTC)


def leaf(seconds: int) -> bytes:
    """An entry that many seconds after the start."""
    return leaf_bytes(
        Entry(
            kind="k",
            at=START + timedelta(seconds=seconds),
            actor="a",
            use_case="",
            subject="s",
            commitment=commit(bytes(32), b""),
            size=0,
        )
    )


def test_a_new_ledger_is_empty_and_signed() -> None:
    """Size 0, the empty root, no newest entry."""
    head = empty_head(LOG)
    assert (head.size, head.root, head.newest_at) == (0, EMPTY_ROOT, None)
    assert open_checkpoint(head.checkpoint_note, [LOG.verifier]).size == 0


def test_every_head_is_signed_over_all_entries() -> None:
    """Size, root and newest instant follow the entries; the same steps give the same head."""
    head, leaves = empty_head(LOG), [leaf(second) for second in (0, 0, 1, 5, 9)]
    for count, each in enumerate(leaves, 1):
        head = append(head, each, LOG)
        checkpoint = open_checkpoint(head.checkpoint_note, [LOG.verifier])
        assert (
            (checkpoint.size, checkpoint.root)
            == (head.size, head.root)
            == (count, root([*map(leaf_hash, leaves[:count])]))
        )
    assert head.newest_at == START + timedelta(seconds=9)
    again = empty_head(LOG)
    for each in leaves:
        again = append(again, each, LOG)
    assert again == head


def test_the_clock_must_not_go_back() -> None:
    """One microsecond is enough; the same instant is allowed."""
    head = append(empty_head(LOG), leaf(5), LOG)
    assert append(head, leaf(5), LOG).size == 2
    with pytest.raises(ClockWentBack, match=r"00:00:04\.000000Z, before .* 2026-01-01T00:00:05"):
        append(head, leaf(4), LOG)


def test_only_entries_are_appended() -> None:
    """Other bytes never enter the tree."""
    with pytest.raises(LedgerBroken):
        append(empty_head(LOG), b"not an entry", LOG)
