"""Which release runs upstream: learnt from the AI system, unknown while it does not say."""

import asyncio
import contextlib

import pytest

from roadworthy.base.errors import TargetUnreachable
from roadworthy.gateway import release_watch
from roadworthy.gateway.release_watch import ReleaseWatch


@pytest.mark.parametrize(
    ("answer", "release"),
    [({"release": "sha256:a"}, "sha256:a"), ({"release": 7}, ""), ({}, ""), (["sha256:a"], ""), (None, "")],
)
def test_only_a_digest_under_its_name_counts(answer: object, release: str) -> None:
    """Anything else is unknown."""

    async def fetch(url: str) -> object:
        assert url == "http://a/release"
        if answer is None:
            raise TargetUnreachable("down", remedy="wait")
        return answer

    watch = ReleaseWatch("http://a/release", lambda _: None, every_s=1, fetch=fetch)
    assert asyncio.run(watch.ask()) == release


def test_it_asks_again_and_soon_when_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change is told."""
    monkeypatch.setattr(release_watch, "AGAIN_S", 0.001)
    answers: list[object] = [{"release": "a"}, {}, {}, {"release": "b"}]
    learnt: list[str] = []
    enough = asyncio.Event()

    def learn(release: str) -> None:
        learnt.append(release)
        if len(learnt) == 5:
            enough.set()

    async def fetch(_url: str) -> object:
        return answers.pop(0) if answers else {"release": "b"}

    async def run() -> None:
        task = asyncio.create_task(ReleaseWatch("http://a", learn, every_s=0.001, fetch=fetch).run())
        await asyncio.wait_for(enough.wait(), 5)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert learnt[:5] == ["a", "", "", "b", "b"]
