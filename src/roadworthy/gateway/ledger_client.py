"""The gateway's end of the ledger's socket. Owns the connection and what waits on it; the bytes are ``wire``'s.

Rules kept here:
1. While an APPEND is under way, what comes next waits and then travels in one. The ledger has one sync in flight, so a
   second APPEND would wait there instead of here; this way there are fewer, and each carries more, up to ``BATCH_BYTES``.
2. A record counts only once the ledger said so. Everything else - no connection, a refusal, a connection that broke,
   an acknowledgement that is late - raises ``LedgerRefused``, so the gateway answers 503 and nothing unrecorded leaves.
3. What was sent and not acknowledged is never sent again: it may be durable. The exchange is refused, and the sweeper
   closes its intent.
4. What waits is bounded, in records and in bytes.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson

from roadworthy.base.errors import LedgerBroken
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.wire.ledger_messages import (
    MAX_LEAF_BYTES,
    MAX_RECORDS,
    VERSION,
    LedgerRecord,
    Message,
    MessageType,
    Reader,
    RefusalCode,
    append_body,
    encode,
    parse_appended,
    parse_refused,
)

BATCH_BYTES = 256 * 1024
MOST_WAITING_BYTES = 64 * 1024 * 1024
MAX_RECORD_BYTES = 64 * 1024 * 1024
_LATE_S = 15.0
_BACKOFF_S = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_DOWN = "The audit ledger is not available, so nothing can be answered."

# In Python 3.11 reading a member of an enumeration is a call; these are read with every batch.
_APPEND, _APPENDED = MessageType.APPEND, MessageType.APPENDED
_log = logging.getLogger(__name__)


class LedgerRefused(Refused):
    """The ledger did not take a record, or nobody knows whether it did. What follows from it cannot be recorded."""

    def __init__(self, what: str = _DOWN, *, reason: Reason = Reason.LEDGER_UNAVAILABLE) -> None:
        super().__init__(reason, 503, what, retry_after_s=1)


class _Connection(asyncio.Protocol):
    """One connection; it only hands on what happens to it."""

    def __init__(self, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        self._on_message, self._on_end = on_message, on_end
        self._reader = Reader()
        self.transport: asyncio.Transport | None = None
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Those of uvloop are no subclass of it, but do the same.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                self._on_message(message)
        except LedgerBroken as error:
            _log.error("%s", error)
            self.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.ended.set()
        self._on_end()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class LedgerClient:
    """Appends records, and asks.

    Args:
        socket: path of the ledger's Unix socket.
        node: name of this node.
        worker: number of this worker.
        most_waiting: records under way before new ones are refused.
        late_s: an acknowledgement that takes longer ends the connection.
    """

    def __init__(
        self, socket: Path, *, node: str, worker: int, most_waiting: int = 4_096, late_s: float = _LATE_S
    ) -> None:
        self._socket, self._late_s, self._most_waiting = socket, late_s, most_waiting
        self._hello = orjson.dumps({"node": node, "worker": worker, "version": VERSION})
        self._connection: _Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._up = asyncio.Event()
        self._welcome: dict[str, Any] = {}
        self._request = 0
        self._batch: list[tuple[LedgerRecord, asyncio.Future[int]]] = []
        self._flushing = False
        # Requests are acknowledged in any order, but the oldest is the one that can be late.
        self._sent: dict[int, tuple[list[asyncio.Future[int]], int, float]] = {}
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._waiting = 0
        self._waiting_bytes = 0
        self._watch: asyncio.TimerHandle | None = None
        self._refusal: RefusalCode | None = None

    @property
    def up(self) -> bool:
        """Whether the ledger said welcome and the connection stands."""
        return self._up.is_set()

    @property
    def welcome(self) -> dict[str, Any]:
        """What the ledger said of itself: origin, epoch, size, vkey, version; empty while there is none."""
        return self._welcome

    @property
    def waiting(self) -> int:
        """Records that are not acknowledged yet."""
        return self._waiting

    def start(self) -> None:
        """Connect, and connect again whenever the connection ends."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._stay_connected())

    async def ready(self, timeout_s: float) -> bool:
        """Wait until the ledger is there; False when it is not within ``timeout_s``."""
        try:
            await asyncio.wait_for(self._up.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Give up the connection. What is not acknowledged is refused."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        connection = self._connection
        if connection is not None and connection.transport is not None:
            connection.abort()
            await connection.ended.wait()
        self._lost()

    def put(self, leaf: bytes, sealed: bytes) -> "asyncio.Future[int]":
        """Send a record; the future has its index once it is durable, or ``LedgerRefused``.

        Raises:
            LedgerRefused: no connection, too much is waiting, or the record is too large.
        """
        loop, size = self._loop, len(leaf) + len(sealed)
        if loop is None or not self._up.is_set():
            raise LedgerRefused
        if size > MAX_RECORD_BYTES or len(leaf) > MAX_LEAF_BYTES:
            raise LedgerRefused("The exchange is too large to be recorded.", reason=Reason.TOO_LARGE)
        if self._waiting >= self._most_waiting or (self._waiting and self._waiting_bytes + size > MOST_WAITING_BYTES):
            raise LedgerRefused("Too many records wait for the audit ledger.", reason=Reason.OVERLOADED)
        future = loop.create_future()
        self._batch.append((LedgerRecord(leaf, sealed), future))
        self._waiting += 1
        self._waiting_bytes += size
        if not self._sent:
            self._flush_soon(loop)
        return future

    async def append(self, leaf: bytes, sealed: bytes) -> int:
        """As ``put``, and wait: the index of the durable leaf.

        Raises:
            LedgerRefused: it is not known to be durable.
        """
        return await self.put(leaf, sealed)

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Ask for a status, a proof, a payload, an erasure.

        Raises:
            LedgerRefused: no connection, or the ledger refused.
        """
        connection = self._connection
        if self._loop is None or not self._up.is_set() or connection is None or connection.transport is None:
            raise LedgerRefused
        self._request = request = self._request + 1 & 0xFFFFFFFF
        future: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._asked[request] = future
        connection.transport.write(encode(MessageType.ASK, request, orjson.dumps(question)))
        try:
            return await asyncio.wait_for(future, self._late_s)
        except TimeoutError as error:
            raise LedgerRefused from error
        finally:
            self._asked.pop(request, None)

    def _flush_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """At the end of this turn of the loop, so that whatever else comes in it goes along."""
        if not self._flushing:
            self._flushing = True
            loop.call_soon(self._flush)

    def _flush_rest(self) -> None:
        """An APPEND is settled: send what came meanwhile."""
        if self._batch and not self._sent and self._loop is not None:
            self._flush_soon(self._loop)

    def _flush(self) -> None:
        self._flushing = False
        batch, self._batch = self._batch, []
        start = 0
        while start < len(batch):
            stop, size = start, 0
            while stop < len(batch) and stop - start < MAX_RECORDS and (size < BATCH_BYTES or stop == start):
                record = batch[stop][0]
                size += len(record.leaf) + len(record.sealed)
                stop += 1
            self._send(batch[start:stop], size)
            start = stop

    def _send(self, batch: list[tuple[LedgerRecord, asyncio.Future[int]]], size: int) -> None:
        # A connection that ended took the batch with it (_lost), so whoever comes here has one.
        connection, loop = self._connection, self._loop
        assert loop is not None
        assert connection is not None
        assert connection.transport is not None
        self._request = request = self._request + 1 & 0xFFFFFFFF
        self._sent[request] = ([future for _, future in batch], size, loop.time())
        connection.transport.write(encode(_APPEND, request, append_body([record for record, _ in batch])))
        if self._watch is None:
            self._watch = loop.call_later(self._late_s / 4, self._look_for_late)

    def _look_for_late(self) -> None:
        assert self._loop is not None
        self._watch = None
        if not self._sent:
            return
        oldest = next(iter(self._sent.values()))[2]
        if self._loop.time() - oldest > self._late_s:
            _log.error("The ledger did not acknowledge within %.1f s; the connection is given up.", self._late_s)
            if self._connection is not None:
                self._connection.abort()
            return
        self._watch = self._loop.call_later(self._late_s / 4, self._look_for_late)

    def _take(self, message: Message) -> None:
        kind, request, body = message
        if kind is _APPENDED:
            self._appended(request, body)
        elif kind is MessageType.REFUSED:
            self._refused(request, body)
        elif kind is MessageType.ANSWER:
            asked = self._asked.pop(request, None)
            if asked is not None and not asked.done():
                asked.set_result(_members(body))
        elif kind is MessageType.WELCOME:
            welcome = _members(body)
            if welcome.get("version") != VERSION:
                raise LedgerBroken("The ledger speaks another version.", remedy="Install both from one release.")
            self._welcome = welcome
            self._up.set()
        else:
            raise LedgerBroken(f"The ledger sent a {kind.name}.", remedy="Let both ends be of one version.")

    def _appended(self, request: int, body: bytes) -> None:
        first, count = parse_appended(body)
        sent = self._sent.pop(request, None)
        if sent is None or len(sent[0]) != count:
            if sent is not None:
                self._settle(sent[0], sent[1])
            raise LedgerBroken("The ledger acknowledged what was not asked.", remedy="Look at the ledger's log.")
        futures, size, _ = sent
        self._refusal = None
        self._waiting -= count
        self._waiting_bytes -= size
        for index, future in enumerate(futures, first):
            if not future.done():
                future.set_result(index)
        self._flush_rest()

    def _refused(self, request: int, body: bytes) -> None:
        code, text = parse_refused(body)
        busy = code is RefusalCode.BUSY
        asked = self._asked.pop(request, None)
        if asked is not None:
            if not asked.done():
                asked.set_exception(LedgerRefused(f"The ledger refused: {text}"))
            return
        sent = self._sent.pop(request, None)
        if not busy and code is not self._refusal:
            # Once, not with every batch of an outage.
            _log.error("The ledger refuses: %s %s", code.name, text)
        self._refusal = code
        if sent is not None:
            self._settle(sent[0], sent[1], Reason.OVERLOADED if busy else Reason.LEDGER_UNAVAILABLE)
            self._flush_rest()

    def _settle(
        self, futures: list["asyncio.Future[int]"], size: int, reason: Reason = Reason.LEDGER_UNAVAILABLE
    ) -> None:
        self._waiting -= len(futures)
        self._waiting_bytes -= size
        for future in futures:
            if not future.done():
                future.set_exception(LedgerRefused(reason=reason))

    def _lost(self) -> None:
        """The connection is gone: whoever waits is refused, whether sent or not."""
        self._up.clear()
        self._connection = None
        batch, self._batch = self._batch, []
        sizes = sum(len(record.leaf) + len(record.sealed) for record, _ in batch)
        self._settle([future for _, future in batch], sizes)
        sent, self._sent = self._sent, {}
        for futures, size, _ in sent.values():
            self._settle(futures, size)
        asked, self._asked = self._asked, {}
        for future in asked.values():
            if not future.done():
                future.set_exception(LedgerRefused())
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _stay_connected(self) -> None:
        assert self._loop is not None
        waits = deque(_BACKOFF_S)
        while True:
            # Known before it is made, so that close finds it also when it is made in that very turn.
            self._connection = connection = _Connection(self._take, self._lost)
            self._welcome = {}
            try:
                await self._loop.create_unix_connection(partial(_same, connection), str(self._socket))
            except OSError:
                self._connection = None
            else:
                assert connection.transport is not None
                connection.transport.write(encode(MessageType.HELLO, 0, self._hello))
                await connection.ended.wait()
                if self._welcome:
                    waits = deque(_BACKOFF_S)
            await asyncio.sleep(waits[0])
            if len(waits) > 1:
                waits.popleft()


def _same(connection: _Connection) -> _Connection:
    return connection


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise LedgerBroken("The ledger sent what is not JSON.", remedy="Let both ends be of one version.") from error
    if not isinstance(members, dict):
        raise LedgerBroken("The ledger sent JSON of another shape.", remedy="Let both ends be of one version.")
    return members
