"""The container of a bundle: a zip whose bytes are a function of its contents. Owns writing, reading and the manifest.

What the members mean belongs to ``layout`` and ``verify``.

Why an own writer: a zip leaves dates, systems, orders, gaps and comments to its writer, and a reader that skips them
lets them be changed unseen. Here everything is fixed, so a reader can write the members again and compare every byte.
Field layout: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.

Rules kept here:
1. Members are stored, not compressed, in the order of their names; every date is 1980-01-01; no extra fields.
2. ``manifest.json`` lists every other member with SHA-256 and size.
3. A file is written beside its place and moved there whole; a reader never sees half of one.
4. The file is for its owner's eyes only (mode 0600): it holds the payloads in clear.
"""

import os
import re
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.digest import sha256_hex
from roadworthy.base.errors import BundleBroken, MissingFile, ParameterError
from roadworthy.base.ids import new_id

MANIFEST = "manifest.json"
MAX_MEMBERS = 0xFFFF
MAX_BYTES = 2**31 - 1
"""Beyond either limit a zip needs the 64-bit records, which this container does not use."""

_NAME = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION = 20
_UNIX = 3
_DATE = 1 << 5 | 1
_ATTRIBUTES = 0o100644 << 16
_REMEDY = "Do not trust this file; ask for the bundle again."


class Unpacked(NamedTuple):
    """What could be read, and the first byte that is not as it must be (None when every byte is)."""

    members: dict[str, bytes]
    fault: str | None


def write_bundle(path: Path, members: Mapping[str, bytes]) -> None:
    """Write the members and their manifest, all or nothing, with mode 0600.

    Args:
        path: where the bundle shall stand; a file there is replaced.
        members: name to bytes, without the manifest.

    Raises:
        ParameterError: a name is not plain, or the bundle would be too large (RW-114).
        MissingFile: the folder does not exist or cannot be written (RW-102).
    """
    data = pack({**members, MANIFEST: manifest_of(members)})
    partial = path.with_name(f".{path.name}.{new_id('partial')}")
    try:
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        remedy = "Create the folder, and check that you may write there."
        raise MissingFile(f"The bundle cannot be written: {error.strerror}.", remedy=remedy, where=str(path)) from error


def read_bundle(path: Path) -> Mapping[str, bytes]:
    """The members of a bundle, once every byte of the file was found as it must be.

    This shows that the file is whole, not that its ledger is genuine: for that, see ``verify``.

    Raises:
        MissingFile: the file does not exist or cannot be opened (RW-102).
        BundleBroken: a byte differs from what the members demand, or a member from the manifest (RW-501).
    """
    members, fault = unpack(read_file(path))
    faults = [fault] if fault else manifest_faults(members)
    if faults:
        raise BundleBroken(faults[0], remedy=_REMEDY, where=str(path))
    return members


def read_file(path: Path) -> bytes:
    """The raw bytes of a bundle.

    Raises:
        MissingFile: the file does not exist or cannot be opened (RW-102).
    """
    try:
        return path.read_bytes()
    except OSError as error:
        remedy = "Check the path; a bundle is made with export."
        raise MissingFile(f"The bundle cannot be read: {error.strerror}.", remedy=remedy, where=str(path)) from error


def manifest_of(members: Mapping[str, bytes]) -> bytes:
    """The canonical list of {name, sha256, size}, sorted by name, of every member but the manifest itself."""
    return canonical_bytes(
        [
            {"name": name, "sha256": sha256_hex(members[name]), "size": len(members[name])}
            for name in sorted(members)
            if name != MANIFEST
        ]
    )


def manifest_faults(members: Mapping[str, bytes]) -> list[str]:
    """What the manifest and the members disagree about; empty when they agree.

    The manifest is made again and compared whole; only when it differs are the members looked up one by one.
    """
    if MANIFEST not in members:
        return [f"{MANIFEST} is missing."]
    expected, found = manifest_of(members), members[MANIFEST]
    if expected == found:
        return []
    wrong = [
        name
        for name in sorted(members)
        if name != MANIFEST and canonical_bytes({"name": name, "sha256": sha256_hex(members[name])})[1:-1] not in found
    ]
    return [f"{name} is not as the manifest lists it." for name in wrong] or [
        f"{MANIFEST} lists members that are not there, or in another form."
    ]


def pack(members: Mapping[str, bytes]) -> bytes:
    """The one byte string of these members.

    Raises:
        ParameterError: a name is not plain, or too much for a plain zip (RW-114).
    """
    size = sum(len(data) + 2 * len(name) + _LOCAL.size + _CENTRAL.size for name, data in members.items()) + _END.size
    if len(members) > MAX_MEMBERS or size > MAX_BYTES:
        what = f"{len(members)} members of {size} bytes in all do not fit one bundle."
        raise ParameterError(what, remedy="Export fewer use cases into one bundle.")
    local, central = bytearray(), bytearray()
    for name in sorted(members):
        if not _NAME.fullmatch(name) or len(name) > MAX_MEMBERS:
            what = f"{name[:120]!r} cannot name a member of a bundle."
            raise ParameterError(what, remedy="Use letters, digits, dot, dash, underscore and single slashes.")
        data, raw = members[name], name.encode("ascii")
        fields = (_VERSION, 0, 0, 0, _DATE, zlib.crc32(data), len(data), len(data), len(raw), 0)
        central += _CENTRAL.pack(b"PK\1\2", _UNIX << 8 | _VERSION, *fields, 0, 0, 0, _ATTRIBUTES, len(local)) + raw
        local += _LOCAL.pack(b"PK\3\4", *fields) + raw + data
    end = _END.pack(b"PK\5\6", 0, 0, len(members), len(members), len(central), len(local), 0)
    return bytes(local + central + end)


def unpack(data: bytes) -> Unpacked:
    """Read the members one after the other, then compare the whole with what ``pack`` makes of them."""
    members: dict[str, bytes] = {}
    starts: list[tuple[int, str]] = []
    offset = 0
    # 1. Read local records as long as there are any. Lengths are taken as they stand: step 2 judges them.
    while data[offset : offset + 4] == b"PK\3\4" and offset + _LOCAL.size <= len(data):
        length, name_length = _LOCAL.unpack_from(data, offset)[8:10]
        start = offset + _LOCAL.size + name_length
        name = data[offset + _LOCAL.size : start].decode("ascii", "backslashreplace")
        # A name that is not plain is quoted: it may hold anything, also what would drive a terminal. Step 2 refuses it.
        name = name if _NAME.fullmatch(name) else ascii(name)
        members[name] = data[start : start + length]
        starts.append((offset, name))
        offset = start + length
    starts.append((offset, "the central directory"))
    # 2. Write them again; every byte must be the same.
    try:
        again = pack(members)
    except ParameterError as error:
        return Unpacked(members, error.what)
    if again == data:
        return Unpacked(members, None)
    # 3. Name the first byte that differs, and the record it stands in.
    shorter = min(len(again), len(data))
    at = next((i for i in range(shorter) if again[i] != data[i]), shorter)
    place = "in " + [name for begin, name in starts if begin <= at][-1] if at < len(data) else "at the end of the file"
    return Unpacked(members, f"The byte at offset {at}, {place}, is not what the members demand.")


def _sync_folder(folder: Path) -> None:
    """Make the move itself durable: the name lives in the folder, not in the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
