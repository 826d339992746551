import errno

import pytest
from faulty_storage import FaultyStorage, begin, records

from roadworthy.base.errors import LedgerBroken, ParameterError, StoreBroken
from roadworthy.ledgerd.frames import FrameIndex, FrameReader, PayloadState
from roadworthy.ledgerd.recovery import recover
from roadworthy.ledgerd.segment import segment_name


@pytest.fixture
def storage(tmp_path):
    storage = FaultyStorage(tmp_path)
    yield storage
    storage.release()


@pytest.fixture
def reader(storage):
    """Five entries in three frames and two segments; entry 2 has no payload."""
    state, writer = begin(storage)
    writer.commit(records(0, 1, payload=b"p" * 1800))
    writer.commit([*records(2, payload=b""), *records(3, payload=b"three")])
    writer.commit(records(4, payload=b"four"))
    yield FrameReader(storage, state.frames)
    writer.close()


def test_payloads_are_read_by_index(reader):
    """None where there is none."""
    assert [reader.read(index) for index in range(5)] == [b"p" * 1800, b"p" * 1800, None, b"three", b"four"]


def test_an_erased_payload_is_gone_and_its_neighbours_are_not(reader, storage):
    """Durably, and the frames stay what they were."""
    before = recover(storage).frontier
    for _ in range(2):
        reader.erase(3)
    reader.erase(2)
    assert [reader.read(index) for index in range(1, 5)] == [b"p" * 1800, None, None, b"four"]
    assert recover(storage).frontier == before
    assert storage.calls.count("sync") >= 2


@pytest.mark.parametrize("index", [-1, 5])
def test_there_is_no_such_entry(reader, index):
    """Neither to read nor to erase."""
    for call in (reader.read, reader.erase):
        with pytest.raises(ParameterError, match="no entry"):
            call(index)


def test_an_erasure_that_cannot_be_synced_is_not_done(reader, storage):
    """Whoever asked must hear of it."""
    storage.fail = {"sync": [errno.EIO]}
    with pytest.raises(StoreBroken, match="EIO"):
        reader.erase(3)


def test_a_segment_that_cannot_be_opened_is_named(reader, storage):
    """For a payload and for the leaves."""
    storage.fail = {"open": [errno.EMFILE, errno.EMFILE]}
    with pytest.raises(StoreBroken) as caught:
        reader.read(4)
    assert caught.value.where == segment_name(0)
    with pytest.raises(StoreBroken, match="EMFILE"):
        list(reader.leaves())


def test_a_damaged_length_never_leads_to_another_payload(reader, tmp_path):
    """Not one is read or overwritten, and an erasure does not claim to be done."""
    path = tmp_path / segment_name(0)
    data = path.read_bytes()
    place = data.index(b"\0\0\0\0\0\0\0\x05three")
    for spoilt in (data[:place] + b"\xff" + data[place + 1 :], data.replace(b"\xf8RW", b"gone")):
        path.write_bytes(spoilt)
        assert reader.payload(3) == (PayloadState.LOST, b"")
        with pytest.raises(StoreBroken, match="cannot be found"):
            reader.erase(3)
        assert path.read_bytes() == spoilt


def test_it_is_told_what_became_of_a_payload(reader):
    """Kept, never kept, overwritten: three different answers; and the overwritten ones are found."""
    reader.erase(1)
    states = [reader.payload(index).state for index in range(5)]
    assert states == [
        PayloadState.KEPT,
        PayloadState.ZEROED,
        PayloadState.NOT_KEPT,
        PayloadState.KEPT,
        PayloadState.KEPT,
    ]
    assert list(reader.zeroed()) == [1]


def test_a_payload_that_only_begins_with_zeros_is_kept(storage):
    """However unlikely such a nonce is."""
    state, writer = begin(storage)
    writer.commit(records(0, payload=bytes(20) + b"x"))
    assert list(FrameReader(storage, state.frames).zeroed()) == []
    writer.close()


def test_nothing_of_the_last_frame_is_erased(reader, storage):
    """Recovery would take it for a frame that did not arrive; whoever says first what is erased never meets this."""
    before = reader.payload(4)
    with pytest.raises(ParameterError, match="last frame"):
        reader.erase(4)
    assert reader.payload(4) == before


def test_an_entry_that_came_from_elsewhere_has_no_payload_to_erase(storage):
    """Its frame is damaged: nobody can say that its payload is gone."""
    state, writer = begin(storage)
    writer.commit(records(0, payload=b"zero"))
    writer.close()
    reader = FrameReader(storage, state.frames, [(1, (b"{}",))])
    assert reader.payload(1).state is PayloadState.LOST
    with pytest.raises(StoreBroken, match="cannot be found"):
        reader.erase(1)
    reader.erase(0)
    assert reader.payload(0).state is PayloadState.ZEROED


def test_leaves_are_read_from_any_index(reader):
    """From the frame that holds it, one of several segments included."""
    assert [first for first, _ in reader.leaves()] == [0, 2, 4]
    assert [first for first, _ in reader.leaves(1)] == [0, 2, 4]
    assert [first for first, _ in reader.leaves(2)] == [2, 4]
    assert [first for first, _ in reader.leaves(4)] == [4]
    assert list(reader.leaves(5)) == []


def test_a_frame_that_came_after_the_file_was_read_is_read_too(storage):
    """The ledger goes on while somebody reads."""
    state, writer = begin(storage)
    writer.commit(records(0))
    index = FrameIndex()
    index.add(0, 1, segment=0, offset=0)
    reader = FrameReader(storage, index)
    parts = reader._read_frames(0)
    next(parts)
    writer.commit(records(1))
    index.add(1, 2, segment=0, offset=state.frames.locate(1)[1])
    assert [first for first, _ in reader.leaves()] == [0, 1]
    writer.close()


def test_a_frame_that_changes_meanwhile_is_found(reader, tmp_path):
    """The start read it as good."""
    path = tmp_path / segment_name(0)
    data = bytearray(path.read_bytes())
    data[80] ^= 1
    path.write_bytes(data)
    with pytest.raises(LedgerBroken, match="changed while"):
        list(reader.leaves())
