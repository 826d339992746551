"""Streams of server-sent events from an upstream: how they flow, wait and end."""

import asyncio

import pytest
from fault_server import LOOPS, FaultServer, asked, chunk, events, files_close, once, open_files, run
from upstream_rig import ask_once, client_of

from roadworthy.gateway.exchange import Failure, UpstreamFailed
from roadworthy.gateway.upstream import connection as connection_module


@pytest.mark.parametrize("loop", LOOPS)
def test_parts_come_as_they_are_framed(loop):
    """One by one while the stream runs; afterwards its connection is used again."""

    async def play(stage):
        while await stage.read():
            stage.write(events(end=b""))
            for number in range(4):
                stage.write(chunk(b"data: %d\n\n" % number))
                await asyncio.sleep(0.01)
            stage.write(b"0\r\n\r\n")

    async def story():
        async with FaultServer(play) as server:
            client = client_of(server.port)
            for _ in range(2):
                ends = []
                found = await client.send(asked(stream=True), on_stream_end=ends.append)
                assert ends == []
                parts = [part async for part in found.parts]
                assert parts == [b"data: %d\n\n" % number for number in range(4)]
                await found.close()
                assert ends == [None]
            assert server.connections == 1
            await client.close()

    run(story, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stream_given_up_is_cut_off(loop):
    """The upstream sees it, the end is told once."""

    async def story():
        async with FaultServer(once(events(b"data: 1\n\n", end=b""), then="hang")) as server:
            before = open_files()
            client, ends = client_of(server.port), []
            found = await client.send(asked(stream=True), on_stream_end=ends.append)
            await found.close()
            await found.close()
            assert ends == [None]
            assert await anext(found.parts) == b"data: 1\n\n"
            assert await anext(found.parts, None) is None
            assert await files_close(before)
            await client.close()

    run(story, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stream_given_up_before_its_first_part(loop):
    """Its connection goes too."""

    async def story():
        async with FaultServer(once(events(end=b""), then="hang")) as server:
            before = open_files()
            client, attempts = client_of(server.port), []
            task = asyncio.create_task(client.send(asked(stream=True), attempts=attempts))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [each.outcome for each in attempts] == ["cancelled"]
            assert await files_close(before)
            assert client.open_connections == 0
            await client.close()

    run(story, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_slow_reader_holds_the_upstream_back(loop, monkeypatch):
    """No more than the high-water mark is kept, the idle deadline rests meanwhile, and every byte arrives."""
    monkeypatch.setattr(connection_module, "HIGH_WATER_BYTES", 100_000)
    monkeypatch.setattr(connection_module, "LOW_WATER_BYTES", 20_000)
    part, sent = b"data: " + b"x" * 9_992 + b"\n\n", []

    async def play(stage):
        await stage.read()
        stage.write(events(end=b""))
        for _ in range(2_000):
            stage.write(chunk(part))
            await stage.drain()
            sent.append(1)
        stage.write(b"0\r\n\r\n")

    async def story():
        async with FaultServer(play) as server:
            client = client_of(server.port, deadlines={"idle_s": 0.1, "total_s": 10})
            found = await client.send(asked(stream=True))
            await asyncio.sleep(0.3)
            assert len(sent) < 1_500
            count = 0
            async for each in found.parts:
                count += len(each)
            assert count == 2_000 * len(part)
            await client.close()

    run(story, loop)


def test_json_to_a_question_for_a_stream_is_an_answer():
    """An upstream may not stream at all."""
    _, found = ask_once(asked(stream=True))
    assert (found.parts, found.body) == (None, b'{"a":1}')


def test_a_stream_that_nobody_asked_for_is_wrong():
    """The caller expects JSON."""
    with pytest.raises(UpstreamFailed) as caught:
        ask_once(asked(), events(b"data: 1\n\n"))
    assert caught.value.failure is Failure.WRONG_CONTENT
