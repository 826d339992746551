"""What can be profiled and compared: files, Arrow tables, database tables, and windows measured before. Owns opening them.

Rules kept here:
1. A source is rows to fit on (all of a file; a sample of a database table, drawn by the database) and a way to count.
2. Counting is the business of the compilers: files go to the fastest one, a database counts by itself.
3. The library that talks to databases is loaded when one is asked for: nobody else waits for it.
4. An address is never taken for a file: what stands in it may be a password, and a file's name is shown in messages.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from roadworthy.base.errors import DependencyError, MissingFile, ParameterError
from roadworthy.measure.profile.window_file import Window, read_window
from roadworthy.measure.table import Table, data_files, from_arrow, open_table, quote
from roadworthy.measure.volume.plan import Kind, Plan, Split
from roadworthy.measure.volume.reference import kind_of
from roadworthy.measure.volume.scan import scan
from roadworthy.measure.volume.state import State

MOST_GROUPS = 40
"""Groups that a split names; rows of all others, and those without a value, are counted together."""
_POSTGRES = re.compile(r"postgres[^:/]*://", re.IGNORECASE)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/|.*://", re.IGNORECASE | re.DOTALL)
"""An address of any scheme, also where a path has folded its slashes; one letter before the colon is a drive."""
_DATABASE = "roadworthy.measure.profile.postgres"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Rows that can be counted.

    Attributes:
        name: how people call it.
        sample: rows to freeze cells on; the whole of a file.
        count: counts a plan over all rows.
    """

    name: str
    sample: Table
    count: Callable[[Plan], State]


Data: TypeAlias = str | Path | pa.Table | Table | Source | Window


def open_data(data: Data, *, threads: int = 2) -> Source | Window:
    """A source, or a window that was measured before.

    Args:
        data: path or pattern of Parquet or delimited text; path or pattern of windows (``.json``), which are joined;
            ``postgresql://user@host:port/database?table=schema.name``; an Arrow table; an open table.
        threads: that read Parquet.

    Raises:
        MissingFile: nothing there (RW-102).
        UnreadableData: not of a known format, or broken (RW-103).
        EmptyData: no rows (RW-104).
        MalformedEvidence: a damaged window (RW-201).
        ParameterError: windows of different cells, which do not join, an address without its parts, or one of another
            kind of place (RW-114).
        EngineRefused: the database cannot be reached, or refuses (RW-117).
        DependencyError: what talks to databases is not installed (RW-600).
    """
    if isinstance(data, Source | Window):
        return data
    if isinstance(data, Table):
        return table_source(data, threads=threads)
    if isinstance(data, pa.Table):
        return table_source(from_arrow(data, "table"), threads=threads)
    text = str(data)
    if _POSTGRES.match(text):
        return _open_database(text)
    if _ADDRESS.match(text):
        raise ParameterError(
            "The data are named by an address that is not one of PostgreSQL.",
            remedy="Name a file, or a table as postgresql://user@host:port/database?table=schema.name.",
        )
    path = Path(data)
    if path.suffix.lower() == ".json":
        return reduce(Window.join, (_read(file) for file in data_files(path)))
    return table_source(open_table(path), threads=threads)


def table_source(table: Table, *, threads: int = 2) -> Source:
    """A table of files or of Arrow data."""
    return Source(name=table.name, sample=table, count=partial(scan, table=table, threads=threads))


def split_by(source: Source, column: str) -> Split:
    """A split by the most frequent values of a column, in order of their names.

    Raises:
        ContractError: no such column (RW-106).
        ParameterError: a column of instants or of numbers that are not whole: it has no groups (RW-114).
    """
    stored = source.sample.type_of(column)
    whole = stored.endswith(("INT", "INTEGER"))
    if kind_of(stored) not in (Kind.TEXT, Kind.FLAG) and not whole:
        raise ParameterError(
            f"{column} is stored as {stored}, which makes no groups.",
            remedy="Split by a column of texts, flags or whole numbers.",
            where=source.name,
        )
    rows = source.sample.query(
        f"SELECT CAST({quote(column)} AS VARCHAR) AS v FROM data WHERE {quote(column)} IS NOT NULL "
        f"GROUP BY v ORDER BY COUNT(*) DESC, v LIMIT {MOST_GROUPS}"
    )
    return Split(column=column, values=tuple(sorted(row[0] for row in rows)))


def _open_database(address: str) -> Source:
    try:
        opened: Source = import_module(_DATABASE).open_postgres(address)
    except ImportError as error:
        raise DependencyError(
            f"Reading a database needs {error.name}, which is not installed.",
            remedy="Install roadworthy with its postgres extra.",
        ) from error
    return opened


def _read(path: Path) -> Window:
    try:
        return read_window(path.read_bytes(), str(path))
    except OSError as error:
        raise MissingFile(f"Cannot read {path}.", remedy="Check the path and its rights.", where=str(path)) from error
