"""The digest is of the bytes that were read."""

from pathlib import Path

import pytest

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import InputError, MissingFile
from roadworthy.gateway.pinned_file import read_pinned


def test_the_digest_is_of_what_was_read(tmp_path: Path) -> None:
    """Content and digest go together."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\r\n")
    assert read_pinned(path, Path.read_bytes) == (b"a: 1\r\n", digest_bytes(b"a: 1\r\n"))


def test_a_file_that_is_saved_meanwhile_is_read_again(tmp_path: Path) -> None:
    """Otherwise old rules would run under the digest of the new ones."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")
    saved = []

    def read(file: Path) -> bytes:
        content = file.read_bytes()
        if not saved:
            saved.append(True)
            file.write_bytes(b"new")
        return content

    assert read_pinned(path, read) == (b"new", digest_bytes(b"new"))


def test_a_file_that_never_holds_still_is_refused(tmp_path: Path) -> None:
    """What it says cannot be pinned."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"0")
    with pytest.raises(InputError, match="changes while it is read"):
        read_pinned(path, lambda file: file.write_bytes(file.read_bytes() + b"0"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As everywhere."""
    with pytest.raises(MissingFile):
        read_pinned(tmp_path / "none.yaml", Path.read_bytes)
