"""The pool in the turns in which two things happen at once: no place and no connection is ever lost."""

import asyncio
import math

import pytest
from fault_server import LOOPS, FaultServer, always, answer, asked, run, use_case

from roadworthy.gateway.exchange import Failure, UpstreamFailed
from roadworthy.gateway.upstream.address import parse_address
from roadworthy.gateway.upstream.client import UpstreamClient
from roadworthy.gateway.upstream.connection import Connection
from roadworthy.gateway.upstream.pool import Pool

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def pool_of(port, **upstream):
    config = use_case(port, most_connections=1, **upstream).upstreams["primary"]
    return Pool(parse_address(config.url), config, None)


async def used(pool, connection):
    """One exchange over it."""
    await connection.ask(REQUEST, b"", until_s=math.inf)
    connection.check()
    pool.release(connection)


@pytest.mark.parametrize("loses", [True, False])
@pytest.mark.parametrize("loop", LOOPS)
def test_who_is_served_and_leaves_in_the_same_turn_passes_it_on(loop, loses, monkeypatch):
    """Be it a connection or a place for a new one."""

    async def story():
        async with FaultServer(always(answer())) as server:
            pool = pool_of(server.port)
            first = await pool.acquire(math.inf)
            waiting = asyncio.create_task(pool.acquire(math.inf))
            await asyncio.sleep(0)
            hand_over = Pool._hand_over

            def and_leave(self, what):
                served = hand_over(self, what)
                waiting.cancel()
                return served

            monkeypatch.setattr(Pool, "_hand_over", and_leave)
            if loses:
                first.abort()
            else:
                await used(pool, first)
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await asyncio.sleep(0.01)
            monkeypatch.undo()
            await used(pool, pool.take() or await pool.acquire(math.inf))
            assert pool.open_connections == 1
            await pool.close()

    run(story, loop)


def test_a_connection_that_is_gone_when_it_is_handed_out(monkeypatch):
    """Nothing was sent, and its place is free again."""

    async def story():
        async with FaultServer(always(answer())) as server:
            pool, loop = pool_of(server.port), asyncio.get_running_loop()
            create = loop.create_connection

            async def and_lose(*args, **options):
                transport, connection = await create(*args, **options)
                transport.abort()
                await asyncio.sleep(0.01)
                return transport, connection

            monkeypatch.setattr(loop, "create_connection", and_lose)
            with pytest.raises(UpstreamFailed) as caught:
                await pool.acquire(math.inf)
            assert (caught.value.failure, caught.value.sent) == (Failure.RESET_BEFORE_HEAD, False)
            monkeypatch.undo()
            connection = await pool.acquire(math.inf)
            connection.abort()
            await asyncio.sleep(0.01)
            with pytest.raises(UpstreamFailed) as caught:
                connection.ask(REQUEST, b"", until_s=math.inf)
            assert not caught.value.sent
            await pool.close()

    run(story)


def test_closing_while_somebody_connects(monkeypatch):
    """The connection is cut off as soon as it is there."""

    async def story():
        async with FaultServer(always(answer())) as server:
            pool, loop = pool_of(server.port), asyncio.get_running_loop()
            create = loop.create_connection

            async def slowly(*args, **options):
                await asyncio.sleep(0.05)
                return await create(*args, **options)

            monkeypatch.setattr(loop, "create_connection", slowly)
            connecting = asyncio.create_task(pool.acquire(math.inf))
            await asyncio.sleep(0.01)
            await pool.close()
            with pytest.raises(UpstreamFailed) as caught:
                await connecting
            assert caught.value.failure is Failure.POOL_EXHAUSTED
            await asyncio.sleep(0.02)
            assert pool.open_connections == 0

    run(story)


def test_closing_ends_the_line_and_what_is_under_way():
    """Who waits is told, and what comes back is cut off."""

    async def story():
        async with FaultServer(always(answer())) as server:
            pool = pool_of(server.port)
            first = await pool.acquire(math.inf)
            waiting = asyncio.create_task(pool.acquire(math.inf))
            await asyncio.sleep(0)
            await pool.close()
            pool.release(first)
            with pytest.raises(UpstreamFailed):
                await waiting
            assert pool.open_connections == 0

    run(story)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_server_that_hangs_up_during_the_handshake(loop):
    """It is TLS that failed."""

    async def hangs_up(stage):
        stage.reset()

    async def story():
        async with FaultServer(hangs_up) as server:
            config = use_case(server.port, url=f"https://127.0.0.1:{server.port}")
            client = UpstreamClient("primary", config.upstreams["primary"])
            with pytest.raises(UpstreamFailed) as caught:
                await client.send(asked())
            assert (caught.value.failure, caught.value.sent) == (Failure.TLS, False)
            await client.close()

    run(story, loop)


def test_a_dead_free_connection_takes_the_others_along():
    """They are probably as dead: the upstream may have been restarted."""

    async def story():
        async with FaultServer(always(answer())) as server:
            config = use_case(server.port)
            client = UpstreamClient("primary", config.upstreams["primary"], idempotent=True)
            await asyncio.gather(*(client.send(asked()) for _ in range(3)))
            dead = client._pool._free[-1]
            dead.ask = lambda *_, **__: _dies()
            found = await client.send(asked())
            assert [each.outcome for each in found.attempts] == ["reset_before_head", "200"]
            await asyncio.sleep(0.01)
            assert client.open_connections == 1
            await client.close()

    def _dies():
        raise UpstreamFailed(Failure.RESET_BEFORE_HEAD, sent=True)

    class Loose(Connection):
        """Without slots, so that one method can be replaced."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roadworthy.gateway.upstream.pool.Connection", Loose)
        run(story)
