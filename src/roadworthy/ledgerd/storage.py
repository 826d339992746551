"""Files as the ledger's process uses them. Owns every step that makes something durable; what is written belongs to others.

Names are relative to the ledger's folder. An ``OSError`` goes through unchanged: only the caller knows what it means for
what was promised. Nothing else in this room opens a segment.

Rules kept here:
1. A write is whole or an error: short writes are continued.
2. A new file has blocks of its own before it is used, so a later write changes no metadata and a sync is one flush.
3. One process writes one folder: the lock ends with the process, however it ends. The folder of segments is locked as
   well as the lock's own file, so that it does not help to remove that file.
"""

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import Protocol

from roadworthy.base.errors import MissingFile, StoreBroken
from roadworthy.ledgerd.segment import FOLDER

LOCK = "ledgerd.lock"
FOR_NOW = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})
"""Errors that pass: no space, or no descriptor left. Nothing was damaged, and it may be tried again."""
_CHUNK_BYTES = 1024 * 1024


class DiskFull(Exception):
    """There is no space or no descriptor left; what was to be written is not promised. Never leaves this room."""


class Storage(Protocol):
    """What the ledger needs of a file system. Every method but ``close`` may raise ``OSError``."""

    def names(self, folder: str) -> list[str]:
        """The files of a folder, each with the folder's name before it, sorted."""
        ...

    def open(self, name: str) -> int:
        """A handle of an existing file, to read and write."""
        ...

    def create(self, name: str) -> int:
        """A handle of an empty file; one of that name loses its content."""
        ...

    def preallocate(self, handle: int, length: int) -> None:
        """Fill an empty file with ``length`` zeros and sync it."""
        ...

    def length(self, handle: int) -> int:
        """The bytes of the file."""
        ...

    def read(self, handle: int, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes; fewer only at the end of the file."""
        ...

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """Write all of ``data``."""
        ...

    def sync(self, handle: int) -> None:
        """Return when everything that was written to the file is on the medium."""
        ...

    def sync_folder(self, folder: str) -> None:
        """Return when the names in the folder are on the medium."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; a file that had it before is gone."""
        ...

    def close(self, handle: int) -> None:
        """Give the handle back. Never fails."""
        ...


class PosixStorage:
    """The files of one folder, locked for this process.

    Args:
        folder: made with mode 0700 when it does not exist.

    Raises:
        MissingFile: the folder cannot be made or locked (RW-102).
        StoreBroken: another process writes there (RW-505).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: list[int] = []
        try:
            # Two steps: parents that are made on the way do not get the mode.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
            self._lock(folder / LOCK, os.O_RDWR | os.O_CREAT)
            self._lock(folder / FOLDER, os.O_RDONLY | os.O_DIRECTORY)
            # The folder of segments is a name in its parent, which must outlast a power cut as well.
            sync_folder(folder)
            sync_folder(folder.parent)
        except BlockingIOError as error:
            self.release()
            remedy = "Stop the other process; one ledger has one writer."
            raise StoreBroken("Another process writes this ledger.", remedy=remedy, where=str(folder)) from error
        except OSError as error:
            self.release()
            remedy = "Name a folder on a sound disk that this user may write."
            raise MissingFile(f"The ledger's folder: {error.strerror}.", remedy=remedy, where=str(folder)) from error

    def _lock(self, path: Path, flags: int) -> None:
        self._locks.append(os.open(path, flags | os.O_CLOEXEC, 0o600))
        fcntl.flock(self._locks[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Let another process have the folder."""
        while self._locks:
            os.close(self._locks.pop())

    def names(self, folder: str) -> list[str]:
        """See ``Storage``."""
        return sorted(f"{folder}/{path.name}" for path in (self._folder / folder).iterdir())

    def open(self, name: str) -> int:
        """See ``Storage``."""
        return os.open(self._folder / name, os.O_RDWR | os.O_CLOEXEC)

    def create(self, name: str) -> int:
        """See ``Storage``. What had the name keeps its content for whoever has it open."""
        path = self._folder / name
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def preallocate(self, handle: int, length: int) -> None:
        """See ``Storage``. In pieces, each synced, so that no other file's sync waits for all of it."""
        # First the blocks in one go: a full disk shows at once. Then zeros: an unwritten block costs a journal entry later.
        os.posix_fallocate(handle, 0, length)
        for start in range(0, length, _CHUNK_BYTES):
            self.write(handle, start, bytes(min(_CHUNK_BYTES, length - start)))
            os.fdatasync(handle)

    def length(self, handle: int) -> int:
        """See ``Storage``."""
        return os.fstat(handle).st_size

    def read(self, handle: int, offset: int, length: int) -> bytes:
        """See ``Storage``."""
        parts = []
        while length > 0:
            part = os.pread(handle, length, offset)
            if not part:
                break
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def write(self, handle: int, offset: int, data: bytes) -> None:
        """See ``Storage``."""
        written = os.pwrite(handle, data, offset)
        while written < len(data):
            more = os.pwrite(handle, memoryview(data)[written:], offset + written)
            if more == 0:
                raise OSError(errno.EIO, "the file takes no more bytes")
            written += more

    def sync(self, handle: int) -> None:
        """See ``Storage``."""
        os.fdatasync(handle)

    def sync_folder(self, folder: str) -> None:
        """See ``Storage``."""
        sync_folder(self._folder / folder)

    def rename(self, old: str, new: str) -> None:
        """See ``Storage``."""
        (self._folder / old).rename(self._folder / new)

    def close(self, handle: int) -> None:
        """See ``Storage``. What was promised was synced before, so an error here changes nothing."""
        with contextlib.suppress(OSError):
            os.close(handle)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the medium.

    Raises:
        OSError: the folder cannot be opened or synced.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
