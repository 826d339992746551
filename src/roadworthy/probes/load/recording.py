"""Arrival times out of a recorded trace. Owns the reading of one CSV column of instants; replay belongs to ``schedule``.

Rule kept here: a file is read whole or refused. A row that cannot be read is an error with its line, never skipped,
because a thinned trace would understate the peak.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import UnreadableData
from roadworthy.probes.trace_file import read_trace

_USUAL = "TIMESTAMP"


def read_arrivals(path: Path, column: str | None = None) -> NDArray[np.float64]:
    """Seconds since the first arrival, sorted, shape (n,).

    Args:
        path: a CSV file with a header line.
        column: whose cells hold instants such as ``2023-11-16 18:15:46.6805900``, all in one time zone. None: the only
            column of the file, whatever its name, or else ``TIMESTAMP``, as public traces call it.

    Raises:
        MissingFile: no such file (RW-102).
        UnreadableData: not text, no such column, or a cell that is not an instant (RW-103).
        EmptyData: no rows (RW-104).
    """
    stamps = read_trace(path, lambda lines, where: _column(lines, column, where))
    instants = np.sort(np.array(stamps, dtype=np.int64))  # nanoseconds
    times_s: NDArray[np.float64] = (instants - instants[0]).astype(np.float64) / 1e9
    return times_s


def _column(lines: Iterable[str], column: str | None, where: str) -> list[int]:
    rows = csv.reader(lines)
    header = next(rows, [])
    if column is None:
        column = header[0] if len(header) == 1 else _USUAL
    if column not in header or _stamp(column) is not None:
        raise UnreadableData(
            f"The trace begins with {header}, which names no {_USUAL!r} or other single column of instants.",
            remedy=f"Begin with a line of names; call the column {_USUAL}, or leave only that column.",
            where=where,
        )
    position = header.index(column)
    stamps: list[int] = []
    for row in rows:
        cell = row[position] if position < len(row) else ""
        stamp = _stamp(cell)
        if stamp is None:
            raise UnreadableData(
                f"{cell!r} is not an instant.",
                remedy="Write instants such as 2023-11-16 18:15:46.68.",
                where=f"{where}:{rows.line_num}",
            )
        stamps.append(stamp)
    return stamps


def _stamp(cell: str) -> int | None:
    """Nanoseconds since 1970, or None for what is no instant; numpy takes a bare number for a year, we do not."""
    try:
        stamp = np.datetime64(cell.removesuffix("Z"), "ns")
    except ValueError:
        return None
    return None if np.isnat(stamp) or cell.isdigit() else int(stamp.astype(np.int64))
