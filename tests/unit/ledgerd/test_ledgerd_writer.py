import errno

import pytest
from faulty_storage import FaultyStorage, begin, records

from roadworthy.base.errors import StoreBroken
from roadworthy.ledgerd.frames import FrameReader
from roadworthy.ledgerd.recovery import recover
from roadworthy.ledgerd.segment import segment_name
from roadworthy.ledgerd.storage import DiskFull
from roadworthy.ledgerd.writer import SPARE, SegmentWriter, Tail


@pytest.fixture
def storage(tmp_path):
    storage = FaultyStorage(tmp_path)
    yield storage
    storage.release()


@pytest.fixture
def writer(storage):
    _, writer = begin(storage)
    yield writer
    writer.close()


def leaves(storage):
    state = recover(storage)
    return [leaf for _, part in FrameReader(storage, state.frames).leaves() for leaf in part]


def numbers(*values):
    return [record.leaf for record in records(*values)]


def segments(storage):
    return [name for name in storage.names("segments") if name != SPARE]


def test_indices_follow_each_other(storage, writer):
    """The first index of each batch, and the size behind it."""
    assert [writer.commit(records(1, 2)), writer.commit(records(3)), writer.size] == [0, 2, 3]
    assert leaves(storage) == numbers(1, 2, 3)


def test_a_frame_is_synced_before_it_counts(storage, writer):
    """The first frame: a whole segment is made, named, its name synced, then the frame written and synced."""
    writer.commit(records(1))
    assert storage.calls[-6:] == ["preallocate", "write", "rename", "sync_folder", "write", "sync"]


def test_a_full_segment_is_followed_by_the_next(storage, writer):
    """A frame never spans two files; each file is named by its first index."""
    for number in range(6):
        writer.commit(records(number, payload=b"x" * 1500))
    assert segments(storage) == [segment_name(0), segment_name(2), segment_name(4)]
    assert leaves(storage) == numbers(*range(6))


def test_a_frame_longer_than_a_segment_gets_one_of_its_own(storage, writer):
    """Also when a spare of the usual length is there."""
    writer.prepare()
    writer.commit(records(1, payload=b"x" * 9000))
    writer.commit(records(2))
    assert leaves(storage) == numbers(1, 2)
    assert len(segments(storage)) == 2


def test_a_spare_is_made_ahead_and_used(storage, writer):
    """Wanted once an eighth of the segment is used, and then the next frame waits for no preallocation."""
    writer.commit(records(1, payload=b"x" * 300))
    assert not writer.wants_spare
    writer.commit(records(2, payload=b"x" * 2200))
    assert writer.wants_spare
    writer.prepare()
    assert not writer.wants_spare
    before = storage.calls.count("preallocate")
    writer.commit(records(3, payload=b"x" * 1500))
    assert storage.calls.count("preallocate") == before


def test_a_spare_that_cannot_be_made_is_left_for_later(storage, writer):
    """Preparing reports nothing: the commit that needs the segment will."""
    storage.fail = {"preallocate": [errno.ENOSPC]}
    writer.prepare()
    assert writer.commit(records(1)) == 0


@pytest.mark.parametrize("step", ["sync", "write"])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_after_a_failed_sync_the_frame_goes_into_a_new_segment(storage, writer, step, before):
    """It counts once, under the index that it would have had; the old descriptor is never synced again."""
    for number in range(before):
        writer.commit(records(number))
    storage.fail = {step: ([errno.EIO] if before or step == "sync" else [None, errno.EIO])}
    assert writer.commit(records(7, 8)) == before
    assert writer.commit(records(9)) == before + 2
    assert leaves(storage) == numbers(*range(before), 7, 8, 9)
    assert segments(storage) == sorted({segment_name(0), segment_name(before)})


@pytest.mark.parametrize("step", ["sync", "create", "rename", "sync_folder", "preallocate"])
def test_two_faults_in_a_row_break_the_writer_for_good(storage, writer, step):
    """It stays closed although the disk works again; after a restart all that was acknowledged is there."""
    writer.commit(records(1))
    storage.fail = {"sync": [errno.EIO, errno.EIO]} if step == "sync" else {"sync": [errno.EIO], step: [errno.EROFS]}
    for _ in range(2):
        with pytest.raises(StoreBroken) as caught:
            writer.commit(records(2))
        assert caught.value.code == "RW-505"
    writer.close()
    state, again = begin(storage)
    assert again.commit(records(3)) == state.tail.size
    assert leaves(storage)[0] == numbers(1)[0]
    assert leaves(storage)[-1] == numbers(3)[0]
    again.close()


@pytest.mark.parametrize(
    "fail",
    [
        {"write": [errno.ENOSPC]},
        {"sync": [errno.ENOSPC]},
        {"sync": [errno.EIO], "preallocate": [errno.EDQUOT]},
        {"sync": [errno.EIO], "sync_folder": [errno.ENOSPC]},
        {"sync": [errno.EIO], "create": [errno.EMFILE]},
        {"sync": [errno.EIO], "create": [errno.ENFILE]},
    ],
)
def test_a_full_disk_refuses_and_recovers(storage, writer, fail):
    """Nothing is acknowledged, and the next frame takes the place of the one that was refused."""
    writer.commit(records(1))
    storage.fail = {name: list(errors) for name, errors in fail.items()}
    with pytest.raises(DiskFull):
        writer.commit(records(2, 3, payload=b"x" * 900))
    assert writer.size == 1
    assert writer.commit(records(4)) == 1
    assert leaves(storage) == numbers(1, 4)


def copies(tmp_path, sealed):
    """How often the bytes stand in any segment."""
    return sum(path.read_bytes().count(sealed) for path in (tmp_path / "segments").iterdir())


@pytest.mark.parametrize("step", ["sync", "write"])
def test_a_copy_that_a_fault_left_is_gone_before_an_erasure_is_done(storage, tmp_path, step):
    """The frame counts in the new segment; in the old one it stands as well, until somebody erases anything."""
    state, writer = begin(storage)
    writer.commit(records(1))
    storage.fail = {step: [errno.EIO]}
    writer.commit(records(2, payload=b"SEALED" * 9))
    assert len(state.frames.leftovers) == 1
    writer.commit(records(3))
    assert copies(tmp_path, b"SEALED") >= 9
    FrameReader(storage, state.frames).erase(1)
    assert copies(tmp_path, b"SEALED") == 0
    assert not state.frames.leftovers
    writer.close()
    assert leaves(storage) == numbers(1, 2, 3)


def test_a_leftover_that_cannot_be_overwritten_is_tried_again(storage, tmp_path):
    """The erasure fails, and the next one does both."""
    state, writer = begin(storage)
    writer.commit(records(0))
    storage.fail = {"sync": [errno.EIO]}
    writer.commit(records(1, payload=b"SEALED" * 9))
    writer.commit(records(2))
    reader = FrameReader(storage, state.frames)
    storage.fail = {"sync": [errno.EIO]}
    with pytest.raises(StoreBroken, match="EIO"):
        reader.erase(1)
    reader.erase(1)
    assert copies(tmp_path, b"SEALED") == 0
    writer.close()


def test_a_segment_whose_first_frame_failed_is_replaced(storage, tmp_path):
    """By one of the same name, in which nothing may be overwritten as a leftover."""
    state, writer = begin(storage)
    storage.fail = {"sync": [errno.EIO]}
    writer.commit(records(1, payload=b"SEALED" * 9))
    writer.commit(records(2))
    assert not state.frames.leftovers
    assert copies(tmp_path, b"SEALED") == 9
    FrameReader(storage, state.frames).erase(0)
    assert copies(tmp_path, b"SEALED") == 0
    writer.close()
    assert leaves(storage) == numbers(1, 2)


def test_what_a_refused_frame_left_is_covered_by_the_next(storage, writer, tmp_path):
    """By the frame itself, and by zeros where it is shorter."""
    writer.commit(records(1))
    storage.fail = {"write": [errno.ENOSPC]}
    with pytest.raises(DiskFull):
        writer.commit(records(2, payload=b"SEALED" * 90))
    assert copies(tmp_path, b"SEALED") > 1
    writer.commit(records(3))
    assert copies(tmp_path, b"SEALED") == 0
    assert leaves(storage) == numbers(1, 3)


def test_what_a_refused_frame_left_in_a_segment_that_is_full_is_noted(storage, tmp_path):
    """The next frame goes elsewhere, so it covers nothing."""
    state, writer = begin(storage)
    writer.commit(records(1, payload=b"x" * 1500))
    storage.fail = {"write": [errno.ENOSPC]}
    with pytest.raises(DiskFull):
        writer.commit(records(2, payload=b"SEALED" * 90))
    writer.commit(records(3, payload=b"x" * 3000))
    assert len(state.frames.leftovers) == 1
    FrameReader(storage, state.frames).erase(0)
    assert copies(tmp_path, b"SEALED") == 0
    writer.close()


def test_a_full_disk_at_the_very_first_segment(storage, writer):
    """No segment, no promise; with space it goes on."""
    storage.fail = {"preallocate": [errno.ENOSPC]}
    with pytest.raises(DiskFull):
        writer.commit(records(1))
    assert writer.commit(records(2)) == 0


def test_a_segment_that_cannot_be_opened_refuses_the_start(storage):
    """Recovery read it a moment ago, so something is wrong."""
    with pytest.raises(StoreBroken, match="No such file"):
        SegmentWriter(storage, Tail(segment=5), recover(storage).frames, segment_bytes=4096)


def test_an_epoch_is_one_run(storage, writer):
    """The run after this one has the next number, once this one wrote anything."""
    assert writer.epoch == 1
    writer.commit(records(1))
    writer.close()
    assert recover(storage).tail.epoch == 2
