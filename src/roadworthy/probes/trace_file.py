"""Recorded traces as CSV files. Owns opening them and what is said when they cannot be read; columns belong to the reader."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from roadworthy.base.errors import EmptyData, MissingFile, UnreadableData

Row = TypeVar("Row")


def read_trace(path: Path, parse: Callable[[Iterable[str], str], list[Row]]) -> list[Row]:
    """The rows of a trace.

    Args:
        path: of the file.
        parse: takes the lines and the file's name for messages.

    Raises:
        MissingFile: no such file (RW-102).
        UnreadableData: not text, or what ``parse`` says (RW-103).
        EmptyData: no rows (RW-104).
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = parse(lines, str(path))
    except OSError as error:
        raise MissingFile(
            f"The trace cannot be opened: {error.strerror}.", remedy="Give the path of a CSV file.", where=str(path)
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableData(
            f"The trace is not a CSV file in UTF-8: {error}.", remedy="Export it again.", where=str(path)
        ) from error
    if not rows:
        raise EmptyData("The trace has no rows.", remedy="Record at least one request.", where=str(path))
    return rows
