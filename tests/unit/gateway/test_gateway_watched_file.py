"""Noticing that a file changed, and what counts while it cannot be read."""

import os

import pytest

from roadworthy.base.errors import MissingFile, UnreadableData
from roadworthy.gateway.watched_file import WatchedFile


def whole_number(data):
    if not data.strip().isdigit():
        raise UnreadableData("No number.", remedy="Write one.")
    return int(data)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "n"
    file.write_bytes(b"1")
    return file


def test_a_change_is_seen_at_the_next_look(path):
    """Not before a second has passed, and whatever else is the same."""
    file = WatchedFile(path, whole_number)
    assert (file.content(10.0), file.version) == (1, 1)
    path.write_bytes(b"22")
    assert (file.content(10.9), file.version) == (1, 1)
    assert (file.content(11.0), file.version) == (22, 2)


def test_another_file_of_the_same_size_and_instant_is_seen(path, tmp_path):
    """The inode tells."""
    file = WatchedFile(path, whole_number)
    assert file.content(0.0) == 1
    status = path.stat()
    other = tmp_path / "o"
    other.write_bytes(b"7")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert file.content(1.0) == 7


def test_a_touched_file_says_nothing_new(path):
    """The version stays, so nothing that hangs on it is thrown away."""
    file = WatchedFile(path, whole_number)
    file.content(0.0)
    os.utime(path, ns=(1, 1))
    assert (file.content(5.0), file.version) == (1, 1)


def test_a_damaged_file_counts_for_the_grace_only(path):
    """Then nothing does, until it can be read again."""
    file = WatchedFile(path, whole_number, grace_s=60.0)
    file.content(0.0)
    path.write_bytes(b"x")
    assert (file.content(1.0), file.fault, file.version) == (1, "No number.", 1)
    assert file.content(59.9) == 1
    assert (file.content(61.0), file.version) == (None, 2)
    path.write_bytes(b"1")
    assert (file.content(62.0), file.fault, file.version) == (1, "", 3)


def test_without_grace_nothing_counts_at_once(path):
    """A file that takes rights away must not be ignored."""
    file = WatchedFile(path, whole_number)
    file.content(0.0)
    path.unlink()
    assert file.content(1.0) is None
    assert isinstance(file.error, MissingFile)


def test_a_clock_that_goes_back_looks_at_once(path):
    """It must not wait for an instant that is far away, and it ends a grace."""
    file = WatchedFile(path, whole_number, grace_s=60.0)
    file.content(1000.0)
    path.write_bytes(b"333")
    assert file.content(5.0) == 333
    path.write_bytes(b"x")
    assert file.content(2.0) is None


def test_it_is_read_again_in_time(path):
    """A change that the file system does not show is found after ``reread_s``."""
    file = WatchedFile(path, whole_number, reread_s=30.0)
    file.content(0.0)
    status = path.stat()
    path.write_bytes(b"9")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.content(29.0) == 1
    assert file.content(30.5) == 9
