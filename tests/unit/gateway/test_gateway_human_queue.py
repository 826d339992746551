"""The queue of questions for people: bounded, decided once, patient."""

import asyncio

import pytest

from roadworthy.base.errors import ParameterError
from roadworthy.gateway import human_queue
from roadworthy.gateway.human_queue import HumanQueue


def test_a_full_queue_takes_nothing_and_drops_nothing():
    """A decision makes room."""
    queue = HumanQueue("nurses", most_waiting=2)
    first, second = queue.put("triage", b"1"), queue.put("triage", b"2")
    assert queue.put("triage", b"3") is None
    assert [each.body for each in queue.waiting()] == [b"1", b"2"]
    queue.decide(first.id, "person-7", b"{}")
    assert queue.put("triage", b"3").use_case == "triage"
    assert queue.find(first.id).reviewer == "person-7"
    assert queue.find(second.id).decided_at is None
    assert queue.find("review-0") is None


def test_a_question_is_decided_once():
    """The second decision, and one on what was never asked, are refused."""
    queue = HumanQueue("nurses")
    item = queue.put("triage", b"1")
    queue.decide(item.id, "person-7", b"{}")
    for review_id in (item.id, "review-0"):
        with pytest.raises(ParameterError):
            queue.decide(review_id, "person-8", b"{}")
    assert item.reviewer == "person-7"


def test_old_decisions_go_first(monkeypatch):
    """So that memory does not grow."""
    monkeypatch.setattr(human_queue, "MOST_DECIDED", 2)
    queue = HumanQueue("nurses")
    items = [queue.put("triage", b"1") for _ in range(3)]
    for item in items:
        queue.decide(item.id, "person-7", b"{}")
    assert [queue.find(item.id) is not None for item in items] == [False, True, True]


def test_a_caller_waits_for_a_person():
    """Until the decision, or until the time is up; the question stays."""

    async def story():
        queue = HumanQueue("nurses")
        item = queue.put("triage", b"1")
        assert not await queue.wait(item, 0)
        assert not await queue.wait(item, 0.02)
        waiting = asyncio.create_task(queue.wait(item, 5))
        await asyncio.sleep(0)
        queue.decide(item.id, "person-7", b"{}")
        assert await waiting
        assert await queue.wait(item, 0)

    asyncio.run(story())


def test_a_caller_who_leaves_changes_nothing():
    """The question waits on, and can be decided."""

    async def story():
        queue = HumanQueue("nurses")
        item = queue.put("triage", b"1")
        waiting = asyncio.create_task(queue.wait(item, 5))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert queue.waiting() == [item]
        queue.decide(item.id, "person-7", b"{}")

    asyncio.run(story())
