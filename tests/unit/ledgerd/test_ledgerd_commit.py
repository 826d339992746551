import asyncio
import errno
import threading

import pytest
from faulty_storage import FaultyStorage, begin, records

from roadworthy.base.errors import StoreBroken
from roadworthy.ledgerd.commit import GroupCommit, Refusal
from roadworthy.ledgerd.recovery import recover
from roadworthy.wire.ledger_messages import RefusalCode


class HeldStorage(FaultyStorage):
    """Its syncs wait for a gate."""

    def __init__(self, folder):
        super().__init__(folder)
        self.gate = threading.Event()
        self.gate.set()

    def sync(self, handle):
        assert self.gate.wait(10)
        super().sync(handle)


@pytest.fixture
def storage(tmp_path):
    storage = HeldStorage(tmp_path)
    yield storage
    storage.release()


def told(storage, story, *, segment_bytes=4096, **limits):
    """Run ``story(commit)`` with a group commit on the storage; what it returns, after a clean end."""

    async def run():
        _, writer = begin(storage, segment_bytes=segment_bytes)
        commit = GroupCommit(writer, **{"most_waiting": 100, **limits})
        try:
            return await story(commit)
        finally:
            storage.gate.set()
            await commit.close()

    return asyncio.run(run())


def test_an_append_is_durable(storage):
    """Index, size, epoch; and nothing is under way afterwards."""

    async def story(commit):
        assert [await commit.append(records(1, 2)), await commit.append(records(3))] == [0, 2]
        assert (commit.epoch, commit.waiting, commit.refusal) == (1, 0, None)
        return commit.size

    assert told(storage, story) == recover(storage).tail.size == 3


def test_what_waits_during_a_sync_is_the_next_batch(storage):
    """One sync for the first, one for all the others; everybody gets the right index."""

    async def story(commit):
        await commit.append(records(0))
        storage.gate.clear()
        first = asyncio.ensure_future(commit.append(records(1)))
        await asyncio.sleep(0.02)
        others = [asyncio.ensure_future(commit.append(records(number, number))) for number in range(2, 7)]
        await asyncio.sleep(0)
        assert not first.done()
        storage.calls.clear()
        storage.gate.set()
        assert await asyncio.gather(first, *others) == [1, 2, 4, 6, 8, 10]
        return storage.calls.count("sync")

    assert told(storage, story) == 2


def test_a_batch_has_a_size(storage):
    """More than that goes into the batch after it, but a single append is never cut."""

    async def story(commit):
        appends = [commit.append(records(number, payload=b"x" * 500)) for number in range(4)]
        assert await asyncio.gather(*appends) == [0, 1, 2, 3]
        assert await commit.append(records(4, 5, 6, payload=b"x" * 900)) == 4

    told(storage, story, most_batch_bytes=1100, segment_bytes=1 << 16)
    assert [len(part) for part in _frames(storage)] == [2, 2, 3]


def _frames(storage):
    state = recover(storage)
    firsts = [state.frames.locate(index) for index in range(state.tail.size)]
    return [[place for place in firsts if place == each] for each in dict.fromkeys(firsts)]


def test_more_than_the_most_is_refused_as_busy(storage):
    """At once; what waits is not touched, and with room it goes on. Alone, even a larger append is taken."""

    async def story(commit):
        await commit.append(records(0))
        storage.gate.clear()
        waiting = [asyncio.ensure_future(commit.append(records(1, 2))) for _ in range(2)]
        await asyncio.sleep(0.02)
        assert commit.waiting == 4
        with pytest.raises(StoreBroken, match="BUSY"):
            await commit.append(records(3))
        storage.gate.set()
        assert await asyncio.gather(*waiting) == [1, 3]
        assert await commit.append(records(*range(9))) == 5

    told(storage, story, most_waiting=4)


def test_more_bytes_than_the_most_are_refused_as_busy(storage):
    """Few records may hold a lot; what waits is not touched, and alone even a larger one is taken."""

    async def story(commit):
        await commit.append(records(0))
        storage.gate.clear()
        waiting = asyncio.ensure_future(commit.append(records(1, payload=b"x" * 600)))
        await asyncio.sleep(0.02)
        with pytest.raises(StoreBroken, match="BUSY"):
            await commit.append(records(2, payload=b"x" * 600))
        storage.gate.set()
        assert await waiting == 1
        assert await commit.append(records(3, payload=b"x" * 1600)) == 2

    told(storage, story, most_waiting_bytes=1_000)


def test_the_ledger_can_be_broken_off(storage):
    """What is being written is answered, everything else refused, and whoever asked to be told is told once."""
    told_of = []

    async def story(commit):
        await commit.append(records(0))
        commit.when_broken(lambda: told_of.append(commit.refusal))
        storage.gate.clear()
        answers = []
        commit.submit(records(1), lambda outcome: answers.append(("written", outcome)))
        await asyncio.sleep(0.02)
        commit.submit(records(2), lambda outcome: answers.append(("waiting", outcome.code)))
        for _ in range(2):
            commit.break_off("a witness saw another tree")
        commit.submit(records(3), lambda outcome: answers.append(("late", outcome.text)))
        storage.gate.set()
        await commit.close()
        broken = RefusalCode.BROKEN
        assert answers == [("waiting", broken), ("late", "a witness saw another tree"), ("written", 1)]

    told(storage, story)
    assert told_of == [Refusal(RefusalCode.BROKEN, "a witness saw another tree")]


def test_what_is_broken_off_before_it_began_is_refused(storage):
    """In the very turn of the loop in which the first append came; who asks later whether it broke hears of it at once."""

    async def story(commit):
        answers = []
        commit.submit(records(1), answers.append)
        commit.break_off("over")
        await asyncio.sleep(0.02)
        assert [answer.text for answer in answers] == ["over"]
        commit.when_broken(lambda: answers.append("told"))
        assert answers[-1] == "told"

    told(storage, story)
    assert recover(storage).tail.size == 0


def test_listeners_hear_of_every_batch_in_order(storage):
    """First index and leaves; never of one that was refused."""
    heard = []

    async def story(commit):
        commit.listen(lambda first, leaves: heard.append((first, list(leaves))))
        await commit.append(records(1))
        storage.fail = {"write": [errno.ENOSPC]}
        with pytest.raises(StoreBroken, match="DISK"):
            await commit.append(records(2))
        await commit.append(records(3, 4))

    told(storage, story)
    assert heard == [(0, [records(1)[0].leaf]), (1, [each.leaf for each in records(3, 4)])]


def test_a_broken_writer_refuses_everything_for_good(storage):
    """What waited for the next batch as well; and the object still closes."""

    async def story(commit):
        await commit.append(records(0))
        storage.gate.clear()
        storage.fail = {"sync": [errno.EIO], "preallocate": [errno.EIO]}
        answers = []
        commit.submit(records(1), answers.append)
        await asyncio.sleep(0.02)
        commit.submit(records(2), answers.append)
        storage.gate.set()
        with pytest.raises(StoreBroken, match="BROKEN"):
            await commit.append(records(3))
        commit.submit(records(4), answers.append)
        assert {answer.code for answer in answers} == {RefusalCode.BROKEN}
        assert len(answers) == 3
        return commit.refusal

    assert told(storage, story).code is RefusalCode.BROKEN
    assert recover(storage).tail.size <= 2


def test_closing_finishes_what_waits_and_refuses_what_comes(storage):
    """Everything that was taken is answered with an index."""

    async def story(commit):
        storage.gate.clear()
        waiting = [asyncio.ensure_future(commit.append(records(number))) for number in range(3)]
        await asyncio.sleep(0.01)
        closing = asyncio.ensure_future(commit.close())
        await asyncio.sleep(0)
        answers = []
        commit.submit(records(9), answers.append)
        assert answers == [Refusal(RefusalCode.CLOSING, "the ledger is about to stop")]
        storage.gate.set()
        assert await asyncio.gather(*waiting) == [0, 1, 2]
        await closing

    told(storage, story)


def test_the_next_segment_is_made_aside(storage):
    """Once the open one is half full; closing waits for it."""

    async def story(commit):
        await commit.append(records(1, payload=b"x" * 3000))
        await asyncio.sleep(0.05)

    told(storage, story)
    assert "segments/spare" in storage.names("segments")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_that_nobody_foresaw_is_heard_of(storage, monkeypatch):
    """The thread dies of it; whoever waits is refused, and so is all that follows."""

    async def story(commit):
        await commit.append(records(0))
        monkeypatch.setattr(storage, "write", lambda *_: 1 / 0)
        for _ in range(2):
            with pytest.raises(StoreBroken, match="died"):
                await commit.append(records(1))

    told(storage, story)
