"""An event loop in a thread of its own, for servers that a probe starts beside blocking code.

Owns the thread and its end. Leaves alone what runs in the loop.

Rules kept here:
1. Whatever is called across the boundary has a deadline: a loop that hangs becomes an error, not a hung probe.
2. ``stop`` cancels what is left, lets it clean up, and joins the thread; nothing outlives it.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from roadworthy.base.errors import TargetUnreachable

T = TypeVar("T")
_CALL_S = 30.0


class LoopThread:
    """A running event loop.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float = _CALL_S) -> T:
        """Run a coroutine in the loop and wait for its result; its errors are raised here.

        Raises:
            TargetUnreachable: it did not end within ``timeout_s`` seconds (RW-401).
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except TimeoutError as error:
            future.cancel()
            raise TargetUnreachable(
                f"The probe's own server did not answer within {timeout_s:g} s.",
                remedy="Look for what blocks its event loop.",
                where=self._thread.name,
            ) from error

    def stop(self) -> None:
        """End every task, then the loop and its thread."""
        self.call(_end_all_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


async def _end_all_tasks() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    # A task that ended with an error has told its owner already, or its owner is gone.
    await asyncio.gather(*tasks, return_exceptions=True)
