"""The front door beside nginx and h11: what both refuse is refused, and nobody ever sees fewer requests than we do."""

import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

import h11
import pytest
from raw_server import door, exchange, statuses

pytestmark = pytest.mark.slow

H = b"Host: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def get(*lines: bytes, target: bytes = b"/", version: bytes = b"HTTP/1.1") -> bytes:
    """A request without a body."""
    return b"GET " + target + b" " + version + b"\r\n" + b"".join(lines) + b"\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """A request with one."""
    return b"POST / HTTP/1.1\r\n" + H + b"".join(lines) + b"\r\n" + body


# How many requests we take of each; the other two are asked themselves.
ODDITIES: dict[str, tuple[bytes, int]] = {
    "plain": (get(H), 1),
    "two pipelined": (get(H) + get(H), 2),
    "length": (post(b"Content-Length: 3\r\n", body=b"abc"), 1),
    "length zero": (post(b"Content-Length: 0\r\n"), 1),
    "chunked": (post(CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n"), 1),
    "chunked upper case": (post(b"Transfer-Encoding: CHUNKED\r\n", body=b"A\r\n0123456789\r\n0\r\n\r\n"), 1),
    "chunked then pipelined": (post(CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n") + get(H), 2),
    "chunk extension": (post(CHUNKED, body=b"3;a=b\r\nabc\r\n0\r\n\r\n"), 1),
    "trailer": (post(CHUNKED, body=b"0\r\nX: y\r\n\r\n"), 1),
    "empty line before": (b"\r\n" + get(H), 1),
    "version 1.0": (get(version=b"HTTP/1.0"), 1),
    "length and chunked": (post(b"Content-Length: 4\r\n", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED), 0),
    "chunked and length": (post(CHUNKED, b"Content-Length: 4\r\n", body=b"0\r\n\r\n" + SMUGGLED), 0),
    "two lengths": (post(b"Content-Length: 0\r\n", b"Content-Length: 35\r\n", body=SMUGGLED), 0),
    "one length twice": (post(b"Content-Length: 3\r\n", b"Content-Length: 3\r\n", body=b"abc"), 0),
    "list of lengths": (post(b"Content-Length: 3, 3\r\n", body=b"abc"), 0),
    "length with plus": (post(b"Content-Length: +3\r\n", body=b"abc"), 0),
    "length negative": (post(b"Content-Length: -1\r\n", body=b"abc"), 0),
    "length in hex": (post(b"Content-Length: 0x3\r\n", body=b"abc"), 0),
    "length too large": (post(b"Content-Length: 99999999999999999999999\r\n", body=b"abc"), 0),
    "length empty": (post(b"Content-Length: \r\n", body=SMUGGLED), 0),
    "length with space": (post(b"Content-Length: 1 0\r\n", body=b"0123456789"), 0),
    "space before colon": (post(b"Content-Length : 35\r\n", body=SMUGGLED), 0),
    "space before colon of encoding": (post(b"Transfer-Encoding : chunked\r\n", body=b"0\r\n\r\n" + SMUGGLED), 0),
    "encoding twice": (post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 0),
    "encoding list": (post(b"Transfer-Encoding: gzip, chunked\r\n", body=b"0\r\n\r\n"), 0),
    "chunked not last": (post(b"Transfer-Encoding: chunked, identity\r\n", body=b"0\r\n\r\n"), 0),
    "identity": (post(b"Transfer-Encoding: identity\r\n", b"Content-Length: 35\r\n", body=SMUGGLED), 0),
    "encoding with prefix": (post(b"Transfer-Encoding: xchunked\r\n", body=b"0\r\n\r\n"), 0),
    "encoding with vertical tab": (post(b"Transfer-Encoding:\x0bchunked\r\n", body=b"0\r\n\r\n"), 0),
    "encoding folded": (post(b"Transfer-Encoding:\r\n chunked\r\n", body=b"0\r\n\r\n" + SMUGGLED), 0),
    "encoding in quotes": (post(b'Transfer-Encoding: "chunked"\r\n', body=b"0\r\n\r\n"), 0),
    "encoding in 1.0": (b"POST / HTTP/1.0\r\n" + H + CHUNKED + b"\r\n0\r\n\r\n", 0),
    "folded header": (get(H, b"X: a\r\n b\r\n"), 0),
    "first header folded": (get(b" X: a\r\n", H), 0),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: a\n\n", 0),
    "bare line feed in a header": (get(H, b"X: a\nTransfer-Encoding: chunked\r\n"), 0),
    "bare carriage return": (get(H, b"X: a\rY: b\r\n"), 0),
    "zero byte": (get(H, b"X: a\0b\r\n"), 0),
    "control byte": (get(H, b"X: a\x01b\r\n"), 0),
    "no colon": (get(H, b"garbage\r\n"), 0),
    "empty name": (get(H, b": a\r\n"), 0),
    "name with parenthesis": (get(H, b"X(: a\r\n"), 0),
    "no host": (get(), 0),
    "two hosts": (get(H, b"Host: b\r\n"), 0),
    "host with a space": (get(b"Host: a b\r\n"), 0),
    "host with a path": (get(b"Host: a/b\r\n"), 0),
    "host with at sign": (get(b"Host: a@b\r\n"), 0),
    "no version": (b"GET /\r\n\r\n", 0),
    "version 2.0": (get(H, version=b"HTTP/2.0"), 0),
    "version 1.2": (get(H, version=b"HTTP/1.2"), 0),
    "version in small letters": (get(H, version=b"http/1.1"), 0),
    "preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0),
    "method with control byte": (b"G\x01T / HTTP/1.1\r\n" + H + b"\r\n", 0),
    "two spaces before the target": (b"GET  / HTTP/1.1\r\n" + H + b"\r\n", 1),
    "target with a space": (get(H, target=b"/a b"), 0),
    "target with a zero byte": (get(H, target=b"/a\0b"), 0),
    "target with a fragment": (get(H, target=b"/a#b"), 0),
    "target without a slash": (get(H, target=b"a"), 0),
    "absolute target": (get(H, target=b"http://a/b"), 1),
    "connect": (b"CONNECT a:80 HTTP/1.1\r\n" + H + b"\r\n" + SMUGGLED, 0),
    "chunk size in hex with prefix": (post(CHUNKED, body=b"0x3\r\nabc\r\n0\r\n\r\n"), 0),
    "chunk size negative": (post(CHUNKED, body=b"-1\r\nabc\r\n0\r\n\r\n"), 0),
    "chunk size too large": (post(CHUNKED, body=b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n"), 0),
    "chunk with bare line feed": (post(CHUNKED, body=b"3\nabc\n0\n\n"), 0),
    "chunk extension with bare line feed": (post(CHUNKED, body=b"3;a\nxyz\r\n0\r\n\r\n"), 0),
    "chunk size with space": (post(CHUNKED, body=b"3 \r\nabc\r\n0\r\n\r\n"), 0),
    "chunk longer than its size": (post(CHUNKED, body=b"3\r\nabcd\r\n0\r\n\r\n"), 0),
    "last chunk with two zeros": (post(CHUNKED, body=b"00\r\n\r\n"), 1),
    "upgrade with a body": (post(b"Connection: upgrade\r\n", b"Upgrade: x\r\n", b"Content-Length: 35\r\n", body=SMUGGLED), 0),
    "behind connection close": (get(H, b"Connection: close\r\n") + SMUGGLED, 1),
    "behind version 1.0 that would stay": (get(b"Connection: keep-alive\r\n", version=b"HTTP/1.0") + SMUGGLED, 1),
    "behind version 1.0": (get(version=b"HTTP/1.0") + SMUGGLED, 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def front():
    """Our door."""
    with door() as found:
        yield found


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    """The port of an nginx in front of an nginx; both in one process without privileges."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if binary is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
        port, behind = a.getsockname()[1], b.getsockname()[1]
    folder.joinpath("nginx.conf").write_text(_nginx_conf(folder, port, behind))
    command = [binary, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(5)


def _nginx_conf(folder: Path, port: int, behind: int) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    return (
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log crit;\n"
        f"events {{ worker_connections 64; }}\nhttp {{\n  access_log off;\n{temporary}"
        f"  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }}\n"
        f"  server {{ listen 127.0.0.1:{behind}; location / {{ return 200 seen; }} }}\n}}\n"
    )


def seen_by_h11(data: bytes) -> int:
    """How many whole requests h11 takes from the bytes."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    connection.receive_data(b"")
    taken = 0
    while True:
        try:
            event = connection.next_event()
            if isinstance(event, h11.EndOfMessage):
                taken += 1
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return taken
                connection.start_next_cycle()
            elif event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return taken
        except h11.ProtocolError:
            return taken


def seen_by_us(front, data: bytes) -> int:
    """How many whole requests reach the application; the answers on the wire agree."""
    port, seen = front
    seen.requests.clear()
    answers = exchange(port, data, shut=False, timeout_s=0.1)
    assert statuses(answers).count(200) == len(seen.requests)
    return len(seen.requests)


def test_the_table_is_long_enough() -> None:
    """At least forty ways to be odd."""
    assert len(ODDITIES) >= 40


@pytest.mark.parametrize("name", ODDITIES)
def test_we_take_what_we_say(front, name: str) -> None:
    """The table is our promise; anything else is answered with a refusal."""
    data, expected = ODDITIES[name]
    assert seen_by_us(front, data) == expected


@pytest.mark.parametrize("name", ODDITIES)
def test_we_never_see_more_than_h11(front, name: str) -> None:
    """A parser by other hands, strict about grammar."""
    data, expected = ODDITIES[name]
    assert expected <= max(seen_by_h11(data), _TOLERATED.get(name, 0))


_TOLERATED = {"empty line before": 1, "two spaces before the target": 1}
"""What h11 refuses, nginx takes as the same one request, and RFC 9112 allows (sections 2.2 and 3)."""


@pytest.mark.parametrize("name", ODDITIES)
def test_we_never_see_more_than_nginx(nginx, name: str) -> None:
    """The proxy that most often stands in front."""
    data, expected = ODDITIES[name]
    taken = statuses(exchange(nginx, data, shut=False, timeout_s=0.15)).count(200)
    assert expected <= taken
