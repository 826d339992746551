"""Circuit breaker of one upstream. Owns when it is left alone; what counts as a failure is decided by the caller.

Rules kept here:
1. Closed: everything passes. When at least ``least_requests`` ended within the window, and ``failure_share`` of them or
   more failed, it opens.
2. Open: nothing passes for ``open_s``.
3. Half-open: one request passes at a time. Its success closes the breaker with an empty window, its failure opens it
   anew, and a request that says nothing (it was cancelled) hands the place to the next one.
4. A request that was let out before the state changed says nothing about the state that came after: a slow failure from
   before does not open a breaker that has just recovered.
5. Time is passed in, in seconds on a clock that never goes back; the window slides by tenths.
"""

from enum import Enum

from roadworthy.gateway.config import Breaker

BUCKETS = 10


class BreakerState(Enum):
    """As metrics show it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Counts ends, says whether to ask.

    Args:
        config: bounds; ``window_s`` and ``open_s`` in seconds.
    """

    __slots__ = ("_bucket_s", "_config", "_current", "_era", "_failed", "_opened_s", "_probing", "_total", "state")

    def __init__(self, config: Breaker) -> None:
        self._config = config
        self._bucket_s = config.window_s / BUCKETS
        self.state = BreakerState.CLOSED
        self._era = 1
        self._opened_s = 0.0
        self._probing = False
        self._current = 0
        self._total, self._failed = [0] * BUCKETS, [0] * BUCKETS

    def allow(self, now_s: float) -> int:
        """A ticket for one request, or 0 when none may go out.

        The ticket goes to exactly one of ``succeeded``, ``failed`` and ``gave_up`` when the request has ended.
        """
        if self.state is BreakerState.CLOSED:
            return self._era
        if self.state is BreakerState.OPEN and now_s - self._opened_s >= self._config.open_s:
            self._become(BreakerState.HALF_OPEN)
        if self.state is BreakerState.OPEN or self._probing:
            return 0
        self._probing = True
        return self._era

    def succeeded(self, ticket: int, now_s: float) -> None:
        """A request ended well."""
        if ticket != self._era:
            return
        if self.state is BreakerState.CLOSED:
            self._count(now_s, 0)
        else:
            self._become(BreakerState.CLOSED)
            self._forget(int(now_s / self._bucket_s))

    def failed(self, ticket: int, now_s: float) -> None:
        """A request ended badly."""
        if ticket != self._era:
            return
        if self.state is BreakerState.HALF_OPEN:
            self._open(now_s)
            return
        self._count(now_s, 1)
        total = sum(self._total)
        if total >= self._config.least_requests and sum(self._failed) >= self._config.failure_share * total:
            self._open(now_s)

    def gave_up(self, ticket: int) -> None:
        """A request ended without saying anything about the upstream."""
        if ticket == self._era:
            self._probing = False

    def closes_in_s(self, now_s: float) -> float:
        """Seconds until the next request may pass; 0 when one may now."""
        if self.state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, self._opened_s + self._config.open_s - now_s)

    def _open(self, now_s: float) -> None:
        self._become(BreakerState.OPEN)
        self._opened_s = now_s

    def _become(self, state: BreakerState) -> None:
        self.state, self._probing = state, False
        self._era += 1

    def _count(self, now_s: float, failed: int) -> None:
        current = int(now_s / self._bucket_s)
        passed = current - self._current
        if passed >= BUCKETS:
            self._forget(current)
        elif passed > 0:
            for number in range(self._current + 1, current + 1):
                self._total[number % BUCKETS] = self._failed[number % BUCKETS] = 0
            self._current = current
        self._total[current % BUCKETS] += 1
        self._failed[current % BUCKETS] += failed

    def _forget(self, current: int) -> None:
        self._current = current
        self._total, self._failed = [0] * BUCKETS, [0] * BUCKETS
