"""Streams of server-sent events. Owns when which bytes of a stream leave; their bytes are never changed.

Bytes are released in whole events: the start of an event that is not whole yet waits for its end, and is dropped when the
upstream breaks off. In each mode::

    strict       everything that came since the last release is one piece; its record is durable before the piece leaves
    close-held   pieces leave at once
    intent-only  pieces leave at once, and so does the end

In the first two the end of the stream - from the event that states a finish reason, or the end mark itself - is held
until the outcome is durable. The outcome's payload is what no piece's record covers, so the payloads of the pieces and
then of the outcome are the stream.

Rules kept here:
1. Reading goes on while a record is being made durable: what comes meanwhile shares the next record. So a slow disk makes
   pieces larger, not later and later.
2. What waits is bounded, so that a stream which nobody reads holds less than a mebibyte in all the places where it
   waits; then the upstream is read no further.
3. The end mark leaves only when the upstream sent all before it. A stream that breaks ends with an error event.
4. Where the interface says that events hold JSON, one that does not ends the stream like a break: what nobody can read is
   no answer.
5. A caller who goes ends the upstream's stream; the outcome says how many bytes had left. One who stays and does not
   read is cut off by the sweeper at the use case's deadline.
6. When its use case is switched off, a stream ends with an error event, and the outcome says so.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from roadworthy.domain.exchange import RecordMode
from roadworthy.gateway.exchange import Answer, Failure, Headers, Reason, Refused, UpstreamFailed
from roadworthy.gateway.ledger_client import LedgerRefused
from roadworthy.gateway.records import Exchange
from roadworthy.gateway.routes import Endpoint

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Keep = Callable[[bytes], Awaitable[object]]
"""Makes the record of a piece durable."""
Settle = Callable[[int, str, bytes, int], Awaitable[object]]
"""Writes the outcome: status, reason, what no piece covers, all bytes that will have left."""

STREAM_CUT = Failure.STREAM_CUT.value
_MOST_PENDING_BYTES = 64 * 1024
_MOST_HELD_BYTES = 128 * 1024
_MOST_EVENT_BYTES = 256 * 1024
_EVENT = re.compile(rb".*?(?:\n\n|\r\n\r\n|\r\r|\Z)", re.DOTALL)
_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")


class EventCutter:
    """Cuts a stream after its last whole event."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """All events that are whole now. An event of more than 256 KiB is given out as it comes."""
        if self._rest:
            data = self._rest + data
        if data.endswith(_BLANK_LINES):
            self._rest = b""
            return data
        cut = max(data.rfind(mark) + len(mark) for mark in _BLANK_LINES if mark in data) if _has_blank(data) else 0
        if len(data) - cut > _MOST_EVENT_BYTES:
            cut = len(data)
        self._rest = data[cut:]
        return data[:cut]

    def rest(self) -> bytes:
        """What is left at the end: an event without the blank line behind it."""
        rest, self._rest = self._rest, b""
        return rest


def readable(block: bytes) -> bytes:
    """The events of a block before the first whose data is neither JSON nor an end mark; mostly all of them."""
    if all(_is_json(line[5:]) for line in block.splitlines() if line.startswith(b"data:")):
        return block
    # Data may stand on several lines of one event, so only whole events tell.
    end = 0
    for event in _EVENT.findall(block):
        lines = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
        if lines and not _is_json(b"\n".join(lines)):
            break
        end += len(event)
    return block[:end]


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.strip() in {b"", b"[DONE]"}
    return True


class StreamRelay:
    """One stream on its way from the upstream to the caller.

    Args:
        exchange: whose.
        answer: with ``parts``.
        endpoint: says how a whole stream ends.
        head: headers of the answer.
        receive: tells when the caller goes.
        send: to the caller.
        keep: makes the record of a piece durable.
        settle: writes the outcome.
    """

    def __init__(
        self,
        exchange: Exchange,
        answer: Answer,
        *,
        endpoint: Endpoint,
        head: Headers,
        receive: Receive,
        send: Send,
        keep: Keep,
        settle: Settle,
    ) -> None:
        assert exchange.use is not None
        self._exchange, self._answer, self._endpoint, self._head = exchange, answer, endpoint, head
        self._strict = exchange.use.mode is RecordMode.STRICT
        self._receive, self._send, self._keep, self._settle = receive, send, keep, settle
        self._cutter = EventCutter()
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._uncovered: list[bytes] = []
        self._uncovered_bytes = 0
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._holding = self._done = self._ended = self._gone = self._begun = self._torn = False
        self._failure: UpstreamFailed | None = None
        self._off: Refused | None = None
        self._released = 0

    @property
    def use_case(self) -> str:
        """Id of the use case."""
        return self._exchange.use_case

    def cut_off(self, refused: Refused) -> None:
        """End it with this refusal, as soon as what is on its way has left."""
        self._off = refused
        self._wake.set()

    async def run(self) -> str:
        """Release the whole stream; the reason why it was not, or "".

        Raises:
            Refused: nothing was released yet, so the caller can get a plain refusal.
        """
        loop = asyncio.get_running_loop()
        self._exchange.task = asyncio.current_task()
        reading, watching = loop.create_task(self._read()), loop.create_task(self._watch())
        try:
            await self._flow()
            if self._ended and not self._gone and self._failure is None:
                # A fault of ours in the reading task surfaces here.
                await reading
            return await self._end()
        except LedgerRefused as refused:
            if not self._begun:
                raise
            await self._finish(self._endpoint.shape.stream_error(refused.reason.value, refused.what))
            return refused.reason.value
        finally:
            reading.cancel()
            watching.cancel()
            await asyncio.gather(reading, watching, return_exceptions=True)
            if self._answer.close is not None:
                await self._answer.close()

    async def _read(self) -> None:
        assert self._answer.parts is not None
        try:
            async for part in self._answer.parts:
                self._pending.append(part)
                self._pending_bytes += len(part)
                self._wake.set()
                if self._pending_bytes > _MOST_PENDING_BYTES:
                    self._room.clear()
                    await self._room.wait()
        except UpstreamFailed as failed:
            self._failure = failed
        finally:
            self._ended = True
            self._wake.set()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._wake.set()

    async def _flow(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._gone or self._off is not None:
                return
            # Asked before what is pending is taken: after the end nothing more comes.
            ended = self._ended
            if self._pending:
                block = self._cutter.feed(self._arrived())
                if block and not await self._pass_readable(block):
                    return
            if ended:
                return

    def _arrived(self) -> bytes:
        """What is pending; a function of its own, so that nothing of it stays in memory while a block is on its way."""
        arrived = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._room.set()
        return arrived

    async def _pass_readable(self, block: bytes) -> bool:
        """Pass what can be read; whether that was all of it. Pieces of an event that is too long to be held are not judged."""
        whole = block.endswith(_BLANK_LINES)
        found = readable(block) if whole and not self._torn and self._endpoint.end_marks else block
        self._torn = not whole
        if found:
            await self._pass(found)
        if len(found) < len(block):
            self._failure = UpstreamFailed(Failure.MALFORMED, sent=True)
            return False
        return True

    async def _pass(self, block: bytes) -> None:
        if not self._done and _has_line(block, self._endpoint.end_marks):
            self._done = self._holding = True
        if not self._holding and any(mark in block for mark in self._endpoint.hold_marks):
            self._holding = True
        if self._holding:
            self._held.append(block)
            self._held_bytes += len(block)
            if self._done or self._held_bytes <= _MOST_HELD_BYTES:
                return
            block = b"".join(self._held)
            self._held.clear()
            self._held_bytes = 0
        await self._release(block)

    async def _release(self, block: bytes) -> None:
        if self._strict:
            await self._keep(block)
        else:
            self._uncovered.append(block)
            self._uncovered_bytes += len(block)
            if self._uncovered_bytes > _MOST_HELD_BYTES:
                # Memory stays bounded: a long stream is recorded in pieces in every mode.
                await self._keep(b"".join(self._uncovered))
                self._uncovered.clear()
                self._uncovered_bytes = 0
        if self._gone:
            return
        await self._begin()
        await self._send({"type": "http.response.body", "body": block, "more_body": True})
        self._released += len(block)

    async def _end(self) -> str:
        reason, last = "", b""
        if self._gone:
            reason = Reason.CLIENT_GONE.value
        elif self._off is not None:
            if not self._begun:
                raise self._off
            reason = self._off.reason.value
            last = self._endpoint.shape.stream_error(reason, self._off.what)
        elif self._failure is not None or (self._endpoint.end_marks and not self._is_done()):
            reason, last = STREAM_CUT, self._cut()
        else:
            last = b"".join(self._held) + self._cutter.rest()
        uncovered = b"".join(self._uncovered) + last
        await self._settle(self._answer.status, reason, uncovered, self._released + len(last))
        if not self._gone:
            await self._finish(last)
        return reason

    def _is_done(self) -> bool:
        if not self._done:
            # The end mark may stand in a last line without a blank one behind it.
            rest = self._cutter.rest()
            self._done = _has_line(rest, self._endpoint.end_marks)
            self._held.append(rest)
        return self._done

    def _cut(self) -> bytes:
        failure = self._failure.failure if self._failure else Failure.STREAM_CUT
        took_us = int((time.perf_counter() - self._exchange.began_s) * 1e6)
        self._exchange.attempts += f",stream:{failure.value}:{took_us}"
        what = "The AI system broke off its answer; what came before is incomplete."
        if not self._begun:
            raise Refused(Reason.UPSTREAM_FAILED, 502, "The AI system broke off its answer.")
        return self._endpoint.shape.stream_error(STREAM_CUT, what)

    async def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            await self._send({"type": "http.response.start", "status": self._answer.status, "headers": self._head})

    async def _finish(self, last: bytes) -> None:
        await self._begin()
        await self._send({"type": "http.response.body", "body": last, "more_body": False})


def _has_blank(data: bytes) -> bool:
    return any(mark in data for mark in _BLANK_LINES)


def _has_line(block: bytes, starts: tuple[bytes, ...]) -> bool:
    """Whether a line begins so. A text in an encoded member holds no line break, so it cannot look like one."""
    return any(block.startswith(start) or b"\n" + start in block or b"\r" + start in block for start in starts)
