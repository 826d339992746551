"""The ledger's Unix socket. Owns connections and the dispatch of messages; their bytes belong to ``wire``.

Rules kept here:
1. The first message is HELLO, with our version. Whoever sends anything that is not a message loses this connection;
   nobody else notices.
2. Only this user may connect: the socket has mode 0600, and its folder should be 0700.
3. A stop refuses what is new, finishes and answers what waits, and only then closes connections.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from roadworthy.base.canonical import canonical_bytes, parse_json
from roadworthy.base.errors import InputError, LedgerBroken, MissingFile, RoadworthyError
from roadworthy.ledgerd.commit import GroupCommit, Refusal
from roadworthy.ledgerd.settings import require_short_socket
from roadworthy.wire.ledger_messages import (
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

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Answers one kind of ASK. ``InputError`` is answered as ABSENT, every other error of ours as BROKEN."""


class LedgerServer:
    """Serves one group commit.

    Args:
        commit: the way into the ledger.
        origin: of the log.
        vkey: the line by which its checkpoints are verified.
        asks: handlers by what is asked; ``status`` is added here.
    """

    def __init__(self, commit: GroupCommit, *, origin: str, vkey: str, asks: Mapping[str, Handler]) -> None:
        self.commit = commit
        self.origin, self.vkey = origin, vkey
        self.asks: dict[str, Handler] = {"status": self._status, **asks}
        self.connections: set[_Connection] = set()
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
        frontier = self.commit.frontier
        return {
            "origin": self.origin,
            "epoch": self.commit.epoch,
            "size": frontier.size,
            "vkey": self.vkey,
            "version": VERSION,
        }

    async def _status(self, _question: dict[str, Any]) -> dict[str, Any]:
        frontier, refusal = self.commit.frontier, self.commit.refusal
        return {
            **self.welcome(),
            "root": frontier.root().hex(),
            "waiting": self.commit.waiting,
            "connections": len(self.connections),
            "pid": os.getpid(),
            "refusing": refusal.code.name if refusal else "",
        }


class _Connection(asyncio.Protocol):
    """One peer. Its answers are written as they come; asyncio puts those of one turn together."""

    def __init__(self, server: LedgerServer) -> None:
        self._server = server
        self._reader = Reader()
        self._greeted = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once, first."""
        # A cast, not a check: uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is the protocol's
        """What waits stays in the ledger; only nobody hears of it."""
        self._transport = None
        self._server.connections.discard(self)
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        """Dispatch what is whole; hang up on what is no message."""
        try:
            for message in self._reader.feed(data):
                self._dispatch(message)
        except (LedgerBroken, InputError):
            if self._transport is not None:
                self._transport.abort()

    async def finish(self) -> None:
        """Wait for questions under way, send what is written, close."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._transport is not None:
            self._transport.close()

    def _dispatch(self, message: Message) -> None:
        kind = message.type
        if kind is MessageType.APPEND and self._greeted:
            self._append(message)
        elif kind is MessageType.ASK and self._greeted:
            task = asyncio.get_running_loop().create_task(self._ask(message.request, _members(message.body)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif kind is MessageType.HELLO and not self._greeted and _members(message.body).get("version") == VERSION:
            self._greeted = True
            self._send(MessageType.WELCOME, message.request, canonical_bytes(self._server.welcome()))
        else:
            raise LedgerBroken(f"A {kind.name} is not expected here.", remedy="Let both ends be of one version.")

    def _append(self, message: Message) -> None:
        records = parse_append(message.body)
        if not records or not all(record.leaf for record in records):
            self._refuse(message.request, RefusalCode.MALFORMED, "an append needs records, and each a leaf")
            return
        self._server.commit.submit(records, partial(self._answer, message.request, len(records)))

    def _answer(self, request: int, count: int, outcome: int | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self._refuse(request, outcome.code, outcome.text)
        else:
            self._send(MessageType.APPENDED, request, appended_body(outcome, count))

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
            self._send(MessageType.ANSWER, request, canonical_bytes(answer))

    def _refuse(self, request: int, code: RefusalCode, text: str) -> None:
        self._send(MessageType.REFUSED, request, refused_body(code, text))

    def _send(self, kind: MessageType, request: int, body: bytes) -> None:
        if self._transport is not None:
            self._transport.write(encode(kind, request, body))


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
