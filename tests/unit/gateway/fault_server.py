"""A server that plays one fault for each connection, byte by byte, and remembers what it was asked.

A play is a coroutine function that gets the ``Stage`` of one connection. The server listens on a free port of the loopback
interface, lives as long as its ``async with`` block, and leaves no socket behind.
"""

import asyncio
import socket
import ssl
import struct
from pathlib import Path

import uvloop

from roadworthy.gateway.config import UseCase
from roadworthy.gateway.exchange import Question

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
JSON = [(b"content-type", b"application/json")]


def run(make, loop="asyncio"):
    """Run the coroutine that ``make`` makes on a loop of its own."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(make())


def open_files():
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def files_close(before):
    """Whether no more descriptors than before are open, given a moment."""
    for _ in range(100):
        if open_files() <= before:
            return True
        await asyncio.sleep(0.01)
    return False


SHORT = {"connect_s": 0.2, "first_byte_s": 0.2, "idle_s": 0.2, "total_s": 0.4}
LONG = {"connect_s": 2, "first_byte_s": 2, "idle_s": 2, "total_s": 4}


def patience_for(failure):
    """Short deadlines for what is found by one, long ones for the rest: a busy machine must not look like a fault."""
    return SHORT if failure.value.endswith("timeout") else LONG


def use_case(port=None, *, upstreams=None, fallback=(), retries=None, routes=None, deadlines=None, **upstream):
    """A use case with one upstream on this port; its deadlines are long where nothing else is said."""
    if upstreams is None:
        upstreams = {"primary": {"url": f"http://127.0.0.1:{port}", "deadlines": LONG | (deadlines or {})} | upstream}
    return UseCase.model_validate(
        {
            "tier": "R1",
            "purposes": ["test"],
            "routes": routes or [{"protocol": "openai", "models": ["m"]}],
            "upstreams": upstreams,
            "retries": retries or {},
            "fallback": list(fallback),
        }
    )


def asked(body=b'{"q":1}', *, method=b"POST", target=b"/v1/chat/completions", headers=None, stream=False):
    """A question in JSON."""
    return Question(method, target, JSON if headers is None else headers, body, stream)


def answer(body=b'{"a":1}', status="200 OK", headers="content-type: application/json"):
    """A whole answer with its length."""
    lines = headers + "\r\n" if headers else ""
    return f"HTTP/1.1 {status}\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def chunks(*parts, end=b"0\r\n\r\n", headers="content-type: application/json"):
    """A whole answer in chunks."""
    head = f"HTTP/1.1 200 OK\r\n{headers}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + b"".join(chunk(part) for part in parts) + end


def chunk(part):
    """One chunk."""
    return b"%x\r\n%b\r\n" % (len(part), part)


def events(*parts, **options):
    """A stream of server-sent events in chunks."""
    return chunks(*parts, headers="content-type: text/event-stream", **options)


def always(payload):
    """Answers every request in the same way."""

    async def play(stage):
        while await stage.read():
            stage.write(payload)

    return play


def once(*steps, then="close"):
    """Reads one request, then writes bytes and sleeps for numbers; then closes, resets or hangs."""

    async def play(stage):
        await stage.read()
        for step in steps:
            if isinstance(step, bytes):
                stage.write(step)
                await stage.drain()
            else:
                await asyncio.sleep(step)
        if then == "reset":
            await asyncio.sleep(0.02)  # what was written must arrive first: a reset discards it
            stage.reset()
        elif then == "hang":
            await stage.hang()

    return play


class Stage:
    """One connection."""

    def __init__(self, reader, writer, server):
        self._reader, self._writer, self._server = reader, writer, server

    async def read(self):
        """The next whole request; b"" when there is none."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = next(
            (int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        request = head + await self._reader.readexactly(length)
        self._server.requests.append(request)
        return request

    async def pause(self):
        """Wait for the beginning of a request, and read no more of it than fits into the buffers."""
        await self._reader.read(1)

    def write(self, data):
        """Send."""
        self._writer.write(data)

    async def drain(self):
        """Wait until it has left, as far as that can be known."""
        await self._writer.drain()

    async def hang(self):
        """Wait until the other side has gone."""
        try:
            while await self._reader.read(65_536):
                pass
        except ConnectionError:
            pass

    def reset(self):
        """Close with a reset instead of a goodbye."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class FaultServer:
    """Plays ``plays`` in turn, one for each connection, the last one for all that follow."""

    def __init__(self, *plays, tls: ssl.SSLContext | None = None):
        self._plays = plays
        self._tls = tls
        self._tasks = set()
        self.requests = []
        self.connections = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        play = self._plays[min(self.connections, len(self._plays) - 1)]
        self.connections += 1
        try:
            await play(Stage(reader, writer, self))
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.CancelledError, ssl.SSLError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)


def free_port():
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class DeafPort:
    """A port whose queue of connections is full: whoever connects gets no answer at all."""

    def __enter__(self):
        self._sockets = [socket.socket()]
        self._sockets[0].bind(("127.0.0.1", 0))
        self._sockets[0].listen(0)
        self.port = self._sockets[0].getsockname()[1]
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._sockets.append(filler)
        return self

    def __exit__(self, *_):
        for each in self._sockets:
            each.close()
