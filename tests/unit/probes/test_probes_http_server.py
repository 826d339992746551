import asyncio
import json
import socket
import time

import pytest
from raw_http import ask, read_to_end, request, split

from roadworthy.base.errors import TargetUnreachable
from roadworthy.probes import http_server
from roadworthy.probes.http_server import HttpServer, chunk, response
from roadworthy.probes.loop_thread import LoopThread


@pytest.fixture
def serve():
    """A function that serves a handler and returns the port."""
    running = []

    def start(handler):
        loop = LoopThread("http")
        server = HttpServer(handler)
        port = loop.call(server.listen())
        running.append((loop, server))
        return port

    yield start
    for loop, server in running:
        loop.call(server.vanish())
        loop.stop()


async def mirror(asked, reply):
    """Says what it was asked."""
    said = {"method": asked.method, "target": asked.target, "path": asked.path, "body": asked.body.decode()}
    await reply.send(response(200, json.dumps(said | {"x": asked.headers.get("x-one", "")}).encode()))


def test_a_request_is_read_whole(serve):
    """Query, headers in any case, a body in chunks that come one by one."""
    port = serve(mirror)
    head = b"POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nX-ONE: 2\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        for part in (head, b"Transfer-Encoding: chunked\r\n\r\n", chunk(b"he"), chunk(b"llo"), chunk(b"")):
            connection.sendall(part)
            time.sleep(0.01)
        value = json.loads(split(read_to_end(connection)[0])[1])
    assert value == {"method": "POST", "target": "/a/b?c=d", "path": "/a/b", "body": "hello", "x": "2"}


def test_a_body_beyond_the_limit_is_hung_up_on(serve, monkeypatch):
    """Without an answer."""
    monkeypatch.setattr(http_server, "MAX_BODY_BYTES", 10)
    assert ask(serve(mirror), request("/", b"x" * 11))[0] == b""


def test_too_many_pipelined_requests_are_hung_up_on(serve):
    """They would be kept in memory."""

    async def never(_asked, _reply):
        await asyncio.sleep(60)

    one = request("/").replace(b"Connection: close\r\n", b"")
    assert ask(serve(never), one * 100) == (b"", "end")


def test_a_sender_waits_for_a_slow_reader(serve):
    """Memory does not grow with the answer; when the reader leaves, the sender learns it."""
    sent = []

    async def flood(_asked, reply):
        for _ in range(10_000):
            await reply.send(b"x" * 65_536)
            sent.append(65_536)

    port = serve(flood)
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        connection.sendall(request("/"))
        time.sleep(0.3)
        held = sum(sent)
        connection.recv(1 << 20)
    time.sleep(0.1)
    assert 0 < held < 50_000_000
    assert sum(sent) < 10_000 * 65_536


def test_nothing_is_sent_to_a_peer_that_left(serve):
    """The handler gets an error."""
    errors = []

    async def late(_asked, reply):
        reply.reset()
        try:
            await reply.send(b"x")
        except ConnectionResetError as error:
            errors.append(error)
            raise

    assert ask(serve(late), request("/"))[1] == "reset"
    assert len(errors) == 1


def test_what_hangs_in_the_loop_is_an_error_after_its_deadline():
    """RW-401, and the loop still ends."""
    loop = LoopThread("slow")
    try:
        with pytest.raises(TargetUnreachable, match=r"within 0\.05 s"):
            loop.call(asyncio.sleep(60), 0.05)
    finally:
        loop.stop()
