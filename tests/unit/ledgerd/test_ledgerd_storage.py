import errno
import os

import pytest

from roadworthy.base.errors import MissingFile, StoreBroken
from roadworthy.ledgerd.storage import LOCK, PosixStorage


@pytest.fixture
def storage(tmp_path):
    storage = PosixStorage(tmp_path / "deep" / "ledger")
    yield storage
    storage.release()


def test_the_folders_are_for_their_owner_only(storage, tmp_path):
    """Mode 0700, whatever the umask lets pass."""
    for path in (tmp_path / "deep" / "ledger", tmp_path / "deep" / "ledger" / "segments"):
        assert path.stat().st_mode & 0o777 == 0o700


def test_one_folder_has_one_writer(storage, tmp_path):
    """A second one is refused until the first lets go."""
    with pytest.raises(StoreBroken, match="Another process"):
        PosixStorage(tmp_path / "deep" / "ledger")


def test_removing_the_lock_does_not_let_a_second_writer_in(storage, tmp_path):
    """The folder of segments is locked as well."""
    (tmp_path / "deep" / "ledger" / LOCK).unlink()
    with pytest.raises(StoreBroken, match="Another process"):
        PosixStorage(tmp_path / "deep" / "ledger")


def test_a_released_folder_is_free(tmp_path):
    """Whoever comes next may have it."""
    PosixStorage(tmp_path).release()
    PosixStorage(tmp_path).release()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    """A file is in the way."""
    (tmp_path / "file").touch()
    with pytest.raises(MissingFile, match="folder"):
        PosixStorage(tmp_path / "file" / "ledger")


def test_a_folder_that_cannot_be_synced_is_refused(tmp_path, monkeypatch):
    """Its name in its parent might vanish; the lock is given back."""

    def refuse(handle):
        raise OSError(errno.EIO, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(MissingFile, match="injected"):
            PosixStorage(tmp_path)
    PosixStorage(tmp_path).release()


def test_a_file_is_made_filled_written_and_read(storage):
    """The whole life of one file."""
    handle = storage.create("segments/a")
    storage.preallocate(handle, 3 * 1024 * 1024 + 5)
    storage.write(handle, 10, b"hello")
    storage.sync(handle)
    storage.rename("segments/a", "segments/b")
    storage.sync_folder("segments")
    assert storage.length(handle) == 3 * 1024 * 1024 + 5
    storage.close(handle)
    assert storage.names("segments") == ["segments/b"]
    again = storage.open("segments/b")
    assert storage.read(again, 8, 9) == b"\0\0hello\0\0"
    assert storage.read(again, 3 * 1024 * 1024, 100) == bytes(5)
    storage.close(again)


def test_a_file_that_is_made_again_is_another_file(storage):
    """Who has the old one open keeps it: a late write there cannot reach the new one."""
    old = storage.create("segments/a")
    storage.write(old, 0, b"old")
    new = storage.create("segments/a")
    storage.write(old, 0, b"late")
    assert storage.length(new) == 0
    storage.close(old)
    storage.close(new)


def test_a_short_write_is_continued(storage, monkeypatch):
    """The kernel may take less than it is given."""
    handle = storage.create("segments/a")
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, offset: pwrite(handle, data[:3], offset))
    storage.write(handle, 2, b"0123456789")
    assert storage.read(handle, 0, 20) == b"\0\x000123456789"
    storage.close(handle)


def test_a_write_that_gets_nowhere_is_an_error(storage, monkeypatch):
    """It would go on for ever."""
    handle = storage.create("segments/a")
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with pytest.raises(OSError, match="no more bytes"):
        storage.write(handle, 0, b"x")
    storage.close(handle)


def test_closing_never_fails(storage):
    """What was promised was synced before."""
    handle = storage.create("segments/a")
    storage.close(handle)
    storage.close(handle)
