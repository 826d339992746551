"""A stream of server-sent events from an upstream, part by part. Owns when it counts as whole, and its one end.

Rules kept here:
1. Parts are the upstream's bytes, unchanged and in order.
2. The first part is there before anybody is told that there is a stream, so that a stream that breaks before it is an
   ordinary failure; afterwards nothing is ever asked again.
3. A stream with an end mark that ends without it was cut, however well-formed its end was.
4. However it ends, the connection is given back once and the end is told once.
"""

from collections.abc import Callable

from roadworthy.gateway.exchange import Failure, UpstreamFailed
from roadworthy.gateway.upstream.connection import Connection
from roadworthy.gateway.upstream.pool import Pool

StreamEnd = Callable[[Failure | None], None]
_TAIL_BYTES = 256


class Parts:
    """Iterates over the parts; ``close`` gives it up.

    Args:
        connection: whose head has come.
        pool: that gets it back.
        end_mark: last line of a whole stream; None when there is none.
        on_end: told how it ended: the failure, or None when it ended well or was given up.
    """

    __slots__ = ("_connection", "_end_mark", "_first", "_on_end", "_pool", "_tail")

    def __init__(
        self,
        connection: Connection,
        pool: Pool,
        end_mark: bytes | None,
        on_end: StreamEnd | None,
    ) -> None:
        self._connection: Connection | None = connection
        self._pool = pool
        self._end_mark = end_mark
        self._on_end = on_end
        self._first: bytes | None = None
        self._tail = b""

    async def begin(self) -> None:
        """Wait for the first part.

        Raises:
            UpstreamFailed: it never came; ``on_end`` is not told.
        """
        on_end, self._on_end = self._on_end, None
        self._first = await self._next()
        self._on_end = on_end

    def __aiter__(self) -> "Parts":
        return self

    async def __anext__(self) -> bytes:
        part, self._first = self._first, None
        if part is None:
            part = await self._next()
        if part is None:
            raise StopAsyncIteration
        return part

    async def close(self) -> None:
        """Give the stream up; the connection is cut off unless all of it was there. Does nothing after the end."""
        self._end(None)

    async def _next(self) -> bytes | None:
        if self._connection is None:
            return None
        try:
            part = await self._connection.next_part()
            if part is None and not self._whole():
                raise UpstreamFailed(Failure.STREAM_CUT, sent=True)
        except UpstreamFailed as failed:
            self._end(failed.failure)
            raise
        if part is None:
            self._end(None)
        elif self._end_mark is not None:
            self._tail = (self._tail + part)[-_TAIL_BYTES:]
        return part

    def _whole(self) -> bool:
        mark = self._end_mark
        if mark is None:
            return True
        line = self._tail.rstrip().replace(b"\r", b"\n").rpartition(b"\n")[2]
        return line == mark or line == mark.replace(b": ", b":", 1)  # the space is optional

    def _end(self, failure: Failure | None) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)
            if self._on_end is not None:
                self._on_end(failure)
