import contextlib
import errno

import pytest
from faulty_storage import FaultyStorage, begin, records

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import LedgerBroken, StoreBroken
from roadworthy.ledger.merkle import leaf_hash, root
from roadworthy.ledgerd import segment
from roadworthy.ledgerd.acknowledgement import LostBytes
from roadworthy.ledgerd.frames import FrameReader
from roadworthy.ledgerd.recovery import recover
from roadworthy.ledgerd.segment import HEADER_BYTES, NO_DIGEST, build_frame, read_frame, segment_name
from roadworthy.ledgerd.storage import DiskFull
from roadworthy.ledgerd.writer import SegmentWriter
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
    with pytest.raises(LedgerBroken, match=r"bytes are damaged .* entries 1 up to 2"):
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


def test_the_newest_instant_is_that_of_the_ledgers_own_process(storage):
    """What others wrote does not matter, however late it is, nor does an own leaf that names no instant."""
    _, writer = begin(storage)
    own = b'{"at":"2026-01-01T10:00:00.000000Z","kind":"payload.erased"}'
    later = b'{"at":"2026-01-02T10:00:00.000000Z","kind":"gateway.node","subject":"ledgerd started"}'
    others = b'{"at":"2999-01-01T10:00:00.000000Z","kind":"gateway.node","subject":"reloaded"}'
    for leaf, found in ((others, None), (own, "2026-01-01"), (later, "2026-01-02"), (others, "2026-01-02")):
        writer.commit([LedgerRecord(leaf, b"")])
        newest = recover(storage).newest_at
        assert newest == (found and f"{found}T10:00:00.000000Z")
    for at in (b"7", b'"noon"'):
        writer.commit([LedgerRecord(b'{"at":%s,"kind":"payload.erased"}' % at, b"")])
        assert recover(storage).newest_at is None
    writer.close()


def published(*numbers):
    """The leaves of these records, as the bundles would give them."""
    return lambda first, until: tuple(each.leaf for each in records(*numbers))[: until - first]


def test_a_damaged_end_that_was_published_can_be_acknowledged(storage, tmp_path):
    """The published entries come from the bundles, the ledger goes on in a new segment, and stays so."""
    filled(storage, (1,), (2, 3), payload=b"x" * 30)
    start, _ = places(tmp_path)[1]
    data = content(tmp_path)
    data[start + 83] ^= 1
    (tmp_path / FIRST).write_bytes(data)
    lost = LostBytes(FIRST, start, len(data) - start, digest_bytes(bytes(data[start:])))
    how = {"acknowledged": frozenset({lost}), "restore": published(2, 3), "published_size": 3}
    with pytest.raises(LedgerBroken, match="acknowledged, but"):
        recover(storage, **{**how, "restore": lambda *_: None})
    state = recover(storage, **how)
    assert (state.tail.size, state.tail.segment, state.cut, state.lost) == (3, None, None, (lost,))
    writer = SegmentWriter(storage, state.tail, state.frames, segment_bytes=4096)
    assert writer.commit(records(4)) == 3
    writer.close()
    assert content(tmp_path) == data
    for _ in range(2):
        again = recover(storage, **how)
        leaves = [leaf for _, part in FrameReader(storage, again.frames, again.lost_leaves).leaves() for leaf in part]
        assert leaves == [each.leaf for each in records(1, 2, 3, 4)]
        assert again.tail.segment == 3


def test_a_segment_that_is_gone_altogether_is_shorter_than_what_was_published(storage, tmp_path):
    """There are no bytes that anybody could sign for."""
    with pytest.raises(LedgerBroken, match="hold 0 entries, the published checkpoint 2"):
        recover(storage, published_size=2)


def torn_payload(storage, tmp_path):
    """Two frames; of the last one's payloads the end is missing."""
    filled(storage, (1,), (2,), payload=b"y" * 100)
    data = content(tmp_path)
    _, end = places(tmp_path)[1]
    data[end - 50 : end] = bytes(50)
    (tmp_path / FIRST).write_bytes(data)
    return data, end


def test_a_last_frame_whose_payload_did_not_arrive_is_no_frame(storage, tmp_path):
    """Its leaves did, but it was never acknowledged: nobody gets an entry with half a payload."""
    torn_payload(storage, tmp_path)
    state = recover(storage)
    assert (state.tail.size, state.cut is None) == (1, False)
    assert recover(storage).cut is None


def test_a_payload_that_was_published_is_kept_as_it_is(storage, tmp_path):
    """A checkpoint covers it, so it was synced: what is missing now is damage to a payload, not to the log."""
    torn_payload(storage, tmp_path)
    assert recover(storage, published_size=2).tail.size == 2


def test_bytes_after_a_payload_that_did_not_arrive_change_nothing(storage, tmp_path):
    """They may be of a longer frame that was refused before; what does not count now does not count at the next start."""
    data, end = torn_payload(storage, tmp_path)
    data[end + 10 : end + 20] = b"torn frame"
    (tmp_path / FIRST).write_bytes(data)
    state = recover(storage)
    assert (state.tail.size, state.cut.offset + state.cut.length) == (1, end + 20)
    assert recover(storage).tail.size == 1


def test_an_erased_payload_does_not_make_a_frame_torn(storage, tmp_path):
    """The leaf that says so stands in a later frame."""
    state, writer = begin(storage)
    writer.commit(records(1, payload=b"y" * 100))
    writer.commit(records(2))
    FrameReader(storage, state.frames).erase(0)
    writer.close()
    assert recover(storage).tail.size == 2


@pytest.mark.parametrize("fault", [errno.EIO, errno.ENOSPC])
def test_copies_that_faults_left_are_gone_after_a_start(storage, tmp_path, fault):
    """Of a frame whose sync failed, and of one that was refused; the segments before the last are settled as well."""
    _, writer = begin(storage)
    writer.commit(records(1))
    storage.fail = {"sync": [fault]}
    with contextlib.suppress(DiskFull):
        writer.commit(records(2, payload=b"SEALED" * 9))
    writer.commit(records(3))
    writer.close()
    assert b"SEALED" in content(tmp_path)
    before = recover(storage).frontier
    assert b"SEALED" not in content(tmp_path)
    assert recover(storage).frontier == before


def test_headers_that_cannot_follow_are_not_verified(storage, tmp_path, monkeypatch):
    """A torn frame whose payload is made of headers: nearly all are passed over."""
    header = build_frame(records(9), epoch=1, sequence=9, first_index=9, previous=NO_DIGEST)[0][:HEADER_BYTES]
    old = build_frame(records(9), epoch=1, sequence=0, first_index=0, previous=NO_DIGEST)[0][:HEADER_BYTES]
    filled(storage, (1,), (2,))
    data = content(tmp_path)
    data += header[:10] + bytes([255] * 8) + header[18:] + old * 500
    (tmp_path / FIRST).write_bytes(data)
    looked = []
    monkeypatch.setattr(segment, "read_frame", lambda *place: looked.append(place) or read_frame(*place))
    assert recover(storage).tail.size == 2
    assert looked == []
