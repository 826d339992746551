"""The ledger's Unix socket. Owns connections and the dispatch of messages; their bytes belong to ``wire``.

Rules kept here:
1. The first message is HELLO, with our version. Whoever sends anything that is not a message loses this connection;
   nobody else notices.
2. Only this user may connect: the socket has mode 0600, and its folder should be 0700.
3. A stop refuses what is new, finishes and answers what waits, and only then closes connections.
4. Nobody who may connect can use up memory or descriptors: connections, questions under way, what is read before HELLO,
   messages that are not whole yet, and the time until HELLO have limits; of a peer that does not read nothing is read.
5. Every question is answered, also when its handler fails in a way that nobody foresaw.
6. What nobody but the ledger itself may write is not taken from outside; see ``own_leaves``.
"""

import asyncio
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from roadworthy.base.canonical import canonical_bytes, parse_json
from roadworthy.base.errors import InputError, LedgerBroken, MissingFile, RoadworthyError
from roadworthy.ledgerd.commit import GroupCommit, Refusal
from roadworthy.ledgerd.own_leaves import why_not_from_outside
from roadworthy.ledgerd.settings import require_short_socket
from roadworthy.wire.ledger_messages import (
    MAX_BODY_BYTES,
    VERSION,
    Message,
    MessageType,
    Reader,
    RefusalCode,
    appended_body,
    encode,
    parse_append,
    refused_body,
)

MOST_CONNECTIONS = 256
MOST_ASKS = 64
"""Questions under way on one connection."""
MOST_UNFINISHED_BYTES = 192 * 1024 * 1024
"""Of all messages that are not whole yet; the connection that brings more is closed."""
HELLO_BYTES, HELLO_S = 64 * 1024, 5.0
_APPEND = MessageType.APPEND

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Answers one kind of ASK. ``InputError`` is answered as ABSENT, every other error of ours as BROKEN."""


class LedgerServer:
    """Serves one group commit.

    Args:
        commit: the way into the ledger.
        origin: of the log.
        vkey: the line by which its checkpoints are verified.
        asks: handlers by what is asked; ``status`` is added here.
        most_connections: at once; fewer where the process may have few files open, of which half is for the ledger's own.
        hello_s: how long a new connection may take to say HELLO.

    Attributes:
        unfinished_bytes: of all messages that are not whole yet.
    """

    def __init__(
        self,
        commit: GroupCommit,
        *,
        origin: str,
        vkey: str,
        asks: Mapping[str, Handler],
        most_connections: int = MOST_CONNECTIONS,
        hello_s: float = HELLO_S,
    ) -> None:
        self.commit = commit
        self.origin, self.vkey = origin, vkey
        self.asks: dict[str, Handler] = {"status": self._status, **asks}
        self.connections: set[_Connection] = set()
        self.most_connections = min(most_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self.hello_s = hello_s
        self.unfinished_bytes = 0
        self._server: asyncio.Server | None = None
        self._path: Path | None = None

    async def start(self, path: Path) -> None:
        """Listen. A socket that a dead process left is replaced: who holds the folder's lock owns its socket.

        Raises:
            InputError: the path is too long for a socket (RW-100).
            MissingFile: the socket cannot be made there (RW-102).
        """
        require_short_socket(path)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_unix_server(lambda: _Connection(self), sock=_listener(path))
            self._path = path
        except OSError as error:
            what = f"The socket cannot be made: {error.strerror or error}."
            raise MissingFile(what, remedy="Name a path in a folder that exists.", where=str(path)) from error

    async def stop(self) -> None:
        """Take no new connection, finish what waits, answer it, close."""
        if self._server is not None and self._path is not None:
            self._server.close()
            _remove(self._path)
        await self.commit.close()
        for connection in list(self.connections):
            await connection.finish()

    def welcome(self) -> dict[str, Any]:
        """What a new connection is told."""
        return {
            "origin": self.origin,
            "epoch": self.commit.epoch,
            "size": self.commit.size,
            "vkey": self.vkey,
            "version": VERSION,
        }

    async def _status(self, _question: dict[str, Any]) -> dict[str, Any]:
        refusal = self.commit.refusal
        return {
            **self.welcome(),
            "waiting": self.commit.waiting,
            "connections": len(self.connections),
            "pid": os.getpid(),
            "refusing": refusal.code.name if refusal else "",
        }


class _Connection(asyncio.Protocol):
    """One peer. Its answers of one turn of the event loop leave in one write."""

    def __init__(self, server: LedgerServer) -> None:
        self._server = server
        self._reader = Reader()
        self._greeted = False
        self._received = self._unfinished = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._late = self._loop.call_later(server.hello_s, self._abort)
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once, first."""
        # A cast, not a check: uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if len(self._server.connections) >= self._server.most_connections:
            self._abort()
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is the protocol's
        """What waits stays in the ledger; only nobody hears of it."""
        self._transport = None
        self._server.connections.discard(self)
        self._server.unfinished_bytes -= self._unfinished
        self._late.cancel()
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        """Dispatch what is whole; hang up on what is no message, and on more than anybody needs."""
        try:
            for message in self._reader.feed(data):
                self._dispatch(message)
        except (LedgerBroken, InputError):
            self._abort()
            return
        if not self._greeted:
            self._received += len(data)
        unfinished = self._reader.unfinished_bytes
        self._server.unfinished_bytes += unfinished - self._unfinished
        self._unfinished = unfinished
        if self._received > HELLO_BYTES or (unfinished and self._server.unfinished_bytes > MOST_UNFINISHED_BYTES):
            self._abort()

    def pause_writing(self) -> None:
        """The peer does not read: read nothing more from it, so that no answers pile up."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._transport is not None:
            self._transport.resume_reading()

    async def finish(self) -> None:
        """Wait for questions under way, send what is written, close."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _dispatch(self, message: Message) -> None:
        kind = message.type
        if kind is _APPEND and self._greeted:
            self._append(message)
        elif kind is MessageType.ASK and self._greeted:
            self._begin_ask(message)
        elif kind is MessageType.HELLO and not self._greeted and _members(message.body).get("version") == VERSION:
            self._greeted = True
            self._received = 0
            self._late.cancel()
            self._send(MessageType.WELCOME, message.request, canonical_bytes(self._server.welcome()))
        else:
            raise LedgerBroken(f"A {kind.name} is not expected here.", remedy="Let both ends be of one version.")

    def _append(self, message: Message) -> None:
        records = parse_append(message.body)
        if not records or not all(record.leaf for record in records):
            self._refuse(message.request, RefusalCode.MALFORMED, "an append needs records, and each a leaf")
            return
        for leaf, _ in records:
            if (why := why_not_from_outside(leaf)) is not None:
                self._refuse(message.request, RefusalCode.MALFORMED, why)
                return
        self._server.commit.submit(records, partial(self._answer, message.request, len(records)))

    def _answer(self, request: int, count: int, outcome: int | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self._refuse(request, outcome.code, outcome.text)
        else:
            self._send(MessageType.APPENDED, request, appended_body(outcome, count))

    def _begin_ask(self, message: Message) -> None:
        question = _members(message.body)
        if len(self._tasks) >= MOST_ASKS:
            self._refuse(message.request, RefusalCode.BUSY, f"{MOST_ASKS} questions of this connection are under way")
            return
        task = self._loop.create_task(self._ask(message.request, question))
        self._tasks.add(task)
        task.add_done_callback(partial(self._end_ask, message.request))

    def _end_ask(self, request: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._refuse(request, RefusalCode.BROKEN, f"the answer failed: {type(error).__name__}: {error}"[:1_000])

    async def _ask(self, request: int, question: dict[str, Any]) -> None:
        handler = self._server.asks.get(str(question.get("what")))
        if handler is None:
            self._refuse(request, RefusalCode.MALFORMED, f"nobody knows what {question.get('what')!r:.40} asks")
            return
        try:
            answer = await handler(question)
        except InputError as error:
            self._refuse(request, RefusalCode.ABSENT, str(error))
        except RoadworthyError as error:
            self._refuse(request, RefusalCode.BROKEN, str(error))
        else:
            body = canonical_bytes(answer)
            if len(body) > MAX_BODY_BYTES:
                self._refuse(request, RefusalCode.MALFORMED, "the answer is longer than a message can be")
            else:
                self._send(MessageType.ANSWER, request, body)

    def _refuse(self, request: int, code: RefusalCode, text: str) -> None:
        self._send(MessageType.REFUSED, request, refused_body(code, text))

    def _send(self, kind: MessageType, request: int, body: bytes) -> None:
        self._out.append(encode(kind, request, body))
        if len(self._out) == 1:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None and out:
            self._transport.write(b"".join(out))

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _listener(path: Path) -> socket.socket:
    """A bound socket of mode 0600 at ``path``; what was there before is removed."""
    _remove(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _members(body: bytes) -> dict[str, Any]:
    value = parse_json(body)
    if not isinstance(value, dict):
        raise LedgerBroken("The body is not a JSON object.", remedy="Let both ends be of one version.")
    return value
