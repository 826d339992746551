"""Laws of frames and segments that hold for any records."""

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.ledger.merkle import Frontier, leaf_hash
from roadworthy.ledgerd.growth import grow
from roadworthy.ledgerd.segment import (
    HEADER_BYTES,
    NO_DIGEST,
    build_frame,
    find_frame,
    read_frame,
    read_header,
    sealed_spans,
)
from roadworthy.wire.ledger_messages import LedgerRecord

RECORDS = st.lists(st.builds(LedgerRecord, st.binary(max_size=40), st.binary(max_size=40)), min_size=1, max_size=6)
PLACES = st.integers(0, 2**40)


@given(RECORDS, PLACES, PLACES, PLACES)
def test_what_was_built_is_read(records, epoch, sequence, first):
    """Every record, wherever the frame stands, and its payloads where their lengths say."""
    frame, digest = build_frame(records, epoch=epoch, sequence=sequence, first_index=first, previous=NO_DIGEST)
    read = read_frame(b"junk" + frame + b"more", 4)
    assert (read.leaves, read.digest) == (tuple(record.leaf for record in records), digest)
    assert (read.header.epoch, read.header.sequence, read.header.first_index) == (epoch, sequence, first)
    payloads = frame[HEADER_BYTES + read.header.leaves_bytes :]
    assert [payloads[start:end] for start, end in sealed_spans(payloads)] == [record.sealed for record in records]


@given(RECORDS, st.data())
def test_a_torn_frame_is_never_taken_for_another(records, data):
    """Any of its sectors missing in header or leaves: not a frame."""
    frame, _ = build_frame(records, epoch=1, sequence=0, first_index=0, previous=NO_DIGEST)
    guarded = HEADER_BYTES + read_header(frame).leaves_bytes
    start = data.draw(st.integers(0, guarded - 1))
    torn = frame[:start] + bytes(guarded - start) + frame[guarded:]
    assert torn == frame or read_frame(torn, 0) is None


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_frame(data):
    """And reading them raises nothing."""
    assert find_frame(data, 0) is None
    assert all(end <= len(data) for _, end in sealed_spans(data))


@given(st.lists(st.binary(max_size=8), max_size=40), st.integers(0, 40))
def test_growing_at_once_is_appending_one_by_one(leaves, cut):
    """Whatever was there before."""
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf_hash(leaf))
    assert grow(grow(Frontier(), leaves[:cut]), leaves[cut:]) == frontier
