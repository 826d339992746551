"""Where each leaf lies. Owns the positions of frames, reading leaves and payloads back, and overwriting a payload.

Rules kept here:
1. 24 bytes a frame are kept in memory, nothing a leaf.
2. A payload is overwritten through a descriptor of its own and is gone only after its sync.
3. A payload of nothing but zeros was erased.
"""

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from roadworthy.base.errors import LedgerBroken, ParameterError, StoreBroken
from roadworthy.ledgerd.segment import HEADER_BYTES, FrameHeader, read_frame, read_header, sealed_spans, segment_name
from roadworthy.ledgerd.storage import Storage

_DAMAGED = "Compare this ledger with a copy that verifies."


class FrameIndex:
    """Positions of all durable frames, by the index of their first leaf.

    Filled by the thread that commits and read by others: a position is asked for only after it was announced.
    """

    def __init__(self) -> None:
        self._segments = array("Q")
        self._offsets = array("Q")
        self._firsts = array("Q")
        self.size = 0

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

    def places(self) -> Iterator[tuple[str, int]]:
        """Segment and offset of every frame, in order."""
        for segment, offset in zip(self._segments, self._offsets, strict=True):
            yield segment_name(segment), offset


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

    def leaves(self) -> Iterator[tuple[int, tuple[bytes, ...]]]:
        """First index and leaves of everything durable, in order, one file in memory at a time.

        Raises:
            LedgerBroken: a frame is no longer what it was (RW-503).
            StoreBroken: a segment cannot be read (RW-505).
        """
        return heapq.merge(self._framed_leaves(), self._lost_leaves)

    def _framed_leaves(self) -> Iterator[tuple[int, tuple[bytes, ...]]]:
        current, data = "", b""
        for segment, offset in self._frames.places():
            if segment != current:
                current, data = segment, self._content(segment)
            frame = read_frame(data, offset)
            if frame is None:
                what = "A frame changed while the ledger ran."
                raise LedgerBroken(what, remedy=_DAMAGED, where=f"{segment}:{offset}")
            yield frame.header.first_index, frame.leaves

    def read(self, index: int) -> bytes | None:
        """The sealed payload of leaf ``index``; None when it was erased, is lost, or none was kept.

        Raises:
            ParameterError: no such leaf (RW-114).
            StoreBroken: the segment cannot be read (RW-505).
        """
        segment, offset = self._frames.locate(index)
        try:
            handle = self._storage.open(segment)
            try:
                span = self._span(handle, offset, index)
                sealed = self._storage.read(handle, span[0], span[1] - span[0]) if span else b""
            finally:
                self._storage.close(handle)
        except OSError as error:
            raise _unusable(segment, error) from error
        return sealed if sealed.strip(b"\0") else None

    def erase(self, index: int) -> None:
        """Overwrite the sealed payload of leaf ``index`` with zeros; durable on return. A second time does nothing.

        Raises:
            ParameterError: no such leaf (RW-114).
            StoreBroken: the segment cannot be written or synced (RW-505); the payload may still be there.
        """
        segment, offset = self._frames.locate(index)
        try:
            handle = self._storage.open(segment)
            try:
                span = self._span(handle, offset, index)
                if span is not None:
                    self._storage.write(handle, span[0], bytes(span[1] - span[0]))
                    self._storage.sync(handle)
            finally:
                self._storage.close(handle)
        except OSError as error:
            raise _unusable(segment, error) from error

    def _span(self, handle: int, offset: int, index: int) -> tuple[int, int] | None:
        """Where the sealed bytes lie in the file; None when the frame does not hold the leaf, or its lengths are damaged."""
        header: FrameHeader | None = read_header(self._storage.read(handle, offset, HEADER_BYTES))
        if header is None or not header.first_index <= index < header.first_index + header.leaf_count:
            return None
        start = offset + HEADER_BYTES + header.leaves_bytes
        block = self._storage.read(handle, start, header.payload_bytes)
        spans = list(sealed_spans(block))
        place = index - header.first_index
        return (start + spans[place][0], start + spans[place][1]) if place < len(spans) else None

    def _content(self, segment: str) -> bytes:
        try:
            handle = self._storage.open(segment)
            try:
                return self._storage.read(handle, 0, self._storage.length(handle))
            finally:
                self._storage.close(handle)
        except OSError as error:
            raise _unusable(segment, error) from error


def _unusable(segment: str, error: OSError) -> StoreBroken:
    return StoreBroken(f"A segment cannot be used: {error.strerror}.", remedy="Check the disk.", where=segment)
