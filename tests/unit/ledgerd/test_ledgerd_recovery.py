import errno

import pytest
from faulty_storage import FaultyStorage, begin, records

from roadworthy.base.errors import LedgerBroken, StoreBroken
from roadworthy.ledger.merkle import leaf_hash, root
from roadworthy.ledgerd.frames import FrameReader
from roadworthy.ledgerd.recovery import recover
from roadworthy.ledgerd.segment import NO_DIGEST, build_frame, read_frame, segment_name
from roadworthy.wire.ledger_messages import LedgerRecord

FIRST = segment_name(0)


@pytest.fixture
def storage(tmp_path):
    storage = FaultyStorage(tmp_path)
    yield storage
    storage.release()


def filled(storage, *batches, payload=b"sealed"):
    """Write the batches, a frame each, and stop."""
    _, writer = begin(storage)
    for batch in batches:
        writer.commit(records(*batch, payload=payload))
    writer.close()


def content(tmp_path, name=FIRST):
    return bytearray((tmp_path / name).read_bytes())


def places(tmp_path, name=FIRST):
    """Offset and end of every frame of a segment."""
    data, found, offset = bytes(content(tmp_path, name)), [], 0
    while frame := read_frame(data, offset):
        found.append((frame.offset, frame.end))
        offset = frame.end
    return found


def test_an_empty_folder_is_an_empty_ledger(storage):
    """Size zero, first epoch, nothing cut."""
    state = recover(storage)
    assert (state.tail.size, state.tail.epoch, state.tail.segment, state.cut, state.newest_at) == (
        0,
        1,
        None,
        None,
        None,
    )
    assert (len(state.frames), state.frontier.size) == (0, 0)


def test_everything_that_was_written_is_found(storage):
    """Leaves, tree, epoch, sequence and the place of the next frame."""
    filled(storage, (1, 2), (3,))
    filled(storage, (4,))
    state = recover(storage)
    leaves = [leaf for _, part in FrameReader(storage, state.frames).leaves() for leaf in part]
    assert leaves == [record.leaf for record in records(1, 2, 3, 4)]
    assert state.frontier.root() == root([leaf_hash(leaf) for leaf in leaves])
    assert (state.tail.epoch, state.tail.sequence, state.tail.size, len(state.frames)) == (3, 3, 4, 3)


def test_zeros_after_the_last_frame_are_no_damage(storage, tmp_path):
    """They were there before any frame."""
    filled(storage, (1,))
    before = content(tmp_path)
    assert recover(storage).cut is None
    assert content(tmp_path) == before


@pytest.mark.parametrize("spoilt", ["header", "leaves", "end missing"])
def test_a_torn_tail_is_covered_with_zeros(storage, tmp_path, spoilt):
    """Also when its header never arrived and only later sectors did."""
    filled(storage, (1,), (2, 3))
    data = content(tmp_path)
    start, end = places(tmp_path)[1]
    if spoilt == "header":
        data[start : start + 40] = bytes(40)
    elif spoilt == "leaves":
        data[start + 80] ^= 1
    else:
        data[start + 70 : end] = bytes(end - start - 70)
    (tmp_path / FIRST).write_bytes(data)
    state = recover(storage)
    assert (state.tail.size, state.tail.offset, state.cut.segment, state.cut.offset) == (1, start, FIRST, start)
    assert state.cut.digest.startswith("sha256:")
    assert not content(tmp_path)[start:].strip(b"\0")
    assert recover(storage).cut is None


def test_a_torn_first_frame_leaves_an_empty_segment(storage, tmp_path):
    """The segment is used again from its beginning."""
    filled(storage, (1,))
    data = content(tmp_path)
    data[3] ^= 1
    (tmp_path / FIRST).write_bytes(data)
    state, writer = begin(storage)
    assert (state.tail.size, state.tail.segment, state.tail.offset) == (0, 0, 0)
    assert writer.commit(records(9)) == 0
    writer.close()
    assert recover(storage).tail.size == 1


def test_damage_before_a_good_frame_is_refused_and_nothing_is_touched(storage, tmp_path):
    """That was acknowledged once, so it is no torn tail."""
    filled(storage, (1,), (2,), (3,))
    data = content(tmp_path)
    start, _ = places(tmp_path)[1]
    data[start + 79] ^= 1
    (tmp_path / FIRST).write_bytes(data)
    with pytest.raises(LedgerBroken, match="damaged") as caught:
        recover(storage)
    assert caught.value.where == f"{FIRST}:{start}"
    assert content(tmp_path) == data


def test_damage_at_the_end_of_a_segment_that_has_a_successor_is_refused(storage, tmp_path):
    """Even if the successor is empty: it was begun only after this one was full of good frames."""
    filled(storage, (1,), (2,), payload=b"x" * 1500)
    start, _ = places(tmp_path)[1]
    (tmp_path / segment_name(2)).write_bytes(bytes(4096))
    data = content(tmp_path)
    data[start + 3] ^= 1
    (tmp_path / FIRST).write_bytes(data)
    with pytest.raises(LedgerBroken, match="entries 1 up to 2"):
        recover(storage)


def test_a_missing_segment_is_refused(storage, tmp_path):
    """In the middle its leaves are missing; at the beginning as well."""
    filled(storage, (1,), (2,), (3,), payload=b"x" * 3000)
    (tmp_path / segment_name(1)).unlink()
    with pytest.raises(LedgerBroken, match="entries 1 up to 2"):
        recover(storage)
    (tmp_path / FIRST).unlink()
    with pytest.raises(LedgerBroken, match="begin at entry 0"):
        recover(storage)


def test_a_ledger_shorter_than_what_was_published_is_refused(storage, tmp_path):
    """Damage to the last frame looks like a torn tail; the checkpoint knows better, and the frame is not touched."""
    filled(storage, (1,), (2,))
    data = content(tmp_path)
    data[places(tmp_path)[1][0] + 79] ^= 1
    (tmp_path / FIRST).write_bytes(data)
    with pytest.raises(LedgerBroken, match="hold 1 entries, the published checkpoint 2"):
        recover(storage, published_size=2)
    assert content(tmp_path) == data


@pytest.mark.parametrize(
    "change", [{"sequence": 5}, {"first_index": 2}, {"first_index": 0}, {"previous": NO_DIGEST}, {"epoch": 0}]
)
def test_a_whole_frame_in_the_wrong_place_is_refused(storage, tmp_path, change):
    """It has a good CRC, but the chain, the numbers or the epoch say that it was put there."""
    filled(storage, (1,))
    tail = recover(storage).tail
    place = {"epoch": 1, "sequence": tail.sequence, "first_index": tail.size, "previous": tail.digest}
    for frame, _ in (build_frame(records(2), **(place | change)), build_frame(records(2), **place)):
        data = content(tmp_path)
        data[tail.offset : tail.offset + len(frame)] = frame
        (tmp_path / FIRST).write_bytes(data)
        if frame == build_frame(records(2), **place)[0]:
            assert recover(storage).tail.size == 2
        else:
            with pytest.raises(LedgerBroken, match="put there"):
                recover(storage)


def test_of_a_frame_that_was_written_twice_the_newer_copy_counts(storage, tmp_path):
    """Its first sync failed, yet it arrived; the same frame stands in the next segment."""
    filled(storage, (1,))
    _, writer = begin(storage)
    storage.fail = {"sync": [errno.EIO]}
    writer.commit(records(2, payload=b"two"))
    writer.commit(records(3))
    writer.close()
    assert len(places(tmp_path)) == 2
    state = recover(storage)
    assert state.tail.size == 3
    assert state.frames.locate(1)[0] == segment_name(1)


def test_of_a_frame_whose_newer_copy_never_arrived_none_counts(storage, tmp_path):
    """The next segment is there and empty: the frame was not acknowledged, so its index is free."""
    filled(storage, (1,), (2,))
    (tmp_path / segment_name(1)).write_bytes(bytes(4096))
    state, writer = begin(storage)
    assert (state.tail.size, state.tail.segment, state.tail.sequence) == (1, 1, 1)
    assert writer.commit(records(7)) == 1
    writer.close()
    reader = FrameReader(storage, recover(storage).frames)
    assert [leaf for _, part in reader.leaves() for leaf in part] == [each.leaf for each in records(1, 7)]


def test_a_frame_that_reaches_into_the_next_segment_is_refused(storage, tmp_path):
    """The name of the next segment says where this one ended."""
    filled(storage, (1,), (2, 3, 4))
    (tmp_path / segment_name(2)).write_bytes(bytes(4096))
    with pytest.raises(LedgerBroken, match="beyond entry 2"):
        recover(storage)


def test_the_last_frame_is_written_again_and_synced(storage, tmp_path):
    """It may be in the machine's memory only; that is why the start needs a disk that works."""
    filled(storage, (1,), (2,))
    before = content(tmp_path)
    storage.calls.clear()
    recover(storage)
    assert storage.calls[-2:] == ["write", "sync"]
    assert content(tmp_path) == before
    storage.fail = {"sync": [errno.EIO]}
    with pytest.raises(StoreBroken, match="EIO"):
        recover(storage)


def test_the_names_are_synced_before_they_are_believed(storage):
    """A segment whose name is only in memory must not be built upon."""
    storage.fail = {"sync_folder": [errno.EIO]}
    with pytest.raises(StoreBroken, match="EIO"):
        recover(storage)


def test_the_newest_instant_is_found(storage):
    """Of the last frame's leaves, by instant and not by text; leaves of another kind do not matter."""
    _, writer = begin(storage)
    leaves = [
        b'{"at":"2026-01-01T10:00:00.000000Z"}',
        b'{"at":"2026-01-01T11:30:00+02:00"}',
        b'{"at":7}',
        b"[]",
        b"no json",
        b'{"at":"noon"}',
    ]
    writer.commit([LedgerRecord(leaf, b"") for leaf in leaves])
    writer.close()
    assert recover(storage).newest_at == "2026-01-01T10:00:00.000000Z"
