"""Callers who ask again and again in the background. Owns their threads; what they ask is left to them.

Rule kept here: the threads end with the block; a question that is under way then is waited for.
"""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self


class Crew:
    """One thread for each caller. A context manager, to be used once.

    Args:
        asks: what each caller does between two pauses.
        pause_s: between two questions of one caller.
    """

    def __init__(self, asks: Sequence[Callable[[], None]], pause_s: float) -> None:
        self._pause_s = pause_s
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(ask,), daemon=True) for ask in asks]

    def __enter__(self) -> Self:
        """Start them."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let them finish."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, ask: Callable[[], None]) -> None:
        while not self._ended.wait(self._pause_s):
            ask()
