"""No acknowledged record is lost over thousands of power cuts; and a storage or a recovery that cheats is found out."""

import pytest
from crash_story import Broken, Story
from recording_storage import RecordingStorage

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledgerd import recovery


class NoFolderSync(RecordingStorage):
    """Names are never made durable."""

    def sync_folder(self, folder):
        self._step("sync_folder", folder)


class AcknowledgesBeforeSync(RecordingStorage):
    """A sync returns at once."""

    def sync(self, handle):
        self._step("sync", self._handles[handle])


class RetriesSync(RecordingStorage):
    """After a failed sync the same descriptor is synced again, and the kernel reports success."""

    def sync(self, handle):
        try:
            super().sync(handle)
        except OSError:
            super().sync(handle)


_settle = recovery._settle


def _only_zeros(storage, name, data, scan):
    scan.last = None
    _settle(storage, name, data, scan)


def _stories(count, **how):
    return sum(Story(seed, **how).tell() for seed in range(count))


def test_nothing_that_was_acknowledged_is_ever_missing():
    """At least 2,000 disks as power cuts, kills and faults leave them: every promise is kept on each."""
    assert _stories(40) >= 2000


@pytest.mark.parametrize("make", [NoFolderSync, AcknowledgesBeforeSync, RetriesSync])
def test_a_storage_that_cheats_is_found_out(make):
    """The same stories fail when a directory sync is dropped, a sync comes too late, or a failed one is tried again."""
    with pytest.raises((Broken, LedgerBroken)):
        _stories(40, make=make)


def test_a_recovery_that_trusts_the_page_cache_is_found_out(monkeypatch):
    """The last frame may only be in memory: without writing it again an entry that counted can vanish."""
    monkeypatch.setattr(recovery, "_settle", _only_zeros)
    with pytest.raises((Broken, LedgerBroken)):
        _stories(40)


def test_the_disk_forgets_what_was_not_synced():
    """The recording disk itself: a write without a sync may vanish, one with a sync never does."""
    disk = RecordingStorage()
    handle = disk.create("segments/a")
    disk.sync_folder("segments")
    disk.write(handle, 0, b"sure")
    disk.sync(handle)
    disk.write(handle, 0, b"late")
    dice = Story(0).dice
    contents = {
        bytes(image.files[inode].live) for image in (disk.image(dice) for _ in range(50)) for inode in image.files
    }
    assert contents == {b"sure", b"late"}


def test_the_disk_may_lose_a_name_that_was_not_synced():
    """A rename without a folder sync is there or not."""
    disk = RecordingStorage()
    disk.create("segments/a")
    disk.sync_folder("segments")
    disk.rename("segments/a", "segments/b")
    dice = Story(0).dice
    assert {tuple(disk.image(dice).names("segments")) for _ in range(50)} == {("segments/a",), ("segments/b",)}


def test_the_disk_doubts_what_a_failed_sync_left():
    """A later good sync of the same file says nothing about bytes that a failed one should have written."""
    disk = RecordingStorage()
    handle = disk.create("segments/a")
    disk.sync_folder("segments")
    disk.write(handle, 0, b"doubtful")
    disk.fail[len(disk.steps)] = 5
    with pytest.raises(OSError, match="injected"):
        disk.sync(handle)
    disk.sync(handle)
    dice = Story(0).dice
    assert {bytes(disk.image(dice).files[1].live) for _ in range(50)} == {b"", b"doubtful"}
