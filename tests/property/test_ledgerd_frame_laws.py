"""Laws of frames and segments that hold for any records."""

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.ledger.merkle import Frontier, leaf_hash
from roadworthy.ledgerd.growth import grow
from roadworthy.ledgerd.segment import (
    NO_DIGEST,
    build_frame,
    find_frame,
    payloads_arrived,
    read_frame,
    read_header,
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
    spans = [read.span(index) for index in range(first, read.until_index)]
    assert [(b"junk" + frame)[start:end] for start, end in spans] == [record.sealed for record in records]


@given(RECORDS, st.data())
def test_a_torn_frame_is_never_taken_for_another(records, data):
    """Any of its bytes missing in header, leaves or lengths: not a frame; in the payloads: they did not arrive."""
    frame, _ = build_frame(records, epoch=1, sequence=0, first_index=0, previous=NO_DIGEST)
    guarded = read_header(frame).guarded_bytes
    start = data.draw(st.integers(0, guarded - 1))
    torn = frame[:start] + bytes(guarded - start) + frame[guarded:]
    assert torn == frame or read_frame(torn, 0) is None
    cut = data.draw(st.integers(guarded, len(frame)))
    torn = frame[:cut] + bytes(len(frame) - cut)
    assert payloads_arrived(torn, read_frame(torn, 0)) == (torn == frame)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_frame(data):
    """And reading them raises nothing."""
    assert find_frame(data, 0, lambda _: True) is None


@given(st.lists(st.binary(max_size=8), max_size=40), st.integers(0, 40))
def test_growing_at_once_is_appending_one_by_one(leaves, cut):
    """Whatever was there before."""
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf_hash(leaf))
    assert grow(grow(Frontier(), leaves[:cut]), leaves[cut:]) == frontier
