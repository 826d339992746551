"""What only SQLite needs: how it connects, how a transaction begins, and its write-ahead log. Owns no table.

How a transaction begins. Python's sqlite3 would begin one by itself, late and only before some statements, so that a
reader has no snapshot and a writer finds out about the other writer in the middle. Two hooks take that away from it:
at ``connect`` its own handling is switched off (``isolation_level = None``), and at ``begin`` the store says what it
wants: ``BEGIN IMMEDIATE`` for a writer, which waits for its turn right there and cannot fail for a lock later, and
``BEGIN`` for a reader, whose first query fixes its snapshot and who never waits for a writer.

Rules kept here:
1. Durable means durable: ``synchronous=FULL`` writes the log through to the disk before a commit returns.
2. What is deleted leaves the file: ``secure_delete`` overwrites it, and emptying the log drops the older copies there.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import MissingFile
from roadworthy.store.head import WRITES

_LOOK_AGAIN_S = 0.01


def require_file(path: Path, *, create: bool) -> None:
    """Make sure that there is a file; a new one is for its owner's eyes only.

    Raises:
        MissingFile: there is none, or it cannot be made or written (RW-102).
    """
    try:
        # Made here, because SQLite would let everybody read a file that it makes.
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600))
    except OSError as error:
        remedy = "Check the path, and that its folder exists and may be written."
        what = f"The store cannot be opened: {error.strerror}."
        raise MissingFile(what, remedy=remedy, where=str(path)) from error


def connect(path: Path, busy_timeout_s: float) -> Engine:
    """An engine on a file, with both hooks; nothing is opened yet.

    Args:
        path: the file.
        busy_timeout_s: how long to wait for another writer.
    """
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": busy_timeout_s})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def begin_writing(engine: Engine) -> Iterator[Connection]:
    """A connection inside a writer's transaction: committed on a clean exit, rolled back on an exception."""
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        yield connection


def keep_log_ahead(engine: Engine, busy_timeout_s: float) -> None:
    """Switch the file to its write-ahead log; a file that has one already only says so.

    The switch is the one step for which SQLite does not wait by itself when two processes make a store at once.
    """
    give_up_s = monotonic_s() + busy_timeout_s
    pooled = engine.raw_connection()
    try:
        while True:
            try:
                pooled.cursor().execute("PRAGMA journal_mode=WAL").close()
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or monotonic_s() > give_up_s:
                    raise
                time.sleep(_LOOK_AGAIN_S)
            else:
                return
    finally:
        pooled.close()


def empty_log(engine: Engine) -> bool:
    """Fold the write-ahead log into the file and empty it; False when a reader was in the way."""
    pooled = engine.raw_connection()
    try:
        busy = pooled.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        pooled.close()
    return not busy


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # From here on no transaction begins but by _begin.
    connection.isolation_level = None
    for setting in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
