import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from publisher_rig import LEAVES, Feed, checkpoint, nothing, run, until

from published_log import LOG, VKEY
from roadworthy.base.errors import LedgerBroken, ParameterError, StoreBroken
from roadworthy.ledger.log import verify_log
from roadworthy.ledger.merkle import leaf_hash, root
from roadworthy.ledgerd import publisher as module
from roadworthy.ledgerd.publisher import Publisher


def test_a_full_disk_delays_and_loses_nothing(tmp_path, monkeypatch):
    """As soon as there is space, everything is published."""
    monkeypatch.setattr(module, "RETRY_S", 0.01)

    async def story(publisher: Publisher, feed: Feed) -> None:
        write, full = publisher.store.write, True

        def failing(tiles, *, checkpoint):
            if full:
                raise StoreBroken("No space.", remedy="Make some.")
            write(tiles, checkpoint=checkpoint)

        monkeypatch.setattr(publisher.store, "write", failing)
        feed.give(300)
        await until(lambda: publisher.fault is not None)
        feed.give(300)
        await asyncio.sleep(0.03)
        assert publisher.size == checkpoint(tmp_path) == 0
        full = False
        await until(lambda: publisher.size == 600)
        assert publisher.fault is None

    run(tmp_path, story)
    assert verify_log(tmp_path, VKEY).problems == ()


def test_a_full_disk_does_not_keep_the_process_from_ending(tmp_path, monkeypatch):
    """The next start publishes it."""

    async def story(publisher: Publisher, feed: Feed) -> None:
        def failing(*_, **__):
            raise StoreBroken("No space.", remedy="Make some.")

        monkeypatch.setattr(publisher.store, "write", failing)
        feed.give(3)

    assert isinstance(run(tmp_path, story).fault, StoreBroken)
    assert run(tmp_path, nothing, already=3).size == 3


def full(*_, **__):
    """What a disk without space does."""
    raise StoreBroken("No space.", remedy="Make some.")


def test_a_full_disk_does_not_prevent_the_start(tmp_path, monkeypatch):
    """The segments may have room: what is published stays as it was, and follows when there is space."""
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    run(tmp_path, nothing, already=5)

    async def main() -> None:
        publisher = Publisher(tmp_path, LOG)
        with monkeypatch.context() as patch:
            patch.setattr(publisher.store, "write", full)
            patch.setattr(publisher.store, "put", full)
            publisher.recover(LEAVES[:700])
            assert isinstance(publisher.fault, StoreBroken)
            publisher.start()
            publisher.on_durable(700, LEAVES[700:710])
            assert (await publisher.covering(4, 0))[0] == 5
            with pytest.raises(ParameterError, match="not under a published checkpoint"):
                await publisher.covering(5, 0.03)
        await until(lambda: publisher.size == 710)
        assert publisher.fault is None
        await publisher.close()

    asyncio.run(main())
    assert verify_log(tmp_path, VKEY).problems == ()


def test_a_full_disk_before_anything_was_published(tmp_path, monkeypatch):
    """The key follows, too; and a stop on the full disk ends at once."""

    async def main() -> None:
        publisher = Publisher(tmp_path, LOG)
        with monkeypatch.context() as patch:
            patch.setattr(publisher.store, "write", full)
            publisher.recover(LEAVES[:3])
            publisher.start()
            await publisher.close()

    asyncio.run(main())
    run(tmp_path, nothing, already=3)
    assert verify_log(tmp_path, VKEY).problems == ()


def test_a_start_that_lacks_too_much_on_a_full_disk_is_refused(tmp_path, monkeypatch):
    """What cannot be written is kept in memory, which has an end."""
    monkeypatch.setattr(module, "MOST_WAITING_BYTES", 100_000)

    async def main() -> None:
        publisher = Publisher(tmp_path, LOG)
        monkeypatch.setattr(publisher.store, "write", full)
        try:
            with pytest.raises(StoreBroken):
                publisher.recover(b"x" * 600 for _ in range(10_000))
        finally:
            await publisher.close()

    asyncio.run(main())


class Segments:
    """Durable leaves in frames of 50; notes from where they were asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.until = len(LEAVES)

    def leaves(self, first_index: int) -> Iterator[tuple[int, tuple[bytes, ...]]]:
        """From the frame on that holds the index."""
        self.asked.append(first_index)
        for first in range(first_index // 50 * 50, self.until, 50):
            yield first, tuple(LEAVES[first : first + 50])


def held_up(tmp_path: Path, monkeypatch, segments: Segments) -> tuple[Publisher, list[int]]:
    """A disk that is full for some time while leaves come, with little memory for them."""
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    monkeypatch.setattr(module, "MOST_WAITING_BYTES", 5_000)
    kept: list[int] = []

    async def main() -> Publisher:
        publisher = Publisher(tmp_path, LOG, segments=segments.leaves)
        publisher.recover(LEAVES[:10])
        publisher.start()
        feed = Feed(publisher, 10)
        with monkeypatch.context() as patch:
            patch.setattr(publisher.store, "write", full)
            for _ in range(90):
                feed.give(10)
                kept.append(sum(map(len, publisher._waiting)))
                await asyncio.sleep(0.001)
        await until(lambda: publisher.size == 910 or isinstance(publisher.fault, LedgerBroken))
        feed.give(90)
        await publisher.close()
        return publisher

    return asyncio.run(main()), kept


def test_what_waits_has_a_limit_and_is_read_again(tmp_path, monkeypatch):
    """A disk that is full for hours costs no memory and no entry."""
    segments = Segments()
    publisher, kept = held_up(tmp_path, monkeypatch, segments)
    assert max(kept) <= 5_000 < sum(map(len, LEAVES[10:910]))
    assert segments.asked
    assert publisher.fault is None
    assert verify_log(tmp_path, VKEY).problems == ()
    assert verify_log(tmp_path, VKEY).checkpoint.root == root([leaf_hash(leaf) for leaf in LEAVES])


def test_segments_that_lost_what_was_durable_end_publishing(tmp_path, monkeypatch):
    """Nothing is published that is not whole."""
    segments = Segments()
    segments.until = 50
    publisher, _ = held_up(tmp_path, monkeypatch, segments)
    assert isinstance(publisher.fault, LedgerBroken)
    assert checkpoint(tmp_path) < 50
