"""Group commit: what waits while one sync runs goes into the next. Owns the queue, its limit, and who is told what.

Making a frame durable belongs to ``writer``. The event loop's thread owns everything here but the writer, which belongs to
one thread that does nothing else.

Rules kept here:
1. One sync is in flight. What arrives until it ends is the next batch.
2. An append is acknowledged after its batch is durable, or refused; never neither, never both, and in order.
3. More than ``most_waiting`` records or ``most_waiting_bytes`` never wait: the next append is refused as BUSY. Nothing is
   dropped, and an append that is alone is always taken.
4. Listeners hear of a batch after its appends were answered, in order, on the event loop. The tree over the leaves is
   theirs: it grows in one place, where it is published, and not on the way to an acknowledgement.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import NamedTuple

from roadworthy.base.errors import RoadworthyError, StoreBroken
from roadworthy.ledgerd.storage import DiskFull
from roadworthy.ledgerd.writer import SegmentWriter
from roadworthy.wire.ledger_messages import LedgerRecord, RefusalCode


class Refusal(NamedTuple):
    """Why an append is not durable."""

    code: RefusalCode
    text: str


Answer = Callable[[int | Refusal], None]
"""Told the index of the first record once all are durable, or the refusal."""
Listener = Callable[[int, Sequence[bytes]], None]
"""Told first index and leaves of what became durable."""

_BUSY = Refusal(RefusalCode.BUSY, "too much is waiting")
_CLOSING = Refusal(RefusalCode.CLOSING, "the ledger is about to stop")
_DIED = Refusal(RefusalCode.BROKEN, "the thread that commits died")


class _Append(NamedTuple):
    records: Sequence[LedgerRecord]
    answer: Answer
    size_bytes: int


class GroupCommit:
    """The one way into the ledger. Make it inside a running event loop.

    Args:
        writer: used by this object's thread alone from now on.
        most_waiting: records that may be under way, those of the running sync included.
        most_waiting_bytes: of their leaves and payloads together.
        most_batch_bytes: of one batch, unless a single append is larger.
    """

    def __init__(
        self,
        writer: SegmentWriter,
        *,
        most_waiting: int,
        most_waiting_bytes: int = 128 * 1024 * 1024,
        most_batch_bytes: int = 256 * 1024,
    ) -> None:
        self._writer = writer
        self._size = writer.size
        self._most_waiting, self._most_waiting_bytes = most_waiting, most_waiting_bytes
        self._most_batch_bytes = most_batch_bytes
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Append] = deque()
        self._under_way = self._under_way_bytes = 0
        self._batch: list[_Append] = []
        self._listeners: list[Listener] = []
        self._closed: Refusal | None = None
        self._when_broken: Callable[[], None] | None = None
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self._jobs: SimpleQueue[Sequence[LedgerRecord] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledgerd-commit", daemon=True)
        self._thread.start()
        self._preparing: asyncio.Future[None] | None = None
        self._prepare()

    @property
    def size(self) -> int:
        """Leaves that are durable."""
        return self._size

    @property
    def epoch(self) -> int:
        """Which run of the process this is."""
        return self._writer.epoch

    @property
    def waiting(self) -> int:
        """Records under way."""
        return self._under_way

    @property
    def refusal(self) -> Refusal | None:
        """Why nothing more is taken; None while the ledger is open."""
        return self._closed

    def listen(self, listener: Listener) -> None:
        """Call it after every batch from now on. It must be quick, and must not raise."""
        self._listeners.append(listener)

    def when_broken(self, callback: Callable[[], None]) -> None:
        """Call it once, when nothing more can be written until a restart; now, if that is so already."""
        self._when_broken = callback
        if self._closed is not None and self._closed.code is RefusalCode.BROKEN:
            callback()

    def submit(self, records: Sequence[LedgerRecord], answer: Answer) -> None:
        """Append all records or none; ``answer`` is called once, now when refused, else from the event loop."""
        if self._closed is not None:
            answer(self._closed)
            return
        size = sum([len(leaf) + len(sealed) for leaf, sealed in records])
        under_way, under_way_bytes = self._under_way + len(records), self._under_way_bytes + size
        if self._under_way and (under_way > self._most_waiting or under_way_bytes > self._most_waiting_bytes):
            answer(_BUSY)
            return
        if not self._under_way:
            self._idle.clear()
            # Not at once: whatever else arrives in this turn of the loop belongs into the same batch.
            self._loop.call_soon(self._begin)
        self._under_way, self._under_way_bytes = under_way, under_way_bytes
        self._queue.append(_Append(records, answer, size))

    async def append(self, records: Sequence[LedgerRecord]) -> int:
        """Append and wait; the index of the first.

        Raises:
            StoreBroken: refused, with the reason (RW-505).
        """
        future: asyncio.Future[int | Refusal] = self._loop.create_future()
        self.submit(records, lambda outcome: None if future.done() else future.set_result(outcome))
        outcome = await future
        if isinstance(outcome, Refusal):
            remedy = "Ask again when the ledger takes records again."
            raise StoreBroken(f"The ledger refused: {outcome.text} ({outcome.code.name}).", remedy=remedy)
        return outcome

    def break_off(self, text: str) -> None:
        """Take nothing more until a restart, because of something that only others can see; what is written is answered."""
        if self._closed is None or self._closed.code is not RefusalCode.BROKEN:
            self._closed = Refusal(RefusalCode.BROKEN, text)
            self._refuse_queue(self._closed)
            if self._when_broken is not None:
                self._when_broken()

    async def close(self) -> None:
        """Refuse what comes, finish what waits, stop the thread and close the writer."""
        if self._closed is None:
            self._closed = _CLOSING
        await self._idle.wait()
        if self._preparing is not None:
            await self._preparing
        self._jobs.put(None)
        self._thread.join()
        self._writer.close()

    def _begin(self) -> None:
        """Hand the next batch to the thread."""
        if not self._queue:
            # The ledger broke in the turn of the loop in which the first append came.
            return
        batch = self._batch = [self._queue.popleft()]
        size = batch[0].size_bytes
        while self._queue and size + self._queue[0].size_bytes <= self._most_batch_bytes:
            batch.append(self._queue.popleft())
            size += batch[-1].size_bytes
        self._jobs.put([record for each in batch for record in each.records])

    def _settle(self, outcome: int | Refusal) -> None:
        """The thread is done with the batch: begin the next, then tell everybody."""
        batch = self._batch
        for each in batch:
            self._release(each)
        if not isinstance(outcome, Refusal):
            self._size = outcome + sum([len(each.records) for each in batch])
        elif outcome.code is RefusalCode.BROKEN:
            self.break_off(outcome.text)
        self._begin()
        index = outcome
        for each in batch:
            each.answer(index)
            if not isinstance(index, Refusal):
                index += len(each.records)
        if not isinstance(outcome, Refusal):
            leaves = [record.leaf for each in batch for record in each.records]
            for listener in self._listeners:
                listener(outcome, leaves)
        self._prepare()
        if not self._under_way:
            self._idle.set()

    def _refuse_queue(self, refusal: Refusal) -> None:
        queue, self._queue = self._queue, deque()
        for each in queue:
            self._release(each)
            each.answer(refusal)
        if not self._under_way:
            self._idle.set()

    def _release(self, append: _Append) -> None:
        self._under_way -= len(append.records)
        self._under_way_bytes -= append.size_bytes

    def _prepare(self) -> None:
        """Have the next segment made aside, so that no batch waits for it."""
        if self._closed is None and self._writer.wants_spare and (self._preparing is None or self._preparing.done()):
            self._preparing = self._loop.run_in_executor(None, self._writer.prepare)

    def _work(self) -> None:
        while (records := self._jobs.get()) is not None:
            outcome: int | Refusal = _DIED
            try:
                outcome = self._commit(records)
            finally:
                # Also when the thread dies of an error nobody foresaw: whoever waits must hear of it.
                self._loop.call_soon_threadsafe(self._settle, outcome)

    def _commit(self, records: Sequence[LedgerRecord]) -> int | Refusal:
        try:
            return self._writer.commit(records)
        except DiskFull:
            return Refusal(RefusalCode.DISK, "the disk is full, or too many files are open")
        except RoadworthyError as error:
            return Refusal(RefusalCode.BROKEN, str(error))
