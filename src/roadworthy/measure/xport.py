"""SAS transport files (XPORT version 5) as tables. Owns the file format; what the columns mean is not its matter.

Regulators take clinical data in this format, so it is where a trial's tables come from. The layout is SAS technical
support document TS-140, "The Record Layout of a Data Set in SAS Transport (XPORT) Format": 80-byte records, big-endian
descriptors, numbers in the floating point of the IBM System/360.

Algorithm of ``read_xport``:
1. The library header says whether it is version 5; each member header begins at a multiple of 80 bytes.
2. A member's descriptors (140 bytes each, 136 on VAX/VMS) give name, label, kind, length, format and offset.
3. Rows follow without gaps up to the next member; the last record is filled up with blanks, which are no rows.
4. A number is sign, exponent of 16 (excess 64) and up to 56 bits of fraction; fewer than 8 bytes mean zeros at the end.
5. A number with SAS' date or datetime format counts days or seconds from 1960-01-01 and becomes a date or instant.

Rules kept here:
1. Text loses its blanks at the end, and blank text is null: the format cannot tell them apart.
2. Missing numbers are null; the letters of special missings (``.A`` to ``.Z``, ``._``) stay listed with the column.
3. Nothing is guessed: another version, a broken descriptor, columns that share a name or bytes, a date outside the years
   1 to 9999 or bytes outside the encoding are errors with their place.
"""

import re
import struct
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roadworthy.base.errors import MissingFile, UnreadableData
from roadworthy.measure.table import Table, from_arrow

_RECORD_BYTES = 80
_LIBRARY = b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!"
_VERSION_8 = b"HEADER RECORD*******LIBV8"
_MEMBER = b"HEADER RECORD*******MEMBER  HEADER RECORD!!!!!!!"
_NAMES = b"HEADER RECORD*******NAMESTR HEADER RECORD!!!!!!!"
_ROWS = b"HEADER RECORD*******OBS     HEADER RECORD!!!!!!!"
_DESCRIPTOR = struct.Struct(">hhhh8s40s8shhh2s8shhl")
_DESCRIPTOR_BYTES = frozenset({136, 140})
_NUMBER_BYTES = range(2, 9)
_MISSING = np.frombuffer(b"._ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)
_EPOCH_DAYS = 3653  # from 1960-01-01 to 1970-01-01
_FIRST_DAY = -715_509  # 0001-01-01, counted from 1960-01-01
_END_DAY = 2_936_550  # 10000-01-01, likewise
_DAY_S = 86_400.0
_DATE = re.compile(r"(DATE|YYMMDD|MMDDYY|DDMMYY|E8601DA|B8601DA|IS8601DA)[BCDNPS]?")
_DATETIME = re.compile(r"(DATETIME|E8601DT|B8601DT|IS8601DT)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A column's descriptor.

    Attributes:
        name: up to eight characters.
        label: what a person calls it, "" when it has none.
        numeric: a number, else text.
        length_bytes: width in a row.
        format: SAS' display format without width, for example ``DATE``; "" when it has none.
        special_missings: the letters of special missings that occur, sorted; their rows are null.
    """

    name: str
    label: str
    numeric: bool
    length_bytes: int
    format: str
    special_missings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One data set of a transport file.

    Attributes:
        name: of the data set, for example ``AE``.
        label: what a person calls it, "" when it has none.
        variables: in stored order.
        rows: Arrow columns: text, doubles, dates (``date32``) and instants (``timestamp[us]``).
    """

    name: str
    label: str
    variables: tuple[Variable, ...]
    rows: pa.Table


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slot:
    variable: Variable
    offset: int


def read_xport(path: Path, *, encoding: str = "utf-8") -> tuple[Member, ...]:
    """Every data set of a transport file, in stored order.

    Args:
        path: the file.
        encoding: Python's name of the encoding of names, labels and text; the file itself does not say.

    Raises:
        MissingFile: the file cannot be opened (RW-102).
        UnreadableData: no XPORT version 5, cut off, columns that overlap or share a name, a date that no calendar has,
            an encoding that Python does not know, or text outside it (RW-103).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingFile(f"Cannot read {path}.", remedy="Check the path and its rights.", where=str(path)) from error
    # 1. Version and members.
    if data.startswith(_VERSION_8):
        raise _broken(path, "this is version 8", "Export it with the XPORT engine (version 5), or as Parquet.")
    if not data.startswith(_LIBRARY):
        raise _broken(path, "the library header is missing", "Deliver a SAS transport file of version 5.")
    starts = [at for at in _records(data) if data.startswith(_MEMBER, at)]
    if not starts:
        raise _broken(path, "it holds no data set", "Export it again.")
    ends = [*starts[1:], len(data)]
    return tuple(_member(path, data[start:end], encoding=encoding) for start, end in zip(starts, ends, strict=True))


def open_xport(path: Path, *, member: str | None = None, encoding: str = "utf-8") -> Table:
    """One data set of a transport file as a table that knows its file.

    Args:
        path: the file.
        member: name of the data set; needed when the file has several.
        encoding: as in ``read_xport``.

    Raises:
        MissingFile: the file cannot be opened (RW-102).
        UnreadableData: not readable, or no such data set (RW-103).
        EmptyData: the data set has no rows (RW-104).
    """
    members = read_xport(path, encoding=encoding)
    chosen = [item for item in members if member in {None, item.name}]
    if len(chosen) != 1:
        names = ", ".join(item.name for item in members)
        raise _broken(path, f"it has no single data set {member or ''}".rstrip(), f"Name one of {names}.")
    return replace(from_arrow(chosen[0].rows, str(path)), paths=(path,))


def ibm_to_double(fields: NDArray[np.uint8]) -> NDArray[np.float64]:
    """System/360 floating point to IEEE doubles; a fraction of 56 bits is rounded to 53, to even.

    Args:
        fields: big-endian bytes, shape (n, k) with k in 2..8.

    Returns:
        shape (n,); missing values are NaN.
    """
    rows, width = fields.shape
    full = np.zeros((rows, 8), dtype=np.uint8)
    full[:, :width] = fields
    bits = full.view(">u8").reshape(rows).astype(np.uint64)
    # 4. Sign, exponent, fraction.
    sign = np.where(full[:, 0] & 0x80, -1.0, 1.0)
    exponent = (full[:, 0] & 0x7F).astype(np.int64) - 64
    fraction = (bits & np.uint64(0x00FF_FFFF_FFFF_FFFF)).astype(np.float64)
    values = sign * np.ldexp(fraction, 4 * exponent - 56)
    values[_is_missing(full)] = np.nan
    return values


def _is_missing(full: NDArray[np.uint8]) -> NDArray[np.bool_]:
    empty = ~full[:, 1:].any(axis=1)
    return empty & np.isin(full[:, 0], _MISSING)


def _records(data: bytes) -> range:
    return range(0, len(data), _RECORD_BYTES)


def _member(path: Path, data: bytes, *, encoding: str) -> Member:
    # 2. Descriptors.
    name = _text(path, data[160:240][8:16], encoding)
    label = _text(path, data[240:320][32:72], encoding)
    header = data[320:400]
    width, count = data[74:78], header[54:58]
    if not (header.startswith(_NAMES) and width.isdigit() and count.isdigit() and int(width) in _DESCRIPTOR_BYTES):
        raise _broken(path, f"the descriptor header of {name or 'a data set'} is damaged", "Export it again.")
    begin = 400
    descriptors = [data[begin + k * int(width) :][: int(width)] for k in range(int(count))]
    slots = [_slot(path, item, encoding) for item in descriptors]
    _require_apart(path, name, slots)
    # 3. Rows, from the record after the descriptors.
    at = begin + -(-int(width) * int(count) // _RECORD_BYTES) * _RECORD_BYTES
    if not data.startswith(_ROWS, at):
        raise _broken(path, f"the rows of {name} do not begin where they should", "Export it again.")
    rows = _rows(path, data[at + _RECORD_BYTES :], slots)
    columns = [_column(path, slot, rows, encoding) for slot in slots]
    return Member(
        name=name,
        label=label,
        variables=tuple(variable for variable, _ in columns),
        rows=pa.table({variable.name: values for variable, values in columns}),
    )


def _slot(path: Path, data: bytes, encoding: str) -> _Slot:
    if len(data) < _DESCRIPTOR.size:
        raise _broken(path, "it ends within a descriptor", "Copy the file again.")
    kind, _, length, _, name, label, form, *_, offset = _DESCRIPTOR.unpack_from(data)
    numeric = kind == 1
    if kind not in {1, 2} or length < 1 or offset < 0 or (numeric and length not in _NUMBER_BYTES):
        raise _broken(path, f"the descriptor of {name!r} is damaged", "Export it again.")
    variable = Variable(
        name=_text(path, name, encoding),
        label=_text(path, label, encoding),
        numeric=numeric,
        length_bytes=length,
        format=_text(path, form, encoding),
    )
    return _Slot(variable=variable, offset=offset)


def _require_apart(path: Path, name: str, slots: list[_Slot]) -> None:
    """Each column has a name and bytes of its own, so that a small file cannot become a large table."""
    if len({slot.variable.name for slot in slots}) < len(slots):
        raise _broken(path, f"two columns of {name} have one name", "Export it again.")
    stored = sorted(slots, key=lambda slot: slot.offset)
    if any(one.offset + one.variable.length_bytes > other.offset for one, other in pairwise(stored)):
        raise _broken(path, f"columns of {name} overlap", "Export it again.")


def _rows(path: Path, data: bytes, slots: list[_Slot]) -> NDArray[np.uint8]:
    width = max((slot.offset + slot.variable.length_bytes for slot in slots), default=0)
    if width == 0:
        raise _broken(path, "a data set has no columns", "Export it again.")
    count = len(data) // width
    rows = np.frombuffer(data[: count * width], dtype=np.uint8).reshape(count, width)
    # What lies wholly within the last record and is blank fills that record; it is no row.
    last_record = len(data) - _RECORD_BYTES
    while count and (count - 1) * width > last_record and (rows[count - 1] == ord(" ")).all():
        count -= 1
    if bytes(data[count * width :]).strip(b" \0"):
        raise _broken(path, "it ends within a row", "Copy the file again.")
    return rows[:count]


def _column(path: Path, slot: _Slot, rows: NDArray[np.uint8], encoding: str) -> tuple[Variable, pa.Array]:
    variable = slot.variable
    fields = np.ascontiguousarray(rows[:, slot.offset : slot.offset + variable.length_bytes])
    if not variable.numeric:
        # NumPy's byte strings end at the last byte that is not NUL, as SAS' do.
        texts = fields.view(f"S{variable.length_bytes}").reshape(-1).tolist() if len(fields) else []
        return variable, pa.array([_text(path, text, encoding) or None for text in texts], type=pa.string())
    values = ibm_to_double(fields)
    special = fields[~fields[:, 1:].any(axis=1), 0]
    letters = sorted({chr(code) for code in special[np.isin(special, _MISSING)]} - {"."})
    return replace(variable, special_missings=tuple(letters)), _typed(path, variable, values)


def _typed(path: Path, variable: Variable, values: NDArray[np.float64]) -> pa.Array:
    form = variable.format
    missing = np.isnan(values)
    whole = np.where(missing, 0, values)
    # 5. Days and seconds since 1960; a date with a part of a day stays the number that it is.
    if _DATE.fullmatch(form) and (whole == np.floor(whole)).all():
        _require_calendar(path, variable, whole)
        return pa.array((whole - _EPOCH_DAYS).astype(np.int32), mask=missing).cast(pa.date32())
    if _DATETIME.fullmatch(form):
        _require_calendar(path, variable, whole / _DAY_S)
        since_us = np.round((whole - _EPOCH_DAYS * _DAY_S) * 1e6).astype(np.int64)
        return pa.array(since_us, mask=missing).cast(pa.timestamp("us"))
    return pa.array(values, mask=missing)


def _require_calendar(path: Path, variable: Variable, days: NDArray[np.float64]) -> None:
    if ((days < _FIRST_DAY) | (days >= _END_DAY)).any():
        raise _broken(
            path, f"{variable.name} holds a date outside the years 1 to 9999", "Correct it, or drop its date format."
        )


def _text(path: Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding).rstrip(" \0")
    except LookupError as error:
        raise _broken(
            path, f"Python knows no text encoding {encoding!r}", "Name one that it knows, such as cp1252."
        ) from error
    except ValueError as error:
        raise _broken(
            path, f"{data.rstrip()!r} is not {encoding}", "Name the encoding that it was written in, such as cp1252."
        ) from error


def _broken(path: Path, why: str, remedy: str) -> UnreadableData:
    return UnreadableData(f"Cannot read the transport file: {why}.", remedy=remedy, where=str(path))
