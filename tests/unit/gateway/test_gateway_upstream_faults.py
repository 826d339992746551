"""The upstream fault matrix: each fault is told by its own name, nothing is repaired, and no descriptor leaks."""

import gzip

import pytest
from fault_matrix import FAULTS, FOUR, HEAD
from fault_server import (
    LOOPS,
    DeafPort,
    FaultServer,
    always,
    answer,
    asked,
    chunks,
    events,
    files_close,
    free_port,
    once,
    open_files,
    patience_for,
    run,
    use_case,
)

from roadworthy.gateway.exchange import Failure, UpstreamFailed
from roadworthy.gateway.upstream.client import StatusFailed, UpstreamClient

pytestmark = pytest.mark.slow


async def send(port, question=None, *, end_mark=None, **upstream):
    """One attempt with a client of its own; the answer with its parts read, if it has any."""
    client = UpstreamClient("primary", use_case(port, **upstream).upstreams["primary"])
    try:
        found = await client.send(question or asked(), end_mark=end_mark)
        if found.parts is not None:
            found.body = b"".join([part async for part in found.parts])
        return found
    finally:
        await client.close()
        assert client.open_connections == 0


async def failing(port, question=None, **options):
    """The failure of one attempt, which must fail."""
    with pytest.raises(UpstreamFailed) as caught:
        await send(port, question, **options)
    return caught.value


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_name(name, loop):
    """The failure says how; the request went out once; every socket is closed again."""
    play, failure = FAULTS[name]

    async def story():
        async with FaultServer(play) as server:
            before = open_files()
            failed = await failing(server.port, most_answer_bytes=2_000, deadlines=patience_for(failure))
            assert (failed.failure, failed.sent, len(server.requests)) == (failure, True, 1)
            assert await files_close(before)

    run(story, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_nobody_listens(loop):
    """Refused at once, nothing was sent."""

    async def story():
        failed = await failing(free_port())
        assert (failed.failure, failed.sent) == (Failure.CONNECT_REFUSED, False)

    run(story, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_nobody_answers_the_connection(loop):
    """The deadline of connecting ends it, nothing was sent."""

    async def story():
        with DeafPort() as deaf:
            await failing(deaf.port, deadlines={"connect_s": 0.05})
            before = open_files()
            failed = await failing(deaf.port, deadlines={"connect_s": 0.1})
            assert (failed.failure, failed.sent) == (Failure.CONNECT_TIMEOUT, False)
            assert await files_close(before)

    run(story, loop)


@pytest.mark.parametrize("value", ["7", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", ""])
def test_retry_after_is_read(value):
    """Digits count, a date that has passed is now, anything else says nothing."""

    async def story():
        headers = f"content-type: application/json\r\nretry-after: {value}"
        async with FaultServer(once(answer(b"{}", "429 Slow down", headers))) as server:
            failed = await failing(server.port)
            assert isinstance(failed, StatusFailed)
            assert failed.status == 429
            assert failed.retry_after_s == {"7": 7.0, "soon": None, "": None}.get(value, 0.0)

    run(story)


GOOD = {
    "length": (answer(), b'{"a":1}'),
    "chunks": (chunks(b'{"a"', b":1}"), b'{"a":1}'),
    "trailers are dropped": (chunks(b"1", end=b"0\r\nx-sum: 1\r\n\r\n"), b"1"),
    "chunk extensions are dropped": (chunks(end=b"1;x=y\r\n1\r\n0\r\n\r\n"), b"1"),
    "open-ended": (HEAD + b"\r\n1", b"1"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n12", b"12"),
    "100 first": (b"HTTP/1.1 100 Continue\r\ncontent-type: a/b\r\n\r\n" + answer(), b'{"a":1}'),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "4xx passes": (answer(b"<html>", "404 Not Found", "content-type: text/html"), b"<html>"),
    "JSON of another name": (answer(b"{}", headers="content-type: application/problem+json; charset=utf-8"), b"{}"),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", GOOD)
def test_good_answers_pass(name, loop):
    """Whatever the framing, the body is what was sent."""
    payload, body = GOOD[name]

    async def story():
        async with FaultServer(once(payload)) as server:
            found = await send(server.port)
            assert found.body == body
            assert not {each for each, _ in found.headers} & {b"transfer-encoding", b"content-length", b"connection"}

    run(story, loop)


def test_a_gzip_bomb_is_not_unfolded():
    """What is small on the wire stays small, and is passed on unread to who asked for it; others could not read it."""
    bomb = gzip.compress(b"0" * 20_000_000)
    coded = asked(headers=[(b"content-type", b"application/json"), (b"accept-encoding", b"gzip")])

    async def story():
        headers = "content-type: application/json\r\ncontent-encoding: gzip"
        async with FaultServer(always(answer(bomb, headers=headers))) as server:
            found = await send(server.port, coded)
            assert found.body == bomb
            assert (b"content-encoding", b"gzip") in found.headers
            assert (await failing(server.port)).failure is Failure.WRONG_CONTENT
        head = "content-type: text/event-stream\r\ncontent-encoding: gzip"
        async with FaultServer(always(chunks(bomb, headers=head))) as server:
            assert (await failing(server.port, asked(stream=True))).failure is Failure.WRONG_CONTENT

    run(story)


@pytest.mark.parametrize("loop", LOOPS)
def test_fifty_megabytes_pass_when_they_may(loop):
    """A long body is neither judged nor cut; a bound below it refuses it before it comes."""
    body = b" " * 50_000_000

    async def story():
        async with FaultServer(once(answer(body))) as server:
            long = {"deadlines": {"total_s": 20, "idle_s": 5}}
            assert len((await send(server.port, **long)).body) == len(body)
            failed = await failing(server.port, most_answer_bytes=49_999_999, **long)
            assert failed.failure is Failure.TOO_LARGE

    run(story, loop)


EVENT = b"data: {}\n\n"
DONE = b"data: [DONE]\n\n"
STREAM = asked(stream=True)


@pytest.mark.parametrize(
    ("play", "end_mark", "failure"),
    [
        (once(events(EVENT, EVENT)), b"data: [DONE]", Failure.STREAM_CUT),
        (once(events(b'data: {"a":"data: [DONE]"}\n\n')), b"data: [DONE]", Failure.STREAM_CUT),
        (once(events(), then="hang"), b"data: [DONE]", Failure.STREAM_CUT),
        (once(events(EVENT, end=b"")), None, Failure.TRUNCATED),
        (once(events(EVENT, end=b""), then="reset"), None, Failure.RESET_IN_BODY),
        (once(events(EVENT, end=b"zz\r\n")), None, Failure.MALFORMED),
        (once(events(EVENT, end=b""), then="hang"), None, Failure.IDLE_TIMEOUT),
        (once(events(end=b""), then="hang"), None, Failure.IDLE_TIMEOUT),
        (once(events(end=b"")), None, Failure.TRUNCATED),
        (once(events(*[EVENT * 100] * 3)), None, Failure.TOO_LARGE),
    ],
)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_stream_that_breaks_says_so(play, end_mark, failure, loop):
    """Before the first part or after it, and nothing is asked twice."""

    async def story():
        async with FaultServer(play) as server:
            before = open_files()
            failed = await failing(
                server.port, STREAM, end_mark=end_mark, most_answer_bytes=2_000, deadlines=patience_for(failure)
            )
            assert (failed.failure, failed.sent, len(server.requests)) == (failure, True, 1)
            assert await files_close(before)

    run(story, loop)


@pytest.mark.parametrize("done", [DONE, b"data:[DONE]\n\n", b"data: [DONE]\r\n\r\n", b"data: [DONE]"])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_whole_stream_passes(done, loop):
    """Its last line ends it, however its line ends are written."""

    async def story():
        async with FaultServer(once(events(EVENT, EVENT, done))) as server:
            found = await send(server.port, STREAM, end_mark=b"data: [DONE]")
            assert found.body == EVENT + EVENT + done

    run(story, loop)


def test_faults_again_and_again_leak_nothing():
    """Fifty failures through one client leave as many descriptors as before."""

    async def story():
        plays = [once(then="reset"), once(answer(b"{}", "503 Busy")), once(HEAD + FOUR), once(answer() + b"x")]
        async with FaultServer(*plays * 12, always(answer())) as server:
            client = UpstreamClient("primary", use_case(server.port).upstreams["primary"])
            before = open_files()
            while server.connections < 48:
                with pytest.raises(UpstreamFailed):
                    await client.send(asked())
            assert (await client.send(asked())).body == b'{"a":1}'
            assert client.open_connections <= 2
            await client.close()
            assert await files_close(before)

    run(story)
