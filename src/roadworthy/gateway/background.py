"""Answers that are fetched later: ``background: true`` of the OpenAI responses interface. Owns where they wait.

They lie in the memory of the worker that was asked. A caller who comes back over another connection may reach another
worker, which does not know them: with several workers, put a proxy in front that keeps a caller at one of them.

Rules kept here:
1. What waits is bounded, in number, in number for each caller, and in bytes: the oldest finished answer goes first; when
   none is finished, no is said.
2. Only who asked may read or cancel: the same person by the same key. Of a token only the person counts, since it is
   renewed while an answer waits.
3. An answer can be read only after its outcome is durable.
4. Every end of the work ends the wait, a fault of ours too.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson

from roadworthy.domain.exchange import Caller
from roadworthy.gateway.exchange import Answer, Reason, Refused
from roadworthy.gateway.records import Exchange
from roadworthy.gateway.routes import malformed

MOST_ANSWERS = 1_024
MOST_OF_A_CALLER = 64
MOST_BYTES = 64 * 1024 * 1024
_PREFIX = "resp_"
_RENEWED = "oidc:"
"""How the id of a caller with a token begins."""


class KeptAnswer:
    """One answer, or the wait for it.

    Attributes:
        answered: whether ``body`` is what the AI system said.
        read: whether somebody has read it.
    """

    __slots__ = ("answered", "body", "exchange", "finished", "id", "model", "owner", "read", "task")

    def __init__(self, exchange: Exchange) -> None:
        assert exchange.caller is not None
        self.id = _PREFIX + exchange.id.replace("-", "")
        self.exchange, self.model, self.owner = exchange, exchange.model, _owner(exchange.caller)
        self.task: asyncio.Task[None] | None = None
        self.finished = self.answered = self.read = False
        self.body = self.state("queued")

    def state(self, status: str, **members: object) -> bytes:
        """The answer as an object of the interface, without content."""
        base = {"id": self.id, "object": "response", "status": status, "background": True, "model": self.model}
        return orjson.dumps({**base, "output": [], "error": None, **members})

    def failed(self, code: str, what: str) -> bytes:
        """The answer that there will not be."""
        return self.state("failed", error={"code": code, "message": what})

    def renamed(self, answer: Answer) -> bytes:
        """The upstream's answer under the id that the caller knows.

        Raises:
            Refused: it is not an answer of the interface (502).
        """
        try:
            members = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            members = None
        if not isinstance(members, dict):
            raise Refused(Reason.UPSTREAM_FAILED, 502, "The AI system's answer cannot be kept.")
        try:
            if answer.status >= 400:
                error = members.get("error")
                return self.state("failed", error=error if isinstance(error, dict) else {"code": "server_error"})
            return orjson.dumps({**members, "id": self.id, "background": True})
        except orjson.JSONEncodeError as fault:
            # What can be read may still be nested too deeply to be written.
            raise Refused(Reason.UPSTREAM_FAILED, 502, "The AI system's answer cannot be kept.") from fault


class BackgroundAnswers:
    """All answers of one worker that are fetched later."""

    def __init__(
        self,
        *,
        most_answers: int = MOST_ANSWERS,
        most_of_a_caller: int = MOST_OF_A_CALLER,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._most_answers, self._most_of_a_caller, self._most_bytes = most_answers, most_of_a_caller, most_bytes
        self._kept: OrderedDict[str, KeptAnswer] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self, exchange: Exchange) -> KeptAnswer:
        """Make room for an answer.

        Raises:
            Refused: everything that is kept (503), or kept for this caller (429), is still under way.
        """
        kept = KeptAnswer(exchange)
        own = sum(each.owner == kept.owner for each in self._kept.values())
        if own >= self._most_of_a_caller and not self._drop_oldest(kept.owner):
            what = "Too many of the caller's answers are under way."
            raise Refused(Reason.RATE_LIMITED, 429, what, retry_after_s=1)
        if len(self._kept) >= self._most_answers and not self._drop_oldest():
            raise Refused(Reason.OVERLOADED, 503, "Too many answers are under way.", retry_after_s=1)
        self._kept[kept.id] = kept
        return kept

    def start(self, kept: KeptAnswer, work: Coroutine[Any, Any, None], ended: Callable[[], None]) -> None:
        """Do the work that will ``finish`` it; ``ended`` is called at every end of it, and it is finished then."""
        loop = asyncio.get_running_loop()

        def settle(task: "asyncio.Task[None]") -> None:
            fault = None if task.cancelled() else task.exception()
            if not kept.finished:
                # A fault of ours, or it was cancelled before its first step.
                state = kept.state("cancelled") if fault is None else kept.failed("server_error", "No answer was kept.")
                self.finish(kept, state)
            ended()
            if fault is not None:
                what = "A background answer ended in a fault."
                loop.call_exception_handler({"message": what, "exception": fault, "task": task})

        kept.task = loop.create_task(work)
        kept.task.add_done_callback(settle)

    def finish(self, kept: KeptAnswer, body: bytes, *, answered: bool = False) -> None:
        """It may be read from now on; ``answered`` when it is what the AI system said."""
        kept.body, kept.finished, kept.answered, kept.task = body, True, answered, None
        self._bytes += len(body)
        while self._bytes > self._most_bytes and len(self._kept) > 1 and self._drop_oldest():
            pass

    def forget(self, kept: KeptAnswer) -> None:
        """It never began."""
        self._kept.pop(kept.id, None)

    def find(self, answer_id: str, caller: Caller) -> KeptAnswer:
        """The answer of that id.

        Raises:
            Refused: not known here, or somebody else's: both read the same (404).
        """
        kept = self._kept.get(answer_id)
        if kept is None or kept.owner != _owner(caller):
            raise Refused(Reason.NO_ROUTE, 404, "No such response is kept here.")
        return kept

    async def cancel(self, kept: KeptAnswer) -> None:
        """End it, and wait until its end is recorded."""
        if kept.task is not None:
            kept.task.cancel()
            await asyncio.wait([kept.task])

    async def close(self) -> None:
        """Cancel everything that is under way."""
        for kept in list(self._kept.values()):
            await self.cancel(kept)

    def _drop_oldest(self, owner: tuple[str, str] | None = None) -> bool:
        finished = (each for each in self._kept.values() if each.finished)
        oldest = next((each for each in finished if owner is None or each.owner == owner), None)
        if oldest is None:
            return False
        del self._kept[oldest.id]
        self._bytes -= len(oldest.body)
        return True


def without_background(members: Mapping[str, Any]) -> bytes:
    """The body for the upstream, which answers at once: it is the gateway that keeps the answer.

    Raises:
        Refused: it is nested too deeply to be written again (400).
    """
    try:
        return orjson.dumps({name: value for name, value in members.items() if name != "background"})
    except orjson.JSONEncodeError as error:
        raise malformed("The body is nested too deeply.") from error


def _owner(caller: Caller) -> tuple[str, str]:
    return caller.id, "" if caller.id.startswith(_RENEWED) else caller.credential
