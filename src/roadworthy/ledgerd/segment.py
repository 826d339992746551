"""The frame of a segment: one group commit as bytes. Owns its form; files belong to ``storage``, their order to ``recovery``.

A segment is a file of frames, one after another, followed by zeros. Numbers are big-endian. A frame is::

    magic (4) | version (u16) | leaves bytes (u32) | payload bytes (u32) | epoch (u64) | sequence (u64) | first index (u64)
    | count (u32) | SHA-256 of the previous frame's header and leaves (32) | CRC-32 of all this and the leaves (u32)
    leaves     for each: length (u16), leaf: the framing of C2SP entry bundles
    payloads   for each: length (u32), sealed bytes

Rules kept here:
1. Header and leaves are guarded by the CRC against accidents and by the chain of digests against a frame that is left out.
2. The payloads are guarded by neither, so one can be overwritten with zeros; their own tags and the leaves' commitments
   guard them.
3. The magic holds bytes that no text in UTF-8 has, so a leaf cannot look like the beginning of a frame.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from roadworthy.ledger.tiles import split_entries
from roadworthy.wire.ledger_messages import LedgerRecord

FOLDER = "segments"
MAGIC = b"\xf8RW\xff"
VERSION = 1
NO_DIGEST = bytes(32)
"""What the first frame of a ledger says of the frame before it."""

_HEADER = struct.Struct(">4sHIIQQQI32s")
_CRC = struct.Struct(">I")
_LEAF = struct.Struct(">H")
_SEALED = struct.Struct(">I")
_NAME = re.compile(FOLDER + r"/(\d{20})\.seg")

HEADER_BYTES = _HEADER.size + _CRC.size


class FrameHeader(NamedTuple):
    """What stands before the leaves."""

    leaves_bytes: int
    payload_bytes: int
    epoch: int
    sequence: int
    first_index: int
    leaf_count: int
    previous: bytes


class Frame(NamedTuple):
    """A frame that was read and is whole: ``offset`` and ``end`` are its place in the segment, ``digest`` its name."""

    header: FrameHeader
    leaves: tuple[bytes, ...]
    digest: bytes
    offset: int
    end: int

    @property
    def until_index(self) -> int:
        """The index of the first leaf after it."""
        return self.header.first_index + self.header.leaf_count


def segment_name(first_index: int) -> str:
    """The name of the segment whose first leaf has this index."""
    return f"{FOLDER}/{first_index:020d}.seg"


def parse_segment_name(name: str) -> int | None:
    """The index in a segment's name; None for another file."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def build_frame(
    records: Sequence[LedgerRecord], *, epoch: int, sequence: int, first_index: int, previous: bytes
) -> tuple[bytes, bytes]:
    """The bytes of a frame, and its digest: what the next frame calls ``previous``."""
    parts: list[bytes] = []
    payloads: list[bytes] = []
    for leaf, sealed in records:
        parts += (_LEAF.pack(len(leaf)), leaf)
        payloads += (_SEALED.pack(len(sealed)), sealed)
    leaves, payload = b"".join(parts), b"".join(payloads)
    head = _HEADER.pack(MAGIC, VERSION, len(leaves), len(payload), epoch, sequence, first_index, len(records), previous)
    head += _CRC.pack(zlib.crc32(leaves, zlib.crc32(head)))
    digest = hashlib.sha256(head)
    digest.update(leaves)
    return b"".join((head, leaves, payload)), digest.digest()


def read_header(data: bytes, offset: int = 0) -> FrameHeader | None:
    """The header at ``offset``, whose CRC is not looked at; None if none can be there."""
    if offset + HEADER_BYTES > len(data):
        return None
    magic, version, *rest = _HEADER.unpack_from(data, offset)
    return FrameHeader(*rest) if magic == MAGIC and version == VERSION else None


def read_frame(data: bytes, offset: int) -> Frame | None:
    """The frame at ``offset``, verified; None if there is none, or not all of it."""
    header = read_header(data, offset)
    if header is None:
        return None
    start = offset + HEADER_BYTES
    middle = start + header.leaves_bytes
    end = middle + header.payload_bytes
    if end > len(data):
        return None
    body = data[start:middle]
    (crc,) = _CRC.unpack_from(data, start - _CRC.size)
    if crc != zlib.crc32(body, zlib.crc32(data[offset : start - _CRC.size])):
        return None
    leaves, rest = split_entries(body)
    if rest or len(leaves) != header.leaf_count or not leaves:
        return None
    digest = hashlib.sha256(data[offset:middle]).digest()
    return Frame(header, leaves, digest, offset, end)


def find_frame(data: bytes, offset: int) -> Frame | None:
    """The first whole frame at ``offset`` or after it."""
    at = data.find(MAGIC, offset)
    while at >= 0:
        frame = read_frame(data, at)
        if frame is not None:
            return frame
        at = data.find(MAGIC, at + 1)
    return None


def sealed_spans(block: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each sealed payload in a block of them; ends early where a length does not fit the block."""
    offset = 0
    while offset + _SEALED.size <= len(block):
        start = offset + _SEALED.size
        offset = start + int(_SEALED.unpack_from(block, offset)[0])
        if offset > len(block):
            return
        yield start, offset
