import errno

import pytest
from faulty_storage import FaultyStorage, begin, records

from roadworthy.base.errors import LedgerBroken, ParameterError, StoreBroken
from roadworthy.ledgerd.frames import FrameReader
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


def test_payload_lengths_that_are_damaged_give_no_payload(reader, tmp_path):
    """They are guarded by nothing; the payload is then unreadable, not another one."""
    path = tmp_path / segment_name(0)
    data = path.read_bytes()
    place = data.index(b"\0\0\0\0\0\0\0\x05three")
    path.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
    assert reader.read(3) is None
    reader.erase(3)
    assert b"three" in path.read_bytes()


def test_a_frame_that_changes_meanwhile_is_found(reader, tmp_path):
    """The start read it as good."""
    path = tmp_path / segment_name(0)
    data = bytearray(path.read_bytes())
    data[80] ^= 1
    path.write_bytes(data)
    with pytest.raises(LedgerBroken, match="changed while"):
        list(reader.leaves())
