"""Failures of the database in our words."""

import sqlite3

import pytest
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from roadworthy.base.errors import ClockWentBack, StoreBroken
from roadworthy.store.failures import told_as_ours


def raised(code):
    error = sqlite3.OperationalError("the driver's words")
    error.sqlite_errorname = code
    return error


@pytest.mark.parametrize(
    ("code", "says", "remedy"),
    [
        ("SQLITE_FULL", "no room", "disk space"),
        ("SQLITE_BUSY", "locked", "other command"),
        ("SQLITE_BUSY_SNAPSHOT", "locked", "other command"),
        ("SQLITE_CORRUPT_VTAB", "damaged", "backup"),
        ("SQLITE_NOTADB", "not a store", "own file"),
        ("SQLITE_READONLY_DBMOVED", "cannot be written", "right to write"),
        ("SQLITE_CANTOPEN", "cannot be opened", "folder"),
        ("SQLITE_IOERR_FSYNC", "disk failed", "disk"),
        ("SQLITE_ERROR", "driver's words", "backup"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_happened_and_what_to_do(code, says, remedy, wrapped):
    """By result code, whether SQLAlchemy passed the error on or not; the place and the cause are kept."""
    error = OperationalError("SELECT 1", {}, raised(code)) if wrapped else raised(code)
    with pytest.raises(StoreBroken, match=says) as caught, told_as_ours("the place"):
        raise error
    assert remedy in caught.value.remedy
    assert caught.value.where == "the place"
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ArgumentError("words"), DBAPIError("SELECT 1", {}, ValueError("words"))])
def test_an_error_without_a_code_is_told_too(error):
    """The driver's words stand in for a code."""
    with pytest.raises(StoreBroken, match="words"), told_as_ours("the place"):
        raise error


@pytest.mark.parametrize("error", [ClockWentBack("what", remedy="do"), KeyboardInterrupt(), ZeroDivisionError()])
def test_other_errors_pass_unchanged(error):
    """They are not the database's."""
    with pytest.raises(type(error)) as caught, told_as_ours("the place"):
        raise error
    assert caught.value is error
