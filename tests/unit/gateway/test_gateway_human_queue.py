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


def test_a_queue_is_full_of_bytes_too():
    """Few long questions fill it like many short ones; a decision drops the question."""
    queue = HumanQueue("nurses", most_waiting_bytes=10)
    first = queue.put("triage", b"12345678")
    assert queue.put("triage", b"123") is None
    assert queue.put("triage", b"12") is not None
    queue.decide(first.id, "person-7", b"{}")
    assert (first.body, first.answer) == (b"", b"{}")
    assert queue.put("triage", b"12345678") is not None
    assert queue.put("triage", b"1") is None


def test_answers_that_are_kept_are_bounded_in_bytes(monkeypatch):
    """The newest stays, however long it is."""
    monkeypatch.setattr(human_queue, "MOST_DECIDED_BYTES", 10)
    queue = HumanQueue("nurses")
    items = [queue.put("triage", b"1") for _ in range(4)]
    for item, answer in zip(items, (b"12345", b"12345", b"1", b"123456789012"), strict=True):
        queue.decide(item.id, "person-7", answer)
    assert [queue.find(item.id) is not None for item in items] == [False, False, False, True]


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
