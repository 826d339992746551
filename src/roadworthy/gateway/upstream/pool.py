"""The connections of one upstream. Owns how many there are, who gets one, and how a new one is made.

What goes over a connection belongs to ``connection``.

Rules kept here:
1. The connection used last is used first, so that those which nobody needs grow old and are closed.
2. There are never more than ``most_connections``, those under way included. Who finds none waits in line, at most for the
   deadline of connecting; then the attempt fails as ``POOL_EXHAUSTED``.
3. A place is given back exactly once: when its connection is gone, or when it could not be made.
4. A free connection is closed before the usual servers close it (five seconds), because a request that crosses their
   goodbye on the wire could not safely be sent again.
"""

import asyncio
import ssl
from collections import deque
from contextlib import suppress

from roadworthy.gateway.config import Upstream
from roadworthy.gateway.exchange import Failure, UpstreamFailed
from roadworthy.gateway.upstream.address import UpstreamAddress
from roadworthy.gateway.upstream.connection import Connection

KEEP_FREE_S = 4.0
_CLOSE_WAIT_S = 5.0


class Pool:
    """Hands out connections to one upstream. Belongs to the event loop that runs its first ``acquire``.

    Args:
        address: where to.
        config: deadlines and bounds.
        tls: None for plain HTTP.
    """

    def __init__(self, address: UpstreamAddress, config: Upstream, tls: ssl.SSLContext | None) -> None:
        self._address = address
        self._config = config
        self._tls = tls
        self._free: list[Connection] = []
        self._open: set[Connection] = set()
        self._places = config.most_connections
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None

    @property
    def open_connections(self) -> int:
        """How many there are, free ones included."""
        return len(self._open)

    def take(self) -> Connection | None:
        """A free connection at once, or None."""
        while self._free:
            connection = self._free.pop()
            if connection.alive:
                return connection
        return None

    async def acquire(self, until_s: float) -> Connection:
        """A connection, made or waited for when none is free.

        Args:
            until_s: last moment on the loop's clock; the deadline of connecting counts as well.

        Raises:
            UpstreamFailed: none could be had; nothing was sent.
        """
        loop = asyncio.get_running_loop()
        due_s = min(loop.time() + self._config.deadlines.connect_s, until_s)
        if self._emptied is not None:
            raise UpstreamFailed(Failure.POOL_EXHAUSTED, sent=False)
        found = self.take()
        if found is None and self._places > 0:
            self._places -= 1
        elif found is None:
            found = await self._wait(loop, due_s)
        return found if found is not None else await self._connect(loop, due_s)

    def release(self, connection: Connection) -> None:
        """An exchange is over, well or badly."""
        if not connection.free():
            return  # its place comes back when it is gone
        if self._emptied is not None:
            connection.abort()
        elif not self._hand_over(connection):
            self._free.append(connection)
            if self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(KEEP_FREE_S, self._close_old)

    def forget_free(self) -> None:
        """Close what is free: one of them turned out to be dead, so the upstream may have been restarted."""
        while self._free:
            self._free.pop().abort()

    async def close(self) -> None:
        """Cut off every connection, free or not, and wait until they are gone. May be called again."""
        if self._emptied is None:
            self._emptied = asyncio.Event()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(UpstreamFailed(Failure.POOL_EXHAUSTED, sent=False))
        self._free.clear()
        for connection in tuple(self._open):
            connection.abort()
        if self._open:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WAIT_S):
                    await self._emptied.wait()

    async def _wait(self, loop: asyncio.AbstractEventLoop, due_s: float) -> Connection | None:
        """A connection that became free, or None with a place for a new one."""
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(due_s):
                return await waiter
        except TimeoutError as error:
            self._leave(waiter)
            raise UpstreamFailed(Failure.POOL_EXHAUSTED, sent=False) from error
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: "asyncio.Future[Connection | None]") -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            # It was served in the very turn in which its owner went away.
            connection = waiter.result()
            if connection is None:
                self._give_back_place()
            elif connection.alive and not self._hand_over(connection):
                self._free.append(connection)

    async def _connect(self, loop: asyncio.AbstractEventLoop, due_s: float) -> Connection:
        address, config = self._address, self._config
        try:
            async with asyncio.timeout_at(due_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, config.deadlines, config.most_answer_bytes, self._lost),
                    address.host,
                    address.port,
                    ssl=self._tls,
                    server_hostname=address.host if self._tls is not None else None,
                )
        except BaseException as error:
            self._give_back_place()
            failure = self._why(error)
            if failure is None:
                raise
            raise UpstreamFailed(failure, sent=False) from error
        if connection.gone:
            self._give_back_place()
            raise UpstreamFailed(Failure.RESET_BEFORE_HEAD, sent=False)
        self._open.add(connection)
        if self._emptied is not None:
            connection.abort()
            raise UpstreamFailed(Failure.POOL_EXHAUSTED, sent=False)
        return connection

    def _why(self, error: BaseException) -> Failure | None:
        if isinstance(error, TimeoutError):
            return Failure.CONNECT_TIMEOUT
        if isinstance(error, ssl.SSLError | ssl.CertificateError):
            return Failure.TLS
        if self._tls is not None and isinstance(error, ConnectionResetError | ConnectionAbortedError):
            return Failure.TLS
        return Failure.CONNECT_REFUSED if isinstance(error, OSError) else None

    def _lost(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            if connection in self._free:
                self._free.remove(connection)
            self._give_back_place()
        if self._emptied is not None and not self._open:
            self._emptied.set()

    def _give_back_place(self) -> None:
        if not self._hand_over(None):
            self._places += 1

    def _hand_over(self, what: Connection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(what)
                return True
        return False

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = None
        oldest_s = loop.time() - KEEP_FREE_S
        while self._free and self._free[0].free_since_s <= oldest_s:
            self._free.pop(0).abort()
        if self._free:
            self._sweep = loop.call_later(max(0.05, self._free[0].free_since_s - oldest_s), self._close_old)
