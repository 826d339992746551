import hashlib
import struct
import zlib

import pytest

from roadworthy.ledger.tiles import entry_bundle
from roadworthy.ledgerd import segment
from roadworthy.ledgerd.segment import (
    HEADER_BYTES,
    MAGIC,
    NO_DIGEST,
    build_frame,
    find_frame,
    parse_segment_name,
    payloads_arrived,
    read_frame,
    read_guarded,
    read_header,
    segment_name,
)
from roadworthy.wire.ledger_messages import LedgerRecord

RECORDS = [LedgerRecord(b'{"n":1}', b"sealed one"), LedgerRecord(b'{"n":22}', b""), LedgerRecord(b'{"n":3}', b"three")]
FRAME, DIGEST = build_frame(RECORDS, epoch=3, sequence=9, first_index=41, previous=b"p" * 32)


def test_a_frame_is_the_bytes_that_its_docstring_says():
    """Written out by hand: the format is for others to read, too."""
    leaves = entry_bundle([record.leaf for record in RECORDS])
    lengths = struct.pack(">3I", *(len(record.sealed) for record in RECORDS))
    payloads = b"".join(record.sealed for record in RECORDS)
    head = MAGIC + struct.pack(">HIIQQQI", 2, len(leaves), len(payloads), 3, 9, 41, 3) + b"p" * 32
    head += struct.pack(">I", zlib.crc32(payloads))
    head += struct.pack(">I", zlib.crc32(head + leaves + lengths))
    assert head + leaves + lengths + payloads == FRAME
    assert hashlib.sha256(head + leaves + lengths).digest() == DIGEST
    assert len(head) == HEADER_BYTES == 82


def test_a_frame_is_read_back():
    """Header, leaves, digest and place, wherever it stands."""
    frame = read_frame(b"\0" * 7 + FRAME + b"tail", 7)
    assert frame.leaves == tuple(record.leaf for record in RECORDS)
    assert (frame.header.epoch, frame.header.sequence, frame.header.first_index) == (3, 9, 41)
    assert (frame.header.leaf_count, frame.header.previous, frame.digest) == (3, b"p" * 32, DIGEST)
    assert (frame.offset, frame.end, frame.until_index) == (7, 7 + len(FRAME), 44)


def test_every_bit_before_the_payloads_counts():
    """One flipped bit in header, leaves or lengths, and the frame is none; in the payloads it still is one."""
    guarded = read_header(FRAME).guarded_bytes
    for bit in range(8 * guarded):
        changed = bytearray(FRAME)
        changed[bit // 8] ^= 1 << bit % 8
        assert read_frame(bytes(changed), 0) is None
    zeroed = FRAME[:guarded] + bytes(len(FRAME) - guarded)
    assert read_frame(zeroed, 0).digest == DIGEST
    assert payloads_arrived(FRAME, read_frame(FRAME, 0))
    assert not payloads_arrived(zeroed, read_frame(zeroed, 0))


@pytest.mark.parametrize("length", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, len(FRAME) - 1])
def test_a_frame_that_is_cut_short_is_none(length):
    """Also when only the last byte of the last payload is missing."""
    assert read_frame(FRAME[:length], 0) is None


@pytest.mark.parametrize(
    ("leaves", "length", "whole"),
    [
        (b"\x00\x01a", 0, True),
        (b"", 0, False),
        (b"\x00\x05abc", 0, False),
        (b"\x00\x01a\x00", 0, False),
        (b"\x00\x01a", 1, False),
    ],
)
def test_a_frame_with_a_good_crc_must_hold_what_it_says(leaves, length, whole):
    """No leaf, one longer than the block, bytes left over, or lengths of more payloads than there are: not a frame."""
    lengths = struct.pack(">I", length)
    head = MAGIC + struct.pack(">HIIQQQI", 2, len(leaves), 0, 1, 0, 0, 1) + NO_DIGEST + bytes(4)
    head += struct.pack(">I", zlib.crc32(head + leaves + lengths))
    assert (read_frame(head + leaves + lengths, 0) is not None) == whole


def test_the_next_whole_frame_is_found():
    """Behind any garbage, beginnings of frames included."""
    data = b"x" + MAGIC + b"y" * 9 + FRAME[:50] + FRAME + b"z"
    assert find_frame(data, 0, lambda _: True).offset == 1 + len(MAGIC) + 9 + 50
    assert find_frame(data, len(data) - 5, lambda _: True) is None


def test_headers_that_cannot_be_are_passed_over(monkeypatch):
    """A payload full of headers, each of which claims megabytes, is not verified once for each."""
    looked = []
    monkeypatch.setattr(segment, "read_frame", lambda data, offset: looked.append(offset))
    data = FRAME[:HEADER_BYTES] * 1000
    assert find_frame(data, 0, lambda header: header.sequence != 9) is None
    assert looked == []


def test_each_payload_is_found_by_its_index():
    """Also one without bytes."""
    frame = read_frame(b"\0" * 7 + FRAME, 7)
    assert [(b"\0" * 7 + FRAME)[slice(*frame.span(index))] for index in (41, 42, 43)] == [b"sealed one", b"", b"three"]


def test_what_is_guarded_is_read_without_the_payloads():
    """That is enough to know where they lie."""
    guarded = read_header(FRAME).guarded_bytes
    assert read_guarded(FRAME[:guarded]).lengths == (10, 0, 5)
    assert read_guarded(FRAME[: guarded - 1]) is None


def test_a_segment_is_named_by_its_first_index():
    """Twenty digits, so that names sort like numbers."""
    assert segment_name(41) == "segments/00000000000000000041.seg"
    assert parse_segment_name(segment_name(2**63)) == 2**63
    assert parse_segment_name("segments/spare") is None
