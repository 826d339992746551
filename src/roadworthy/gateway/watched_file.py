"""A file whose content may change while the gateway runs. Owns noticing it; what the content means belongs to the reader.

Rules kept here:
1. The file is looked at when it is asked for, at most once in ``every_s``; there is no thread and no timer.
2. It is read again when its instant of change, size or inode is another, and at the latest after ``reread_s``.
3. What cannot be read does not count: after ``grace_s`` nothing does, and ``error`` says why. The grace is there for
   files that an editor writes in two steps; a file that only takes rights away has none.
4. Seconds are given by the caller. A clock that goes back leads to a look, never to a wait.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from roadworthy.base.errors import MissingFile, RoadworthyError

T = TypeVar("T")
_Seen = tuple[int, int, int]


class WatchedFile(Generic[T]):
    """The newest content of a file that could be read.

    Args:
        path: which file.
        read: from its bytes to its content; refuses with one of our errors.
        every_s: the shortest time between two looks.
        reread_s: the longest time without reading it; None when a change is always visible from outside.
        grace_s: how long the last good content still counts while the file cannot be read.

    Attributes:
        version: grows with every change of what ``content`` answers, also from something to nothing.
        error: why the file as it is now cannot be read; None when it can.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[bytes], T],
        *,
        every_s: float = 1.0,
        reread_s: float | None = None,
        grace_s: float = 0.0,
    ) -> None:
        self.version = 0
        self.error: RoadworthyError | None = None
        self._path, self._read = path, read
        self._every_s, self._reread_s, self._grace_s = every_s, reread_s, grace_s
        self._content: T | None = None
        self._bytes: bytes | None = None
        self._seen: _Seen | None = None
        self._looked_s: float | None = None
        self._read_s = 0.0
        self._good_s = 0.0

    @property
    def fault(self) -> str:
        """The error as a sentence; "" when there is none."""
        return "" if self.error is None else self.error.what

    def content(self, now_s: float) -> T | None:
        """What the file says; None when that cannot be known.

        Args:
            now_s: seconds since any fixed instant.
        """
        looked_s = self._looked_s
        if looked_s is None or not looked_s <= now_s < looked_s + self._every_s:
            self._looked_s = now_s
            self._look(now_s)
        return self._content

    def _look(self, now_s: float) -> None:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen or self.error is not None or self._due(now_s):
                self._take(self._path.read_bytes(), now_s)
                self._seen = seen
        except OSError as error:
            what = f"{self._path.name} cannot be read: {error.strerror}."
            self._distrust(MissingFile(what, remedy="Put it back.", where=str(self._path)), now_s)
        except RoadworthyError as error:
            self._distrust(error, now_s)
        else:
            self._good_s = now_s

    def _due(self, now_s: float) -> bool:
        return self._reread_s is not None and not self._read_s <= now_s < self._read_s + self._reread_s

    def _take(self, data: bytes, now_s: float) -> None:
        self._read_s = now_s
        # A touched file says nothing new: what hangs on the version stays valid.
        if data != self._bytes or self._content is None:
            self._content, self._bytes = self._read(data), data
            self.version += 1
        self.error = None

    def _distrust(self, error: RoadworthyError, now_s: float) -> None:
        self.error = error
        # 3. A clock that went back ends the grace: how long it lasted cannot be known.
        if self._content is not None and not self._good_s <= now_s < self._good_s + self._grace_s:
            self._content, self._bytes = None, None
            self.version += 1
