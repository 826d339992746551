"""Retry budget of one use case. Owns how many further tries there may be; when one makes sense is decided by the ladder.

A token bucket without a clock: every request puts ``share`` of a token in, every retry and every hedge takes a whole one.
So an upstream that is down sees at most ``RESERVE + share * requests`` further tries, whatever the arrival rate is.
"""

RESERVE = 10.0
"""Tokens at the start, and the most that quiet times save up: enough for a use case with a few requests an hour."""


class RetryBudget:
    """Retries and hedges as a share of requests.

    Args:
        share: in [0, 1]; with 0 nothing is ever tried again.
    """

    __slots__ = ("_share", "_tokens")

    def __init__(self, share: float) -> None:
        self._share = share
        self._tokens = RESERVE if share > 0 else 0.0

    def deposit(self) -> None:
        """A request came in."""
        tokens = self._tokens + self._share
        self._tokens = min(tokens, RESERVE)

    def take(self) -> bool:
        """Whether one more try may go out; it is paid for at once."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
