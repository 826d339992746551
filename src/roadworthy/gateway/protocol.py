"""The front door: HTTP/1.1 from strangers. Owns what is refused before any application sees it.

uvicorn's protocol over llhttp does the parsing and the flow control; this subclass adds what RFC 9112 leaves to a
careful server. What a request means is left to the application.

Rules kept here:
1. A request whose length two parsers could read differently is refused and the connection closed: two lengths, a length
   beside an encoding, any transfer encoding but ``chunked``, folded lines, no or several hosts, another version, an
   upgrade.
2. After a refusal, or a request that ends its connection, no byte of that connection is looked at any more.
3. Answers stay in the order of their requests: a refusal waits for the answers that are owed before it.
4. A head must be whole within ``head_s``; a body must bring ``body_least_bytes`` in every ``body_s``; a reader must take
   something within ``write_s``. One timer a process looks after all connections, so that a request costs no timer.
5. Heads, targets, trailers, chunk extensions, requests sent ahead and connections are bounded.
6. Trailers are dropped: a header that comes after the body never joins those by which the request was judged.
"""

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NoReturn, Protocol

import httptools
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from roadworthy.gateway.joined_writes import JoinedWrites

# Where in a request a connection stands. Plain numbers: they are asked for a dozen times a request.
_IDLE: Final = 0
"""Between requests; uvicorn's keep-alive timer watches."""
_HEAD: Final = 1
_BODY: Final = 2
_DEAF: Final = 3
"""Nothing that comes is read any more."""

_LINGER_S = 2.0
_TOO_MANY = 503
_HEADER_OVERHEAD_BYTES = 4
_HOST_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~:[]%"
_LOOKED_AT = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
_VERSIONS = frozenset({"1.0", "1.1"})
_NO_UPGRADE = "This server speaks HTTP/1.1 only; no upgrade is offered."
_BAD = "The request is not HTTP/1.1 as RFC 9112 writes it."


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """Bounds of one connection and of all.

    Attributes:
        head_s: for the whole head, from its first byte or from the connection's beginning.
        body_s: length of the windows in which a body must grow.
        body_least_bytes: by how much.
        write_s: for a reader to take something when the buffers are full.
        head_bytes: of all header lines, and of all that stands between two parts of a body.
        headers: header lines.
        target_bytes: of the request target.
        pipelined: requests that wait for the answers before them.
        connections: of this process.
        look_s: how often deadlines are looked at.
    """

    head_s: float = 10.0
    body_s: float = 15.0
    body_least_bytes: int = 1_024
    write_s: float = 60.0
    head_bytes: int = 32 * 1024
    headers: int = 100
    target_bytes: int = 8 * 1024
    pipelined: int = 64
    connections: int = 4_096
    look_s: float = 1.0


class Refusal(Exception):
    """A request that is not served. Never leaves this module.

    Args:
        status: of the answer.
        what: one sentence for the caller.
    """

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status, self.what = status, what

    def answer(self) -> bytes:
        """The whole answer, in bytes; it ends the connection."""
        problem = {"type": "about:blank", "title": "Refused", "status": self.status, "detail": self.what}
        body = json.dumps(problem).encode()
        head = b"content-type: application/problem+json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        return STATUS_LINE[self.status] + head + body


class Counts(Protocol):
    """Who counts refusals."""

    def refused(self, status: int) -> None:
        """One more, with this status."""


class Watched(Protocol):
    """What the watch looks after."""

    def overdue(self, now_s: float) -> None:
        """Act if a deadline has passed."""


class Watch:
    """One timer for all connections; it runs while there are any.

    Args:
        look_s: how often it looks.
    """

    def __init__(self, look_s: float) -> None:
        self._look_s = look_s
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        """Begin, unless it runs already."""
        if self._timer is None:
            self._timer = loop.call_later(self._look_s, self._sweep, loop, connections)

    def _sweep(self, loop: asyncio.AbstractEventLoop, connections: set[Watched]) -> None:
        self._timer = None
        now_s = loop.time()
        for connection in list(connections):
            connection.overdue(now_s)
        if connections:
            self.start(loop, connections)


class HardenedProtocol(HttpToolsProtocol):
    """One connection."""

    limits: ClassVar[WireLimits]
    watch: ClassVar[Watch]
    counts: ClassVar[Counts]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._phase: int = _HEAD
        self._due_s: float | None = 0.0
        self._fed = 0
        self._silent_bytes = 0
        self._moved = False
        self._body_bytes = 0
        self._last_request = False
        self._refusal: Refusal | None = None
        self._found: Refusal | None = None
        self._running: RequestResponseCycle | None = None
        self._stalled_since_s: float | None = None

    # ── the connection ───────────────────────────────────────────────────────────────────────────────────────────────
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """Take the connection, or refuse it when there are too many."""
        super().connection_made(transport)
        self.transport = JoinedWrites(transport, self.loop)
        self._due_s = self.loop.time() + self.limits.head_s
        self.watch.start(self.loop, self.connections)
        if len(self.connections) > self.limits.connections:
            self._refuse(Refusal(_TOO_MANY, "There are too many connections; try again in a moment."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of this connection, not only the newest, that its caller is gone."""
        self._phase = _DEAF
        waiting = [cycle for cycle, _ in self.pipeline]
        self.pipeline.clear()
        super().connection_lost(exc)
        for cycle in (self._running, *waiting):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._unset_keepalive_if_required()
        if self._phase is _DEAF:
            return
        if self._phase is _IDLE:
            self._phase, self._due_s, self._fed = _HEAD, None, 0
        self._fed += len(data)
        try:
            self.parser.feed_data(data)
            if self._phase is not _IDLE:
                self._bounded(len(data))
        except httptools.HttpParserError:
            if self._phase is not _DEAF:
                self._refuse(self._found or Refusal(400, _BAD))
        except httptools.HttpParserUpgrade:
            # The parser would drop the body of such a request, and take what follows it for the next one.
            self._refuse(Refusal(400, _NO_UPGRADE))
        except Refusal as refusal:
            self._refuse(refusal)

    def _bounded(self, size: int) -> None:
        """What the parser keeps to itself is bounded too: a head without end, an endless chunk extension or trailer.

        How much of this piece belongs to a head or body that began or went on inside it is unknown, so such a piece is
        not counted; what is never counted is less than one read of the socket.
        """
        moved, self._moved = self._moved, False
        self._body_bytes += size
        self._silent_bytes = 0 if moved else self._silent_bytes + size
        head = self._phase is _HEAD
        if self._due_s is None:
            self._due_s = self.loop.time() + (self.limits.head_s if head else self.limits.body_s)
        if self._silent_bytes > self.limits.head_bytes + (self.limits.target_bytes if head else 0):
            raise Refusal(431, "The head is too large." if head else "There is too much between the parts.")

    def _stop(self, refusal: Refusal) -> NoReturn:
        """End the parser's work from inside a callback; it does not hand the exception on, so it is kept here."""
        self._found = refusal
        raise refusal

    # ── the parser's callbacks ───────────────────────────────────────────────────────────────────────────────────────
    def on_message_begin(self) -> None:
        """A request begins."""
        if self._last_request:
            # What follows a request that ended its connection is nobody's.
            self._phase = _DEAF
            raise Refusal(400, _BAD)
        if len(self.pipeline) >= self.limits.pipelined:
            self._stop(Refusal(400, "Too many requests were sent ahead of their answers."))
        super().on_message_begin()
        self._moved = True
        if self._phase is not _HEAD:
            self._phase, self._due_s = _HEAD, None

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        super().on_url(url)
        if len(self.url) > self.limits.target_bytes:
            self._stop(Refusal(414, f"The request target is longer than {self.limits.target_bytes} bytes."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line, or a trailer, which is dropped."""
        if self._phase is _BODY:
            return
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: judge it, then start the application."""
        try:
            self._judge()
        except Refusal as refusal:
            self._stop(refusal)
        super().on_headers_complete()
        self._phase, self._due_s = _BODY, None
        self._moved = True
        self._body_bytes = 0
        self._last_request = not self.cycle.keep_alive

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        super().on_message_complete()
        self._moved = True
        self._phase = _IDLE

    def _judge(self) -> None:
        """Refuse what two parsers could read differently.

        1. Only HTTP/1.0 and 1.1, no upgrade, no CONNECT.
        2. The target is a path, or an absolute URL with one.
        3. Header lines fit their bound.
        4. At most one length; no length beside an encoding; the encoding is ``chunked`` and the version 1.1.
        5. Exactly one host in 1.1, at most one in 1.0, of the characters that a host can have.
        6. The only expectation is 100-continue.
        """
        version = self.parser.get_http_version()
        if version not in _VERSIONS:  # 1
            raise Refusal(400, "Only HTTP/1.1 is spoken here.")
        if self.parser.should_upgrade():
            raise Refusal(400, _NO_UPGRADE)
        if not self.url.startswith((b"/", b"http://", b"https://")) or b"#" in self.url:  # 2
            raise Refusal(400, "The request target is not a path.")
        self._judge_size()  # 3
        found = [header for header in self.headers if header[0] in _LOOKED_AT]
        names = [name for name, _ in found]
        if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:  # 4
            raise Refusal(400, "The request has more than one length.")
        hosts = names.count(b"host")
        if hosts > 1 or (not hosts and version == "1.1"):  # 5
            raise Refusal(400, "A request names exactly one host.")
        for name, value in found:
            self._judge_value(name, value, version)

    def _judge_size(self) -> None:
        limits = self.limits
        if len(self.headers) > limits.headers:
            raise Refusal(431, f"There are more than {limits.headers} header lines.")
        # The head lies in the bytes that were fed, so it is measured only when those are more than it may have.
        if self._fed > limits.head_bytes and _size(self.headers) > limits.head_bytes:
            raise Refusal(431, f"The header lines are longer than {limits.head_bytes} bytes.")

    def _judge_value(self, name: bytes, value: bytes, version: str) -> None:
        """One line on which the framing rests: what is left of steps 1, 4, 5 and 6."""
        if name == b"host":
            if value.translate(None, _HOST_BYTES):
                raise Refusal(400, "The host has a character that no host can have.")
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked" or version == "1.0":
                raise Refusal(400, "The only transfer encoding that is understood is chunked, in HTTP/1.1.")
        elif name == b"upgrade":
            raise Refusal(400, _NO_UPGRADE)
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise Refusal(417, "The only expectation that is understood is 100-continue.")
            self.expect_100_continue = version == "1.1"

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app if cycle.scope["http_version"] == "1.1" else _unchunked(cycle, app))

    def on_response_complete(self) -> None:
        """An answer is out: start the next request, or say the refusal that waited."""
        super().on_response_complete()
        if self._refusal is not None and (self._running is None or self._running.response_complete):
            self._unset_keepalive_if_required()
            self._say(self._refusal)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal as soon as the answers that are owed before it are out; read nothing more."""
        broken = self.cycle if self._phase is _BODY else None
        self._phase = _DEAF
        self.flow.pause_reading()
        self.counts.refused(refusal.status)
        if broken is not None:
            # The body of this request broke: its application learns that nothing more comes, and its answer, if it has
            # begun, can only be cut short.
            broken.disconnected = True
            broken.message_event.set()
            self.pipeline = deque(each for each in self.pipeline if each[0] is not broken)
            if broken is self._running:
                if broken.response_started:
                    self.transport.close()
                else:
                    self._say(refusal)
                return
        if self._running is None or self._running.response_complete:
            self._say(refusal)
        else:
            self._refusal = refusal

    def _say(self, refusal: Refusal) -> None:
        """Write the refusal and end the connection.

        A socket that is closed with bytes unread resets the connection, and the caller may lose the answer. So only our
        half is closed, and what still comes is thrown away for a moment.
        """
        self._refusal = None
        if self.transport.is_closing():
            return
        self.transport.write(refusal.answer())
        if self.transport.can_write_eof() and refusal.status != _TOO_MANY:
            self.transport.write_eof()
            self._due_s = self.loop.time() + _LINGER_S
            self.flow.resume_reading()
        else:
            self.transport.close()

    # ── deadlines ────────────────────────────────────────────────────────────────────────────────────────────────────
    def overdue(self, now_s: float) -> None:
        """Act if a deadline has passed; called once a second."""
        if self._stalled_since_s is not None and now_s - self._stalled_since_s > self.limits.write_s:
            self.transport.abort()
        elif self._due_s is None or now_s < self._due_s or self._refusal is not None:
            return
        elif self._phase is _DEAF:
            self.transport.abort()
        elif self._phase is _HEAD:
            self._refuse(Refusal(408, "The head of the request did not come in time."))
        elif self._phase is _BODY:
            if self.flow.read_paused or self._body_bytes >= self.limits.body_least_bytes:
                self._body_bytes = 0
                self._due_s = now_s + self.limits.body_s
            else:
                self._refuse(Refusal(408, "The body of the request did not come in time."))

    def pause_writing(self) -> None:
        """The caller does not take what is written."""
        super().pause_writing()
        self._stalled_since_s = self.loop.time()

    def resume_writing(self) -> None:
        """The caller takes again."""
        super().resume_writing()
        self._stalled_since_s = None


def _unchunked(cycle: RequestResponseCycle, app: ASGI3Application) -> ASGI3Application:
    """HTTP/1.0 knows no chunks: the end of the connection ends an answer without a length (RFC 9112, section 6.3)."""

    async def answer(scope: Scope, receive: ASGIReceiveCallable, _send: ASGISendCallable) -> None:
        endless = False

        async def send(message: ASGISendEvent) -> None:
            nonlocal endless
            if message["type"] == "http.response.start":
                endless = all(name != b"content-length" for name, _ in message.get("headers", ()))
                if endless:
                    cycle.chunked_encoding = False
            elif message["type"] == "http.response.body" and endless:
                # uvicorn counts what is left of the declared length; here every piece declares its own.
                cycle.expected_content_length = len(message.get("body", b""))
            await cycle.send(message)

        await app(scope, receive, send)

    return answer


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + _HEADER_OVERHEAD_BYTES for name, value in headers)


def hardened(limits: WireLimits, counts: Counts) -> type[HardenedProtocol]:
    """A protocol class for ``uvicorn.Config(http=...)``.

    Args:
        limits: its bounds.
        counts: is told of every refusal.
    """
    members = {"limits": limits, "counts": counts, "watch": Watch(limits.look_s)}
    return type("Hardened", (HardenedProtocol,), members)
