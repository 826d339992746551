"""Where each leaf lies. Owns the positions of frames, reading leaves and payloads back, and overwriting a payload.

Rules kept here:
1. 24 bytes a frame are kept in memory, nothing a leaf.
2. A payload is overwritten through a descriptor of its own and is gone only after its sync; and before that, every copy
   that a fault left behind in an older segment is gone as well.
3. Where a payload lies is believed only of a frame that verifies, so another one is never read or overwritten instead.
4. Nothing in the last frame is overwritten: only there does recovery ask whether the payloads arrived. An erasure is
   said by a leaf of its own, which stands in a later frame, so nobody who keeps to that order meets this rule.
"""

import heapq
import threading
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from roadworthy.base.errors import LedgerBroken, ParameterError, StoreBroken
from roadworthy.ledgerd.segment import HEADER_BYTES, Frame, read_frame, read_guarded, read_header, segment_name
from roadworthy.ledgerd.storage import Storage

_DAMAGED = "Compare this ledger with a copy that verifies."


class PayloadState(Enum):
    """What became of a sealed payload."""

    KEPT = "kept"
    NOT_KEPT = "not kept"
    """The entry never had one."""
    ZEROED = "zeroed"
    """It was overwritten: erased, if an erasure says so."""
    LOST = "lost"
    """No frame holds the entry any more, or its frame is damaged."""


class Payload(NamedTuple):
    """A sealed payload, and what became of it; no bytes unless it is kept."""

    state: PayloadState
    sealed: bytes = b""


class Leftover(NamedTuple):
    """Bytes of a frame that does not count: name of the segment, offset and length in bytes."""

    segment: str
    offset: int
    length: int


class FrameIndex:
    """Positions of all durable frames, by the index of their first leaf.

    Filled by the thread that commits and read by others: a position is asked for only after it was announced.

    Attributes:
        size: the index after the last leaf of the last frame.
        leftovers: what faults left in segments that are not written any more; whoever erases takes them away first.
    """

    def __init__(self) -> None:
        self._segments = array("Q")
        self._offsets = array("Q")
        self._firsts = array("Q")
        self.size = 0
        self.leftovers: deque[Leftover] = deque()

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self._firsts)

    def add(self, first_index: int, until_index: int, *, segment: int, offset: int) -> None:
        """Note a frame at the end: its leaves, the first index of its segment, and its place there."""
        self._segments.append(segment)
        self._offsets.append(offset)
        self._firsts.append(first_index)
        self.size = until_index

    def locate(self, index: int) -> tuple[str, int]:
        """Segment and offset of the frame that holds leaf ``index``, if any frame does.

        Raises:
            ParameterError: no such leaf (RW-114).
        """
        place = bisect_right(self._firsts, index) - 1
        if place < 0 or index >= self.size:
            remedy = "Ask for an index below the size."
            raise ParameterError(f"The ledger of {self.size} entries has no entry {index}.", remedy=remedy)
        return segment_name(self._segments[place]), self._offsets[place]

    def in_last(self, index: int) -> bool:
        """Whether leaf ``index`` stands in the last frame."""
        return bool(self._firsts) and index >= self._firsts[-1]

    def places(self, first_index: int = 0) -> Iterator[tuple[str, int]]:
        """Segment and offset of every frame, in order, from the one that holds leaf ``first_index``."""
        for place in range(max(bisect_right(self._firsts, first_index) - 1, 0), len(self._firsts)):
            yield segment_name(self._segments[place]), self._offsets[place]


class FrameReader:
    """Reads and erases by index.

    Args:
        storage: the ledger's files.
        frames: their frames.
        lost_leaves: first index and leaves of what recovery took from elsewhere, because no frame holds it any more.
    """

    def __init__(
        self, storage: Storage, frames: FrameIndex, lost_leaves: Sequence[tuple[int, tuple[bytes, ...]]] = ()
    ) -> None:
        self._storage = storage
        self._frames = frames
        self._lost_leaves = lost_leaves
        self._clearing = threading.Lock()

    def leaves(self, first_index: int = 0) -> Iterator[tuple[int, tuple[bytes, ...]]]:
        """First index and leaves of every frame that ends after ``first_index``, in order, one file in memory at a time.

        Raises:
            LedgerBroken: a frame is no longer what it was (RW-503).
            StoreBroken: a segment cannot be read (RW-505).
        """
        framed = ((frame.header.first_index, frame.leaves) for _, frame in self._read_frames(first_index))
        parts = heapq.merge(framed, self._lost_leaves)
        return ((first, leaves) for first, leaves in parts if first + len(leaves) > first_index)

    def zeroed(self) -> Iterator[int]:
        """The indices of all payloads that are nothing but zeros, in order.

        Raises:
            LedgerBroken: a frame is no longer what it was (RW-503).
            StoreBroken: a segment cannot be read (RW-505).
        """
        for data, frame in self._read_frames(0):
            offset = frame.payload_offset
            for index, length in enumerate(frame.lengths, frame.header.first_index):
                # A sealed payload begins with a nonce, so one look at its first bytes is nearly always enough.
                end = offset + length
                if length and not any(data[offset : min(offset + 16, end)]) and not any(data[offset:end]):
                    yield index
                offset = end

    def payload(self, index: int) -> Payload:
        """The sealed payload of leaf ``index``, and what became of it.

        Raises:
            ParameterError: no such leaf (RW-114).
            StoreBroken: the segment cannot be read (RW-505).
        """
        if self._is_lost(index):
            return Payload(PayloadState.LOST)
        segment, offset = self._frames.locate(index)
        try:
            handle = self._storage.open(segment)
            try:
                span = self._span(handle, offset, index)
                if span is None:
                    return Payload(PayloadState.LOST)
                sealed = self._storage.read(handle, span[0], span[1] - span[0])
            finally:
                self._storage.close(handle)
        except OSError as error:
            raise _unusable(segment, error) from error
        if not sealed:
            return Payload(PayloadState.NOT_KEPT)
        return Payload(PayloadState.KEPT, sealed) if sealed.strip(b"\0") else Payload(PayloadState.ZEROED)

    def read(self, index: int) -> bytes | None:
        """The sealed payload of leaf ``index``; None when it was erased, is lost, or none was kept.

        Raises:
            ParameterError: no such leaf (RW-114).
            StoreBroken: the segment cannot be read (RW-505).
        """
        return self.payload(index).sealed or None

    def erase(self, index: int) -> None:
        """Overwrite the sealed payload of leaf ``index`` with zeros; durable on return. A second time does nothing new.

        Raises:
            ParameterError: no such leaf, or it stands in the last frame: then nothing says yet that it is erased (RW-114).
            StoreBroken: the payload cannot be found, or the segment cannot be written or synced (RW-505); the payload
                may still be there.
        """
        if self._is_lost(index):
            raise _lost(index, "the lost part of a segment")
        segment, offset = self._frames.locate(index)
        if self._frames.in_last(index) and not self._ends_in_lost_leaves():
            remedy = "Append the entry that says what is erased, then erase."
            raise ParameterError(f"Entry {index} stands in the last frame.", remedy=remedy)
        self._clear_leftovers()
        try:
            handle = self._storage.open(segment)
            try:
                span = self._span(handle, offset, index)
                if span is None:
                    raise _lost(index, segment)
                if span[1] > span[0]:
                    self._storage.write(handle, span[0], bytes(span[1] - span[0]))
                    self._storage.sync(handle)
            finally:
                self._storage.close(handle)
        except OSError as error:
            raise _unusable(segment, error) from error

    def _clear_leftovers(self) -> None:
        """Overwrite what faults left of frames: a copy of any payload may be among it."""
        leftovers = self._frames.leftovers
        with self._clearing:
            while leftovers:
                # Taken away only afterwards: what cannot be overwritten now is tried again.
                each = leftovers[0]
                try:
                    overwrite(self._storage, each)
                except OSError as error:
                    raise _unusable(each.segment, error) from error
                leftovers.popleft()

    def _is_lost(self, index: int) -> bool:
        return any(first <= index < first + len(leaves) for first, leaves in self._lost_leaves)

    def _ends_in_lost_leaves(self) -> bool:
        return any(first >= self._frames.size for first, _ in self._lost_leaves)

    def _read_frames(self, first_index: int) -> Iterator[tuple[bytes, Frame]]:
        current, data = "", b""
        for segment, offset in self._frames.places(first_index):
            if segment != current:
                current, data = segment, self._content(segment)
            frame = read_frame(data, offset)
            if frame is None:
                # It may have been written after the file was read.
                data = self._content(segment)
                frame = read_frame(data, offset)
            if frame is None:
                what = "A frame changed while the ledger ran."
                raise LedgerBroken(what, remedy=_DAMAGED, where=f"{segment}:{offset}")
            yield data, frame

    def _span(self, handle: int, offset: int, index: int) -> tuple[int, int] | None:
        """Where the sealed bytes lie in the file; None when no frame that verifies says so."""
        header = read_header(self._storage.read(handle, offset, HEADER_BYTES))
        if header is None:
            return None
        frame = read_guarded(self._storage.read(handle, offset, header.guarded_bytes))
        if frame is None or not frame.header.first_index <= index < frame.until_index:
            return None
        start, end = frame.span(index)
        return offset + start, offset + end

    def _content(self, segment: str) -> bytes:
        try:
            handle = self._storage.open(segment)
            try:
                return self._storage.read(handle, 0, self._storage.length(handle))
            finally:
                self._storage.close(handle)
        except OSError as error:
            raise _unusable(segment, error) from error


def overwrite(storage: Storage, leftover: Leftover) -> None:
    """Zeros instead of what stands there, durable on return.

    Raises:
        OSError: the segment cannot be opened, written or synced.
    """
    # A descriptor of its own: one whose sync failed may report success later for what never arrived.
    handle = storage.open(leftover.segment)
    try:
        storage.write(handle, leftover.offset, bytes(leftover.length))
        storage.sync(handle)
    finally:
        storage.close(handle)


def _lost(index: int, where: str) -> StoreBroken:
    what = f"The payload of entry {index} cannot be found, so it was not erased."
    return StoreBroken(what, remedy="Destroy the damaged segment and its copies if it must be gone.", where=where)


def _unusable(segment: str, error: OSError) -> StoreBroken:
    return StoreBroken(f"A segment cannot be used: {error.strerror}.", remedy="Check the disk.", where=segment)
