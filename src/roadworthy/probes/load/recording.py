"""Arrival times out of a recorded trace. Owns the reading of one CSV column of instants; replay belongs to ``schedule``.

Rule kept here: a file is read whole or refused. A row that cannot be read is an error with its line, never skipped,
because a thinned trace would understate the peak.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import EmptyData, MissingFile, UnreadableData


def read_arrivals(path: Path, column: str = "TIMESTAMP") -> NDArray[np.float64]:
    """Seconds since the first arrival, sorted, shape (n,).

    Args:
        path: a CSV file with a header line.
        column: whose cells hold instants such as ``2023-11-16 18:15:46.6805900``, all in one time zone.

    Raises:
        MissingFile: no such file (RW-102).
        UnreadableData: not text, no such column, or a cell that is not an instant (RW-103).
        EmptyData: no rows (RW-104).
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            stamps = _column(lines, column, str(path))
    except OSError as error:
        raise MissingFile(
            f"The trace cannot be opened: {error.strerror}.", remedy="Give the path of a CSV file.", where=str(path)
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableData(
            f"The trace is not a CSV file in UTF-8: {error}.", remedy="Export it again.", where=str(path)
        ) from error
    if not stamps:
        raise EmptyData("The trace has no rows.", remedy="Record at least one request.", where=str(path))
    instants = np.sort(np.array(stamps, dtype=np.int64))  # nanoseconds
    times_s: NDArray[np.float64] = (instants - instants[0]).astype(np.float64) / 1e9
    return times_s


def _column(lines: Iterable[str], column: str, where: str) -> list[int]:
    rows = csv.reader(lines)
    header = next(rows, [])
    if column not in header:
        raise UnreadableData(
            f"The trace has the columns {header}, and no {column!r}.",
            remedy="Name the column of instants.",
            where=where,
        )
    position = header.index(column)
    stamps: list[int] = []
    for row in rows:
        cell = row[position] if position < len(row) else ""
        try:
            stamp = np.datetime64(cell.removesuffix("Z"), "ns")
        except ValueError as error:
            raise UnreadableData(
                f"{cell!r} is not an instant.", remedy="Correct the cell.", where=f"{where}:{rows.line_num}"
            ) from error
        if np.isnat(stamp):
            raise UnreadableData("An instant is empty.", remedy="Correct the cell.", where=f"{where}:{rows.line_num}")
        stamps.append(int(stamp.astype(np.int64)))
    return stamps
