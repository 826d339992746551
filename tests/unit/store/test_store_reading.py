"""A store that was changed behind our back: what is found, and that the entry is named."""

import sqlite3
from contextlib import closing

import pytest

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import LedgerBroken, SignatureBroken, StoreBroken
from roadworthy.kit.testing.store_suite import draft, write
from roadworthy.ledger.entry import leaf_bytes, parse
from roadworthy.ledger.merkle import leaf_hash

SWAP = "UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE {key} = 2) WHERE {key} = 1"


def selected(place, query):
    with closing(sqlite3.connect(place)) as connection:
        return connection.execute(query).fetchall()


def leaves_of(place):
    return [leaf for (leaf,) in selected(place, 'SELECT leaf FROM entry ORDER BY "index"')]


@pytest.mark.parametrize(
    ("damage", "index"),
    [
        ('UPDATE entry SET leaf = leaf_hash WHERE "index" = 1', 1),
        ("UPDATE entry SET leaf_hash = x'00' WHERE \"index\" = 2", 2),
        (SWAP.format(table="payload", column="ciphertext", key="entry_index"), 1),
        (SWAP.format(table="payload", column="salt", key="entry_index"), 1),
        (SWAP.format(table="payload", column="nonce", key="entry_index"), 1),
        (SWAP.format(table="payload_key", column="wrapped_key", key="entry_index"), 1),
        ("DELETE FROM payload WHERE entry_index = 0", 0),
        ("DELETE FROM payload_key WHERE entry_index = 0", 0),
        ('DELETE FROM entry WHERE "index" = 0', 0),
        ('DELETE FROM entry WHERE "index" = 1', 1),
        ('DELETE FROM entry WHERE "index" = 2', 2),
        ('UPDATE entry SET "index" = 9 WHERE "index" = 1', 1),
    ],
)
def test_a_change_is_found_and_named(filled, spoil, damage, index):
    """Whatever is edited, moved, or taken away; export finds it too."""
    spoil(damage)
    for look in (filled.records, filled.export):
        with pytest.raises(LedgerBroken) as caught:
            look()
        assert caught.value.where == f"entry {index}"


def test_an_entry_beyond_the_head_is_found(filled, spoil):
    """Nothing may stand behind the signed size."""
    spoil(
        'INSERT INTO entry SELECT 3, kind, at, actor, use_case_id, subject, leaf, leaf_hash FROM entry WHERE "index"=2'
    )
    with pytest.raises(LedgerBroken) as caught:
        filled.records()
    assert caught.value.where == "entry 3"


def test_a_consistent_forgery_is_found_by_the_root(filled, spoil, place):
    """Somebody rewrote an entry together with its hash."""
    leaf = next(leaf for leaf in leaves_of(place) if b"actor-1" in leaf)
    forged = leaf.replace(b"actor-1", b"actor-9")
    spoil(('UPDATE entry SET leaf = ?, leaf_hash = ? WHERE "index" = 1', (forged, leaf_hash(forged))))
    with pytest.raises(LedgerBroken, match="root"):
        filled.records()
    assert [record.actor for record in filled.records(until=1)] == ["actor-0"]


def test_the_columns_beside_the_leaf_are_not_believed(filled, spoil):
    """They are for looking up; what is read comes from the leaf."""
    spoil("UPDATE entry SET actor = 'somebody else', at = '1999', kind = 'nonsense'")
    assert [record.actor for record in filled.records()] == ["actor-0", "actor-1", "actor-2"]


def test_a_malformed_leaf_is_named(filled, spoil, place):
    """Even when its hash was made to fit."""
    spoil(('UPDATE entry SET leaf = ?, leaf_hash = ? WHERE "index" = 2', (b"{}", leaf_hash(b"{}"))))
    with pytest.raises(LedgerBroken) as caught:
        filled.records()
    assert caught.value.where == "entry 2"


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ("UPDATE head SET size = 2, frontier = substr(frontier, 1, 32)", LedgerBroken),
        ("UPDATE head SET root = x'00'", LedgerBroken),
        ("UPDATE head SET frontier = CAST(frontier || x'00' AS BLOB)", LedgerBroken),
        ("UPDATE head SET frontier = zeroblob(64)", LedgerBroken),
        ("UPDATE head SET note = replace(note, 'unit', 'elsewhere')", SignatureBroken),
        ("UPDATE head SET note = ''", LedgerBroken),
        ("DELETE FROM head", StoreBroken),
    ],
)
def test_a_changed_head_is_found(filled, spoil, damage, error):
    """By its own signed checkpoint, before anything is read or written on it."""
    spoil(damage)
    with pytest.raises(error):
        filled.head()
    with pytest.raises(error), filled.unit_of_work() as unit:
        unit.head()


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("entry SET leaf = 'text'", StoreBroken),
        ("entry SET leaf_hash = 7", StoreBroken),
        ("payload SET salt = 'text'", StoreBroken),
        ("payload SET salt = x'00'", LedgerBroken),
        ("payload SET ciphertext = 5.5", StoreBroken),
        ("payload_key SET wrapped_key = 'text'", StoreBroken),
        ("blob SET data = 'text'", StoreBroken),
        ("head SET note = x'00ff'", StoreBroken),
        ("head SET size = 'text'", StoreBroken),
        ("head SET size = -1", LedgerBroken),
        ("head SET newest_at = 'yesterday'", LedgerBroken),
        ("head SET newest_at = '2000-01-01T00:00:00.000000Z'", LedgerBroken),
        ("head SET newest_at = NULL", LedgerBroken),
    ],
)
def test_a_cell_of_another_kind_is_told_as_ours(filled, spoil, cell, error):
    """SQLite would keep anything; nothing of it reaches the code above as a foreign error."""
    spoil(f"UPDATE {cell}")
    with pytest.raises(error):
        filled.export()


def test_an_older_head_does_not_fit_the_entries(filled, spoil, place):
    """A checkpoint that was true once, put back, is found by the entries beyond it."""
    row = selected(place, "SELECT size, frontier, root, note, newest_at FROM head")[0]
    write(filled, draft(3))
    spoil(("UPDATE head SET size=?, frontier=?, root=?, note=?, newest_at=?", row))
    with pytest.raises(LedgerBroken):
        filled.records()


def test_a_changed_attachment_is_found(filled, spoil):
    """On reading it, and on exporting."""
    spoil("UPDATE blob SET data = x'00'")
    with pytest.raises(StoreBroken, match="changed"):
        filled.blob(digest_bytes(b"attached"))
    with pytest.raises(StoreBroken, match="changed"):
        filled.export()


@pytest.mark.parametrize("until", [-1, 0])
def test_nothing_below_the_first(filled, until):
    """An end before the beginning is an empty prefix."""
    assert list(filled.records(until=until)) == []


def test_the_leaf_says_what_was_drafted(filled, place):
    """The bytes in the tree are the ledger's own form."""
    assert [leaf_bytes(parse(leaf)) for leaf in leaves_of(place)] == leaves_of(place)
