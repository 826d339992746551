"""Limits of rate. Owns the token bucket and one bucket a caller; which limit holds belongs to the configuration.

Algorithm (token bucket, as ITU-T I.371 describes it): 1. a bucket holds at most ``burst`` tokens and gains
``rate_rps`` of them a second; 2. a request takes one; 3. where there is none, it is told when there will be.

Rules kept here:
1. Each process has buckets of its own, so a limit is divided by the number of processes before it comes here.
2. Memory is bounded: the caller who was seen longest ago is forgotten, which can only give somebody a full bucket.
3. A clock that goes back adds nothing and takes nothing away.
"""

import math
from collections import OrderedDict

from roadworthy.gateway.exchange import Reason, Refused

MOST_CALLERS = 65_536
_WHAT = "More requests than allowed; ask again later."


class TokenBucket:
    """One bucket; full at the beginning.

    Args:
        rate_rps: tokens a second.
        burst: the most that it holds, at least 1.
        now_s: seconds since any fixed instant.
    """

    __slots__ = ("_at_s", "_burst", "_rate_rps", "_tokens")

    def __init__(self, rate_rps: float, burst: float, now_s: float) -> None:
        self._rate_rps, self._burst = rate_rps, max(1.0, burst)
        self._tokens, self._at_s = self._burst, now_s

    def take(self, now_s: float) -> float:
        """Take a token: 0 when there was one, else the seconds until there will be."""
        # 1
        elapsed_s = now_s - self._at_s
        self._at_s = now_s
        if elapsed_s > 0.0:
            self._tokens = min(self._burst, self._tokens + elapsed_s * self._rate_rps)
        # 2
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        # 3
        return (1.0 - self._tokens) / self._rate_rps


class CallerRate:
    """One bucket for each caller.

    Args:
        rate_rps: of one caller; what it did not use for ``window_s`` it may use at once.
        window_s: over which the rate is counted.
        most_callers: how many are remembered.
    """

    def __init__(self, rate_rps: float, *, window_s: float = 1.0, most_callers: int = MOST_CALLERS) -> None:
        self._rate_rps, self._burst, self._most = rate_rps, rate_rps * window_s, most_callers
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def check(self, caller_id: str, now_s: float) -> None:
        """Count one request.

        Raises:
            Refused: the caller asks too often (429), with the seconds until it may ask again.
        """
        bucket = self._buckets.get(caller_id)
        if bucket is None:
            bucket = self._buckets[caller_id] = TokenBucket(self._rate_rps, self._burst, now_s)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(caller_id)
        take(bucket, now_s)


def take(bucket: TokenBucket, now_s: float) -> None:
    """Count one request against a bucket.

    Raises:
        Refused: it is empty (429), with the whole seconds until it is not.
    """
    wait_s = bucket.take(now_s)
    if wait_s > 0.0:
        raise Refused(Reason.RATE_LIMITED, 429, _WHAT, retry_after_s=max(1, math.ceil(wait_s)))
