"""What only SQLite needs."""

import sqlite3
import threading
from contextlib import closing

import pytest

from roadworthy.store.sqlite import begin_writing, connect, empty_log, keep_log_ahead


@pytest.fixture
def old(place):
    """A file with the older kind of log, as a copy tool may leave it."""
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("CREATE TABLE thing (id INTEGER)")
    return place


@pytest.fixture
def engine(old):
    made = connect(old, 0.05)
    yield made
    made.dispose()


def mode(engine):
    with engine.connect() as connection:
        return connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()


def test_an_old_file_is_switched(engine):
    """And stays so; asking again does nothing."""
    assert mode(engine) == "delete"
    for _ in range(2):
        keep_log_ahead(engine, 0.05)
        assert mode(engine) == "wal"


@pytest.mark.parametrize("patience_s", [0.0, 10.0])
def test_the_switch_waits_for_a_reader(old, engine, patience_s):
    """As long as asked, and no longer."""
    holder = sqlite3.connect(old, isolation_level=None, check_same_thread=False)
    with closing(holder):
        holder.execute("BEGIN")
        holder.execute("SELECT * FROM thing").fetchall()
        if patience_s:
            leaves = threading.Timer(0.3, lambda: holder.execute("ROLLBACK"))
            leaves.start()
            keep_log_ahead(engine, patience_s)
            leaves.join()
            assert mode(engine) == "wal"
        else:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                keep_log_ahead(engine, patience_s)


def test_other_errors_of_the_switch_are_not_waited_out(place):
    """A file that is no database will not become one."""
    place.write_bytes(b"no database at all, and no patience either" * 30)
    broken = connect(place, 0.05)
    with pytest.raises(sqlite3.DatabaseError):
        keep_log_ahead(broken, 10.0)
    broken.dispose()


def test_a_transaction_begins_when_it_is_asked_for(engine):
    """A writer locks before its first statement; a reader's snapshot does not move."""
    keep_log_ahead(engine, 0.05)
    with engine.begin() as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM thing").scalar_one() == 0
        with begin_writing(engine) as writer:
            with pytest.raises(Exception, match="locked"), begin_writing(engine):
                pytest.fail("two writers at once")
            writer.exec_driver_sql("INSERT INTO thing VALUES (1)")
        assert reader.exec_driver_sql("SELECT count(*) FROM thing").scalar_one() == 0
        assert not empty_log(engine)
    assert empty_log(engine)
