import hashlib
import struct
import zlib

import pytest

from roadworthy.ledger.tiles import entry_bundle
from roadworthy.ledgerd.segment import (
    HEADER_BYTES,
    MAGIC,
    NO_DIGEST,
    build_frame,
    find_frame,
    parse_segment_name,
    read_frame,
    read_header,
    sealed_spans,
    segment_name,
)
from roadworthy.wire.ledger_messages import LedgerRecord

RECORDS = [LedgerRecord(b'{"n":1}', b"sealed one"), LedgerRecord(b'{"n":22}', b""), LedgerRecord(b'{"n":3}', b"three")]
FRAME, DIGEST = build_frame(RECORDS, epoch=3, sequence=9, first_index=41, previous=b"p" * 32)


def test_a_frame_is_the_bytes_that_its_docstring_says():
    """Written out by hand: the format is for others to read, too."""
    leaves = entry_bundle([record.leaf for record in RECORDS])
    payloads = b"".join(struct.pack(">I", len(record.sealed)) + record.sealed for record in RECORDS)
    head = MAGIC + struct.pack(">HIIQQQI", 1, len(leaves), len(payloads), 3, 9, 41, 3) + b"p" * 32
    head += struct.pack(">I", zlib.crc32(head + leaves))
    assert head + leaves + payloads == FRAME
    assert hashlib.sha256(head + leaves).digest() == DIGEST
    assert len(head) == HEADER_BYTES == 78


def test_a_frame_is_read_back():
    """Header, leaves, digest and place, wherever it stands."""
    frame = read_frame(b"\0" * 7 + FRAME + b"tail", 7)
    assert frame.leaves == tuple(record.leaf for record in RECORDS)
    assert (frame.header.epoch, frame.header.sequence, frame.header.first_index) == (3, 9, 41)
    assert (frame.header.leaf_count, frame.header.previous, frame.digest) == (3, b"p" * 32, DIGEST)
    assert (frame.offset, frame.end, frame.until_index) == (7, 7 + len(FRAME), 44)


def test_every_bit_of_header_and_leaves_counts():
    """One flipped bit there, and the frame is none; in the payloads it still is one."""
    guarded = HEADER_BYTES + read_header(FRAME).leaves_bytes
    for bit in range(8 * guarded):
        changed = bytearray(FRAME)
        changed[bit // 8] ^= 1 << bit % 8
        assert read_frame(bytes(changed), 0) is None
    zeroed = FRAME[:guarded] + bytes(len(FRAME) - guarded)
    assert read_frame(zeroed, 0).digest == DIGEST


@pytest.mark.parametrize("length", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, len(FRAME) - 1])
def test_a_frame_that_is_cut_short_is_none(length):
    """Also when only the last byte of the last payload is missing."""
    assert read_frame(FRAME[:length], 0) is None


@pytest.mark.parametrize("leaves", [b"", b"\x00\x05abc", b"\x00\x01a\x00"])
def test_a_frame_with_a_good_crc_must_hold_its_leaves(leaves):
    """None at all, one that is longer than the block, or bytes left over: not a frame."""
    head = MAGIC + struct.pack(">HIIQQQI", 1, len(leaves), 0, 1, 0, 0, 1) + NO_DIGEST
    head += struct.pack(">I", zlib.crc32(head + leaves))
    assert read_frame(head + leaves, 0) is None


def test_the_next_whole_frame_is_found():
    """Behind any garbage, beginnings of frames included."""
    data = b"x" + MAGIC + b"y" * 9 + FRAME[:50] + FRAME + b"z"
    assert find_frame(data, 0).offset == 1 + len(MAGIC) + 9 + 50
    assert find_frame(data, len(data) - 5) is None


def test_payloads_are_found_as_far_as_their_lengths_fit():
    """A length that points out of the block ends the reading."""
    block = b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c"
    assert list(sealed_spans(block)) == [(4, 6), (10, 10), (14, 15)]
    assert list(sealed_spans(block[:-1])) == [(4, 6), (10, 10)]
    assert list(sealed_spans(b"\xff\xff\xff\xff")) == []


def test_a_segment_is_named_by_its_first_index():
    """Twenty digits, so that names sort like numbers."""
    assert segment_name(41) == "segments/00000000000000000041.seg"
    assert parse_segment_name(segment_name(2**63)) == 2**63
    assert parse_segment_name("segments/spare") is None
