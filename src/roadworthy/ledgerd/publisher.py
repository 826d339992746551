"""The publisher: what is durable becomes tiles, and a checkpoint that anybody can verify. Owns when and in which order.

It stands behind the group commit and never before it: an acknowledgement waits for no tile, and a checkpoint covers only
leaves that are durable in the segments. It works in one thread of its own.

Rules kept here:
1. Tiles are written before the checkpoint that needs them, and a checkpoint is replaced whole.
2. After a rest it publishes at once. It rests four times as long as its last work took, so it takes a fifth of the disk's
   time at most; at least 25 ms, so that it takes few processor seconds; and never more than 100 ms, since an entry that
   is durable shall soon be one that can be proven.
3. On start every published file is compared with what the leaves make: a difference is an error, and nothing is published.
4. A disk that is full delays publishing and loses nothing, also at the start; a contradiction ends publishing for good.
5. What waits in memory has a limit: beyond it, leaves are forgotten here and read from the segments when there is space.
6. A checkpoint and its size are one value, set on the event loop: nobody ever sees one without the other.
7. A witness that does not answer delays the cosigned checkpoint and nothing else. One that saw a larger tree, or another,
   is believed: this ledger lost entries or was forked, and goes on with neither publishing nor committing.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import LedgerBroken, ParameterError, RoadworthyError, StoreBroken
from roadworthy.ledger.checkpoint import Checkpoint, CheckpointSigner, VerifierKey, open_checkpoint
from roadworthy.ledger.log import CHECKPOINT, COSIGNED, LOG_VKEY
from roadworthy.ledger.open_tiles import OpenTiles, beginning_of
from roadworthy.ledger.tile_proof import TileTree
from roadworthy.ledger.tiles import TilePath
from roadworthy.ledgerd.tile_store import TileStore
from roadworthy.ledgerd.witness_client import Witnesses

REST_SHARE = 4.0
MIN_REST_S, MAX_REST_S = 0.025, 0.1
RETRY_S = 1.0
COSIGN_REST_S = 0.2
MOST_WAITING_BYTES = 64 * 1024 * 1024
_CHUNK = 4_096
_REMEDY = "Keep a copy of the published folder and of the segments, and find out which of them was changed."


Segments: TypeAlias = Callable[[int], Iterator[tuple[int, tuple[bytes, ...]]]]
"""First index and leaves of what is durable, from the frame on that holds an index."""


class Head(NamedTuple):
    """A published checkpoint: how many entries it covers, and its text."""

    size: int = 0
    note: str = ""


def published_size(folder: Path, key: VerifierKey) -> int:
    """How many entries the larger of the checkpoints in a published folder covers; 0 without any.

    Raises:
        SignatureBroken: one of them is not this log's (RW-502).
        LedgerBroken: one of them is no checkpoint (RW-503).
        StoreBroken: the folder cannot be used (RW-505).
    """
    store = TileStore(folder)
    try:
        notes = [note for name in (CHECKPOINT, COSIGNED) if (note := store.note(name)) is not None]
    finally:
        store.close()
    return max((open_checkpoint(note, [key]).size for note in notes), default=0)


class Publisher:
    """Publishes one log.

    Args:
        folder: that is published.
        signer: the log's name and key.
        segments: where durable leaves are read again when too many wait; None keeps all of them in memory.
        witnesses: who cosigns; None without any.

    Attributes:
        fault: why it stopped, or what delays it; None while all is well.
        witnesses: as given.
    """

    def __init__(
        self,
        folder: Path,
        signer: CheckpointSigner,
        *,
        segments: Segments | None = None,
        witnesses: Witnesses | None = None,
    ) -> None:
        self.store = TileStore(folder)
        self.fault: RoadworthyError | None = None
        self.witnesses = witnesses
        self._signer = signer
        self._segments = segments
        self._head = Head()
        self._cosigned: Head | None = None
        self._tiles = OpenTiles()
        self._unwritten: list[tuple[TilePath, bytes]] = []
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._durable = 0
        self._wake = asyncio.Event()
        self._fresh = asyncio.Event()
        self._published = asyncio.Condition()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="publisher")
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._when_broken: Callable[[str], None] | None = None

    @property
    def size(self) -> int:
        """Entries under the published checkpoint."""
        return self._head.size

    def recover(self, leaves: Iterable[bytes]) -> None:
        """Make everything anew from the durable leaves, compare it with the folder, and publish. Before ``start``.

        A disk that takes nothing more becomes ``fault`` and is tried again later: the segments may well have room.

        Raises:
            LedgerBroken: the folder holds something that these leaves do not make (RW-503).
            SignatureBroken: a checkpoint in the folder is not this log's (RW-502).
            StoreBroken: the folder cannot be read, or cannot be written and lacks too much (RW-505).
        """
        # 1. What is published now?
        there: dict[tuple[int | None, int], list[TilePath]] = {}
        for path in self.store.tiles():
            there.setdefault((path.level, path.index), []).append(path)
        checkpoints = sorted(
            (each.size, each.root) for each in (self._on_disk(CHECKPOINT), self._on_disk(COSIGNED)) if each
        )
        # 2. Pass the leaves by; stop where a checkpoint stands, and compare the root.
        stream = iter(leaves)
        while True:
            while checkpoints and checkpoints[0][0] == self._tiles.size:
                self._require_root(*checkpoints.pop(0))
            most = min(_CHUNK, checkpoints[0][0] - self._tiles.size) if checkpoints else _CHUNK
            chunk = list(islice(stream, most))
            if not chunk:
                break
            # 3. Every tile that is there must be what the leaves make; one that is not there is written.
            self._unwritten += [tile for tile in self._tiles.add(chunk) if not self._is_there(*tile, there)]
            self._write_or_wait()
        for path, data in self._tiles.partial():
            self._is_there(path, data, there)
        # 4. Nothing may be published that the leaves do not make.
        if there or checkpoints:
            what = f"The published log covers more than the {self._tiles.size} entries that are durable."
            raise LedgerBroken(what, remedy=_REMEDY, where=str(self.store.folder))
        # 5. Publish.
        self._durable = self._tiles.size
        try:
            self._head = self._publish(self._durable, [])
        except StoreBroken as error:
            self.fault = error
        else:
            self.fault = None

    async def ask_witnesses(self) -> None:
        """Show the witnesses what was recovered, before anything is added to it. Those that do not answer are left out.

        Raises:
            LedgerBroken: one of them saw a larger tree, or another (RW-503).
        """
        # What could not be published yet is behind what a witness may rightly have seen; it is shown later.
        if self.witnesses is not None and self.fault is None:
            await self.witnesses.gather(self._head.note, self._head.size, self._consistency)
            contradiction = self.witnesses.contradiction()
            if contradiction is not None:
                raise contradiction

    def on_durable(self, first_index: int, leaves: Sequence[bytes]) -> None:
        """Take leaves that are durable now. Cheap; call it on the event loop, in the order of the log.

        Raises:
            LedgerBroken: leaves were left out or given twice (RW-503).
        """
        if first_index != self._durable:
            what = f"Entry {first_index} became durable after entry {self._durable - 1}."
            raise LedgerBroken(what, remedy="Restart the ledger's process.")
        self._durable += len(leaves)
        if isinstance(self.fault, LedgerBroken):
            # Publishing has ended for good: nothing would ever take them away again.
            return
        self._waiting += leaves
        self._waiting_bytes += sum(map(len, leaves))
        if self._waiting_bytes > MOST_WAITING_BYTES and self._segments is not None:
            self._take_waiting()
        self._wake.set()

    def when_broken(self, callback: Callable[[str], None]) -> None:
        """Call it once, on the event loop, when a contradiction ended publishing for good."""
        self._when_broken = callback

    def start(self) -> None:
        """Begin to publish, on the running event loop."""
        self._tasks.append(asyncio.create_task(self._run()))
        if self.witnesses is not None:
            self._tasks.append(asyncio.create_task(self._cosign(self.witnesses)))
        if self.fault is None:
            self._fresh.set()
        else:
            self._wake.set()

    async def close(self) -> None:
        """Publish what waits, then end. A fault stays in ``fault``; a witness is not waited for."""
        self._closing = True
        self._wake.set()
        for task in self._tasks[1:]:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._thread.shutdown()
        self.store.close()

    def notes(self) -> tuple[str, str | None]:
        """The published checkpoint, and the newest one that the witnesses cosigned."""
        return self._head.note, self._cosigned.note if self._cosigned else None

    async def covering(self, index: int, wait_s: float) -> tuple[int, str, bool]:
        """Size and note of a checkpoint that covers an entry, cosigned if there is such a one; waits until there is any.

        Raises:
            ParameterError: no such entry is durable, or it is not published in time (RW-114).
        """
        if not 0 <= index < self._durable:
            raise ParameterError(f"There is no entry {index}.", remedy=f"Ask for an index below {self._durable}.")
        try:
            async with asyncio.timeout(wait_s), self._published:
                await self._published.wait_for(lambda: index < self.size)
        except TimeoutError as error:
            what = f"Entry {index} is durable, but not under a published checkpoint yet."
            raise ParameterError(what, remedy="Ask again later.") from error
        if self._cosigned is not None and index < self._cosigned.size:
            return *self._cosigned, True
        return *self._head, False

    def _on_disk(self, name: str) -> Checkpoint | None:
        note = self.store.note(name)
        if note is None:
            return None
        checkpoint = open_checkpoint(note, [self._signer.verifier])
        if name == COSIGNED:
            self._cosigned = Head(checkpoint.size, note)
        else:
            self._head = Head(checkpoint.size, note)
        return checkpoint

    def _require_root(self, size: int, root: bytes) -> None:
        if self._tiles.root() != root:
            what = f"The published checkpoint of {size} entries is not that of the durable entries."
            raise LedgerBroken(what, remedy=_REMEDY, where=str(self.store.folder))

    def _is_there(self, path: TilePath, data: bytes, there: dict[tuple[int | None, int], list[TilePath]]) -> bool:
        """Whether this very tile is published; every form of it that is must be what the leaves make."""
        found = there.pop((path.level, path.index), [])
        for each in found:
            if each.width > path.width or self.store.read(each) != beginning_of(data, each):
                what = "A published tile is not what the durable entries make."
                raise LedgerBroken(what, remedy=_REMEDY, where=each.text())
        return path in found

    def _write_or_wait(self) -> None:
        """Write what is whole; what the disk does not take waits, up to the limit."""
        try:
            self.store.write(self._unwritten)
        except StoreBroken as error:
            self.fault = error
            if sum(len(data) for _, data in self._unwritten) > MOST_WAITING_BYTES:
                raise
        else:
            self._unwritten.clear()

    def _publish(self, first_index: int, leaves: Sequence[bytes]) -> Head:
        """In the publisher's thread: tiles, then the checkpoint. What fails halfway is done again the next time."""
        # 1. Leaves that were forgotten come from the segments, and are written piece by piece.
        if self._tiles.size < first_index and self._segments is not None:
            for first, part in self._segments(self._tiles.size):
                self.store.write(self._unwritten)
                self._unwritten = self._tiles.add(part[self._tiles.size - first : first_index - first])
                # What is durable grows meanwhile: what stands behind this is not asked for.
                if self._tiles.size == first_index:
                    break
        if self._tiles.size < first_index:
            what = f"The segments do not give the entries from {self._tiles.size} up to {first_index}."
            raise LedgerBroken(what, remedy=_REMEDY)
        # 2. The leaves at hand; when this is tried again the tiles have them already.
        self._unwritten += self._tiles.add(leaves[self._tiles.size - first_index :])
        # 3. Tiles, then the checkpoint.
        size = self._tiles.size
        note = self._signer.sign(size, self._tiles.root())
        self.store.keep(LOG_VKEY, self._signer.verifier.text() + "\n")
        self.store.write(self._unwritten + self._tiles.partial(), checkpoint=note)
        self._unwritten = []
        return Head(size, note)

    def _take_waiting(self) -> list[bytes]:
        leaves, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return leaves

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        first, again = 0, False
        leaves: list[bytes] = []
        while not (self._closing and self._head.size == self._durable):
            await self._wake.wait()
            self._wake.clear()
            if isinstance(self.fault, LedgerBroken):
                return
            if not again:
                first, leaves = self._durable - len(self._waiting), self._take_waiting()
            began_s = monotonic_s()
            try:
                head = await loop.run_in_executor(self._thread, self._publish, first, leaves)
            except StoreBroken as error:
                self.fault = self.fault if isinstance(self.fault, LedgerBroken) else error
                if self._closing:
                    return
                again = True
                await asyncio.sleep(RETRY_S)
                self._wake.set()
                continue
            except LedgerBroken as error:
                self._break(error)
                return
            again = False
            await self._tell(head)
            if not self._closing:
                await asyncio.sleep(min(max(REST_SHARE * (monotonic_s() - began_s), MIN_REST_S), MAX_REST_S))

    def _break(self, error: LedgerBroken) -> None:
        """Nothing is published from now on, and whoever commits hears of it."""
        self.fault = error
        self._take_waiting()
        if self._when_broken is not None:
            self._when_broken(str(error))

    async def _tell(self, head: Head) -> None:
        if not isinstance(self.fault, LedgerBroken):
            self.fault = None
        async with self._published:
            self._head = head
            self._published.notify_all()
        self._fresh.set()
        if head.size != self._durable:
            # What came while a failure was tried again has rung already.
            self._wake.set()

    async def _cosign(self, witnesses: Witnesses) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            size, note = self._head
            cosigned = await witnesses.gather(note, size, self._consistency)
            contradiction = witnesses.contradiction()
            if contradiction is not None:
                self._break(contradiction)
                return
            if cosigned is None:
                await asyncio.sleep(RETRY_S)
                self._fresh.set()
                continue
            try:
                await loop.run_in_executor(self._thread, self.store.put, COSIGNED, cosigned)
            except StoreBroken as error:
                self.fault = error
                self._fresh.set()
            else:
                self._cosigned = Head(size, cosigned)
            await asyncio.sleep(COSIGN_REST_S)

    async def _consistency(self, old_size: int, size: int) -> tuple[bytes, ...]:
        tree = TileTree(size, self.store.read_tile)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, tree.consistency_path, old_size)
        except LedgerBroken as error:
            # A tile is missing here: no word of the witness's, so it must not count as one.
            raise StoreBroken(error.what, remedy=error.remedy, where=error.where) from error
