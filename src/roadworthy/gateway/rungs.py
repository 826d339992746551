"""The rungs of the fallback ladder. Owns how each kind answers and what the caller is told; their order is the ladder's.

Rules kept here:
1. A rung that has no answer says so by None, and leaves one line in the attempts that says why.
2. Every answer says who gave it (``rung``, ``rung_name``) and tells the caller (``notice``): in the words of the
   configuration, or in ours when it has none.
3. An alternate upstream is asked once; retries are for the primary.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from math import ceil
from time import perf_counter
from typing import Protocol

import orjson

from roadworthy.domain.exchange import RungKind
from roadworthy.gateway.cached_answers import CachedAnswers
from roadworthy.gateway.exchange import Answer, Attempt, Question, Reason, UpstreamFailed
from roadworthy.gateway.human_queue import HumanQueue
from roadworthy.gateway.rule_answers import RuleAnswers
from roadworthy.gateway.upstream.guarded import GuardedUpstream

NO_MATCH = "no_match"
QUEUE_FULL = "queue_full"
BUILT_IN = "built-in"
BUILT_IN_TEXT = "The service cannot answer at the moment."
NOTICES = {
    RungKind.ALTERNATE: "The usual AI system did not answer; another one gave this answer.",
    RungKind.CACHED: "The AI system did not answer; this answer was approved earlier.",
    RungKind.RULE: "The AI system did not answer; a fixed rule gave this answer.",
    RungKind.HUMAN: "The AI system did not answer; a person gave this answer.",
    RungKind.REFUSE: BUILT_IN_TEXT,
}
QUEUED_NOTICE = "The AI system did not answer; the question waits for a person."


class AnswerRung(Protocol):
    """One step of the ladder.

    Attributes:
        name: in the configuration.
        longest_s: how long it may take.
    """

    name: str
    longest_s: float

    async def answer(self, question: Question, key: bytes, attempts: list[Attempt]) -> Answer | None:
        """The answer, or None when it has none.

        Args:
            question: what was asked.
            key: SHA-256 of its body.
            attempts: where what was tried is written down.
        """


class AlternateRung:
    """Another upstream.

    Args:
        upstream: to ask.
        notice: what the caller is told.
        end_mark: last line of a whole stream, by question.
    """

    def __init__(self, upstream: GuardedUpstream, notice: str, end_mark: Callable[[Question], bytes | None]) -> None:
        self.name = upstream.name
        self.longest_s = upstream.total_s
        self._upstream = upstream
        self._notice = notice or NOTICES[RungKind.ALTERNATE]
        self._end_mark = end_mark

    async def answer(self, question: Question, key: bytes, attempts: list[Attempt]) -> Answer | None:  # noqa: ARG002  # of the protocol
        """Asked once, within its own deadlines."""
        until_s = asyncio.get_running_loop().time() + self.longest_s
        try:
            answer = await self._upstream.send(question, attempts, end_mark=self._end_mark(question), until_s=until_s)
        except UpstreamFailed:
            return None
        answer.rung, answer.rung_name, answer.notice = RungKind.ALTERNATE, self.name, self._notice
        return answer


class CachedRung:
    """Approved answers.

    Args:
        name: of the rung.
        answers: approved.
        notice: what the caller is told.
        clock: tells the instant, for what has expired.
    """

    longest_s = 0.0

    def __init__(self, name: str, answers: CachedAnswers, notice: str, clock: Callable[[], datetime]) -> None:
        self.name = name
        self._answers = answers
        self._notice = notice or NOTICES[RungKind.CACHED]
        self._clock = clock

    async def answer(self, question: Question, key: bytes, attempts: list[Attempt]) -> Answer | None:
        """The approved answer that fits, if one holds."""
        found = self._answers.find(question, key, self._clock())
        if found is None:
            attempts.append(Attempt(self.name, NO_MATCH, 0))
            return None
        return _own(
            RungKind.CACHED,
            self.name,
            notice=self._notice,
            content_type=found.content_type,
            body=found.body,
            attempts=attempts,
        )


class RuleRung:
    """Rules without AI.

    Args:
        name: of the rung.
        rules: in order.
        notice: what the caller is told.
    """

    longest_s = 0.0

    def __init__(self, name: str, rules: RuleAnswers, notice: str) -> None:
        self.name = name
        self._rules = rules
        self._notice = notice or NOTICES[RungKind.RULE]

    async def answer(self, question: Question, key: bytes, attempts: list[Attempt]) -> Answer | None:  # noqa: ARG002  # of the protocol
        """The answer of the first rule that holds."""
        found = self._rules.find(question)
        if found is None:
            attempts.append(Attempt(self.name, NO_MATCH, 0))
            return None
        return _own(
            RungKind.RULE,
            self.name,
            notice=self._notice,
            content_type=found.content_type,
            body=found.body,
            attempts=attempts,
        )


class HumanRung:
    """A person.

    Args:
        use_case: whose questions.
        queue: where they wait.
        notice: what a caller is told whose question waits, beside the id of the review.
        wait_s: how long a caller waits for the person.
    """

    def __init__(self, use_case: str, queue: HumanQueue, notice: str, wait_s: float) -> None:
        self.name = queue.name
        self.longest_s = wait_s
        self._use_case = use_case
        self._queue = queue
        self._notice = notice
        self._wait_s = wait_s

    async def answer(self, question: Question, key: bytes, attempts: list[Attempt]) -> Answer | None:  # noqa: ARG002  # of the protocol
        """The person's answer, or 202 with the id of the review."""
        began_s = perf_counter()
        item = self._queue.put(self._use_case, question.body)
        if item is None:
            attempts.append(Attempt(self.name, QUEUE_FULL, 0))
            return None
        if await self._queue.wait(item, self._wait_s):
            notice, status, content_type, body = self._notice, 200, item.content_type, item.answer
            notice = notice or NOTICES[RungKind.HUMAN]
        else:
            notice, status, content_type = self._notice or QUEUED_NOTICE, 202, "application/json"
            body = orjson.dumps({"status": "queued", "review": item.id, "detail": notice})
        took_us = int((perf_counter() - began_s) * 1e6)
        answer = _own(
            RungKind.HUMAN,
            self.name,
            notice=notice,
            content_type=content_type,
            body=body,
            attempts=attempts,
            status=status,
            took_us=took_us,
        )
        answer.review = item.id
        return answer


def refuse(name: str, text: str, reason: Reason, attempts: list[Attempt], retry_after_s: float | None) -> Answer:
    """The last rung: 503 and a problem document (RFC 9457) with the declared text, which is the notice too.

    Args:
        name: of the rung.
        text: what the caller is told.
        reason: why, as it stands in the leaf.
        attempts: what was tried before.
        retry_after_s: when to ask again, if somebody said so.
    """
    problem = {
        "type": f"https://roadworthy.dev/gateway/{reason.value}",
        "title": reason.value.replace("_", " "),
        "status": 503,
        "detail": text,
    }
    body = orjson.dumps(problem)
    answer = _own(
        RungKind.REFUSE,
        name,
        notice=text,
        content_type="application/problem+json",
        body=body,
        attempts=attempts,
        status=503,
    )
    if retry_after_s is not None:
        answer.headers.append((b"retry-after", b"%d" % max(1, ceil(retry_after_s))))
    return answer


def _own(
    rung: RungKind,
    name: str,
    *,
    notice: str,
    content_type: str,
    body: bytes,
    attempts: list[Attempt],
    status: int = 200,
    took_us: int = 0,
) -> Answer:
    attempts.append(Attempt(name, str(status), took_us))
    return Answer(
        status,
        [(b"content-type", content_type.encode())],
        body,
        rung=rung,
        rung_name=name,
        notice=notice,
        attempts=attempts,
    )
