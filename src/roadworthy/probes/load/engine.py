"""The open-loop engine: one event loop that sends on time.

Owns the connections, queue, deadlines and bookkeeping of one run; the process that it runs in belongs to ``generator``.

How a run goes:
1. ``_tick`` takes every request whose intended time has come, notes how late the timer was, and dispatches it.
2. A dispatched request goes out on an idle connection, or waits in a queue while the pool grows up to its limit.
3. An answer settles its request and frees its connection for the head of the queue.
4. ``_sweep`` settles, in order, what passed its deadline; the run ends when every request is settled.

Rules kept here:
1. No request is dropped, delayed or thinned because the target is slow: it is settled exactly once, with an outcome.
2. The timer of the event loop counts whole milliseconds. So the engine sleeps until shortly before the next instant and
   then turns the loop without waiting; those idle turns are not counted as work.
3. Per request only numbers are kept, in arrays; histograms and the series are made at the end.
"""

import asyncio
import time
from array import array
from collections import Counter, deque
from typing import cast

import httptools
import numpy as np

from roadworthy.base.clock import monotonic_s
from roadworthy.kit.context import Peak
from roadworthy.probes.load.histogram import histogram_of
from roadworthy.probes.load.result import LoadResult
from roadworthy.probes.load.schedule import peak_of
from roadworthy.probes.load.series import (
    CONNECT_ERROR,
    CONNECTION_LOST,
    INTERRUPTED,
    MALFORMED,
    NOT_JSON,
    OK,
    PENDING,
    TIMEOUT,
    outcome_name,
    series_of,
)
from roadworthy.probes.load.spec import LoadSpec

_HTTP_OK = 200

LEAD_S = 0.05  # between set-up and the first instant, so that set-up does not count as lag
SLEEP_FROM_S = 0.004  # a gap shorter than this is spun through
WAKE_BEFORE_S = 0.002  # the loop's timer may be late by more than one of its milliseconds
BATCH = 64  # requests in one turn: after a stall, answers are still read in between
SWEEP_S = 0.01


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    __slots__ = ("engine", "head_done", "headers", "parser", "request", "transport")

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.request: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.head_done = False
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = cast("asyncio.Transport", transport)  # a stream protocol always gets a Transport
        self.engine.connected(self)

    def send(self, request: int, data: bytes) -> None:
        """Write one request."""
        self.request = request
        self.headers = []
        self.head_done = False
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self.engine.events += 1
        if self.request is None:  # nobody asked
            self.transport.abort()
            return
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._settle(MALFORMED)
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self.head_done = True

    def on_message_complete(self) -> None:
        """Called by the parser: the answer is whole."""
        if self.request is None:
            return
        self._settle(self._judge())
        if self.parser.should_keep_alive():
            self.engine.free(self)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        if self.request is not None:
            # Without a length, the end of the connection is the end of the body (RFC 9112, section 6.3).
            names = {name for name, _ in self.headers}
            ended = exc is None and self.head_done and not names & {b"content-length", b"transfer-encoding"}
            self._settle(self._judge() if ended else CONNECTION_LOST)
        self.engine.disconnected(self)

    def abandon(self) -> None:
        """Give up the request under way: its deadline has passed."""
        self.request = None
        self.transport.abort()

    def _judge(self) -> int:
        status = self.parser.get_status_code()
        if status != _HTTP_OK:
            return status
        if self.engine.expect_json and not self._says_json():
            return NOT_JSON
        return OK

    def _says_json(self) -> bool:
        return any(name == b"content-type" and b"json" in value.lower() for name, value in self.headers)

    def _settle(self, outcome: int) -> None:
        request, self.request = self.request, None
        if request is not None:
            self.engine.answered(request, outcome)


class Engine:
    """One run. Make it inside its event loop and await ``run`` once."""

    def __init__(self, spec: LoadSpec, loop: asyncio.AbstractEventLoop) -> None:
        self.expect_json = spec.expect_json
        self.events = 0
        self._loop = loop
        self._spec = spec
        self._host, self._port = spec.address
        self._requests = spec.requests()
        self._times: list[float] = spec.times_s.tolist()
        self._count = len(self._times)
        self._outcomes = array("h", bytes(2 * self._count))
        self._age_s = array("d", bytes(8 * self._count))
        self._lag_s = array("d")
        self._written_s = array("d")
        self._next = 0
        self._oldest = 0
        self._settled = 0
        self._queue: deque[int] = deque()
        self._idle: list[Connection] = []
        self._under_way: dict[int, Connection] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._open = 0
        self._most_open = 0
        self._start_s = 0.0
        self._idle_cpu_s = 0.0
        self._idle_from_cpu_s: float | None = None  # None when the last turn had something to do
        self._events_seen = 0
        self._interrupted = False
        self._done: asyncio.Future[None] = loop.create_future()

    async def run(self) -> LoadResult:
        """Send everything, wait for the answers or their deadlines, and count."""
        cpu_from_s = time.process_time()
        self._start_s = monotonic_s() + LEAD_S
        self._loop.call_soon(self._tick)
        self._loop.call_later(SWEEP_S, self._sweep)
        await self._done
        duration_s = max(self._now(), 1e-9)
        cpu_s = max(0.0, time.process_time() - cpu_from_s - self._idle_cpu_s)
        await self._close()
        return self._result(duration_s, cpu_s)

    def interrupt(self) -> None:
        """Stop now: nothing more is sent, and what is under way is settled as interrupted."""
        self._interrupted = True
        for request in range(self._oldest, self._next):
            if self._outcomes[request] == PENDING:
                self._give_up(request, INTERRUPTED)
        self._count = self._next
        self._finish_if_settled()

    # Step 1: the timer.

    def _tick(self) -> None:
        now = self._now()
        turned_from = self._next
        for _ in range(BATCH):
            if self._next >= self._count:
                return
            intended_s = self._times[self._next]
            if intended_s > now:
                break
            self._lag_s.append(now - intended_s)
            self._dispatch(self._next)
            self._next += 1
            now = self._now()
        self._count_idling(dispatched=self._next > turned_from)
        if self._next < self._count and self._times[self._next] - now > SLEEP_FROM_S:
            self._idle_from_cpu_s = None
            # Never asleep for more than a second, so that an interrupt need not look for the handle.
            self._loop.call_later(min(1.0, self._times[self._next] - now - WAKE_BEFORE_S), self._tick)
        else:
            self._loop.call_soon(self._tick)

    def _count_idling(self, *, dispatched: bool) -> None:
        """Add the turn that ends here to the idle ones, when nothing came in, went out or was due since the last.

        In processor time, not wall time: what other processes take away from this one is no idling.
        """
        quiet = not dispatched and self.events == self._events_seen
        self._events_seen = self.events
        if dispatched:  # what was dispatched is written after this turn, so the next one is not idle either
            self._idle_from_cpu_s = None
            return
        cpu_s = time.process_time()
        if quiet and self._idle_from_cpu_s is not None:
            self._idle_cpu_s += cpu_s - self._idle_from_cpu_s
        self._idle_from_cpu_s = cpu_s

    # Step 2: connections and the queue.

    def _dispatch(self, request: int) -> None:
        self.events += 1
        if self._idle:
            # Last in, first out: the pool stays as small as the target allows.
            self._write(self._idle.pop(), request)
        else:
            self._queue.append(request)
            self._grow()

    def _write(self, connection: Connection, request: int) -> None:
        self._under_way[request] = connection
        connection.send(request, self._requests[request % len(self._requests)])
        self._written_s.append(self._now())

    def _grow(self) -> None:
        while len(self._opening) < len(self._queue) and self._open < self._spec.max_connections:
            self._open += 1
            self._most_open = max(self._most_open, self._open)
            task = self._loop.create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._spec.timeout_s):
                await self._loop.create_connection(lambda: Connection(self), self._host, self._port)
        except OSError:  # TimeoutError is one
            self._open -= 1
            request = self._head_of_queue()
            if request is not None:
                self.answered(request, CONNECT_ERROR)
            # This task still counts as opening; the next turn of the loop sees the true number.
            self._loop.call_soon(self._grow)

    def connected(self, connection: Connection) -> None:
        """A connection is up."""
        self.events += 1
        self.free(connection)

    def disconnected(self, connection: Connection) -> None:
        """A connection is gone."""
        self.events += 1
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._grow()

    def free(self, connection: Connection) -> None:
        """A connection can take the next request."""
        request = self._head_of_queue()
        if request is None:
            self._idle.append(connection)
        else:
            self._write(connection, request)

    def _head_of_queue(self) -> int | None:
        while self._queue:
            request = self._queue.popleft()
            if self._outcomes[request] == PENDING:
                return request
        return None

    # Steps 3 and 4: settling.

    def answered(self, request: int, outcome: int) -> None:
        """Settle a request."""
        self._under_way.pop(request, None)
        self._outcomes[request] = outcome
        self._age_s[request] = self._now() - self._times[request]
        self._settled += 1
        self._finish_if_settled()

    def _sweep(self) -> None:
        # Send times are sorted and the time allowed is the same for all, so the oldest is always the next to expire.
        expired_s = self._now() - self._spec.timeout_s
        while self._oldest < self._next:
            if self._outcomes[self._oldest] == PENDING:
                if self._times[self._oldest] > expired_s:
                    break
                self._give_up(self._oldest, TIMEOUT)
            self._oldest += 1
        if not self._done.done():
            self._loop.call_later(SWEEP_S, self._sweep)

    def _give_up(self, request: int, outcome: int) -> None:
        connection = self._under_way.get(request)
        if connection is not None:
            connection.abandon()
        self.answered(request, outcome)

    def _finish_if_settled(self) -> None:
        if self._settled == self._count and not self._done.done():
            self._done.set_result(None)

    async def _close(self) -> None:
        for task in tuple(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in self._idle:
            connection.transport.abort()
        await asyncio.sleep(0)

    def _now(self) -> float:
        return monotonic_s() - self._start_s

    def _result(self, duration_s: float, cpu_s: float) -> LoadResult:
        outcomes = np.array(self._outcomes[: self._next], dtype=np.int16)
        age_s = np.array(self._age_s[: self._next], dtype=np.float64)
        times_s = np.asarray(self._spec.times_s[: self._next], dtype=np.float64)
        errors = Counter(outcome_name(code) for code in outcomes[outcomes != OK].tolist())
        answered = outcomes == OK
        return LoadResult(
            scheduled=self._next,
            sent=len(self._written_s),
            completed=int(np.isin(outcomes, (OK, NOT_JSON)).sum() + (outcomes >= 100).sum()),
            ok=int(answered.sum()),
            errors=dict(sorted(errors.items())),
            latency=histogram_of(age_s[answered | (outcomes == TIMEOUT)]),
            send_lag=histogram_of(self._lag_s),
            sent_peak=_peak(np.array(self._written_s)),
            ok_peak=_peak((times_s + age_s)[answered]),
            duration_s=duration_s,
            cpu_s=cpu_s,
            cpu_share=cpu_s / duration_s,
            connections=self._most_open,
            interrupted=self._interrupted,
            series=series_of(times_s, age_s, outcomes),
        )


def _peak(instants_s: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> Peak | None:
    return peak_of(instants_s) if instants_s.size else None
