"""A publisher in its event loop, fed with leaves; for the tests of the publisher."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from published_log import LOG, entries
from roadworthy.ledger.checkpoint import open_checkpoint
from roadworthy.ledgerd.publisher import Publisher

LEAVES = entries(1_000)


class Feed:
    """What the group commit does: leaves in their order."""

    def __init__(self, publisher: Publisher, size: int = 0) -> None:
        self.publisher = publisher
        self.size = size

    def give(self, count: int) -> None:
        """The next leaves are durable."""
        self.publisher.on_durable(self.size, LEAVES[self.size : self.size + count])
        self.size += count


def run(folder: Path, story: Callable[[Publisher, Feed], Awaitable[None]], *, already: int = 0) -> Publisher:
    """A publisher from start to end."""

    async def main() -> Publisher:
        publisher = Publisher(folder, LOG)
        try:
            publisher.recover(LEAVES[:already])
            publisher.start()
            await story(publisher, Feed(publisher, already))
        finally:
            await publisher.close()
        return publisher

    return asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Wait a little for something."""
    for _ in range(2_500):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("It did not happen within five seconds.")


def hold_until(condition: Callable[[], bool]) -> None:
    """Let the event loop stand still until a thread has done something, and some time for it to return."""
    while not condition():
        time.sleep(0.001)
    time.sleep(0.02)


async def nothing(_: Publisher, __: Feed) -> None:
    """Start and end."""


def checkpoint(folder: Path) -> int:
    """The size that is published."""
    return open_checkpoint((folder / "checkpoint").read_text(encoding="utf-8"), [LOG.verifier]).size
