"""Hedges: a second request beside a slow one, and what becomes of the one that nobody takes."""

import asyncio

import pytest
from fault_server import LOOPS, FaultServer, always, answer, asked, events, files_close, once, open_files, run, use_case
from upstream_rig import AGAIN, BUSY, DONE, outcomes

from roadworthy.domain.exchange import RungKind
from roadworthy.gateway.exchange import Answer
from roadworthy.gateway.ladder import build_ladder


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hedge_wins(loop):
    """The slow request is cancelled and written down; its connection is not used again."""

    async def story():
        async with FaultServer(once(then="hang"), always(answer())) as server:
            before = open_files()
            config = use_case(server.port, retries=AGAIN | {"hedge_after_s": 0.03})
            ladder = build_ladder("heart", config)
            found = await ladder.answer(asked(), b"")
            assert outcomes(found) == [("primary", "cancelled", False), ("primary", "200", True)]
            assert found.rung is RungKind.PRIMARY
            await ladder.close()
            assert await files_close(before)

    run(story, loop)


@pytest.mark.parametrize(
    ("plays", "retries", "stream", "told"),
    [
        ((always(answer()),), {}, False, ["200"]),
        ((once(0.06, answer()), once(then="hang")), {}, False, ["200", "cancelled"]),
        ((once(0.06, BUSY), once(0.08, answer())), {}, False, ["503", "200"]),
        ((once(0.06, answer()), once(BUSY)), {}, False, ["200", "503"]),
        ((once(0.06, BUSY), once(0.08, BUSY)), {"most": 0}, False, ["503", "503", "503"]),
        ((once(0.06, answer()), once(answer())), {"idempotent": False}, False, ["200"]),
        ((once(0.06, answer()), once(answer())), {"budget_share": 0}, False, ["200"]),
        ((once(0.06, events(DONE)), once(0.5, events(DONE))), {}, True, ["200", "cancelled"]),
    ],
)
def test_hedges(plays, retries, stream, told):
    """The first good answer wins; without need, safety or budget there is none."""

    async def story():
        async with FaultServer(*plays) as server:
            before = open_files()
            config = use_case(server.port, retries=AGAIN | {"hedge_after_s": 0.03} | retries)
            ladder = build_ladder("heart", config)
            found = await ladder.answer(asked(stream=stream), b"")
            assert [each for _, each, _ in outcomes(found)] == told
            if found.parts:
                assert [part async for part in found.parts] == [DONE]
            await ladder.close()
            assert await files_close(before)

    run(story)


@pytest.mark.parametrize("leaves", [False, True])
def test_streams_that_nobody_takes_are_given_up(leaves):
    """Both requests may be good in one turn, and the caller may leave in that very turn."""

    class Both:
        """An upstream whose answers all come at once."""

        total_s = 1.0

        def __init__(self):
            self.ready, self.begun, self.closed = asyncio.Event(), 0, []

        async def send(self, question, attempts, *, end_mark, until_s, hedge=False):
            self.begun += 1
            await self.ready.wait()

            async def close():
                self.closed.append(hedge)

            return Answer(200, [], parts=None, close=close)

    async def story():
        ladder = build_ladder("heart", use_case(1, retries=AGAIN | {"hedge_after_s": 0.01}))
        ladder._primary = upstream = Both()
        task = asyncio.create_task(ladder.answer(asked(stream=True), b""))
        await asyncio.sleep(0.05)
        assert upstream.begun == 2
        upstream.ready.set()
        if leaves:
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert upstream.closed == [False, True]
        else:
            await task
            assert len(upstream.closed) == 1

    run(story)


def test_a_caller_who_leaves_takes_all_attempts_along():
    """Also a hedge's."""

    async def story():
        async with FaultServer(once(then="hang")) as server:
            before = open_files()
            ladder = build_ladder("heart", use_case(server.port, retries=AGAIN | {"hedge_after_s": 0.02}))
            task = asyncio.create_task(ladder.answer(asked(), b""))
            await asyncio.sleep(0.06)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert server.connections == 2
            assert await files_close(before)
            await ladder.close()

    run(story)
