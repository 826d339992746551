"""Callers who ask a rehearsal again and again beside whatever else happens. Owns what came back; threads are ``crew``'s."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from roadworthy.base.clock import monotonic_s
from roadworthy.probes.crew import Crew
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


class Callers(Crew):
    """One caller for each request, which it asks until the block ends.

    Args:
        rig: to ask.
        requests: one for each caller.
    """

    def __init__(self, rig: Rig, requests: Sequence[Request]) -> None:
        super().__init__([partial(self._ask, each, count(1)) for each in requests], _PAUSE_S)
        self._rig = rig
        self._heard: list[Heard] = []

    @property
    def heard(self) -> tuple[Heard, ...]:
        """Every answer so far."""
        return tuple(self._heard)

    def _ask(self, request: Request, numbers: Iterator[int]) -> None:
        asked_s = monotonic_s()
        reply = self._rig.ask(tagged(request, f"caller-{next(numbers)}"))
        self._heard.append(
            Heard(
                route=request.route,
                status=reply.status,
                answered=reply.answered,
                asked_s=asked_s,
                ended_s=asked_s + reply.took_s,
            )
        )
