"""Answers of unknown length to callers who know no chunks."""

import pytest
from raw_server import door, exchange

PIECES = [b"data: 1\n\n", b"", b"data: 22\n\n"]


async def streaming(scope, receive, send):
    """An answer in pieces, or one with a length."""
    await receive()
    sized = [(b"content-length", b"2")] if scope["path"] == "/sized" else []
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-kind", b"test"), *sized]})
    for piece in [b"ok"] if sized else PIECES:
        await send({"type": "http.response.body", "body": piece, "more_body": not sized})
    if not sized:
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module")
def port():
    """Of the front door."""
    with door(app=streaming) as (number, _):
        yield number


def test_the_end_of_the_connection_ends_the_answer(port) -> None:
    """HTTP/1.0 gets neither chunks nor a length, also when it asks to keep the connection."""
    head, _, body = exchange(port, b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in head
    assert b"transfer-encoding" not in head
    assert b"content-length" not in head
    assert body == b"".join(PIECES)


def test_a_length_stays(port) -> None:
    """An answer whose length is known says it."""
    head, _, body = exchange(port, b"GET /sized HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert b"content-length: 2" in head
    assert body == b"ok"


def test_later_versions_get_chunks(port) -> None:
    """As before."""
    head, _, body = exchange(port, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", timeout_s=0.3).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body.endswith(b"0\r\n\r\n")
