"""Reading the segments at the start. Owns the decision what is durable, what may be cut, and when not to start at all.

Rules kept here:
1. A segment counts only up to the first index in the name of the next one. So of a frame that was written twice, because
   its first sync failed, exactly the copy in the newer segment counts, and none when that copy did not arrive.
2. Only the last frame of the last segment can be in the machine's memory and not on the medium: each frame is written
   after the one before it was synced. So it is written again and synced before anything is appended after it.
3. Bytes at the end that are no frame, with no frame after them, were never acknowledged: they are overwritten with zeros.
   So is a last frame whose payloads did not all arrive. Nothing of a last frame is ever erased, see ``frames``, so a
   payload that is missing there never arrived, unless a checkpoint covers the frame. Bytes after it say nothing: they
   may be of a longer frame that was refused before, and what counts at one start must count at the next.
4. Bytes in an older segment after its last frame are copies of frames that did not count: zeros as well, since a payload
   that is erased one day must not stand there still.
5. Anything else that is no frame is damage. It is refused, unless an operator signed for exactly these bytes *and* the
   leaves that are missing stand in the published bundles. A damaged end that was published is such damage: the published
   entries come from the bundles, and the ledger goes on in a new segment.
6. Nothing is changed before everything was read and found good, and never below a size that was published.

Every segment is read from its beginning, here and by the publisher, and every leaf is hashed by both. So a start takes
longer the longer the history is: of the order of 20 us a leaf, 20 s for a million.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import LedgerBroken, StoreBroken
from roadworthy.ledger.merkle import Frontier
from roadworthy.ledgerd.acknowledgement import LostBytes
from roadworthy.ledgerd.frames import FrameIndex, Leftover, overwrite
from roadworthy.ledgerd.growth import grow
from roadworthy.ledgerd.own_leaves import is_own, own_instant
from roadworthy.ledgerd.segment import (
    FOLDER,
    NO_DIGEST,
    Frame,
    FrameHeader,
    find_frame,
    parse_segment_name,
    payloads_arrived,
    read_frame,
    read_header,
    segment_name,
)
from roadworthy.ledgerd.storage import Storage
from roadworthy.ledgerd.writer import Tail

Restore = Callable[[int, int], "tuple[bytes, ...] | None"]
"""Leaves from the first index up to the second, from elsewhere; None when they are nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What the segments hold.

    Attributes:
        frontier: the tree over all leaves.
        tail: where the next frame goes.
        frames: positions of all frames.
        newest_at: the newest instant that a leaf of the ledger's own process names, as its text; None when none does.
            What a worker wrote is not asked: its clock is another one, and a wrong one must not keep a ledger closed.
        cut: the bytes that were overwritten with zeros; None when the end was clean.
        lost: bytes that an operator acknowledged, and whose leaves came from the bundles.
        lost_leaves: first index and leaves of each, in the same order; no segment holds these.
    """

    frontier: Frontier
    tail: Tail
    frames: FrameIndex
    newest_at: str | None
    cut: LostBytes | None
    lost: tuple[LostBytes, ...]
    lost_leaves: tuple[tuple[int, tuple[bytes, ...]], ...]


def nowhere(_first_index: int, _until_index: int) -> tuple[bytes, ...] | None:
    """The ``Restore`` of a ledger that never published anything."""
    return None


def recover(
    storage: Storage,
    *,
    acknowledged: frozenset[LostBytes] = frozenset(),
    restore: Restore = nowhere,
    published_size: int = 0,
) -> Recovered:
    """Find out what is durable, and make the end ready for the next frame.

    Args:
        storage: the ledger's files.
        acknowledged: bytes that an operator gave up.
        restore: where their leaves may still be.
        published_size: of the newest checkpoint; a shorter ledger does not start.

    Raises:
        LedgerBroken: damage that nobody acknowledged, or that cannot be mended; nothing was changed (RW-503).
        StoreBroken: the disk does not do what is asked of it (RW-505).
    """
    try:
        return _recover(storage, _Scan(acknowledged, restore, published_size))
    except OSError as error:
        raise StoreBroken(f"The segments cannot be read: {error.strerror}.", remedy="Check the disk.") from error


def _recover(storage: Storage, scan: "_Scan") -> Recovered:
    # 1. What is seen from here on is also seen after a power cut.
    storage.sync_folder(FOLDER)
    firsts = [first for name in storage.names(FOLDER) if (first := parse_segment_name(name)) is not None]
    # 2. Read every segment up to where the next begins.
    data = b""
    for place, first in enumerate(firsts):
        data = _content(storage, segment_name(first))
        scan.read_segment(first, data, firsts[place + 1] if place + 1 < len(firsts) else None)
    if scan.size < scan.published_size:
        what = f"The segments hold {scan.size} entries, the published checkpoint {scan.published_size}."
        raise LedgerBroken(what, remedy="Restore the segments from a backup; nothing was changed.")
    # 3. Settle the ends: of the older ones, and of the last one.
    for leftover in scan.leftovers:
        overwrite(storage, leftover)
    if firsts:
        _settle(storage, segment_name(firsts[-1]), data, scan)
    return scan.result(firsts[-1] if firsts and not scan.ends_in_gap else None)


def _content(storage: Storage, name: str) -> bytes:
    handle = storage.open(name)
    try:
        return storage.read(handle, 0, storage.length(handle))
    finally:
        storage.close(handle)


def _settle(storage: Storage, name: str, data: bytes, scan: "_Scan") -> None:
    """Write the last frame once more, zeros after it where there is something else, and sync both."""
    last, cut = scan.last, scan.cut
    if last is None and cut is None:
        return
    handle = storage.open(name)
    try:
        if last is not None:
            storage.write(handle, last.offset, data[last.offset : last.end])
        if cut is not None:
            storage.write(handle, cut.offset, bytes(cut.length))
        storage.sync(handle)
    finally:
        storage.close(handle)


class _Scan:
    """What has been read so far."""

    def __init__(self, acknowledged: frozenset[LostBytes], restore: Restore, published_size: int) -> None:
        self.published_size = published_size
        self._acknowledged = acknowledged
        self._restore = restore
        self._frontier = Frontier()
        self._frames = FrameIndex()
        self._sequence = self._epoch = self._end = 0
        # None after a gap: then the next frame says what came before it, and nothing can contradict it.
        self._digest: bytes | None = NO_DIGEST
        self._newest: bytes | None = None
        self._lost: list[LostBytes] = []
        self._lost_leaves: list[tuple[int, tuple[bytes, ...]]] = []
        self.last: Frame | None = None
        self.cut: LostBytes | None = None
        self.leftovers: list[Leftover] = []
        # Whether the last segment ends in damage that was bridged: nothing more is written into it.
        self.ends_in_gap = False

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._frontier.size

    def read_segment(self, first: int, data: bytes, until: int | None) -> None:
        """Take all frames of a segment whose leaves begin at ``first`` and end before ``until``; None: it is the last."""
        name = segment_name(first)
        if first != self.size:
            _refuse(f"It should begin at entry {self.size}; a segment is missing or does not belong here.", name)
        self.last, self._end, self.ends_in_gap = None, 0, False
        limit = sys.maxsize if until is None else until
        while self.size < limit:
            frame = read_frame(data, self._end)
            if frame is not None and (until is not None or self._arrived(data, frame)):
                self._take(name, first, frame)
                continue
            following = None if frame else find_frame(data, self._end + 1, self._may_follow(len(data)))
            if following is None and until is None:
                self._end_in(name, data)
                return
            self._bridge(name, data, following, until)
        if self.size > limit:
            _refuse(f"A frame reaches beyond entry {until}, where the next segment begins.", name)
        self._note_leftover(name, data)

    def result(self, segment: int | None) -> Recovered:
        """All that was found, once the end is settled."""
        return Recovered(
            frontier=self._frontier,
            tail=Tail(
                size=self.size,
                # After a gap at the very end at least one frame is unaccounted for.
                sequence=self._sequence + (self._digest is None),
                epoch=self._epoch + 1,
                digest=self._digest or NO_DIGEST,
                segment=segment,
                offset=self._end,
            ),
            frames=self._frames,
            newest_at=None if self._newest is None else own_instant(self._newest),
            cut=self.cut,
            lost=tuple(self._lost),
            lost_leaves=tuple(self._lost_leaves),
        )

    def _take(self, name: str, first: int, frame: Frame) -> None:
        header = frame.header
        expected = (self.size, self._sequence, self._digest)
        found = (header.first_index, header.sequence, header.previous)
        if self._digest is None:
            # After a gap the number of lost frames is unknown, so neither sequence nor chain can be foretold.
            expected = (self.size, max(header.sequence, self._sequence + 1), header.previous)
        if found != expected or header.epoch < self._epoch:
            _refuse("A whole frame stands where another should: it was put there.", f"{name}:{frame.offset}")
        self._frontier = grow(self._frontier, frame.leaves)
        self._frames.add(header.first_index, frame.until_index, segment=first, offset=frame.offset)
        self._sequence, self._digest, self._epoch = header.sequence + 1, frame.digest, header.epoch
        self._end, self.last = frame.end, frame
        self._note_own(frame.leaves)

    def _note_own(self, leaves: tuple[bytes, ...]) -> None:
        self._newest = next((leaf for leaf in reversed(leaves) if is_own(leaf)), self._newest)

    def _arrived(self, data: bytes, frame: Frame) -> bool:
        """Whether all of a frame of the last segment surely arrived; see rule 3."""
        if frame.until_index <= self.published_size or payloads_arrived(data, frame):
            return True
        # A frame after it was begun only once this one was durable, so a payload that is gone was erased.
        header = read_header(data, frame.end)
        return header is not None and header.previous == frame.digest and read_frame(data, frame.end) is not None

    def _may_follow(self, length: int) -> Callable[[FrameHeader], bool]:
        """What the header of a frame may say that stands behind damage, in a segment of ``length`` bytes."""
        least = (self._epoch, self._sequence, self.size)
        # No frame is shorter than its header, no leaf shorter than its length, and no epoch passes without a frame.
        most = (self._epoch + length, self._sequence + length, self.size + length)

        def plausible(header: FrameHeader) -> bool:
            numbers = (header.epoch, header.sequence, header.first_index)
            return all(low <= each <= high for low, each, high in zip(least, numbers, most, strict=True))

        return plausible

    def _end_in(self, name: str, data: bytes) -> None:
        """The last segment ends here: in what was never acknowledged, or in damage if more was published."""
        if self.size >= self.published_size:
            self._note_cut(name, data)
        else:
            self._bridge(name, data, None, self.published_size)
            self.ends_in_gap = True

    def _note_leftover(self, name: str, data: bytes) -> None:
        left = data[self._end :].rstrip(b"\0")
        if left:
            self.leftovers.append(Leftover(name, self._end, len(left)))

    def _note_cut(self, name: str, data: bytes) -> None:
        torn = data[self._end :].rstrip(b"\0")
        if torn:
            self.cut = LostBytes(name, self._end, len(torn), digest_bytes(torn))

    def _bridge(self, name: str, data: bytes, following: Frame | None, until: int | None) -> None:
        """Go on behind damage, if an operator signed for it and the leaves are elsewhere."""
        # 1. The damage reaches to the next whole frame, or to the end of the segment.
        end = following.offset if following else len(data)
        resume = following.header.first_index if following else (until or 0)
        lost = LostBytes(name, self._end, end - self._end, digest_bytes(data[self._end : end]))
        what = f"{lost.length} bytes are damaged ({lost.digest}); entries {self.size} up to {resume} stand there."
        # 2. It must be acknowledged, byte for byte.
        if lost not in self._acknowledged:
            _refuse(what, f"{name}:{lost.offset}")
        # 3. The leaves must be elsewhere: without them there is no tree.
        leaves = self._restore(self.size, resume) if resume > self.size else None
        if leaves is None:
            _refuse(what + " It is acknowledged, but no published bundle has these entries.", f"{name}:{lost.offset}")
        self._lost.append(lost)
        self._lost_leaves.append((self.size, leaves))
        self._frontier = grow(self._frontier, leaves)
        self._note_own(leaves)
        self._digest, self._end, self.last = None, end, None


def _refuse(what: str, where: str) -> NoReturn:
    remedy = "Restore the segment from a backup, or let an operator sign for the loss; nothing was changed."
    raise LedgerBroken(what, remedy=remedy, where=where)
