"""Events that nobody can read: where a stream ends when one comes, and what is not judged."""

import asyncio

import pytest
from gateway_rig import DONE, FakeStream, Rig, event

from roadworthy.gateway.streaming import readable

BAD = [b'data: {"choices": [\n\n', b'data: "\xff\xfe"\n\n', b"data: <html>\n\n", b"data: [DON\n\n"]
GOOD = [
    event("a"),
    DONE,
    b": a comment\n\n",
    b"event: ping\n\n",
    b"data:\n\n",
    b'data: {"a":\ndata: 1}\n\n',
    b'event: x\r\ndata: {"a": 1}\r\n\r\n',
    b'id: 7\rdata: {"a": 1}\r\r',
]


@pytest.mark.parametrize("bad", BAD)
def test_a_block_ends_before_the_event_that_cannot_be_read(bad) -> None:
    """What stands before it is kept to the byte."""
    assert readable(b"".join([*GOOD, bad, event("b")])) == b"".join(GOOD)
    assert readable(bad) == b""


def test_events_of_every_form_can_be_read() -> None:
    """Comments, names, data on several lines, each kind of line end."""
    assert readable(b"".join(GOOD)) == b"".join(GOOD)
    assert readable(b"") == b""


@pytest.mark.parametrize("bad", BAD)
def test_a_stream_ends_like_one_that_broke(bad) -> None:
    """Sound events before it left; then comes an error event, and no end mark."""
    rig = Rig()
    stream = FakeStream([event("a"), bad, event("b"), DONE])
    rig.answerer.reply = lambda _question: stream.answer()
    reply = asyncio.run(rig.chat(stream=True))
    assert reply.body.startswith(event("a"))
    assert b'"error"' in reply.body
    assert bad not in reply.body
    assert DONE not in reply.body
    assert stream.closed == 1
    leaf = rig.ledger.leaves[-1]
    assert leaf["reason"] == "stream_cut"
    assert "stream:malformed" in leaf["attempts"]


def test_pieces_of_a_very_long_event_pass() -> None:
    """An event of more than a mebibyte is given out as it comes, so its pieces are no JSON by themselves."""
    long = b'data: {"image": "' + b"x" * 3_000_000 + b'"}\n\n'
    parts = [long[start : start + 700_000] for start in range(0, len(long), 700_000)]
    rig = Rig()
    stream = FakeStream([*parts, event("b"), DONE])
    rig.answerer.reply = lambda _question: stream.answer()
    reply = asyncio.run(rig.chat(stream=True))
    assert reply.body == long + event("b") + DONE
