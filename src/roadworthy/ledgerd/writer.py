"""Writing frames into segments. Owns the order of steps by which a frame becomes durable, and what happens when one fails.

Finding out what is durable after a crash belongs to ``recovery``, batching to ``commit``.

Rules kept here:
1. ``commit`` returns only after the frame was synced, in a segment whose name was synced.
2. A descriptor whose sync or write failed is never synced again: the kernel may forget the error and report success for
   bytes that never reached the medium. The segment ends before that frame; the same frame goes into a new segment.
3. If that fails as well the writer is broken for good; only a restart, which reads everything again, mends it.
4. A full disk is no such fault, neither is a process that has all the files open that it may have: the frame is refused,
   and the next one is tried afresh. What was refused is not promised to be absent: after a crash a whole frame that was
   refused may be found and then counts.
5. What a fault leaves of a frame is covered: by the next frame and zeros behind it when that goes to the same place, else
   it is noted as a leftover, which nobody may forget who erases.
6. A segment is made under another name, filled and synced, and only then named; so a named segment is always whole.
"""

import contextlib
import threading
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from roadworthy.base.errors import StoreBroken
from roadworthy.ledgerd.frames import FrameIndex, Leftover
from roadworthy.ledgerd.segment import FOLDER, NO_DIGEST, build_frame, segment_name
from roadworthy.ledgerd.storage import FOR_NOW, DiskFull, Storage
from roadworthy.wire.ledger_messages import LedgerRecord

SPARE = f"{FOLDER}/spare"
_SPARE_WANTED_AFTER = 8
"""A spare is wanted once one in so many bytes of a segment is used: a short run needs none."""


class Tail(NamedTuple):
    """Where the next frame goes.

    Attributes:
        size: leaves that are durable.
        sequence: number of the next frame.
        epoch: of the next frame; one more than that of the run before.
        digest: of the last frame.
        segment: first index of the open segment; None when the next frame begins one.
        offset: where the next frame begins in it.
    """

    size: int = 0
    sequence: int = 0
    epoch: int = 1
    digest: bytes = NO_DIGEST
    segment: int | None = None
    offset: int = 0


class SegmentWriter:
    """Appends frames. One thread commits; another may prepare the next segment meanwhile.

    Args:
        storage: the ledger's files.
        tail: what recovery found.
        frames: told of every durable frame.
        segment_bytes: how long a new segment is made, unless one frame is longer.

    Raises:
        StoreBroken: the open segment cannot be opened (RW-505).
    """

    def __init__(self, storage: Storage, tail: Tail, frames: FrameIndex, *, segment_bytes: int) -> None:
        self._storage = storage
        self._frames = frames
        self._spare = _Spare(storage, segment_bytes)
        self._size, self._sequence, self._epoch, self._digest = tail.size, tail.sequence, tail.epoch, tail.digest
        self._segment, self._offset = tail.segment or 0, tail.offset
        self._handle: int | None = None
        self._length = 0
        # Up to where a write that failed may have left bytes behind ``_offset``.
        self._torn_end = 0
        self._broken: str | None = None
        if tail.segment is not None:
            try:
                self._handle = storage.open(segment_name(tail.segment))
                self._length = storage.length(self._handle)
            except OSError as error:
                raise self._break(error) from error

    @property
    def size(self) -> int:
        """Leaves that are durable."""
        return self._size

    @property
    def epoch(self) -> int:
        """Which run of the process this is."""
        return self._epoch

    @property
    def wants_spare(self) -> bool:
        """Whether the segment was begun in earnest and the next one is not there yet: time to ``prepare``."""
        return _SPARE_WANTED_AFTER * self._offset > self._length and not self._spare.ready

    def prepare(self) -> None:
        """Make the next segment ahead of time. A failure is left for the commit that needs it."""
        with contextlib.suppress(OSError):
            self._spare.prepare()

    def commit(self, records: Sequence[LedgerRecord]) -> int:
        """Make the records durable, all or none; the index of the first.

        Raises:
            DiskFull: no space or no descriptor; nothing is promised, and it may be tried again.
            StoreBroken: two segments in a row failed (RW-505); every later call fails, too.
        """
        if self._broken is not None:
            raise self._closed()
        # 1. The frame is the same whichever segment takes it.
        frame, digest = build_frame(
            records, epoch=self._epoch, sequence=self._sequence, first_index=self._size, previous=self._digest
        )
        # 2. Write and sync; after a fault once more, in a new segment.
        try:
            self._place(frame)
        except OSError:
            try:
                self._place(frame)
            except OSError as error:
                raise self._break(error) from error
        # 3. Now it counts.
        first = self._size
        self._frames.add(first, first + len(records), segment=self._segment, offset=self._offset)
        self._offset += len(frame)
        self._size += len(records)
        self._sequence += 1
        self._digest = digest
        return first

    def close(self) -> None:
        """Give all handles back."""
        self._seal()
        self._spare.drop()

    def _place(self, frame: bytes) -> None:
        """Write the frame and sync it. After any fault but a full disk at the write, no segment is open."""
        try:
            handle = self._handle
            if handle is None or self._offset + len(frame) > self._length:
                handle = self._begin(len(frame))
        except OSError as error:
            self._seal()
            _raise(error)
        end = self._offset + len(frame)
        try:
            # Zeros over what an earlier fault left behind this frame.
            self._storage.write(handle, self._offset, frame + bytes(max(self._torn_end - end, 0)))
        except OSError as error:
            self._torn_end = max(self._torn_end, end)
            if error.errno not in FOR_NOW:
                # Otherwise nothing of it was synced; the next frame begins at the same offset and covers what was torn.
                self._seal()
            _raise(error)
        self._torn_end = max(self._torn_end, end)
        try:
            self._storage.sync(handle)
        except OSError as error:
            self._seal()
            _raise(error)
        self._torn_end = 0

    def _begin(self, needed: int) -> int:
        self._seal()
        self._handle, self._length = self._spare.take(segment_name(self._size), needed)
        self._segment, self._offset = self._size, 0
        return self._handle

    def _seal(self) -> None:
        """Write nothing more into the segment; what a fault left in it is somebody else's to take away."""
        # A segment without a good frame is replaced whole, by one of the same name.
        if self._torn_end > self._offset > 0:
            left = Leftover(segment_name(self._segment), self._offset, self._torn_end - self._offset)
            self._frames.leftovers.append(left)
        self._torn_end = 0
        if self._handle is not None:
            self._storage.close(self._handle)
            self._handle = None

    def _break(self, error: OSError) -> StoreBroken:
        self._seal()
        self._broken = str(error.strerror)
        return self._closed()

    def _closed(self) -> StoreBroken:
        remedy = "Check the disk, then start the ledger again; what was acknowledged is safe."
        return StoreBroken(f"The ledger can write nothing more: {self._broken}.", remedy=remedy)


def _raise(error: OSError) -> NoReturn:
    """The error again, as what it means here."""
    if error.errno in FOR_NOW:
        raise DiskFull(str(error)) from error
    raise error


class _Spare:
    """The segment after this one: made, filled with zeros and synced, but not named yet."""

    def __init__(self, storage: Storage, segment_bytes: int) -> None:
        self._storage = storage
        self._segment_bytes = segment_bytes
        # Held for as long as it takes to make one: who needs it meanwhile waits for it instead of making another.
        self._lock = threading.Lock()
        self._handle: int | None = None

    @property
    def ready(self) -> bool:
        return self._handle is not None

    def prepare(self) -> None:
        with self._lock:
            if self._handle is None:
                self._handle = self._make(self._segment_bytes)

    def take(self, name: str, needed: int) -> tuple[int, int]:
        """Handle and length of a segment that from now on has this name, durably."""
        with self._lock:
            handle, length = self._handle, self._segment_bytes
            self._handle = None
            if handle is not None and needed > length:
                self._storage.close(handle)
                handle = None
            if handle is None:
                length = max(length, needed)
                handle = self._make(length)
            try:
                # The rename stays under the lock: before it the next spare would take this one's name.
                self._storage.rename(SPARE, name)
                self._storage.sync_folder(FOLDER)
            except OSError:
                self._storage.close(handle)
                raise
            return handle, length

    def drop(self) -> None:
        with self._lock:
            if self._handle is not None:
                self._storage.close(self._handle)
                self._handle = None

    def _make(self, length: int) -> int:
        handle = self._storage.create(SPARE)
        try:
            self._storage.preallocate(handle, length)
        except OSError:
            self._storage.close(handle)
            raise
        return handle
