"""Parquet files as runs of row groups. Owns cutting a table for several readers, and reading a run in batches.

Rules kept here:
1. Files in the given order, row groups in theirs, so that row numbers are those of ``Table``.
2. A file is read, not mapped into memory: one that shrinks while it is read gives an error and not the end of the
   process, and what was read is not counted as memory in use.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from roadworthy.base.errors import UnreadableData

_BATCH_ROWS = 1 << 19
"""Rows of one batch of a single column: four megabytes of doubles."""
_BATCH_VALUES = 1 << 21
"""Values of one batch of many columns, unless that leaves fewer rows than ``_LEAST_ROWS``."""
_LEAST_ROWS = 1 << 12
_PARQUET = frozenset({".parquet", ".pq"})
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Neighbouring row groups of one file.

    Attributes:
        path: of the file.
        groups: their numbers in the file.
        first_row: the number of their first row in the whole table.
        rows: how many they hold.
    """

    path: Path
    groups: range
    first_row: int
    rows: int


def readable(paths: Sequence[Path], columns: Sequence[str]) -> bool:
    """Whether these are Parquet files whose first one stores the columns under these names, each once.

    A database may know more: columns out of the names of folders, or repeated names told apart.

    Raises:
        UnreadableData: the first file is broken (RW-103).
    """
    if not paths or not {path.suffix.lower() for path in paths} <= _PARQUET:
        return False
    with opened(paths[0]) as file:
        stored = file.schema_arrow.names
    return len(set(stored)) == len(stored) and set(columns) <= set(stored)


def runs_of(paths: Sequence[Path], most_rows: int) -> tuple[Run, ...]:
    """Every row group once, in order; a run has at most ``most_rows`` rows or a single row group.

    Raises:
        UnreadableData: a file is broken (RW-103).
    """
    runs: list[Run] = []
    row = 0
    for path in paths:
        first, held = 0, 0
        sizes = _group_rows(path)
        for group, rows in enumerate(sizes):
            if held and held + rows > most_rows:
                runs.append(Run(path=path, groups=range(first, group), first_row=row, rows=held))
                first, row, held = group, row + held, 0
            held += rows
        runs.append(Run(path=path, groups=range(first, len(sizes)), first_row=row, rows=held))
        row += held
    return tuple(run for run in runs if run.rows)


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A file to read runs from, by one thread.

    Raises:
        UnreadableData: it is broken, or turns out to be while it is read (RW-103).
    """
    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from error


def batches_of(file: pq.ParquetFile, run: Run, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a run in order, some columns; the batches are short when there are many columns.

    Raises:
        UnreadableData: the file lacks a column (RW-103).
    """
    lacking = sorted(set(columns).difference(file.schema_arrow.names))
    if lacking:
        raise UnreadableData(
            f"{run.path.name} has no column {', '.join(lacking)}.",
            remedy="Write all files with the same columns.",
            where=str(run.path),
        )
    rows = min(_BATCH_ROWS, max(_LEAST_ROWS, _BATCH_VALUES // max(len(columns), 1)))
    batches: Iterator[pa.RecordBatch] = file.iter_batches(rows, list(run.groups), list(columns), use_threads=False)
    return batches


def _group_rows(path: Path) -> list[int]:
    try:
        metadata = pq.read_metadata(path)
        return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> UnreadableData:
    first = str(error).splitlines()[0].rstrip(".")
    return UnreadableData(f"Cannot read {path.name}: {first}.", remedy="Write the file again.", where=str(path))
