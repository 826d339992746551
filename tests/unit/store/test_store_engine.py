"""Opening a store, and what only files can show."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import event

from roadworthy.base.errors import LedgerBroken, MissingFile, SignatureBroken, StoreBroken
from roadworthy.kit.testing.store_suite import LATER, draft, erase, write
from roadworthy.ledger.keys import key_from_seed
from roadworthy.store.engine import open_store


def setting(store, name):
    with store._engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_a_new_store_is_empty_and_signed(store):
    """Size 0 is a checkpoint too."""
    head = store.head()
    assert (head.size, list(store.records()), head.note.splitlines()[:2]) == (0, [], ["roadworthy/unit", "0"])


def test_the_settings_hold_on_every_connection(store):
    """Write-ahead log, full synchronisation (2), foreign keys, overwriting of what is deleted."""
    with store._engine.connect():
        found = [setting(store, name) for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")]
    assert found == ["wal", 2, 1, 1]


def test_the_file_is_for_its_owner_only(store, place):
    """So are the files beside it."""
    write(store, draft(0))
    assert {path.stat().st_mode & 0o777 for path in place.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("create", [True, False])
def test_an_existing_store_opens_either_way(filled, place, keys, create):
    """``create`` is about a missing file."""
    again = open_store(place, keys=keys, create=create)
    assert again.head() == filled.head()
    again.close()


def test_a_missing_file_is_not_made_unless_asked(place, keys):
    """The path is named, and nothing is left behind."""
    with pytest.raises(MissingFile, match=str(place)):
        open_store(place, keys=keys, create=False)
    assert not place.exists()


def test_a_missing_folder_is_an_error(place, keys):
    """Folders are the caller's."""
    with pytest.raises(MissingFile):
        open_store(place / "deeper", keys=keys)


def test_a_file_that_is_no_database_is_refused(place, keys):
    """And stays as it was."""
    place.write_bytes(b"this is not a database, but long enough to be read as one" * 20)
    before = place.read_bytes()
    with pytest.raises(StoreBroken, match="not a store"):
        open_store(place, keys=keys)
    assert place.read_bytes() == before


def test_a_foreign_database_is_refused_unchanged(place, keys):
    """Not even its journal mode is touched."""
    with closing(sqlite3.connect(place)) as other, other:
        other.execute("CREATE TABLE invoices (id INTEGER)")
    before = place.read_bytes()
    with pytest.raises(StoreBroken, match="not a store"):
        open_store(place, keys=keys)
    assert place.read_bytes() == before


def test_a_newer_store_is_refused(filled, place, keys, spoil):
    """With the version to install."""
    spoil("UPDATE alembic_version SET version_num = 'v99'")
    with pytest.raises(StoreBroken, match="v99"):
        open_store(place, keys=keys)


@pytest.mark.parametrize("change", [{"log": key_from_seed(b"X" * 32)}, {"origin": "roadworthy/other"}])
def test_another_log_key_or_name_is_refused(filled, place, keys, change):
    """It would go on under another identity."""
    with pytest.raises(SignatureBroken, match="log key"):
        open_store(place, keys=replace(keys, **change))


def test_another_payload_key_is_refused(filled, place, keys):
    """Before anything is written with it."""
    with pytest.raises(StoreBroken, match="key file"):
        open_store(place, keys=replace(keys, payload=b"X" * 32))


@pytest.mark.parametrize(
    "damage",
    [
        'DELETE FROM entry WHERE "index" = 1',
        'INSERT INTO entry SELECT 3, kind, at, actor, use_case_id, subject, leaf, leaf_hash FROM entry WHERE "index" = 2',
    ],
)
def test_entries_that_do_not_fit_the_head_are_found_on_opening(filled, place, keys, spoil, damage):
    """One too few, or one too many."""
    spoil(damage)
    with pytest.raises(LedgerBroken, match="entries"):
        open_store(place, keys=keys)


def test_the_keys_are_not_shown(keys):
    """A store's keys may stand in a traceback."""
    assert "PPPP" not in repr(keys)


def test_a_waiting_writer_gives_up_with_advice(filled, place, keys):
    """Nobody waits for ever, and the lock is named."""
    other = open_store(place, keys=keys, busy_timeout_s=0.05)
    with filled.unit_of_work() as unit:
        with pytest.raises(StoreBroken, match="locked"):
            write(other, draft(3))
        unit.append(draft(3))
    assert other.head().size == 4
    other.close()


def test_a_reader_does_not_wait_for_a_writer(filled, place, keys):
    """Not even to open the store."""
    with filled.unit_of_work() as unit:
        unit.append(draft(3))
        reader = open_store(place, keys=keys, busy_timeout_s=0.05)
        assert reader.head().size == 3
    assert reader.head().size == 4
    reader.close()


def test_many_make_one_store_at_once(place, keys):
    """One makes it, the others find it."""
    sizes, start = [], threading.Barrier(4)

    def work():
        start.wait()
        store = open_store(place, keys=keys)
        sizes.append(store.head().size)
        store.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [0] * 4


def test_a_file_that_is_held_cannot_be_switched(place, keys):
    """Making the write-ahead log waits for the holder, then says so."""
    with closing(sqlite3.connect(place, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBroken, match="locked"):
            open_store(place, keys=keys, busy_timeout_s=0.05)


def test_reading_costs_a_constant_number_of_queries(filled):
    """Three statements for three entries and for thirty: begin, head, entries."""
    seen = []
    event.listen(filled._engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    filled.records()
    few = len(seen)
    for number in range(3, 30):
        write(filled, draft(number))
    seen.clear()
    assert len(filled.records()) == 30
    assert len(seen) == few == 3


def test_what_is_erased_leaves_the_disk(filled, place):
    """Salt, ciphertext and key are in no file any more: not in free pages, not in the log."""
    with closing(sqlite3.connect(place)) as look:
        secrets = look.execute(
            "SELECT salt, nonce, ciphertext, wrapped_key FROM payload JOIN payload_key USING (entry_index) "
            "WHERE entry_index = 1"
        ).fetchone()

    def found():
        on_disk = b"".join(path.read_bytes() for path in place.parent.iterdir())
        return [secret in on_disk for secret in secrets]

    assert found() == [True] * 4
    erase(filled, 1, at=LATER)
    assert found() == [False] * 4
    assert filled.records()[1].payload is None


def test_erasing_says_when_a_reader_keeps_the_log(filled, place):
    """The entry is erased; that older pages remain is told, and the second attempt clears them."""
    with closing(sqlite3.connect(place, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM head").fetchall()
        with pytest.raises(StoreBroken, match="write-ahead log"):
            erase(filled, 1, at=LATER)
        reader.execute("ROLLBACK")
    assert filled.records()[1].payload is None
    erase(filled, 1, at=LATER)
    assert place.with_name("store.db-wal").stat().st_size == 0
