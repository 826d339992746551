"""Taking in a table that people kept by hand. Owns the proof that no row is lost, and lists of what cannot be read.

Nothing is corrected and nothing is dropped: a date that no declared format reads stays in the table and is listed with its
row and its text, and a value that is spelled in several ways is listed with its spellings.

Rules kept here:
1. The rows of a text file are counted a second time, by another reader, before the table is believed.
2. White space, a no-break space among it, is no value; it is listed, since it looks like one to a program.
"""

import csv
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from roadworthy.base.errors import ParameterError, UnreadableData
from roadworthy.measure.encodings import detect_encoding
from roadworthy.measure.table import Table, data_files, open_table, quote

_TEXT_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".data"})
_MEANINGS = {"yes": "true", "y": "true", "t": "true", "no": "false", "n": "false", "f": "false"}
_DELIMITERS = ",;\t|"
# The reader of the standard library stops at fields above 128 KiB unless it is told.
_FIELD_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A table, and how its text was read: encodings by file name; empty for files that declare theirs."""

    table: Table
    encodings: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A value that could not be read: its row from 0 and its text."""

    row: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """Texts of one column that mean the same, with their rows, most frequent first."""

    column: str
    meaning: str
    texts: tuple[tuple[str, int], ...]


def take_in(
    path: Path,
    *,
    encoding: str | None = None,
    null_texts: Sequence[str] = ("",),
    as_text: bool | Collection[str] = True,
) -> Intake:
    """Open a data file as it is; text files keep their texts, or those of the columns that are named.

    Args:
        path: a file or a pattern, as for ``open_table``.
        encoding: of text files; detected when None.
        null_texts: texts that mean null.
        as_text: as for ``open_table``; to hold a file against a contract, the columns that it declares as text.

    Raises:
        MissingFile: nothing there (RW-102).
        UnreadableData: the encoding cannot be told, files differ in it, or two readers count different rows (RW-103).
        EmptyData: no rows (RW-104).
        ParameterError: there is no such encoding (RW-114).
    """
    paths = data_files(path)
    if not {file.suffix.lower() for file in paths} <= _TEXT_SUFFIXES:
        return Intake(table=open_table(path), encodings={})
    found = {file.name: encoding or detect_encoding(file) for file in paths}
    if len(set(found.values())) > 1:
        raise UnreadableData(
            f"The files are in different encodings: {found}.", remedy="Save them all as UTF-8.", where=str(path)
        )
    used = next(iter(found.values()))
    table = open_table(path, null_texts=null_texts, encoding=used, as_text=as_text)
    _prove_rows(table, paths, used)
    return Intake(table=table, encodings=found)


def unread_dates(
    table: Table, column: str, formats: Sequence[str], *, null_texts: Sequence[str] = ("",)
) -> tuple[Unread, ...]:
    """The values of a column that are no date in any of the formats, in order of rows.

    Args:
        table: opened with its texts kept.
        column: to read.
        formats: of ``datetime.strptime``, for example ``%m/%d/%Y``.
        null_texts: texts that mean null and are no date on purpose.

    Raises:
        ContractError: no such column (RW-106).
        ParameterError: no format (RW-114).
    """
    if not formats:
        raise ParameterError("No date format is given.", remedy="Give at least one.", where="formats")
    table.type_of(column)
    name = quote(column)
    rows = table.query(f"SELECT __row, CAST({name} AS VARCHAR) FROM data WHERE {name} IS NOT NULL ORDER BY __row")
    nulls = frozenset(null_texts)
    bad: dict[str, bool] = {}
    found = []
    for row, text in rows:
        if text in nulls:
            continue
        if text not in bad:
            bad[text] = not any(_reads(text, each) for each in formats)
        if bad[text]:
            found.append(Unread(row=int(row), text=text))
    return tuple(found)


def spellings(table: Table, column: str) -> tuple[Spelling, ...]:
    """Values of a column that differ in case, white space, or word for true and false, and mean the same.

    A group with the meaning "" is white space that is no null.

    Raises:
        ContractError: no such column (RW-106).
    """
    table.type_of(column)
    name = quote(column)
    counted = table.query(
        f"SELECT CAST({name} AS VARCHAR), COUNT(*) FROM data WHERE {name} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    groups: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for text, rows in counted:
        # ``split`` knows the white space of Unicode, the no-break space included.
        plain = " ".join(text.split()).casefold()
        groups[_MEANINGS.get(plain, plain)].append((text, int(rows)))
    return tuple(
        Spelling(column=column, meaning=meaning, texts=tuple(texts))
        for meaning, texts in sorted(groups.items())
        if len(texts) > 1 or not meaning
    )


def _reads(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007  # asked only whether it can be read
    except ValueError:
        return False
    return True


def _prove_rows(table: Table, paths: Sequence[Path], encoding: str) -> None:
    records, empty = 0, 0
    for path in paths:
        more = _records(path, encoding, len(table.columns))
        records, empty = records + more[0], empty + more[1]
    # A first line may be names, or data when there are none; an empty line is a missing value where there is one column.
    counts = {records, records - len(paths)}
    if len(table.columns) == 1:
        counts |= {count + empty for count in counts}
    if table.row_count not in counts:
        raise UnreadableData(
            f"{table.name} has {records} records, but {table.row_count} rows were read.",
            remedy="Look for broken quotes, lines before the header, or rows of another width.",
            where=table.name,
        )


def _records(path: Path, encoding: str, width: int) -> tuple[int, int]:
    """The records of a text file and its empty lines, counted by the reader of the standard library."""
    before = csv.field_size_limit(_FIELD_BYTES)
    try:
        delimiter = next((sign for sign in _DELIMITERS if _first_width(path, encoding, sign) == width), ",")
        with path.open(encoding=encoding, newline="") as stream:
            filled = [bool(record) for record in csv.reader(stream, delimiter=delimiter)]
    except csv.Error as error:
        raise UnreadableData(
            f"{path.name} cannot be counted: {error}.",
            remedy="Save it again, with quotes where needed.",
            where=str(path),
        ) from error
    finally:
        csv.field_size_limit(before)
    return sum(filled), len(filled) - sum(filled)


def _first_width(path: Path, encoding: str, delimiter: str) -> int:
    with path.open(encoding=encoding, newline="") as stream:
        return len(next((record for record in csv.reader(stream, delimiter=delimiter) if record), []))
