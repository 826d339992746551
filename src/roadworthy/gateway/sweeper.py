"""Open intents. Owns which exchanges of this worker have an intent and no outcome yet, and closes those that never get one.

Rules kept here:
1. An intent is closed once: whoever writes its last leaf takes it first. After it was closed as abandoned, no outcome is
   written any more and nothing is released.
2. ``exchange.abandoned`` says that this worker never learnt of a durable outcome. An outcome that stands beside it was
   durable but not acknowledged in time, so its answer was not released either. Its ``intent`` is -1 when the worker did
   not even learn of a durable intent; then nobody was contacted.
3. A leaf that the ledger does not take is tried again with the next sweep.

What is kept here dies with the worker. The intents of a worker that crashed carry its ``epoch``; the next worker's
``gateway.node`` leaf of the same node shows that the epoch ended, and the index lists them as open for good.
"""

import asyncio
import time

from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.ledger_client import LedgerRefused
from roadworthy.gateway.records import Exchange, Recorder
from roadworthy.gateway.stages import Ledger

_EVERY_S = 1.0


class Abandoned(Refused):
    """The exchange was closed as abandoned; its answer comes too late and is not released."""

    def __init__(self) -> None:
        super().__init__(Reason.DEADLINE, 504, "The answer came after its exchange was closed.")


class Sweeper:
    """The open intents of one worker."""

    def __init__(self, recorder: Recorder, ledger: Ledger) -> None:
        self._recorder, self._ledger = recorder, ledger
        self._open: dict[str, Exchange] = {}
        self._lost: dict[str, Exchange] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._open) + len(self._lost)

    def open(self, exchange: Exchange) -> None:
        """Its intent is durable."""
        self._open[exchange.id] = exchange

    def take(self, exchange: Exchange) -> None:
        """Its outcome is about to be written.

        Raises:
            Abandoned: it was closed meanwhile.
        """
        if self._open.pop(exchange.id, None) is None:
            raise Abandoned

    def give_back(self, exchange: Exchange) -> None:
        """Its outcome did not become durable, as far as anybody knows: close it with the next sweep."""
        self._lost[exchange.id] = exchange

    def lose(self, exchange: Exchange) -> None:
        """It ended without an outcome, if it is still open: close it with the next sweep."""
        if self._open.pop(exchange.id, None) is not None:
            self._lost[exchange.id] = exchange

    def start(self) -> None:
        """Sweep every second."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop sweeping, and close everything that is still open. What the ledger does not take now stays open."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._lost.update(self._open)
        self._open.clear()
        await self.sweep()

    async def sweep(self) -> int:
        """Close what is overdue and what was lost; how many that were."""
        now_s = time.perf_counter()
        for exchange in [each for each in self._open.values() if _is_overdue(each, now_s)]:
            self._lost[exchange.id] = self._open.pop(exchange.id)
            if exchange.task is not None:
                # A caller who stopped reading would hold the stream, and its upstream, for ever.
                exchange.task.cancel()
        waiting = []
        for exchange in list(self._lost.values()):
            try:
                waiting.append((exchange, self._ledger.put(*self._recorder.abandoned(exchange))))
            except LedgerRefused:
                break
        closed = 0
        for exchange, future in waiting:
            try:
                await future
            except LedgerRefused:
                continue
            self._lost.pop(exchange.id, None)
            closed += 1
        return closed

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.sweep()


def _is_overdue(exchange: Exchange, now_s: float) -> bool:
    return exchange.use is not None and now_s - exchange.began_s > exchange.use.deadline_s
