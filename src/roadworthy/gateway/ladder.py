"""The fallback ladder of one use case. Owns who is asked, how often, and in which order.

One attempt belongs to ``upstream``, each kind of rung to ``rungs``. An answer is had in these steps:

1. The request pays into the retry budget.
2. The primary is asked. Where requests are idempotent and a hedge is declared, a second request goes out beside one that
   is slow; the first good answer wins, and the other request is cancelled.
3. A failure is tried again on the primary while all of this holds: tries are left, trying again can help, nothing was
   sent or the request is idempotent, the wait fits into the primary's total deadline, and the budget pays. The wait is
   drawn evenly from [0, backoff * 2**tries] ("full jitter"), or is what the upstream asked for if that is longer.
4. The declared rungs are asked in their order, each once.
5. The declared refusal ends the ladder, or the built-in one does.

Once the first part of a stream was handed out, none of this happens again: its failure surfaces in the stream.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from datetime import datetime

from roadworthy.base.clock import now
from roadworthy.base.ids import random_share
from roadworthy.gateway.breaker import BreakerState
from roadworthy.gateway.cached_answers import CachedAnswers
from roadworthy.gateway.config import OpenAiRoute, Retries, Rung, UseCase
from roadworthy.gateway.exchange import Answer, Attempt, Failure, Question, Reason, Refused, UpstreamFailed
from roadworthy.gateway.human_queue import HumanQueue
from roadworthy.gateway.retry_budget import RetryBudget
from roadworthy.gateway.rule_answers import RuleAnswers
from roadworthy.gateway.rungs import (
    BUILT_IN,
    BUILT_IN_TEXT,
    AlternateRung,
    AnswerRung,
    CachedRung,
    HumanRung,
    RuleRung,
    refuse,
)
from roadworthy.gateway.upstream.guarded import GuardedUpstream

OPENAI_END_MARK = b"data: [DONE]"
_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_ONCE = frozenset(
    {
        Failure.BREAKER_OPEN,
        Failure.POOL_EXHAUSTED,
        Failure.TLS,
        Failure.TOO_LARGE,
        Failure.TOTAL_TIMEOUT,
    }
)
"""What asking the same upstream again does not mend, or makes worse."""


class EndMarks:
    """Which streams have an end mark: chat completions and completions of the OpenAI interface.

    Args:
        prefixes: of the OpenAI routes.
    """

    def __init__(self, prefixes: Sequence[str]) -> None:
        paths = ("/chat/completions", "/completions")
        self._targets = frozenset((prefix + path).encode() for prefix in prefixes for path in paths)

    def __call__(self, question: Question) -> bytes | None:
        """The last line of a whole answer to the question; None when there is none."""
        if question.stream and question.target.partition(b"?")[0] in self._targets:
            return OPENAI_END_MARK
        return None


class Ladder:
    """Answers the questions of one use case; made by ``build_ladder``.

    Args:
        primary: who is asked first.
        retries: bounds of asking it again.
        rungs: what follows, in order.
        refusal: text of the declared refusal; None when there is none.
        end_mark: last line of a whole stream, by question.
        upstreams: all of them, by name.
        human: the human rung, if there is one.
    """

    def __init__(
        self,
        *,
        primary: GuardedUpstream,
        retries: Retries,
        rungs: Sequence[AnswerRung],
        refusal: str | None,
        end_mark: Callable[[Question], bytes | None],
        upstreams: dict[str, GuardedUpstream],
        human: HumanRung | None,
    ) -> None:
        self._primary = primary
        self._retries = retries
        self._rungs = tuple(rungs)
        self._refusal = refusal
        self._end_mark = end_mark
        self._upstreams = upstreams
        self._human = human
        self._budget = RetryBudget(retries.budget_share)

    async def answer(self, question: Question, key: bytes) -> Answer:
        """The best answer that can be had, the refusal (503) being the last.

        Args:
            question: what.
            key: SHA-256 of its body.

        Raises:
            Refused: the question cannot be sent as one request (400).
        """
        self._budget.deposit()  # 1.
        attempts: list[Attempt] = []
        try:
            return await self._ask_primary(question, attempts)  # 2. and 3.
        except UpstreamFailed as failed:
            last = failed
        for rung in self._rungs:  # 4.
            answer = await rung.answer(question, key, attempts)
            if answer is not None:
                return answer
        if self._refusal is not None:  # 5.
            return refuse("refuse", self._refusal, Reason.UPSTREAM_FAILED, attempts, last.retry_after_s)
        return refuse(BUILT_IN, BUILT_IN_TEXT, Reason.FALLBACK_EXHAUSTED, attempts, last.retry_after_s)

    @property
    def human(self) -> Callable[[Question, bytes], Awaitable[Answer]] | None:
        """The human rung alone, for input that is held back; None when the ladder has none."""
        return self._ask_human if self._human is not None else None

    @property
    def longest_s(self) -> float:
        """How long ``answer`` may take at most, streams not counted beyond their total deadline."""
        return self._primary.total_s + sum(rung.longest_s for rung in self._rungs)

    def breaker_states(self) -> dict[str, BreakerState]:
        """State of each upstream's breaker, by name."""
        return {name: upstream.breaker.state for name, upstream in self._upstreams.items()}

    async def close(self) -> None:
        """Cut off every connection. May be called again."""
        for upstream in self._upstreams.values():
            await upstream.close()

    async def _ask_primary(self, question: Question, attempts: list[Attempt]) -> Answer:
        until_s = asyncio.get_running_loop().time() + self._primary.total_s
        end_mark = self._end_mark(question)
        hedge_after_s = self._retries.hedge_after_s
        if hedge_after_s is not None and not self._may_resend(question):
            hedge_after_s = None
        tries = 0
        while True:
            try:
                if hedge_after_s is None:
                    return await self._primary.send(question, attempts, end_mark=end_mark, until_s=until_s)
                return await self._hedged(question, attempts, end_mark, until_s, hedge_after_s)
            except UpstreamFailed as failed:
                wait_s = self._wait_before_retry(failed, question, tries, until_s)
                if wait_s is None:
                    raise
            tries += 1
            await asyncio.sleep(wait_s)

    def _may_resend(self, question: Question) -> bool:
        return self._retries.idempotent or question.method in _SAFE_METHODS

    def _wait_before_retry(
        self, failed: UpstreamFailed, question: Question, tries: int, until_s: float
    ) -> float | None:
        """Seconds to wait before the next try, which is paid for then; None when there is none."""
        if tries >= self._retries.most or failed.failure in _ONCE:
            return None
        if failed.sent and not self._may_resend(question):
            return None
        wait_s = max(failed.retry_after_s or 0.0, random_share() * self._retries.backoff_s * 2**tries)
        if asyncio.get_running_loop().time() + wait_s >= until_s:
            return None
        return wait_s if self._budget.take() else None

    async def _hedged(
        self,
        question: Question,
        attempts: list[Attempt],
        end_mark: bytes | None,
        until_s: float,
        hedge_after_s: float,
    ) -> Answer:
        logs: tuple[list[Attempt], list[Attempt]] = ([], [])
        send, winner = self._primary.send, None
        tasks = [asyncio.create_task(send(question, logs[0], end_mark=end_mark, until_s=until_s))]
        try:
            done, _ = await asyncio.wait(tasks, timeout=hedge_after_s)
            if not done and self._budget.take():
                second = send(question, logs[1], end_mark=end_mark, until_s=until_s, hedge=True)
                tasks.append(asyncio.create_task(second))
            winner = await _first_good(tasks)
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Answer) and ended is not winner and ended.close is not None:
                    await ended.close()  # both were good in the same turn
            attempts.extend(logs[0] + logs[1])
        winner.attempts = attempts
        return winner

    async def _ask_human(self, question: Question, key: bytes) -> Answer:
        assert self._human is not None
        answer = await self._human.answer(question, key, [])
        if answer is None:
            raise Refused(Reason.OVERLOADED, 503, "Too many questions wait for a person.", retry_after_s=60)
        return answer


async def _first_good(tasks: "Sequence[asyncio.Task[Answer]]") -> Answer:
    pending, last = set(tasks), None
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            error = task.exception()
            if error is None:
                return task.result()
            if not isinstance(error, UpstreamFailed):
                raise error
            last = error
    assert last is not None
    raise last


def build_ladder(
    use_case_id: str,
    config: UseCase,
    *,
    queues: MutableMapping[str, HumanQueue] | None = None,
    clock: Callable[[], datetime] = now,
) -> Ladder:
    """The ladder that a use case declares. Files are read here; connections are made when they are needed.

    Args:
        use_case_id: its id.
        config: its block in gateway.yaml.
        queues: review queues of the process by name; what is missing is made, so that use cases share queues.
        clock: tells the instant, for approved answers and reviews.

    Raises:
        MissingFile: a file cannot be read (RW-102).
        ManifestError: a file of answers or rules breaks its schema (RW-101).
        ParameterError: an upstream's address or header is unusable (RW-114).
    """
    idempotent = config.retries.idempotent
    upstreams = {
        name: GuardedUpstream(name, upstream, idempotent=idempotent) for name, upstream in config.upstreams.items()
    }
    end_mark = EndMarks([route.prefix for route in config.routes if isinstance(route, OpenAiRoute)])
    queues = queues if queues is not None else {}
    rungs: list[AnswerRung] = []
    refusal: str | None = None
    for rung in config.fallback:
        if rung.refuse is not None:
            refusal = rung.refuse
            break  # nothing can follow a refusal
        if rung.alternate is not None:
            rungs.append(AlternateRung(upstreams[rung.alternate], rung.notice, end_mark))
        elif rung.human is not None:
            queue = queues.setdefault(rung.human, HumanQueue(rung.human, clock=clock))
            rungs.append(HumanRung(use_case_id, queue, rung.notice, rung.wait_s))
        else:
            rungs.append(_from_file(rung, clock))
    return Ladder(
        primary=next(iter(upstreams.values())),
        retries=config.retries,
        rungs=rungs,
        refusal=refusal,
        end_mark=end_mark,
        upstreams=upstreams,
        human=next((each for each in rungs if isinstance(each, HumanRung)), None),
    )


def _from_file(rung: Rung, clock: Callable[[], datetime]) -> CachedRung | RuleRung:
    if rung.cached is not None:
        return CachedRung(rung.cached.stem, CachedAnswers(rung.cached), rung.notice, clock)
    assert rung.rule is not None
    return RuleRung(rung.rule.stem, RuleAnswers(rung.rule), rung.notice)
