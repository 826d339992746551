"""A TCP proxy that spoils what passes through it. Owns the connections and their two pumps; the words are ``toxics``.

How a block goes from one side to the other:
1. it is read and stamped with the instant at which it may leave, which is how latency keeps the throughput;
2. it waits in a queue of bounded length, so that a slow side slows the other one and costs no memory;
3. at its instant it meets the toxics of that moment: swallowed, cut at a limit, sliced, paced;
4. the end of a side passes through the same queue, so that it never overtakes data.

Rules kept here:
1. Toxics change at run time and count from the next block on, also for connections that are open.
2. Every random choice comes from ``seed``, the number of the connection and the direction.
3. Both ends are this machine unless ``allow_remote`` says otherwise: faults in somebody else's traffic are an attack.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import InputError, ParameterError
from roadworthy.probes.fault.toxics import (
    Bandwidth,
    Direction,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)
from roadworthy.probes.http_server import reset_transport
from roadworthy.probes.load.spec import is_loopback
from roadworthy.probes.loop_thread import LoopThread

_BLOCK_BYTES = 1 << 16
_MOST_WAITING = 64
_PACED_BYTES = 1 << 12
_CONNECT_S = 5.0
_END: tuple[float, bytes] = (0.0, b"")


class FaultProxy:
    """A context manager around a proxy in a thread of its own.

    Args:
        host: of the server behind.
        port: of the server behind.
        seed: of jitter and slices.
        allow_remote: whether a server on another machine is meant.

    Raises:
        InputError: a server on another machine without ``allow_remote`` (RW-100).
    """

    def __init__(self, host: str, port: int, *, seed: int = 0, allow_remote: bool = False) -> None:
        if not allow_remote and not is_loopback(host):
            raise InputError(
                f"{host} is not this machine, and faults in traffic that is not yours are an attack.",
                remedy="Ask its owner, then allow a remote target explicitly (allow_remote).",
                where=f"{host}:{port}",
            )
        self.upstream = (host, port)
        self.port = 0
        self._seed = seed
        self._toxics: dict[Direction, tuple[Toxic, ...]] = {Direction.UP: (), Direction.DOWN: ()}
        self._loop: LoopThread | None = None
        self._listener: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._count = 0

    def __enter__(self) -> Self:
        """Start on a free loopback port."""
        self._loop = LoopThread("fault-proxy")
        self._loop.call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and reset what is open."""
        loop = self._running()
        loop.call(self._vanish())
        loop.stop()
        self._loop = None

    @property
    def url(self) -> str:
        """Where it listens, for HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def accepted(self) -> int:
        """How many connections it has taken."""
        return self._count

    def toxics(self, direction: Direction) -> tuple[Toxic, ...]:
        """What spoils this direction now."""
        return self._toxics[direction]

    def set(self, direction: Direction, *toxics: Toxic) -> None:
        """Replace the toxics of a direction; none clears it."""
        self._running().call(self._set(direction, toxics))

    def clear(self) -> None:
        """Let everything pass again."""
        for direction in Direction:
            self.set(direction)

    def go_down(self) -> None:
        """Refuse connections and reset those that are open."""
        self._running().call(self._vanish())

    def come_back(self) -> None:
        """Listen again on the same port."""
        self._running().call(self._listen())

    def _running(self) -> LoopThread:
        if self._loop is None:
            raise ParameterError("The proxy does not run.", remedy="Use it inside its with block.")
        return self._loop

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_BLOCK_BYTES)
        self.port = int(self._listener.sockets[0].getsockname()[1])

    async def _vanish(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        links = list(self._links)
        for link in links:
            link.reset()
        await asyncio.gather(*(link.ended.wait() for link in links))

    async def _set(self, direction: Direction, toxics: Sequence[Toxic]) -> None:
        self._toxics[direction] = tuple(toxics)
        for link in self._links:
            link.arm()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        host, port = self.upstream
        try:
            behind = await asyncio.wait_for(asyncio.open_connection(host, port, limit=_BLOCK_BYTES), _CONNECT_S)
        except OSError:  # refused, unreachable, or not in time: the client sees a reset, as from a dead server
            reset_transport(writer.transport)
            return
        link = _Link(self, self._count, (reader, writer), behind)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    def generator(self, number: int, direction: Direction) -> np.random.Generator:
        """The dice of one direction of one connection."""
        return np.random.default_rng([self._seed, number, list(Direction).index(direction)])


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection through the proxy: two pumps."""

    def __init__(self, proxy: FaultProxy, number: int, client: _Streams, server: _Streams) -> None:
        self._proxy = proxy
        self._writers = (client[1], server[1])
        self._pumps = (
            _Pump(proxy, number, Direction.UP, client[0], server[1]),
            _Pump(proxy, number, Direction.DOWN, server[0], client[1]),
        )
        self._alarms: list[asyncio.TimerHandle] = []
        self._lost = asyncio.Event()
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Pump until both sides have ended, one is lost, or the connection is reset."""
        self.arm()
        pumps = [asyncio.ensure_future(pump.run()) for pump in self._pumps]
        lost = asyncio.ensure_future(self._until_lost())
        waiting: set[asyncio.Future[bool]] = set(pumps)
        try:
            while waiting:
                done, _ = await asyncio.wait({*waiting, lost}, return_when=asyncio.FIRST_COMPLETED)
                if lost in done or not all(task.result() for task in done):
                    break
                waiting -= done
        finally:
            for task in (*pumps, lost):
                task.cancel()
            await asyncio.gather(*pumps, lost, return_exceptions=True)
            for alarm in self._alarms:
                alarm.cancel()
            for writer in self._writers:
                writer.close()
            self.ended.set()

    async def _until_lost(self) -> bool:
        return await self._lost.wait()

    def arm(self) -> None:
        """Set the alarm of a reset, where one is due."""
        loop = asyncio.get_running_loop()
        for direction in Direction:
            for toxic in self._proxy.toxics(direction):
                if isinstance(toxic, ResetPeer):
                    self._alarms.append(loop.call_later(toxic.after_s, self._reset_if, direction, toxic))

    def _reset_if(self, direction: Direction, toxic: ResetPeer) -> None:
        if toxic in self._proxy.toxics(direction):  # it may have gone again
            self.reset()

    def reset(self) -> None:
        """Reset both sides, whatever the pumps wait for."""
        self._lost.set()
        for writer in self._writers:
            reset_transport(writer.transport)


class _Pump:
    """One direction of one connection."""

    def __init__(
        self,
        proxy: FaultProxy,
        number: int,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._direction = direction
        self._reader = reader
        self._writer = writer
        self._dice = proxy.generator(number, direction)
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_WAITING)
        self._passed_bytes = 0

    async def run(self) -> bool:
        """Pump to the end of the side.

        Returns:
            True when the side ended in order, False when the connection shall end as a whole.
        """
        reading = asyncio.ensure_future(self._read())
        try:
            return await self._write()
        except OSError:  # one of the two peers is gone
            return False
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        with contextlib.suppress(OSError):  # a lost connection ends the side like an orderly end
            while block := await self._reader.read(_BLOCK_BYTES):  # 1
                await self._queue.put((monotonic_s() + self._latency_s(), block))  # 2
        await self._queue.put(_END)  # 4

    def _latency_s(self) -> float:
        delay_s = 0.0
        for toxic in self._toxics():
            if isinstance(toxic, Latency):
                jitter_s = toxic.jitter_s and float(self._dice.uniform(-toxic.jitter_s, toxic.jitter_s))
                delay_s += max(0.0, toxic.delay_s + jitter_s)
        return delay_s

    def _toxics(self) -> tuple[Toxic, ...]:
        return self._proxy.toxics(self._direction)

    async def _write(self) -> bool:
        while True:
            due_s, block = await self._queue.get()
            if not block:
                await self._close()
                return True
            await asyncio.sleep(max(0.0, due_s - monotonic_s()))
            if not await self._pass(block):  # 3
                return False

    async def _close(self) -> None:
        for toxic in self._toxics():
            if isinstance(toxic, SlowClose):
                await asyncio.sleep(toxic.delay_s)
        if self._writer.can_write_eof():
            self._writer.write_eof()

    async def _pass(self, block: bytes) -> bool:
        """Pass a block, spoiled as the toxics say; False when the connection shall end."""
        for toxic in self._toxics():
            if isinstance(toxic, Timeout):
                return await self._swallow(toxic)
            if isinstance(toxic, LimitData):
                block = block[: max(0, toxic.most_bytes - self._passed_bytes)]
        for piece, pause_s in self._cut(block):
            self._writer.write(piece)
            await self._writer.drain()
            self._passed_bytes += len(piece)
            await asyncio.sleep(pause_s)
        return not any(
            isinstance(toxic, LimitData) and self._passed_bytes >= toxic.most_bytes for toxic in self._toxics()
        )

    async def _swallow(self, toxic: Timeout) -> bool:
        """Lose a block: go on, or end after the time that the toxic gives."""
        if toxic.after_s == 0:
            return True
        await asyncio.sleep(toxic.after_s)
        return False

    def _cut(self, block: bytes) -> list[tuple[bytes, float]]:
        """The block in pieces, each with the pause after it."""
        slicer = next((toxic for toxic in self._toxics() if isinstance(toxic, Slicer)), None)
        rates = [toxic.bytes_per_s for toxic in self._toxics() if isinstance(toxic, Bandwidth)]
        sizes = self._sizes(len(block), slicer, paced=bool(rates))
        pieces: list[tuple[bytes, float]] = []
        at = 0
        for size in sizes:
            pause_s = (slicer.delay_s if slicer else 0.0) + (size / min(rates) if rates else 0.0)
            pieces.append((block[at : at + size], pause_s))
            at += size
        return pieces

    def _sizes(self, total: int, slicer: Slicer | None, *, paced: bool) -> list[int]:
        sizes: list[int] = []
        while total > 0:
            size = _PACED_BYTES if paced else _BLOCK_BYTES
            if slicer is not None:
                low, high = slicer.average_bytes - slicer.variation_bytes, slicer.average_bytes + slicer.variation_bytes
                size = min(size, max(1, int(self._dice.integers(low, high, endpoint=True))))
            sizes.append(min(size, total))
            total -= sizes[-1]
        return sizes
