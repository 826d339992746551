"""The frame of a segment: one group commit as bytes. Owns its form; files belong to ``storage``, their order to ``recovery``.

A segment is a file of frames, one after another, followed by zeros. Numbers are big-endian. A frame is::

    magic (4) | version (u16) | leaves bytes (u32) | payload bytes (u32) | epoch (u64) | sequence (u64) | first index (u64)
    | count (u32) | SHA-256 of the previous frame's header, leaves and lengths (32) | CRC-32 of the payloads (u32)
    | CRC-32 of all this, the leaves and the lengths (u32)
    leaves     for each: length (u16), leaf: the framing of C2SP entry bundles
    lengths    for each: length of its sealed payload (u32)
    payloads   for each: sealed bytes

Rules kept here:
1. Header, leaves and lengths are guarded by the CRC against accidents and by the chain of digests against a frame that
   is left out. So a payload is always found at its very bytes, and never another in its place.
2. The payloads are guarded by neither, so one can be overwritten with zeros; their own tags and the leaves' commitments
   guard them. Their CRC says only whether all of a frame arrived; it holds until one of them is erased.
3. The magic holds bytes that no text in UTF-8 has, so a leaf cannot look like the beginning of a frame.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from roadworthy.ledger.tiles import split_entries
from roadworthy.wire.ledger_messages import LedgerRecord

FOLDER = "segments"
MAGIC = b"\xf8RW\xff"
VERSION = 2
NO_DIGEST = bytes(32)
"""What the first frame of a ledger says of the frame before it."""

_HEADER = struct.Struct(">4sHIIQQQI32sI")
_CRC = struct.Struct(">I")
_LEAF = struct.Struct(">H")
_NAME = re.compile(FOLDER + r"/(\d{20})\.seg")
_LENGTH_BYTES = 4

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
    payload_crc: int

    @property
    def guarded_bytes(self) -> int:
        """How much of the frame its CRC covers: header, leaves and lengths."""
        return HEADER_BYTES + self.leaves_bytes + _LENGTH_BYTES * self.leaf_count


class Frame(NamedTuple):
    """A frame that was read and is whole: ``offset`` and ``end`` are its place in the segment, ``digest`` its name.

    ``lengths`` are those of the sealed payloads, which begin at ``payload_offset``.
    """

    header: FrameHeader
    leaves: tuple[bytes, ...]
    lengths: tuple[int, ...]
    digest: bytes
    offset: int
    payload_offset: int
    end: int

    @property
    def until_index(self) -> int:
        """The index of the first leaf after it."""
        return self.header.first_index + self.header.leaf_count

    def span(self, index: int) -> tuple[int, int]:
        """Start and end in the segment of the sealed payload of leaf ``index``, which must be one of this frame's."""
        place = index - self.header.first_index
        start = self.payload_offset + sum(self.lengths[:place])
        return start, start + self.lengths[place]


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
    for leaf, _ in records:
        parts += (_LEAF.pack(len(leaf)), leaf)
    leaves = b"".join(parts)
    sealed = [record.sealed for record in records]
    count, payload = len(sealed), b"".join(sealed)
    lengths = struct.pack(f">{count}I", *map(len, sealed))
    numbers = (len(leaves), len(payload), epoch, sequence, first_index, count, previous, zlib.crc32(payload))
    head = _HEADER.pack(MAGIC, VERSION, *numbers)
    head += _CRC.pack(zlib.crc32(lengths, zlib.crc32(leaves, zlib.crc32(head))))
    digest = hashlib.sha256(head)
    digest.update(leaves)
    digest.update(lengths)
    return b"".join((head, leaves, lengths, payload)), digest.digest()


def read_header(data: bytes, offset: int = 0) -> FrameHeader | None:
    """The header at ``offset``, whose CRC is not looked at; None if none can be there."""
    if offset + HEADER_BYTES > len(data):
        return None
    magic, version, *rest = _HEADER.unpack_from(data, offset)
    return FrameHeader(*rest) if magic == MAGIC and version == VERSION else None


def read_frame(data: bytes, offset: int) -> Frame | None:
    """The frame at ``offset``, verified; None if there is none, or not all of it."""
    frame = read_guarded(data, offset)
    return frame if frame is not None and frame.end <= len(data) else None


def read_guarded(data: bytes, offset: int = 0) -> Frame | None:
    """The frame at ``offset`` as far as its CRC covers it: the payloads may be missing from ``data``."""
    header = read_header(data, offset)
    if header is None:
        return None
    start, middle = offset + HEADER_BYTES, offset + HEADER_BYTES + header.leaves_bytes
    after = offset + header.guarded_bytes
    if after > len(data):
        return None
    view = memoryview(data)
    (crc,) = _CRC.unpack_from(data, start - _CRC.size)
    if crc != zlib.crc32(view[start:after], zlib.crc32(view[offset : start - _CRC.size])):
        return None
    leaves, rest = split_entries(data[start:middle])
    lengths = struct.unpack_from(f">{header.leaf_count}I", data, middle)
    if rest or len(leaves) != header.leaf_count or not leaves or sum(lengths) != header.payload_bytes:
        return None
    digest = hashlib.sha256(view[offset:after]).digest()
    return Frame(header, leaves, lengths, digest, offset, after, after + header.payload_bytes)


def payloads_arrived(data: bytes, frame: Frame) -> bool:
    """Whether the payloads of a frame are those that were written with it; after an erasure they are not."""
    return zlib.crc32(memoryview(data)[frame.payload_offset : frame.end]) == frame.header.payload_crc


def find_frame(data: bytes, offset: int, plausible: Callable[[FrameHeader], bool]) -> Frame | None:
    """The first whole frame at ``offset`` or after it whose header is ``plausible``.

    A payload may be made of headers, each of which claims that megabytes follow. To verify all of them would take time
    with the square of their number, so numbers that cannot be are passed over without a look at what follows.
    """
    at = data.find(MAGIC, offset)
    while at >= 0:
        header = read_header(data, at)
        if header is not None and plausible(header):
            frame = read_frame(data, at)
            if frame is not None:
                return frame
        at = data.find(MAGIC, at + 1)
    return None
