"""A small HTTP/1.1 server for probes that stand in for an AI system: whole requests in, raw bytes out.

Owns connections, the reading of requests and the way back. Leaves alone what is answered: the handler sends bytes, which
may be anything, sound or broken; that is why no framework stands here.

Rules kept here:
1. One request at a time for each connection, in order; a pipelined one waits.
2. A sender waits while the peer does not read, so that a large answer costs no memory.
3. A listener can go and come back on the same port, which is how a process that died and was started again looks.
"""

import asyncio
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

import httptools

MAX_BODY_BYTES = 64 * 1024 * 1024
_MOST_PIPELINED = 64
_BACKLOG = 1024
# Linger for zero seconds: the kernel answers with a reset instead of an orderly end.
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request.

    Attributes:
        method: for example ``POST``.
        target: path and query, as sent.
        headers: by name in lower case; the last one wins.
        body: decoded from whatever framing it had.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


class Reply:
    """The way back to one peer."""

    __slots__ = ("_connection",)

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection

    async def send(self, data: bytes) -> None:
        """Send bytes as they are, waiting while the peer does not read.

        Raises:
            ConnectionResetError: the peer is gone, or the connection was ended here.
        """
        connection = self._connection
        if connection.transport.is_closing():
            raise ConnectionResetError
        connection.transport.write(data)
        await connection.writable.wait()

    def close(self) -> None:
        """End the connection in an orderly way after what was sent."""
        self._connection.transport.close()

    def reset(self) -> None:
        """End the connection with a reset."""
        reset_transport(self._connection.transport)


Handler = Callable[[Asked, Reply], Awaitable[None]]


class HttpServer:
    """Listens on the loopback interface. All methods belong to one event loop.

    Args:
        handler: answers one request; when it returns, the connection is kept or closed as the request asked.
        tls: to speak TLS; plain when None.
    """

    def __init__(self, handler: Handler, *, tls: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.connections: set[_Connection] = set()
        self.port = 0
        self._tls = tls
        self._listener: asyncio.Server | None = None

    async def listen(self, port: int = 0) -> int:
        """Begin to listen, on a free port when 0 is given the first time, and on the same one afterwards.

        Returns:
            the port.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", port or self.port, backlog=_BACKLOG, ssl=self._tls
        )
        self.port = int(self._listener.sockets[0].getsockname()[1])
        return self.port

    async def vanish(self) -> None:
        """Stop to listen and reset every connection, as the end of the process would."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in list(self.connections):
            reset_transport(connection.transport)
        await asyncio.sleep(0)  # the loop tells the connections


class _Connection(asyncio.Protocol):
    """One connection of the server."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Asked, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._begin()
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = cast("asyncio.Transport", transport)  # a stream protocol always gets a Transport
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the signature is asyncio's
        """Called by the loop. A handler that still sends is cancelled."""
        self._server.connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Called by the loop."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """Called by the loop."""
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, UnicodeDecodeError):
            self.transport.close()

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._size_bytes += len(body)
        if self._size_bytes > MAX_BODY_BYTES:
            self.transport.close()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        asked = Asked(
            method=self._parser.get_method().decode("ascii"),
            target=self._target.decode("ascii", "backslashreplace"),
            headers=self._headers,
            body=b"".join(self._body),
        )
        self._waiting.append((asked, self._parser.should_keep_alive()))
        self._begin()
        if len(self._waiting) > _MOST_PIPELINED:
            self.transport.close()
        elif self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer_all())

    async def _answer_all(self) -> None:
        reply = Reply(self)
        try:
            while self._waiting and not self.transport.is_closing():
                asked, keep = self._waiting.popleft()
                await self._server.handler(asked, reply)
                if not keep:
                    self.transport.close()
        except ConnectionResetError:  # the peer left; what it asked is settled
            pass
        finally:
            self._task = None


def reset_transport(transport: asyncio.WriteTransport) -> None:
    """End a connection with a reset instead of an orderly end."""
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None and connected.fileno() >= 0:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def response(status: int, body: bytes, *, content_type: str = "application/json", more: bytes = b"") -> bytes:
    """The bytes of a whole answer with its length.

    Args:
        status: HTTP status.
        body: of the answer.
        content_type: of the body.
        more: further header lines, each with its line end.
    """
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Answer')}\r\nContent-Type: {content_type}\r\n"
    return head.encode("ascii") + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunk(data: bytes) -> bytes:
    """One part of a chunked body (RFC 9112, section 7.1); an empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(data), data)


_REASONS = {
    200: "OK",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
