"""The front door against raw sockets: bounds, deadlines, order, and what is never read twice."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from raw_server import door, exchange, self_signed, statuses

from roadworthy.gateway import protocol
from roadworthy.gateway.protocol import WireLimits

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
def standing():
    """One door for all tests that keep its bounds."""
    with door() as found:
        yield found


@pytest.fixture
def port(standing):
    """Its port, with nothing seen yet."""
    number, seen = standing
    seen.requests.clear()
    seen.refusals.clear()
    seen.headers.clear()
    return number


def test_a_plain_request_passes(port, standing) -> None:
    """The usual case, twice over one connection."""
    answers = exchange(port, GET + GET, shut=False, timeout_s=0.3)
    assert statuses(answers) == [200, 200]
    assert standing[1].requests == [("GET", "/a", b"")] * 2


def test_a_body_may_come_in_pieces(port, standing) -> None:
    """Length and chunks."""
    chunks = [POST + b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"2;x=y\r\nde\r\n", b"0\r\n\r\n"]
    assert statuses(exchange(port, *chunks, wait_s=0.01, shut=False, timeout_s=0.3)) == [200]
    assert statuses(exchange(port, POST + b"Content-Length: 5\r\n\r\n", b"abcde", wait_s=0.01)) == [200]
    assert [body for _, _, body in standing[1].requests] == [b"abcde", b"abcde"]


def test_expect_continue_is_answered_before_the_body(port) -> None:
    """The caller waits for the word before it sends."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
        client.sendall(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100 Continue")
        client.sendall(b"ab")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 33_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n", 417),
    ],
    ids=["target", "count", "bytes", "expectation"],
)
def test_bounds_have_their_own_status(port, standing, request_bytes: bytes, status: int) -> None:
    """The caller learns which bound it was."""
    assert statuses(exchange(port, request_bytes)) == [status]
    assert standing[1].requests == []
    assert standing[1].refusals == [status]


def test_a_head_in_two_pieces_is_measured_whole(port) -> None:
    """The first piece alone is too large already."""
    assert statuses(exchange(port, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 34_000, b"\r\n\r\n", wait_s=0.05)) == [
        431
    ]


@pytest.mark.parametrize("endless", [b"X: ", b"X" * 10, b""], ids=["value", "name", "target"])
def test_an_endless_line_is_cut_off(port, endless: bytes) -> None:
    """The parser hands nothing over until a line ends, so what it holds is bounded from outside."""
    start = b"GET / HTTP/1.1\r\nHost: a\r\n" + endless if endless else b"GET /"
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
        client.sendall(start)
        try:
            while sent < 4_000_000:
                client.sendall(b"a" * 8_192)
                sent += 8_192
                time.sleep(0.001)
                client.setblocking(False)
                try:
                    answer = client.recv(1000)
                    break
                except BlockingIOError:
                    client.settimeout(2)
        except OSError:
            answer = b"HTTP/1.1 431"
    assert b" 431 " in answer or b" 414 " in answer or answer == b"HTTP/1.1 431"
    assert sent < 400_000


@pytest.mark.parametrize(
    "endless",
    [b"1\r\nx\r\n0\r\nTrailer: ", b"3;ext=", b"1\r\nx\r\n0\r\nT: v\r\n"],
    ids=["trailer", "extension", "many"],
)
def test_what_stands_between_the_parts_of_a_body_is_bounded(port, standing, endless: bytes) -> None:
    """Trailers and chunk extensions without end."""
    pieces = [POST + b"Transfer-Encoding: chunked\r\n\r\n" + endless]
    pieces += [b"T: v\r\n" * 1_400 if endless.endswith(b"\n") else b"a" * 8_192] * 20
    assert statuses(exchange(port, *pieces, wait_s=0.003)) == [431]
    assert standing[1].requests == []


def test_trailers_do_not_join_the_headers(port, standing) -> None:
    """What was judged is what the application sees."""
    body = b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nAuthorization: stolen\r\n\r\n"
    assert statuses(exchange(port, POST + body)) == [200]
    assert [name for name, _ in standing[1].headers[0]] == [b"host", b"transfer-encoding"]


def test_nothing_is_read_after_a_request_that_closes(port, standing) -> None:
    """Bytes behind connection: close are nobody's request."""
    closing = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert statuses(exchange(port, closing + GET)) == [200]
    assert statuses(exchange(port, b"GET /a HTTP/1.0\r\n\r\n" + GET)) == [200]
    assert len(standing[1].requests) == 2


def test_nothing_is_read_after_a_refusal(port, standing) -> None:
    """A smuggled second request has no connection any more."""
    assert statuses(exchange(port, b"GET / HTTP/1.1\r\n\r\n" + GET, GET)) == [400]
    assert standing[1].requests == []


def test_the_refusal_of_a_broken_body_reaches_its_application(port, standing) -> None:
    """It is told that the caller is gone, and the caller gets one answer."""
    before = standing[1].gone
    assert statuses(exchange(port, POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")) == [400]
    for _ in range(100):
        if standing[1].gone == before + 1:
            break
        time.sleep(0.01)
    assert standing[1].gone == before + 1


def test_a_refusal_waits_for_the_answers_before_it() -> None:
    """Else the caller would take it for the answer to its first request."""
    with door(pause_s=0.1) as (port, seen):
        slow = b"GET /first?slow HTTP/1.1\r\nHost: a\r\n\r\n"
        assert statuses(exchange(port, slow + b"GET /second HTTP/1.1\r\n\r\n", shut=False)) == [200, 400]
        broken = POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
        assert statuses(exchange(port, slow + broken, shut=False)) == [200, 400]
        assert [target for _, target, _ in seen.requests] == ["/first", "/first"]


def test_answers_keep_the_order_of_their_requests() -> None:
    """A slow first request holds the quick second one back."""
    with door(pause_s=0.05) as (port, _):
        answers = exchange(port, b"GET /1?slow HTTP/1.1\r\nHost: a\r\n\r\n" + GET, shut=False, timeout_s=0.3)
    assert answers.index(b"GET /1") < answers.index(b"GET /a")


def test_requests_sent_ahead_are_bounded() -> None:
    """Ten thousand tiny requests fit one packet."""
    with door(WireLimits(pipelined=5), pause_s=0.05) as (port, seen):
        found = statuses(exchange(port, b"GET /1?slow HTTP/1.1\r\nHost: a\r\n\r\n" + GET * 50, shut=False))
    assert found == [200] * 6 + [400]
    assert len(seen.requests) == 6


def test_every_waiting_request_learns_that_the_caller_is_gone() -> None:
    """Not only the newest one: each holds a place in the gateway."""
    gone = []

    async def app(scope, receive, send):
        await receive()
        message = await receive()
        gone.append((scope["path"], message["type"]))

    with door(app=app) as (port, _), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(GET + GET)
        time.sleep(0.1)
        client.close()
        time.sleep(0.2)
    assert gone == [("/a", "http.disconnect")]


def test_connections_are_capped() -> None:
    """One more than allowed is told so."""
    with door(WireLimits(connections=2)) as (port, seen):
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        time.sleep(0.1)
        assert statuses(exchange(port, GET)) == [503]
        for each in held:
            each.close()
        time.sleep(0.1)
        assert statuses(exchange(port, GET)) == [200]
    assert seen.refusals == [503]


@pytest.mark.alone
def test_a_slow_head_is_ended() -> None:
    """A byte now and then does not hold a connection: the deadline is the whole head's."""
    with door(WireLimits(head_s=0.3, look_s=0.05)) as (port, seen):
        began = time.monotonic()
        answers = exchange(port, b"GET /", *[b"x"] * 20, wait_s=0.05, timeout_s=5, shut=False)
        assert statuses(answers) == [408]
        silent = exchange(port, timeout_s=5, shut=False)
        assert statuses(silent) == [408]
    assert time.monotonic() - began < 8
    assert seen.requests == []


@pytest.mark.alone
def test_a_slow_body_is_ended() -> None:
    """Progress is asked for, not only bytes."""
    with door(WireLimits(body_s=0.3, body_least_bytes=10, look_s=0.05)) as (port, seen):
        head = POST + b"Content-Length: 1000\r\n\r\n"
        assert statuses(exchange(port, head, *[b"x"] * 12, wait_s=0.05, timeout_s=5, shut=False)) == [408]
        assert statuses(exchange(port, head, *[b"x" * 100] * 10, wait_s=0.08, timeout_s=0.5, shut=False)) == [200]
    assert seen.gone == 1


@pytest.mark.alone
def test_a_reader_that_takes_nothing_is_cut_off() -> None:
    """An answer that nobody reads does not stay in memory for ever."""
    ended = threading.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            async with asyncio.timeout(20):
                for _ in range(200):
                    await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
                    if (await asyncio.sleep(0)) is None and scope["state"].get("never"):
                        break
        finally:
            ended.set()

    with (
        door(WireLimits(write_s=0.3, look_s=0.05), app=app) as (port, _),
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        client.sendall(GET)
        assert ended.wait(6)


def test_a_body_that_breaks_after_the_answer_began_ends_the_connection() -> None:
    """What was promised cannot be taken back; nothing is written behind it."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    with door(app=app) as (port, seen):
        pieces = [POST + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n"]
        assert statuses(exchange(port, *pieces, wait_s=0.1, shut=False)) == [200]
    assert seen.refusals == [400]


def test_after_a_refusal_the_connection_does_not_linger_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller has a moment to read the answer; what it sends meanwhile is thrown away."""
    monkeypatch.setattr(protocol, "_LINGER_S", 0.2)
    with door(WireLimits(look_s=0.05)) as (port, seen), socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(2)
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400")
        client.sendall(GET)
        time.sleep(0.5)
        with contextlib.suppress(OSError):
            client.sendall(GET)
        time.sleep(0.1)
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            client.sendall(GET)
    assert seen.requests == []


def test_a_reader_that_is_only_slow_gets_everything() -> None:
    """Being full for a while is no fault."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(20):
            await send({"type": "http.response.body", "body": b"x" * 500_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with door(app=app) as (port, _), socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(5)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        time.sleep(0.2)
        size = 0
        while data := client.recv(1_000_000):
            size += len(data)
    assert size > 10_000_000


def test_over_tls_a_refusal_closes_the_connection(tmp_path: Path) -> None:
    """TLS cannot close one half, so the whole is closed."""
    certificate, key = self_signed()
    (tmp_path / "c.pem").write_bytes(certificate)
    (tmp_path / "k.pem").write_bytes(key)
    context = ssl.create_default_context(cafile=str(tmp_path / "c.pem"))
    with (
        door(tls=tmp_path) as (port, _),
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(GET + b"nonsense\r\n\r\n")
        found = b""
        while data := client.recv(1000):
            found += data
    assert statuses(found) == [200, 400]
