"""Which bytes a file had when it was read. Owns that the digest is of what is in force, not of what lies there by now."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from roadworthy.base.digest import digest_file
from roadworthy.base.errors import InputError

MOST_TRIES = 5
Content = TypeVar("Content")


def read_pinned(path: Path, read: Callable[[Path], Content]) -> tuple[Content, str]:
    """What a file says, and the digest of the bytes that said it.

    A file may be saved while it is read; then it is read again.

    Raises:
        MissingFile: there is no such file (RW-102).
        InputError: it changes all the time (RW-100); also whatever ``read`` raises.
    """
    for _ in range(MOST_TRIES):
        before = digest_file(path)
        content = read(path)
        if digest_file(path) == before:
            return content, before
    raise InputError("The file changes while it is read.", remedy="Save it once, then again.", where=path.name)
