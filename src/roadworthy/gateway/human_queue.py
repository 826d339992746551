"""Questions that a person has to answer. Owns the queue of one name; showing it to reviewers belongs to others.

Rules kept here:
1. The queue lies in memory and is bounded, in questions and in bytes: a full queue takes nothing more, it never drops
   what it holds.
2. A question waits until it is decided. That its caller went away or was told to come back changes nothing.
3. A question is decided once. What was decided is kept for a while, so that a caller who was told its id can ask for it;
   the oldest decisions go first. The question itself is kept no longer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from roadworthy.base.clock import now
from roadworthy.base.errors import ParameterError
from roadworthy.base.ids import new_id

MOST_WAITING = 256
MOST_WAITING_BYTES = 64 * 1024 * 1024
MOST_DECIDED = 1_024
MOST_DECIDED_BYTES = 64 * 1024 * 1024
"""A single larger answer is kept, until the next comes."""


@dataclass(slots=True, kw_only=True)
class ReviewItem:
    """One question to a person.

    Attributes:
        id: by which the caller and the reviewer speak of it.
        use_case: whose question it is.
        body: of the question; empty once it is decided.
        asked_at: when it came.
        reviewer: who answered; "" while nobody has.
        answer: body of the answer.
        content_type: of the answer.
        decided_at: when it was answered.
    """

    id: str
    use_case: str
    body: bytes
    asked_at: datetime
    reviewer: str = ""
    answer: bytes = b""
    content_type: str = ""
    decided_at: datetime | None = None


class HumanQueue:
    """A bounded queue of questions.

    Args:
        name: of the queue in the configuration.
        most_waiting: questions without an answer that it holds.
        most_waiting_bytes: of their bodies.
        clock: tells the instant.
    """

    def __init__(
        self,
        name: str,
        *,
        most_waiting: int = MOST_WAITING,
        most_waiting_bytes: int = MOST_WAITING_BYTES,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.name = name
        self._most_waiting, self._most_waiting_bytes = most_waiting, most_waiting_bytes
        self._waiting_bytes = self._decided_bytes = 0
        self._clock = clock
        self._waiting: OrderedDict[str, ReviewItem] = OrderedDict()
        self._decided: OrderedDict[str, ReviewItem] = OrderedDict()
        self._callers: dict[str, asyncio.Future[None]] = {}

    def waiting(self) -> list[ReviewItem]:
        """Questions without an answer, the oldest first."""
        return list(self._waiting.values())

    def find(self, review_id: str) -> ReviewItem | None:
        """A question, decided or not; None when it is not known, or no longer."""
        return self._waiting.get(review_id) or self._decided.get(review_id)

    def put(self, use_case: str, body: bytes) -> ReviewItem | None:
        """Take a question; None when the queue is full."""
        if len(self._waiting) >= self._most_waiting or self._waiting_bytes + len(body) > self._most_waiting_bytes:
            return None
        self._waiting_bytes += len(body)
        item = ReviewItem(id=new_id("review"), use_case=use_case, body=body, asked_at=self._clock())
        self._waiting[item.id] = item
        return item

    async def wait(self, item: ReviewItem, wait_s: float) -> bool:
        """Wait for a person; whether the question was answered in time.

        Args:
            item: as ``put`` gave it.
            wait_s: seconds; 0 looks once.
        """
        if item.decided_at is None and wait_s > 0:
            self._callers[item.id] = caller = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait([caller], timeout=wait_s)
            finally:
                del self._callers[item.id]
        return item.decided_at is not None

    def decide(self, review_id: str, reviewer: str, body: bytes, content_type: str = "application/json") -> ReviewItem:
        """A person answers.

        Args:
            review_id: of the question.
            reviewer: who answers.
            body: of the answer, sent as it is.
            content_type: of the answer.

        Raises:
            ParameterError: no such question waits: it was never asked, or is decided (RW-114).
        """
        item = self._waiting.pop(review_id, None)
        if item is None:
            raise ParameterError(
                f"No question {review_id} waits in the queue {self.name}.",
                remedy="List what waits; a decided question cannot be decided again.",
                where=self.name,
            )
        self._waiting_bytes -= len(item.body)
        item.body = b""
        item.reviewer, item.answer, item.content_type, item.decided_at = reviewer, body, content_type, self._clock()
        self._decided[review_id] = item
        self._decided_bytes += len(body)
        while len(self._decided) > 1 and (
            len(self._decided) > MOST_DECIDED or self._decided_bytes > MOST_DECIDED_BYTES
        ):
            self._decided_bytes -= len(self._decided.popitem(last=False)[1].answer)
        caller = self._callers.get(review_id)
        if caller is not None and not caller.done():
            caller.set_result(None)
        return item
