"""Data files as one read-only table. Owns opening, typing and addressing of data; judges none of it.

A ``Table`` is a DuckDB view over Parquet or CSV files, or over an Arrow table. It lives in an in-memory connection that
may read those files and nothing else: no other file, no network, no extension, whatever SQL a contract brings.

Rules kept here:
1. Files are read in the order of their names, and ``ROW`` numbers the rows from 0 in that order: the same files always
   give the same row numbers.
2. Identifiers are quoted by ``quote``; values are bound, never pasted, except in DDL that DuckDB cannot bind, where
   ``literal`` writes them.
3. Instants leave DuckDB as integers (microseconds since 1970, UTC), so no zone of this machine has a say.
"""

import hashlib
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roadworthy.base.errors import ContractError, EmptyData, MissingFile, UnreadableData
from roadworthy.measure.encodings import UTF_8, write_utf_8

ROW = "__row"
_VIEW = "data"
_PARQUET = frozenset({".parquet", ".pq"})
_TEXT = frozenset({".csv", ".tsv", ".txt", ".data"})
_GLOB_SIGNS = frozenset("*?[")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as it is stored: its name and DuckDB's name of its type, for example ``DOUBLE``."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows that can be queried but not changed.

    Attributes:
        name: how messages call it: the path or pattern, or the name that was given.
        columns: in stored order, without ``ROW``.
        row_count: at least 1.
        typed: whether the source itself declares types (Parquet, Arrow) or they were guessed from text (CSV).
        paths: the files, sorted; empty for an Arrow table.
    """

    name: str
    columns: tuple[Column, ...]
    row_count: int
    typed: bool
    paths: tuple[Path, ...]
    _connection: duckdb.DuckDBPyConnection = field(repr=False, compare=False)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names, in stored order."""
        return tuple(column.name for column in self.columns)

    def type_of(self, name: str) -> str:
        """DuckDB's name of a column's type.

        Raises:
            ContractError: no such column (RW-106).
        """
        for column in self.columns:
            if column.name == name:
                return column.type
        raise ContractError(
            f"There is no column {name!r} in {self.name}.",
            remedy=f"Use one of: {', '.join(self.column_names)}.",
            where=self.name,
        )

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one SELECT; the rows are called ``data``, their number ``__row``.

        Raises:
            ContractError: the statement or its use of columns is not valid (RW-106).
            UnreadableData: the file broke or changed while it was read (RW-103).
        """
        with self._asking() as cursor:
            return self._select(cursor, sql, parameters).fetchall()

    def arrow(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """As ``query``, for results of many rows.

        Raises:
            ContractError: the statement or its use of columns is not valid (RW-106).
            UnreadableData: the file broke or changed while it was read (RW-103).
        """
        with self._asking() as cursor:
            return self._select(cursor, sql, parameters).to_arrow_table()

    def batches(self, names: Sequence[str], *, rows: int = 1 << 18) -> Iterator[pa.RecordBatch]:
        """The rows in batches, in no promised order, for what does not depend on it.

        Raises:
            ContractError: no such column (RW-106).
            UnreadableData: the file broke or changed while it was read (RW-103).
        """
        for name in names:
            self.type_of(name)
        cursor = self._connection.cursor()
        try:
            # Without a column there are still rows to count.
            selection = ", ".join(quote(name) for name in names) or ROW
            yield from cursor.execute(f"SELECT {selection} FROM {_VIEW}").to_arrow_reader(rows)
        except duckdb.Error as error:
            raise _unreadable(self.name, error) from error
        finally:
            cursor.close()

    def column(self, name: str) -> NDArray[Any]:
        """The values of one column, shape (row_count,); nulls of numbers become NaN, of other types None.

        Raises:
            ContractError: no such column (RW-106).
        """
        self.type_of(name)
        values = self.to_arrow([name]).column(0).combine_chunks()
        return np.asarray(values.to_numpy(zero_copy_only=False))

    def to_arrow(self, names: Sequence[str] | None = None) -> pa.Table:
        """The rows in order of ``ROW``, all columns or the named ones.

        Raises:
            ContractError: no such column (RW-106).
        """
        chosen = self.column_names if names is None else tuple(names)
        for name in chosen:
            self.type_of(name)
        cursor = self._connection.cursor()
        try:
            selection = ", ".join(quote(name) for name in chosen)
            return cursor.execute(f"SELECT {selection} FROM {_VIEW} ORDER BY {ROW}").to_arrow_table()
        except duckdb.Error as error:
            raise _unreadable(self.name, error) from error
        finally:
            cursor.close()

    @contextmanager
    def _asking(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for somebody else's statement, whose faults are told from those of the data."""
        cursor = self._connection.cursor()
        try:
            yield cursor
        except (duckdb.ProgrammingError, duckdb.DataError, duckdb.PermissionException) as error:
            raise _bad_query(self.name, _first_line(error)) from error
        except duckdb.Error as error:
            raise _unreadable(self.name, error) from error
        finally:
            cursor.close()

    def _select(
        self, cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object]
    ) -> duckdb.DuckDBPyConnection:
        kinds = {statement.type for statement in cursor.extract_statements(sql)}
        if kinds != {duckdb.StatementType.SELECT}:
            raise _bad_query(self.name, "it is not a SELECT")
        return cursor.execute(sql, list(parameters))

    def empty_columns(self) -> tuple[str, ...]:
        """The columns that hold nothing but nulls."""
        counts = ", ".join(f"COUNT({quote(name)})" for name in self.column_names)
        (row,) = self.query(f"SELECT {counts} FROM {_VIEW}")
        return tuple(name for name, count in zip(self.column_names, row, strict=True) if count == 0)

    def require_filled(self, names: Sequence[str]) -> None:
        """Refuse columns without a single value.

        Raises:
            EmptyData: one of ``names`` is entirely null (RW-104).
        """
        empty = [name for name in self.empty_columns() if name in names]
        if empty:
            raise EmptyData(
                f"Nothing but nulls in {', '.join(empty)}.",
                remedy="Deliver the column, or take it out of the contract.",
                where=self.name,
            )


def open_table(
    path: Path,
    *,
    names: Sequence[str] | None = None,
    header: bool | None = None,
    null_texts: Sequence[str] = ("",),
    encoding: str = UTF_8,
    as_text: bool | Collection[str] = False,
) -> Table:
    """Open Parquet (``.parquet .pq``) or delimited text (``.csv .tsv .txt .data``).

    Args:
        path: a file, or a pattern such as ``feed/*.parquet`` whose files have the same columns.
        names: column names for text files, replacing those of a header.
        header: whether text files start with a header line; guessed when None.
        null_texts: texts that mean null, for example ``("", "?")``.
        encoding: of text files, by Python's name (see ``encodings.detect_encoding``); other than UTF-8, the rows are read
            into memory at once.
        as_text: whether the values of text files stay text, or in which columns, as far as they are there. Elsewhere all
            rows together decide the type, and one bad value changes how the others are read.

    Raises:
        MissingFile: nothing there (RW-102).
        UnreadableData: not of a known format, not in this encoding, or broken (RW-103).
        EmptyData: no rows (RW-104).
        ParameterError: there is no such encoding (RW-114).
    """
    paths = data_files(path)
    suffixes = {file.suffix.lower() for file in paths}
    if suffixes <= _TEXT and encoding.lower() != UTF_8:
        return _open_encoded(path, paths, names, null_texts, encoding, header=header, as_text=as_text)
    if suffixes <= _PARQUET:
        source = f"read_parquet({_list(paths)})"
    elif suffixes <= _TEXT:
        source = _csv_source(paths, names, null_texts, header=header, as_text=as_text)
    else:
        raise UnreadableData(
            f"Cannot tell the format from {', '.join(sorted(suffixes))}.",
            remedy=f"Use one of {', '.join(sorted(_PARQUET | _TEXT))}, the same for all files.",
            where=str(path),
        )
    connection = duckdb.connect(":memory:")
    try:
        connection.execute(f"SET allowed_paths = {_list(paths)}")
        _lock(connection)
        # A streaming window numbers rows in the order of the scan, which DuckDB keeps for these readers.
        connection.execute(f"CREATE VIEW {_VIEW} AS SELECT row_number() OVER () - 1 AS {ROW}, * FROM {source}")
    except duckdb.Error as error:
        connection.close()
        raise _unreadable(str(path), error) from error
    return _describe(connection, str(path), typed=suffixes <= _PARQUET, paths=paths)


def _open_encoded(
    path: Path,
    paths: tuple[Path, ...],
    names: Sequence[str] | None,
    null_texts: Sequence[str],
    encoding: str,
    *,
    header: bool | None,
    as_text: bool | Collection[str],
) -> Table:
    # The engine reads few encodings, so a copy in UTF-8 is read whole and dropped again.
    with tempfile.TemporaryDirectory() as folder:
        copies = tuple(Path(folder) / f"{place:06}.csv" for place in range(len(paths)))
        for original, copy in zip(paths, copies, strict=True):
            write_utf_8(original, copy, encoding)
        source = _csv_source(copies, names, null_texts, header=header, as_text=as_text)
        connection = duckdb.connect(":memory:")
        try:
            connection.execute(f"CREATE TABLE {_VIEW} AS SELECT row_number() OVER () - 1 AS {ROW}, * FROM {source}")
            _lock(connection)
        except duckdb.Error as error:
            connection.close()
            raise _unreadable(str(path), error) from error
    return _describe(connection, str(path), typed=False, paths=paths)


def from_arrow(table: pa.Table, name: str) -> Table:
    """A table over Arrow data, for rows that are made or cut in memory.

    Raises:
        UnreadableData: column names repeat, or a type that DuckDB does not know (RW-103).
        EmptyData: no rows (RW-104).
    """
    connection = duckdb.connect(":memory:")
    numbered = table.append_column(ROW, pa.array(np.arange(table.num_rows, dtype=np.int64)))
    try:
        connection.register("arrow_rows", numbered)
        connection.execute(f"CREATE TABLE {_VIEW} AS SELECT * FROM arrow_rows")
        connection.unregister("arrow_rows")
        _lock(connection)
    except duckdb.Error as error:
        connection.close()
        raise _unreadable(name, error) from error
    return _describe(connection, name, typed=True, paths=())


def data_files(path: Path) -> tuple[Path, ...]:
    """The files that a path or pattern means, sorted by name.

    Raises:
        MissingFile: none (RW-102).
    """
    pattern = path.name
    try:
        if _GLOB_SIGNS & set(pattern):
            found = sorted(file for file in path.parent.glob(pattern) if file.is_file())
        else:
            found = [path] if path.is_file() else []
    except (OSError, ValueError):
        # A name that no file can have: too long, or with a NUL.
        found = []
    if not found:
        raise MissingFile(
            f"No data file matches {path}.", remedy="Correct the path; it is relative to the manifest.", where=str(path)
        )
    return tuple(found)


def table_digest(paths: Sequence[Path]) -> str:
    """SHA-256 of a data set, in hex: over the sorted lines ``<sha256 of the file>  <file name>``.

    Renaming, adding, dropping or changing a file changes it; moving the folder or listing in another order does not.

    Raises:
        MissingFile: a file cannot be opened (RW-102).
    """
    lines = sorted(f"{file_digest(path)}  {path.name}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 over the raw bytes of a file, in hex.

    Raises:
        MissingFile: it cannot be opened (RW-102).
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise MissingFile(f"Cannot read {path}.", remedy="Check the path and its rights.", where=str(path)) from error
    return digest.hexdigest()


def quote(identifier: str) -> str:
    """An SQL identifier that means exactly this column name."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string literal for the statements in which DuckDB cannot bind."""
    return "'" + text.replace("'", "''") + "'"


def _list(values: Sequence[Path] | Sequence[str]) -> str:
    return "[" + ", ".join(literal(str(value)) for value in values) + "]"


def _csv_source(
    paths: Sequence[Path],
    names: Sequence[str] | None,
    null_texts: Sequence[str],
    *,
    header: bool | None,
    as_text: bool | Collection[str],
) -> str:
    # The whole file decides the types: a sample would make them depend on where a bad value stands.
    options = [_list(paths), "sample_size = -1", f"nullstr = {_list(list(null_texts))}"]
    if names is not None:
        options.append(f"names = {_list(list(names))}")
    if header is not None:
        options.append(f"header = {str(header).lower()}")
    untyped = f"read_csv({', '.join([*options, 'all_varchar = true'])})"
    if as_text is True:
        return untyped
    if as_text:
        # The engine refuses a type for a column that the file lacks, so the file is asked for its columns first.
        try:
            with duckdb.connect(":memory:") as asking:
                present = [row[0] for row in asking.execute(f"DESCRIBE SELECT * FROM {untyped}").fetchall()]
        except duckdb.Error as error:
            raise _unreadable(str(paths[0]), error) from error
        kept = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in present if name in as_text)
        options.extend([f"types = {{{kept}}}"] if kept else [])
    return f"read_csv({', '.join(options)})"


def _lock(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _describe(connection: duckdb.DuckDBPyConnection, name: str, *, typed: bool, paths: tuple[Path, ...]) -> Table:
    try:
        described = connection.execute(f"DESCRIBE {_VIEW}").fetchall()
        counted = connection.execute(f"SELECT COUNT(*) FROM {_VIEW}").fetchall()
    except duckdb.Error as error:
        connection.close()
        raise _unreadable(name, error) from error
    row_count = int(counted[0][0])
    if row_count == 0:
        connection.close()
        raise EmptyData(f"{name} has no rows.", remedy="Deliver data, or correct the path.", where=name)
    columns = tuple(Column(name=row[0], type=row[1]) for row in described if row[0] != ROW)
    return Table(name=name, columns=columns, row_count=row_count, typed=typed, paths=paths, _connection=connection)


def _unreadable(name: str, error: duckdb.Error) -> UnreadableData:
    return UnreadableData(
        f"Cannot read {name}: {_first_line(error)}.", remedy="Write the file again, or correct its format.", where=name
    )


def _bad_query(name: str, why: str) -> ContractError:
    return ContractError(f"The query failed: {why}.", remedy="Correct the expression in the contract.", where=name)


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0].rstrip(".")
