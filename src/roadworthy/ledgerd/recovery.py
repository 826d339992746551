"""Reading the segments at the start. Owns the decision what is durable, what may be cut, and when not to start at all.

Rules kept here:
1. A segment counts only up to the first index in the name of the next one. So of a frame that was written twice, because
   its first sync failed, exactly the copy in the newer segment counts, and none when that copy did not arrive.
2. Only the last frame of the last segment can be in the machine's memory and not on the medium: each frame is written
   after the one before it was synced. So it is written again and synced before anything is appended after it.
3. Bytes at the end that are no frame, with no frame after them, were never acknowledged: they are overwritten with zeros.
4. Anything else that is no frame is damage. It is refused, unless an operator signed for exactly these bytes *and* the
   leaves that are missing stand in the published bundles.
5. Nothing is changed before everything was read and found good, and never below a size that was published.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from roadworthy.base.canonical import parse_json
from roadworthy.base.clock import parse_instant
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import InputError, LedgerBroken, StoreBroken
from roadworthy.ledger.merkle import Frontier
from roadworthy.ledgerd.acknowledgement import LostBytes
from roadworthy.ledgerd.frames import FrameIndex
from roadworthy.ledgerd.growth import grow
from roadworthy.ledgerd.segment import (
    FOLDER,
    NO_DIGEST,
    Frame,
    find_frame,
    parse_segment_name,
    read_frame,
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
        newest_at: the newest instant that the last frame's leaves name, as their text; None when none does.
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
        return _recover(storage, _Scan(acknowledged, restore), published_size)
    except OSError as error:
        raise StoreBroken(f"The segments cannot be read: {error.strerror}.", remedy="Check the disk.") from error


def _recover(storage: Storage, scan: "_Scan", published_size: int) -> Recovered:
    # 1. What is seen from here on is also seen after a power cut.
    storage.sync_folder(FOLDER)
    firsts = [first for name in storage.names(FOLDER) if (first := parse_segment_name(name)) is not None]
    # 2. Read every segment up to where the next begins.
    data = b""
    for place, first in enumerate(firsts):
        data = _content(storage, segment_name(first))
        scan.read_segment(first, data, firsts[place + 1] if place + 1 < len(firsts) else None)
    if scan.size < published_size:
        what = f"The segments hold {scan.size} entries, the published checkpoint {published_size}."
        raise LedgerBroken(what, remedy="Restore the segments from a backup; nothing was changed.")
    # 3. Settle the end of the last one.
    if firsts:
        _settle(storage, segment_name(firsts[-1]), data, scan)
    return scan.result(firsts[-1] if firsts else None)


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

    def __init__(self, acknowledged: frozenset[LostBytes], restore: Restore) -> None:
        self._acknowledged = acknowledged
        self._restore = restore
        self._frontier = Frontier()
        self._frames = FrameIndex()
        self._sequence = self._epoch = self._end = 0
        # None after a gap: then the next frame says what came before it, and nothing can contradict it.
        self._digest: bytes | None = NO_DIGEST
        self._newest: tuple[bytes, ...] = ()
        self._lost: list[LostBytes] = []
        self._lost_leaves: list[tuple[int, tuple[bytes, ...]]] = []
        self.last: Frame | None = None
        self.cut: LostBytes | None = None

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._frontier.size

    def read_segment(self, first: int, data: bytes, until: int | None) -> None:
        """Take all frames of a segment whose leaves begin at ``first`` and end before ``until``; None: it is the last."""
        name = segment_name(first)
        if first != self.size:
            _refuse(f"It should begin at entry {self.size}; a segment is missing or does not belong here.", name)
        self.last, self._end = None, 0
        limit = sys.maxsize if until is None else until
        while self.size < limit:
            frame = read_frame(data, self._end)
            if frame is None:
                following = find_frame(data, self._end + 1)
                if following is None and until is None:
                    self._note_cut(name, data)
                    return
                self._bridge(name, data, following, until)
            else:
                self._take(name, first, frame)
        if self.size > limit:
            _refuse(f"A frame reaches beyond entry {until}, where the next segment begins.", name)

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
            newest_at=_newest(self._newest),
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
        self._newest, self._end, self.last = frame.leaves, frame.end, frame

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
        self._digest, self._end, self.last = None, end, None


def _newest(leaves: tuple[bytes, ...]) -> str | None:
    found: dict[str, str] = {}
    for leaf in leaves:
        try:
            value = parse_json(leaf)
            at = value.get("at") if isinstance(value, dict) else None
            if isinstance(at, str):
                found[parse_instant(at).isoformat()] = at
        except InputError:
            continue
    return found[max(found)] if found else None


def _refuse(what: str, where: str) -> NoReturn:
    remedy = "Restore the segment from a backup, or let an operator sign for the loss; nothing was changed."
    raise LedgerBroken(what, remedy=remedy, where=where)
