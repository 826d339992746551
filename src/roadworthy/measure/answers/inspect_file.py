"""The two forms of an Inspect AI log file. Owns bytes to one head and its samples; their meaning belongs to ``inspect_log``.

A log is one JSON document (``.json``) or a zip archive of a head and one document a sample (``.eval``), which newer
versions of Inspect compress with Zstandard. The content decides which it is, not the name.

A log comes from elsewhere. So no archive is unpacked beyond ``MOST_MEMBER_BYTES`` a member and ``MOST_BYTES`` in all, and
whatever its bytes do to a parser is the log's fault and is said so.
"""

import json
import lzma
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
_ENCRYPTED = 1
MOST_MEMBER_BYTES = 128 * 2**20
"""The largest document of one sample, or head, that is unpacked."""
MOST_BYTES = 2**30
"""How much of one archive is unpacked; a run that needs more is split."""
_LOCAL_HEADER = struct.Struct("<26xHH")
# What the standard library and Arrow raise over bytes that are no such archive; NotImplementedError is zipfile's word for
# a form of compression or a version that it does not know. Each is raised again as ``UnreadableData``.
_DAMAGED = (
    zipfile.BadZipFile, pa.ArrowException, zlib.error, lzma.LZMAError, struct.error, NotImplementedError, EOFError, OSError,
    ValueError,
)  # fmt: skip


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
    samples = head.pop("samples", None) or []
    if not isinstance(samples, list) or not all(isinstance(sample, dict) for sample in samples):
        raise unreadable(place, "its samples are not a list of objects")
    return LogDocument(head, samples)


def _from_archive(path: Path) -> LogDocument:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "header.json" not in names:
                raise unreadable(str(path), "the run did not finish: header.json is not in the archive")
            places = sorted(name for name in set(names) if name.startswith("samples/") and name.endswith(".json"))
            _require_bounded(archive, path, ["header.json", *places])
            head = _object(_member(archive, path, "header.json"), str(path))
            return LogDocument(head, [_object(_member(archive, path, name), f"{path}!{name}") for name in places])
    except _DAMAGED as error:
        raise unreadable(str(path), f"its archive is damaged: {error}") from error


def _require_bounded(archive: zipfile.ZipFile, path: Path, names: list[str]) -> None:
    """Refuse by what the archive states of itself; ``_member`` holds it to that."""
    members = [archive.getinfo(name) for name in names]
    if any(info.flag_bits & _ENCRYPTED for info in members):
        raise unreadable(str(path), "its archive is encrypted")
    if max(info.file_size for info in members) > MOST_MEMBER_BYTES or sum(i.file_size for i in members) > MOST_BYTES:
        raise unreadable(
            str(path), f"unpacked it is larger than {MOST_BYTES} bytes, or one sample than {MOST_MEMBER_BYTES}"
        )


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    """The bytes of a member. The standard library knows Zstandard from Python 3.14 on; Arrow always does."""
    info = archive.getinfo(name)
    if info.compress_type != _ZSTANDARD:
        # It stops by itself at the size that the archive states, and then finds that the checksum does not fit.
        return archive.read(info)
    with path.open("rb") as stream:
        stream.seek(info.header_offset)
        name_bytes, extra_bytes = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
        stream.seek(name_bytes + extra_bytes, 1)
        packed = stream.read(info.compress_size)
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as plain:
        data = bytes(plain.read(info.file_size + 1))
    if zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"the checksum of {name} does not fit")
    return data


def _object(data: bytes, place: str) -> dict[str, Any]:
    # Inspect writes NaN and Infinity as bare words, which strict JSON has not.
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        # Also numbers of thousands of digits, and brackets within brackets without end.
        raise unreadable(place, f"it is not JSON that can be read: {error}") from error
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
