"""An upstream behind its circuit breaker. Owns which ends of an attempt speak for or against the upstream.

Rules kept here:
1. What the upstream refused for want of room (429) shows that it lives. That we had no connection free says nothing, nor
   does an attempt that was cancelled. Every other failure speaks against it.
2. A stream is judged at its end, because that is where streams break; only a half-open breaker takes its first part as a
   good sign, so that a long stream does not keep it half-open.
"""

import asyncio
from functools import partial

from roadworthy.gateway.breaker import BreakerState, CircuitBreaker
from roadworthy.gateway.config import Upstream
from roadworthy.gateway.exchange import Answer, Attempt, Failure, Question, UpstreamFailed
from roadworthy.gateway.upstream.client import UpstreamClient


class GuardedUpstream:
    """Client and breaker of one upstream.

    Args:
        name: of the upstream in the configuration.
        config: of the upstream.
        idempotent: see ``UpstreamClient``.

    Raises:
        ParameterError, MissingFile: see ``UpstreamClient`` (RW-114, RW-102).
    """

    def __init__(self, name: str, config: Upstream, *, idempotent: bool) -> None:
        self.name = name
        self.total_s = config.deadlines.total_s
        self.client = UpstreamClient(name, config, idempotent=idempotent)
        self.breaker = CircuitBreaker(config.breaker)

    async def send(
        self,
        question: Question,
        attempts: list[Attempt],
        *,
        end_mark: bytes | None,
        until_s: float,
        hedge: bool = False,
    ) -> Answer:
        """Ask once, unless the breaker is open.

        Args:
            question: what.
            attempts: where the attempt is written down.
            end_mark: see ``UpstreamClient.send``.
            until_s: last moment on the loop's clock.
            hedge: whether it goes out beside an earlier attempt.

        Raises:
            UpstreamFailed: no good answer, or ``BREAKER_OPEN``.
        """
        breaker, loop = self.breaker, asyncio.get_running_loop()
        ticket = breaker.allow(loop.time())
        if not ticket:
            attempts.append(Attempt(self.name, Failure.BREAKER_OPEN.value, 0, hedge))
            wait_s = breaker.closes_in_s(loop.time())
            raise UpstreamFailed(Failure.BREAKER_OPEN, sent=False, retry_after_s=wait_s)
        on_end = partial(self._note_end, ticket) if question.stream else None
        answer = None
        try:
            answer = await self.client.send(
                question, end_mark=end_mark, until_s=until_s, attempts=attempts, hedge=hedge, on_stream_end=on_end
            )
        except UpstreamFailed as failed:
            if failed.failure is Failure.STATUS_429:
                breaker.succeeded(ticket, loop.time())
            elif failed.failure is not Failure.POOL_EXHAUSTED:
                breaker.failed(ticket, loop.time())
            raise
        finally:
            if answer is None:
                breaker.gave_up(ticket)  # does nothing when one of the above was said
        if answer.parts is None or breaker.state is BreakerState.HALF_OPEN:
            breaker.succeeded(ticket, loop.time())
        return answer

    def _note_end(self, ticket: int, failure: Failure | None) -> None:
        now_s = asyncio.get_running_loop().time()
        if failure is None:
            self.breaker.succeeded(ticket, now_s)
        else:
            self.breaker.failed(ticket, now_s)

    async def close(self) -> None:
        """Cut off every connection."""
        await self.client.close()
