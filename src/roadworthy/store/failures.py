"""Failures of the database, said in our words. Owns the translation; nothing of SQLAlchemy's crosses the room's edge."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from roadworthy.base.errors import StoreBroken


class _Told(NamedTuple):
    what: str
    remedy: str


# By the beginning of SQLite's result code (https://www.sqlite.org/rescode.html): extended codes only add to it.
_BY_CODE = {
    "SQLITE_FULL": _Told("There is no room left for the store.", "Free disk space, then repeat; nothing was recorded."),
    "SQLITE_BUSY": _Told(
        "Somebody else keeps the store locked.", "Let the other command end, then repeat; nothing was recorded."
    ),
    "SQLITE_CORRUPT": _Told("The store's file is damaged.", "Restore it from a backup, and verify that."),
    "SQLITE_NOTADB": _Told("The file is not a store.", "Name the store's own file, or restore it from a backup."),
    "SQLITE_READONLY": _Told(
        "The store cannot be written.", "Give this account the right to write its file and folder."
    ),
    "SQLITE_CANTOPEN": _Told("The store cannot be opened.", "Check that its folder exists and may be written."),
    "SQLITE_IOERR": _Told("The disk failed to read or write.", "Check the disk, then repeat; nothing was recorded."),
}


@contextmanager
def told_as_ours(place: str) -> Iterator[None]:
    """Whatever the database raises inside becomes ``StoreBroken``, with the cause kept.

    Args:
        place: where the store lies, for the message.

    Raises:
        StoreBroken: the database failed (RW-505). Other errors pass unchanged.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorname", "")
        told = next((each for begin, each in _BY_CODE.items() if code.startswith(begin)), None)
        what, remedy = told or _Told(f"The database failed: {cause}.", "Repeat; if it persists, restore from a backup.")
        raise StoreBroken(what, remedy=remedy, where=place) from error
