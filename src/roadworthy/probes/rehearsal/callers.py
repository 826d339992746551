"""Callers who ask again and again beside whatever else happens. Owns the threads and what came back.

Rule kept here: the threads end with the block; a question that is under way then is waited for.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from roadworthy.base.clock import monotonic_s
from roadworthy.probes.rehearsal.requests import Request, tagged
from roadworthy.probes.rehearsal.rig import Rig

_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One answer.

    Attributes:
        route: that was asked.
        status: of HTTP; 0 when nobody answered.
        answered: whether it was an answer and no refusal.
        asked_s: when the question began to leave, on the clock of ``base.clock.monotonic_s``.
        ended_s: when the answer had come, on the same clock.
    """

    route: str
    status: int
    answered: bool
    asked_s: float
    ended_s: float


class Callers:
    """One thread for each request, which it asks until the block ends. A context manager.

    Args:
        rig: to ask.
        requests: one for each caller.
    """

    def __init__(self, rig: Rig, requests: Sequence[Request]) -> None:
        self._rig = rig
        self._ended = threading.Event()
        self._heard: list[Heard] = []
        self._threads = [threading.Thread(target=self._run, args=(each,), daemon=True) for each in requests]

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

    @property
    def heard(self) -> tuple[Heard, ...]:
        """Every answer so far."""
        return tuple(self._heard)

    def _run(self, request: Request) -> None:
        number = 0
        while not self._ended.wait(_PAUSE_S):
            number += 1
            asked_s = monotonic_s()
            reply = self._rig.ask(tagged(request, f"caller-{number}"))
            self._heard.append(
                Heard(
                    route=request.route,
                    status=reply.status,
                    answered=reply.answered,
                    asked_s=asked_s,
                    ended_s=asked_s + reply.took_s,
                )
            )
