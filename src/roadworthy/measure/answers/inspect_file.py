"""The two forms of an Inspect AI log file. Owns bytes to one head and its samples; their meaning belongs to ``inspect_log``.

A log is one JSON document (``.json``) or a zip archive of a head and one document a sample (``.eval``), which newer
versions of Inspect compress with Zstandard. The content decides which it is, not the name.
"""

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from roadworthy.base.errors import UnreadableData

_VERSION = 2
_ZIP_START = b"PK"
_ZSTANDARD = 93
_LOCAL_HEADER = struct.Struct("<26xHH")


class LogDocument(NamedTuple):
    """What both forms hold.

    Attributes:
        head: everything but the samples, plain JSON.
        samples: one for each sample and epoch, plain JSON.
    """

    head: dict[str, Any]
    samples: list[dict[str, Any]]


def read_document(path: Path, data: bytes) -> LogDocument:
    """Read a log of version 2.

    Args:
        path: of the file.
        data: its bytes.

    Raises:
        UnreadableData: it is no Inspect log of version 2, or its archive is damaged (RW-103).
    """
    document = _from_archive(path) if data.startswith(_ZIP_START) else _from_json(data, str(path))
    if document.head.get("version") != _VERSION or not isinstance(document.head.get("eval"), dict):
        raise unreadable(str(path), f"its version is {document.head.get('version')!r}")
    return document


def _from_json(data: bytes, place: str) -> LogDocument:
    head = _object(data, place)
    return LogDocument(head, list(head.pop("samples", None) or []))


def _from_archive(path: Path) -> LogDocument:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "header.json" not in names:
                raise unreadable(str(path), "the run did not finish: header.json is not in the archive")
            head = _object(_member(archive, path, "header.json"), str(path))
            places = sorted(name for name in set(names) if name.startswith("samples/") and name.endswith(".json"))
            return LogDocument(head, [_object(_member(archive, path, name), f"{path}!{name}") for name in places])
    except (zipfile.BadZipFile, pa.ArrowException, zlib.error, struct.error, NotImplementedError) as error:
        raise unreadable(str(path), f"its archive is damaged: {error}") from error


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    """The bytes of a member. The standard library knows Zstandard from Python 3.14 on; Arrow always does."""
    info = archive.getinfo(name)
    if info.compress_type != _ZSTANDARD:
        return archive.read(info)
    with path.open("rb") as stream:
        stream.seek(info.header_offset)
        name_bytes, extra_bytes = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
        stream.seek(name_bytes + extra_bytes, 1)
        packed = stream.read(info.compress_size)
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as plain:
        data = bytes(plain.read())
    if zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"the checksum of {name} does not fit")
    return data


def _object(data: bytes, place: str) -> dict[str, Any]:
    # Inspect writes NaN and Infinity as bare words, which strict JSON has not.
    try:
        value = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise unreadable(place, f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise unreadable(place, "it is not an object")
    return value


def unreadable(place: str, why: str) -> UnreadableData:
    """The error for a file that is no such log, saying why."""
    return UnreadableData(
        f"This is no Inspect log of version {_VERSION}: {why}.",
        remedy="Give the file that Inspect wrote, or one that inspect log convert makes of it.",
        where=place,
    )
