"""The publisher: what is durable becomes tiles, and a checkpoint that anybody can verify. Owns when and in which order.

It stands behind the group commit and never before it: an acknowledgement waits for no tile, and a checkpoint covers only
leaves that are durable in the segments. It works in one thread of its own.

Rules kept here:
1. Tiles are written before the checkpoint that needs them, and a checkpoint is replaced whole.
2. After a rest it publishes at once. It rests four times as long as its last work took, so it takes a fifth of the disk's
   time at most; at least 25 ms, so that it takes few processor seconds; and never more than 100 ms, since an entry that
   is durable shall soon be one that can be proven.
3. On start every published file is compared with what the leaves make: a difference is an error, and nothing is published.
4. A disk that is full delays publishing and loses nothing; a contradiction ends publishing for good.
5. A witness that does not answer delays the cosigned checkpoint and nothing else.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import LedgerBroken, ParameterError, RoadworthyError, StoreBroken
from roadworthy.ledger.checkpoint import Checkpoint, CheckpointSigner, open_checkpoint
from roadworthy.ledger.log import CHECKPOINT, COSIGNED, LOG_VKEY
from roadworthy.ledger.merkle import Frontier
from roadworthy.ledger.open_tiles import OpenTiles, beginning_of
from roadworthy.ledger.tile_proof import TileTree
from roadworthy.ledger.tiles import TilePath
from roadworthy.ledgerd.tile_store import TileStore
from roadworthy.ledgerd.witness_client import Witnesses

REST_SHARE = 4.0
MIN_REST_S, MAX_REST_S = 0.025, 0.1
RETRY_S = 1.0
COSIGN_REST_S = 0.2
_CHUNK = 4_096
_REMEDY = "Keep a copy of the published folder and of the segments, and find out which of them was changed."


class Publisher:
    """Publishes one log.

    Args:
        folder: that is published.
        signer: the log's name and key.
        witnesses: who cosigns; None without any.

    Attributes:
        size: entries under the published checkpoint.
        fault: why it stopped, or what delays it; None while all is well.
    """

    def __init__(self, folder: Path, signer: CheckpointSigner, *, witnesses: Witnesses | None = None) -> None:
        self.store = TileStore(folder)
        self.size = 0
        self.fault: RoadworthyError | None = None
        self._signer = signer
        self._witnesses = witnesses
        self._note = ""
        self._cosigned: tuple[int, str] | None = None
        self._tiles = OpenTiles()
        self._unwritten: list[tuple[TilePath, bytes]] = []
        self._waiting: list[bytes] = []
        self._frontier: Frontier | None = None
        self._durable = 0
        self._wake = asyncio.Event()
        self._fresh = asyncio.Event()
        self._published = asyncio.Condition()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="publisher")
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    def recover(self, leaves: Iterable[bytes]) -> None:
        """Make everything anew from the durable leaves, compare it with the folder, and publish. Before ``start``.

        Raises:
            LedgerBroken: the folder holds something that these leaves do not make (RW-503).
            SignatureBroken: a checkpoint in the folder is not this log's (RW-502).
            StoreBroken: the folder cannot be used (RW-505).
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
            self.store.write([tile for tile in self._tiles.add(chunk) if not self._is_there(*tile, there)])
        for path, data in self._tiles.partial():
            self._is_there(path, data, there)
        # 4. Nothing may be published that the leaves do not make.
        if there or checkpoints:
            what = f"The published log covers more than the {self._tiles.size} entries that are durable."
            raise LedgerBroken(what, remedy=_REMEDY, where=str(self.store.folder))
        # 5. Publish.
        self._durable = self._tiles.size
        self.store.put(LOG_VKEY, self._signer.verifier.text() + "\n")
        self._publish([], None)
        self.size = self._tiles.size

    def on_durable(self, first_index: int, leaves: Sequence[bytes], frontier: Frontier) -> None:
        """Take leaves that are durable now. Cheap; call it on the event loop, in the order of the log.

        Raises:
            LedgerBroken: leaves were left out or given twice (RW-503).
        """
        if first_index != self._durable:
            what = f"Entry {first_index} became durable after entry {self._durable - 1}."
            raise LedgerBroken(what, remedy="Restart the ledger's process.")
        if isinstance(self.fault, LedgerBroken):
            # Publishing has ended for good: nothing would ever take them away again.
            return
        self._waiting += leaves
        self._durable += len(leaves)
        self._frontier = frontier
        self._wake.set()

    def start(self) -> None:
        """Begin to publish, on the running event loop."""
        self._tasks.append(asyncio.create_task(self._run()))
        if self._witnesses is not None:
            self._tasks.append(asyncio.create_task(self._cosign(self._witnesses)))
            self._fresh.set()

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
        return self._note, self._cosigned[1] if self._cosigned else None

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
        if self._cosigned is not None and index < self._cosigned[0]:
            return *self._cosigned, True
        return self.size, self._note, False

    def _on_disk(self, name: str) -> Checkpoint | None:
        note = self.store.note(name)
        if note is None:
            return None
        checkpoint = open_checkpoint(note, [self._signer.verifier])
        if name == COSIGNED:
            self._cosigned = (checkpoint.size, note)
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

    def _publish(self, leaves: Sequence[bytes], frontier: Frontier | None) -> None:
        """In the publisher's thread: tiles, then the checkpoint. What fails halfway is done again the next time."""
        self._unwritten += self._tiles.add(leaves)
        root = self._tiles.root()
        if frontier is not None and frontier.size == self._tiles.size and frontier.root() != root:
            raise LedgerBroken("Commit and publisher make different roots.", remedy="Restart the ledger's process.")
        note = self._signer.sign(self._tiles.size, root)
        self.store.write(self._unwritten + self._tiles.partial(), checkpoint=note)
        self._unwritten.clear()
        self._note = note

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not (self._closing and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            leaves, self._waiting = self._waiting, []
            began_s = monotonic_s()
            try:
                await loop.run_in_executor(self._thread, self._publish, leaves, self._frontier)
            except StoreBroken as error:
                self.fault = error
                if self._closing:
                    return
                await asyncio.sleep(RETRY_S)
                self._wake.set()
                continue
            except LedgerBroken as error:
                self.fault = error
                return
            self.fault = None
            await self._tell()
            if not self._closing:
                await asyncio.sleep(min(max(REST_SHARE * (monotonic_s() - began_s), MIN_REST_S), MAX_REST_S))

    async def _tell(self) -> None:
        async with self._published:
            self.size = self._tiles.size
            self._published.notify_all()
        self._fresh.set()

    async def _cosign(self, witnesses: Witnesses) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            size, note = self.size, self._note
            cosigned = await witnesses.gather(note, size, self._consistency)
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
                self._cosigned = (size, cosigned)
            await asyncio.sleep(COSIGN_REST_S)

    async def _consistency(self, old_size: int, size: int) -> tuple[bytes, ...]:
        tree = TileTree(size, self.store.read_tile)
        return await asyncio.get_running_loop().run_in_executor(self._thread, tree.consistency_path, old_size)
