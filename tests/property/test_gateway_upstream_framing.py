"""However the network cuts an answer into pieces, it is the same answer, or the same failure."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.gateway.config import Deadlines
from roadworthy.gateway.exchange import UpstreamFailed
from roadworthy.gateway.upstream.connection import Connection

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-a: b\r\n"
ANSWERS = [
    HEAD + b"content-length: 5\r\n\r\nhello",
    HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nx-t: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + HEAD + b"content-length: 5\r\n\r\nhello",
    HEAD + b"\r\nhello",
    HEAD + b"content-length: 9\r\n\r\nhello",
    HEAD + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhello",
    HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"connection: x-a\r\ncontent-length: 5\r\n\r\nhello",
]


class Pipe:
    """A transport that goes nowhere."""

    def __init__(self):
        self.closing = False

    def write(self, data):
        pass

    def abort(self):
        self.closing = True

    def is_closing(self):
        return self.closing

    def get_write_buffer_size(self):
        return 0


async def read(pieces):
    """What a connection makes of the pieces and the end after them."""
    lost = []
    connection = Connection(asyncio.get_running_loop(), Deadlines(), 1_000, lost.append)
    connection.connection_made(Pipe())
    asked = connection.ask(b"GET / HTTP/1.1\r\n\r\n", b"", until_s=1e9)
    for piece in pieces:
        connection.data_received(piece)
    connection.connection_lost(None)
    assert lost == [connection]
    await asked
    try:
        connection.check()
    except UpstreamFailed as failed:
        return failed.failure
    return connection.status, connection.headers, connection.content_type, connection.body()


@pytest.mark.parametrize("whole", ANSWERS, ids=range(len(ANSWERS)))
@given(cuts=st.sets(st.integers(1, 200), max_size=12))
def test_pieces_make_no_difference(whole, cuts):
    """Cut anywhere, the outcome is that of the whole."""
    places = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(places)]
    assert asyncio.run(read(pieces)) == asyncio.run(read([whole]))


@given(cut=st.integers(1, 10_000), rest=st.binary(max_size=40))
def test_no_bytes_break_it(cut, rest):
    """Whatever follows a good beginning, there is an answer or a failure, never another error."""
    whole = ANSWERS[cut % len(ANSWERS)]
    found = asyncio.run(read([whole[: cut % len(whole)] + rest]))
    assert found is not None
