"""Answers that are fetched later: ``background: true`` of the OpenAI responses interface. Owns where they wait.

They lie in the memory of the worker that was asked. A caller who comes back over another connection may reach another
worker, which does not know them: with several workers, put a proxy in front that keeps a caller at one of them.

Rules kept here:
1. What waits is bounded, in number and bytes: the oldest finished answer goes first; when none is finished, no is said.
2. Only who asked may read or cancel.
3. An answer can be read only after its outcome is durable.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from roadworthy.gateway.exchange import Answer, Reason, Refused
from roadworthy.gateway.records import Exchange

MOST_ANSWERS = 1_024
MOST_BYTES = 64 * 1024 * 1024
_PREFIX = "resp_"


class KeptAnswer:
    """One answer, or the wait for it."""

    __slots__ = ("body", "caller_id", "exchange", "finished", "id", "model", "task")

    def __init__(self, exchange: Exchange) -> None:
        assert exchange.caller is not None
        self.id = _PREFIX + exchange.id.replace("-", "")
        self.exchange, self.model, self.caller_id = exchange, exchange.model, exchange.caller.id
        self.task: asyncio.Task[None] | None = None
        self.finished = False
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
        if answer.status >= 400:
            error = members.get("error")
            return self.state("failed", error=error if isinstance(error, dict) else {"code": "server_error"})
        return orjson.dumps({**members, "id": self.id, "background": True})


class BackgroundAnswers:
    """All answers of one worker that are fetched later."""

    def __init__(self, *, most_answers: int = MOST_ANSWERS, most_bytes: int = MOST_BYTES) -> None:
        self._most_answers, self._most_bytes = most_answers, most_bytes
        self._kept: OrderedDict[str, KeptAnswer] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self, exchange: Exchange) -> KeptAnswer:
        """Make room for an answer.

        Raises:
            Refused: everything that is kept is still under way (503).
        """
        if len(self._kept) >= self._most_answers and not self._drop_oldest():
            raise Refused(Reason.OVERLOADED, 503, "Too many answers are under way.", retry_after_s=1)
        kept = KeptAnswer(exchange)
        self._kept[kept.id] = kept
        return kept

    def finish(self, kept: KeptAnswer, body: bytes) -> None:
        """The answer may be read from now on."""
        kept.body, kept.finished, kept.task = body, True, None
        self._bytes += len(body)
        while self._bytes > self._most_bytes and len(self._kept) > 1 and self._drop_oldest():
            pass

    def forget(self, kept: KeptAnswer) -> None:
        """It never began."""
        self._kept.pop(kept.id, None)

    def find(self, answer_id: str, caller_id: str) -> KeptAnswer:
        """The answer of that id.

        Raises:
            Refused: not known here, or somebody else's: both read the same (404).
        """
        kept = self._kept.get(answer_id)
        if kept is None or kept.caller_id != caller_id:
            raise Refused(Reason.NO_ROUTE, 404, "No such response is kept here.")
        return kept

    async def cancel(self, kept: KeptAnswer) -> None:
        """End it, and wait until its end is recorded."""
        if kept.task is not None:
            kept.task.cancel()
            await asyncio.wait([kept.task])
            if not kept.finished:
                # It was cancelled before its first step; its intent is the sweeper's.
                self.finish(kept, kept.state("cancelled"))

    async def close(self) -> None:
        """Cancel everything that is under way."""
        for kept in list(self._kept.values()):
            await self.cancel(kept)

    def _drop_oldest(self) -> bool:
        oldest = next((each for each in self._kept.values() if each.finished), None)
        if oldest is None:
            return False
        del self._kept[oldest.id]
        self._bytes -= len(oldest.body)
        return True


def without_background(members: Mapping[str, Any]) -> bytes:
    """The body for the upstream, which answers at once: it is the gateway that keeps the answer."""
    return orjson.dumps({name: value for name, value in members.items() if name != "background"})
