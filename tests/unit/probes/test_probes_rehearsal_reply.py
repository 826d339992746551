"""What a caller sees of answers, whole and torn, and of nobody answering."""

import pytest
from probe_servers import Reset, answer

from roadworthy.probes.rehearsal.reply import ask


def asked(port, **more):
    """One question."""
    return ask(f"http://127.0.0.1:{port}", "POST", "/x", b"body", {"x-a": "b"}, timeout_s=0.5, **more)


def test_a_whole_answer(serve):
    """Status, the gateway's own headers, body, and two instants."""
    lines = "X-Roadworthy-Record: r\r\nX-Roadworthy-Index: 7\r\nX-Roadworthy-Rung: second\r\nX-Roadworthy-Notice: n\r\n"
    server = serve(lambda _: answer(body={"a": 1}, extra=lines))
    reply = asked(server.port)
    assert (reply.status, reply.body, reply.fault, reply.answered) == (200, b'{"a": 1}', "", True)
    assert (reply.record_id, reply.index, reply.rung, reply.notice) == ("r", 7, "second", "n")
    assert 0 < reply.took_s < 5
    assert server.asked[0].body == b"body"
    assert server.asked[0].headers["x-a"] == "b"


def test_an_answer_that_names_nothing(serve):
    """No record, no index, no rung; and an error is no answer."""
    reply = asked(serve(lambda _: answer(status=503)).port)
    assert (reply.record_id, reply.index, reply.rung, reply.answered) == ("", -1, "", False)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n9\r\nno",
    ],
)
def test_a_torn_answer_keeps_what_came(serve, sent):
    """Its status is known, but it is not whole."""
    reply = asked(serve(lambda _: [sent]).port)
    assert reply.status == 200
    assert reply.body.startswith(b"half")
    assert reply.fault
    assert not reply.answered


def test_nobody_answers(serve, closed_port):
    """Refused, reset, silent."""
    assert (asked(closed_port).status, bool(asked(closed_port).fault)) == (0, True)
    reset = asked(serve(lambda _: Reset).port)
    assert (reset.status, bool(reset.fault)) == (0, True)
