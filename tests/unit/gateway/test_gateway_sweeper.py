import asyncio
import time

import pytest
from gateway_rig import Rig, until

from roadworthy.gateway import sweeper as sweeping
from roadworthy.gateway.records import Exchange
from roadworthy.gateway.sweeper import Abandoned


def run(story):
    return asyncio.run(story)


def opened(rig, age_s=0.0):
    exchange = Exchange("infer", time.perf_counter() - age_s)
    exchange.use, exchange.intent = rig.use, 7
    rig.app.sweeper.open(exchange)
    return exchange


def test_only_what_is_overdue_is_closed():
    """The deadline of its use case counts, and it is closed once."""
    rig = Rig(deadline_s=60.0)
    old, young = opened(rig, 61), opened(rig, 59)

    async def story():
        return [await rig.app.sweeper.sweep() for _ in range(2)]

    assert run(story()) == [1, 0] and len(rig.app.sweeper) == 1
    (leaf,) = rig.ledger.leaves
    assert (leaf["kind"], leaf["subject"], leaf["intent"]) == ("exchange.abandoned", old.id, 7)
    assert leaf["took_us"] >= 61_000_000
    with pytest.raises(Abandoned):
        rig.app.sweeper.take(old)
    rig.app.sweeper.take(young)


def test_what_the_ledger_does_not_take_is_tried_again():
    """A refusal and a broken connection only delay the leaf."""
    rig = Rig()
    rig.app.sweeper.give_back(opened(rig))

    async def story():
        rig.ledger.down = True
        assert await rig.app.sweeper.sweep() == 0
        rig.ledger.down, rig.ledger.fail_kinds = False, {"exchange.abandoned"}
        assert await rig.app.sweeper.sweep() == 0
        rig.ledger.fail_kinds = set()
        return await rig.app.sweeper.sweep()

    assert run(story()) == 1 and len(rig.ledger.leaves) == 1


def test_losing_what_is_closed_changes_nothing():
    """Only what is open can be lost."""
    rig = Rig()
    exchange = opened(rig)
    rig.app.sweeper.take(exchange)
    rig.app.sweeper.lose(exchange)
    assert len(rig.app.sweeper) == 0


def test_it_sweeps_by_itself_and_closes_everything_at_the_end(monkeypatch):
    """While it runs what is overdue, at the end what is open."""
    monkeypatch.setattr(sweeping, "_EVERY_S", 0.005)
    rig = Rig()

    async def story():
        old = opened(rig, 61)
        rig.app.sweeper.start()
        await until(lambda: rig.ledger.leaves)
        opened(rig)
        await rig.app.sweeper.close()
        return old

    old = run(story())
    assert rig.ledger.leaves[0]["subject"] == old.id and len(rig.ledger.leaves) == 2
