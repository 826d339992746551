"""One HTTP/1.1 connection to an upstream. Owns the bytes of one exchange at a time, its deadlines and its framing.

Who may use a connection belongs to ``pool``; what a request says and what an answer means belongs to ``client``.

Rules kept here:
1. Framing is judged as strictly as RFC 9112 allows: two lengths, a length beside chunks, a coding other than chunked,
   control characters, or bytes after the end of an answer are ``MALFORMED``, never repaired.
2. Bodies are handed on as they come; nothing is decompressed. Interim answers (1xx) and trailers are dropped.
3. One timer a connection, which is not touched by a request that ends in time: it asks for the due time when it fires.
   No due time is ever nearer than the timer, because the timer never sleeps longer than the shortest deadline.
4. A connection is used again only when both sides agree where the answer ended, and all of the request has left.
5. Once it failed it is cut off at once (aborted); nobody waits for the other side to say goodbye.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

import httptools

from roadworthy.gateway.config import Deadlines
from roadworthy.gateway.exchange import HOP_BY_HOP, Failure, Headers, UpstreamFailed

MOST_HEAD_BYTES = 64 * 1024
"""Of status line and headers, and of all interim answers before them; also of the trailers."""
HIGH_WATER_BYTES = 64 * 1024
"""Of a stream that nobody has read yet: above it the socket is read no more."""
LOW_WATER_BYTES = 16 * 1024
_JOINED_BYTES = 64 * 1024
"""A body up to this size goes out in one piece with its head: a copy is cheaper than a second system call."""
_TIMER_GRAIN_S = 0.001

_NOTED = HOP_BY_HOP | {b"content-length", b"content-type", b"content-encoding", b"retry-after"}
_KEPT = frozenset({b"content-type", b"content-encoding", b"retry-after"})
_NO_BODY = frozenset({204, 304})

# What a connection is doing.
_FREE, _HEAD, _BODY, _LOST = range(4)


class Connection(asyncio.Protocol):
    """One exchange at a time: ``ask``, ``check``, read the public attributes or ``next_part``, then ``pool.release``.

    Args:
        deadlines: of the upstream.
        most_answer_bytes: longest body, as sent.
        on_lost: called once when the connection is gone, by either side.

    Attributes:
        status: of the last answer.
        headers: of the last answer, lower-case, without hop-by-hop ones and content-length.
        content_type: of the last answer, lower-case; b"" when there is none.
        coded: whether the body has a content coding such as gzip.
        retry_after: as the upstream wrote it; b"" when there is none.
        streaming: whether the answer has to be read with ``next_part``.
        free_since_s: on the loop's clock; for the pool.
        head_at_s: when the head was whole, on ``time.perf_counter``.
    """

    __slots__ = (
        "_asked_stream", "_bodiless", "_buffered_bytes", "_chunked", "_chunks", "_complete", "_deadlines", "_due_s",
        "_empty_bytes", "_ends_at_close", "_failure", "_fires_at_s", "_head_bytes", "_interim", "_keep", "_length_given",
        "_loop", "_most_answer_bytes", "_named", "_on_lost", "_parser", "_paused", "_period_s", "_size_bytes", "_state",
        "_surplus", "_timer", "_transport", "_until_s", "_waiter", "coded", "content_type", "free_since_s", "head_at_s",
        "headers", "retry_after", "status", "streaming",
    )  # fmt: skip

    # What every exchange begins anew, in ``_reset`` and ``_forget_head``.
    status: int
    headers: Headers
    content_type: bytes
    retry_after: bytes
    coded: bool
    streaming: bool
    head_at_s: float
    _failure: Failure | None
    _named: set[bytes] | None
    _complete: bool
    _keep: bool
    _surplus: bool
    _size_bytes: int

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deadlines: Deadlines,
        most_answer_bytes: int,
        on_lost: Callable[["Connection"], None],
    ) -> None:
        self._loop = loop
        self._deadlines = deadlines
        self._period_s = min(deadlines.first_byte_s, deadlines.idle_s, deadlines.total_s)
        self._most_answer_bytes = most_answer_bytes
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at_s = math.inf
        self._waiter: asyncio.Future[None] | None = None
        self._state = _FREE
        self._chunks: deque[bytes] = deque()
        self._paused = False
        self.free_since_s = 0.0
        self._reset(math.inf, asked_stream=False, bodiless=False)

    # What the client calls

    def ask(
        self, head: bytes, body: bytes, *, until_s: float, stream: bool = False, bodiless: bool = False
    ) -> "asyncio.Future[None]":
        """Send a request; the future is done with its whole answer, the head of a stream, or a failure: see ``check``.

        Args:
            head: request line and headers with the empty line.
            body: sent as it is.
            until_s: last moment on the loop's clock, whatever the deadlines of the upstream say.
            stream: whether an answer of server-sent events is to be read part by part.
            bodiless: whether the answer has none (HEAD).

        Raises:
            UpstreamFailed: the connection is gone already; nothing was sent.
        """
        transport = self._transport
        if self._state is not _FREE or transport is None:
            raise UpstreamFailed(Failure.RESET_BEFORE_HEAD, sent=False)
        self._reset(until_s, asked_stream=stream, bodiless=bodiless)
        self._state = _HEAD
        now_s = self._loop.time()
        self._due_s = due_s = min(now_s + self._deadlines.first_byte_s, until_s)
        if due_s < self._fires_at_s:
            self._arm(now_s, due_s)
        self._waiter = waiter = self._loop.create_future()
        if len(body) <= _JOINED_BYTES:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        return waiter

    def check(self) -> None:
        """Return when there is an answer.

        Raises:
            UpstreamFailed: there is none, and the connection is gone.
        """
        if self._failure is not None and not (self.streaming and self._chunks):
            raise UpstreamFailed(self._failure, sent=True)

    def body(self) -> bytes:
        """All bytes that came and were not handed out yet."""
        chunks = self._chunks
        if len(chunks) == 1:
            return chunks.popleft()
        joined = b"".join(chunks)
        chunks.clear()
        return joined

    async def next_part(self) -> bytes | None:
        """The next piece of a stream as the upstream framed it; None at its end.

        Raises:
            UpstreamFailed: it broke; all that came before was handed out.
        """
        while not self._chunks:
            if self._failure is not None:
                raise UpstreamFailed(self._failure, sent=True)
            if self._complete:
                return None
            self._waiter = waiter = self._loop.create_future()
            await waiter
        part = self._chunks.popleft()
        self._buffered_bytes -= len(part)
        if self._paused and self._buffered_bytes < LOW_WATER_BYTES:
            self._resume()
        return part

    # What the pool calls

    def free(self) -> bool:
        """Give up the exchange; whether the connection can take another."""
        if self._state is _LOST or self._transport is None:
            return False
        reusable = (
            self._complete
            and self._keep
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()
        )
        if not reusable:
            self.abort()
            return False
        self._chunks.clear()
        self._state = _FREE
        self._due_s = math.inf
        self.free_since_s = self._loop.time()
        return True

    @property
    def alive(self) -> bool:
        """Whether a free connection still looks open from here."""
        return self._state is _FREE and self._transport is not None and not self._transport.is_closing()

    @property
    def gone(self) -> bool:
        """Whether ``on_lost`` was called."""
        return self._state is _LOST

    def abort(self) -> None:
        """Cut it off; ``on_lost`` follows."""
        if self._transport is not None:
            self._transport.abort()

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)  # one by its methods; uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer came."""
        if self._state is _FREE or self._complete:
            # Nobody asked: whatever this is, the next answer must not begin with it.
            self.abort()
            return
        if self._failure is not None:
            return
        in_head, before_bytes = self._state is _HEAD, self._size_bytes
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Failure.MALFORMED)
            return
        if in_head and (self._state is _HEAD or self._head_bytes + len(data) > MOST_HEAD_BYTES):
            self._count_head(len(data))
        if self._failure is not None:
            self._fail(self._failure)
        elif self._surplus:
            self._fail(Failure.MALFORMED)
        elif self._complete:
            self._due_s = math.inf
            self._wake()
        elif self._state is _BODY:
            self._progress(len(data), self._size_bytes - before_bytes)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._state, state = _LOST, self._state
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if state is not _FREE and not self._complete and self._failure is None:
            self._end_early(state, exc)
        self._parser = None
        self._on_lost(self)

    # What the parser calls

    def on_message_begin(self) -> None:
        """A status line begins."""
        if self._complete:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header or trailer."""
        if self._state is not _HEAD:
            return
        name = name.lower()
        if name in _NOTED:
            self._note(name, value)
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._interim = True
            self._forget_head()
            return
        self.status = status
        self.head_at_s = perf_counter()
        self._state = _BODY
        if self._named is not None:
            self.headers = [pair for pair in self.headers if pair[0] not in self._named]
        self._ends_at_close = not (self._length_given or self._chunked or status in _NO_BODY or self._bodiless)
        self.streaming = self._asked_stream and status < 300 and self.content_type.startswith(b"text/event-stream")
        if self._bodiless:
            self._complete = True

    def on_body(self, data: bytes) -> None:
        """Bytes of the body."""
        self._size_bytes = size_bytes = self._size_bytes + len(data)
        if size_bytes > self._most_answer_bytes:
            self._failure = Failure.TOO_LARGE
        elif self._failure is None and not self._complete:
            self._chunks.append(data)
            self._buffered_bytes += len(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._interim:
            self._interim = False
        else:
            self._complete = True
            self._keep = self._parser.should_keep_alive() and not self._bodiless  # the parser forgets at once

    # Inside

    def _reset(self, until_s: float, *, asked_stream: bool, bodiless: bool) -> None:
        self._until_s = until_s
        self._due_s = math.inf
        self._asked_stream, self._bodiless = asked_stream, bodiless
        self._complete = self._keep = self._surplus = self._interim = self._ends_at_close = False
        self._failure = None
        self._head_bytes = self._empty_bytes = self._size_bytes = self._buffered_bytes = 0
        self._chunks.clear()
        self.status = 0
        self.head_at_s = 0.0
        self.streaming = False
        self._forget_head()

    def _forget_head(self) -> None:
        self._length_given = self._chunked = self.coded = False
        self._named = None
        self.headers = []
        self.content_type = self.retry_after = b""

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._note_length(value)
            return
        if name in _KEPT:
            self.headers.append((name, value))
        if name == b"content-type":
            self.content_type = value.lower()
        elif name == b"content-encoding":
            self.coded = value.strip().lower() not in {b"", b"identity"}
        elif name == b"retry-after":
            self.retry_after = value
        elif name == b"transfer-encoding":
            if self._chunked or value.strip().lower() != b"chunked":
                # We never offered another coding (RFC 9112, section 7.4), so we cannot know where the body ends.
                self._failure = Failure.MALFORMED
            self._chunked = True
        elif name == b"connection":
            self._named = (self._named or set()) | {token.strip().lower() for token in value.split(b",")}

    def _note_length(self, value: bytes) -> None:
        if self._length_given or not value.isdigit():
            self._failure = Failure.MALFORMED
        elif int(value) > self._most_answer_bytes and not self._bodiless:
            self._failure = Failure.TOO_LARGE
        self._length_given = True

    def _count_head(self, received_bytes: int) -> None:
        self._head_bytes += received_bytes
        if self._head_bytes <= MOST_HEAD_BYTES:
            return
        # What was read may hold the beginning of the body too; only then are the headers counted one by one.
        if self._state is _HEAD or sum(len(name) + len(value) for name, value in self.headers) > MOST_HEAD_BYTES:
            self._failure = Failure.TOO_LARGE

    def _progress(self, received_bytes: int, body_bytes: int) -> None:
        if body_bytes:
            self._empty_bytes = 0
        else:
            # Trailers and chunk extensions: the parser keeps them, so their length is bounded like that of a head.
            self._empty_bytes += received_bytes
            if self._empty_bytes > 2 * MOST_HEAD_BYTES:
                self._fail(Failure.TOO_LARGE)
                return
        self._due_s = min(self._loop.time() + self._deadlines.idle_s, self._until_s)
        if self.streaming:
            self._wake()
            if self._buffered_bytes > HIGH_WATER_BYTES:
                self._pause()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
            self._due_s = self._until_s  # now the reader is slow, not the upstream

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            if not self._complete:
                self._due_s = min(self._loop.time() + self._deadlines.idle_s, self._until_s)

    def _end_early(self, state: int, exc: Exception | None) -> None:
        if state is _HEAD:
            self._failure = Failure.RESET_IN_HEAD if self._head_bytes else Failure.RESET_BEFORE_HEAD
        elif exc is not None:
            self._failure = Failure.RESET_IN_BODY
        elif self._ends_at_close:
            self._complete = True
        else:
            self._failure = Failure.TRUNCATED
        self._wake()

    def _fail(self, failure: Failure) -> None:
        if self._failure is None:  # what the head showed explains more than where the parser then stumbled
            self._failure = failure
        self._due_s = math.inf
        self.abort()
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _arm(self, now_s: float, due_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at_s = min(due_s, now_s + self._period_s)
        self._timer = self._loop.call_later(self._fires_at_s - now_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._fires_at_s = None, math.inf
        now_s = self._loop.time()
        if now_s + _TIMER_GRAIN_S < self._due_s:
            if self._due_s != math.inf:
                self._arm(now_s, self._due_s)
        elif now_s + _TIMER_GRAIN_S >= self._until_s:
            self._fail(Failure.TOTAL_TIMEOUT)
        else:
            self._fail(Failure.FIRST_BYTE_TIMEOUT if self._state is _HEAD else Failure.IDLE_TIMEOUT)
