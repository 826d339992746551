"""The kill switch: stopping waits for nothing, starting waits for the ledger."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from roadworthy.base.errors import ParameterError
from roadworthy.gateway import switches as module
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.switches import ALL, Switches

USE_CASES = frozenset({"heart", "triage"})


class Ledger:
    """Takes notes, or refuses them."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, str, dict[str, str | int]]] = []
        self.down = False
        self.running = asyncio.Event()
        self.running.set()

    @property
    def said(self) -> list[tuple[str, str]]:
        """Subject and reason of each leaf."""
        return [(subject, str(facts["reason"])) for _, _, subject, facts in self.notes]

    async def note(self, actor: str, use_case: str, subject: str, facts: dict[str, str | int]) -> int:
        await self.running.wait()
        if self.down:
            raise Refused(Reason.LEDGER_UNAVAILABLE, 503, "The ledger is down.", retry_after_s=1)
        self.notes.append((actor, use_case, subject, facts))
        return len(self.notes) - 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The state file."""
    return tmp_path / "switches.json"


def off(switches: Switches, use_case: str) -> bool:
    """Whether it is refused."""
    try:
        switches.refuse_if_off(use_case)
    except Refused as refused:
        return (refused.reason, refused.status) == (Reason.SWITCHED_OFF, 503)
    return False


def test_without_a_file_everything_is_on(path: Path) -> None:
    """The first start."""
    switches = Switches(path, USE_CASES)
    assert not off(switches, "heart")
    assert switches.stops == ()


def test_a_stop_reaches_the_other_workers_and_survives_a_restart(path: Path) -> None:
    """By the file."""
    ledger = Ledger()
    here, there = Switches(path, USE_CASES), Switches(path, USE_CASES)
    stop = asyncio.run(here.stop("heart", by="ada", reason="wrong doses", note=ledger.note))
    assert stop.recorded
    assert ledger.notes[0][:3] == ("ada", "heart", "switched off")
    assert off(here, "heart")
    assert not off(here, "triage")
    assert not off(there, "heart")
    there.refresh()
    assert off(there, "heart")
    assert off(Switches(path, USE_CASES), "heart")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_everything_can_be_stopped_at_once(path: Path) -> None:
    """One word for all."""
    switches = Switches(path, USE_CASES)
    ledger = Ledger()
    asyncio.run(switches.stop(ALL, by="ada", reason="fire", note=ledger.note))
    assert off(switches, "heart")
    assert off(switches, "triage")
    asyncio.run(switches.resume(ALL, by="ada", reason="over", note=ledger.note))
    assert not off(switches, "heart")
    assert [use_case for _, use_case, _, _ in ledger.notes] == ["", ""]


def test_a_stop_does_not_wait_for_the_ledger(path: Path) -> None:
    """Its leaf is owed, and paid when the ledger is back."""
    switches, ledger = Switches(path, USE_CASES), Ledger()
    ledger.down = True
    assert not asyncio.run(switches.stop("heart", by="ada", reason="harm", note=ledger.note)).recorded
    assert off(switches, "heart")
    again = Switches(path, USE_CASES)
    ledger.down = False
    asyncio.run(again.record(ledger.note))
    assert again.stops[0].recorded
    assert len(ledger.notes) == 1
    assert ledger.notes[0][3]["stopped_at"] == again.stops[0].at


def test_starting_again_waits_for_the_ledger(path: Path) -> None:
    """No leaf, no traffic."""
    switches, ledger = Switches(path, USE_CASES), Ledger()
    asyncio.run(switches.stop("heart", by="ada", reason="harm", note=ledger.note))
    ledger.down = True
    with pytest.raises(Refused):
        asyncio.run(switches.resume("heart", by="ada", reason="fixed", note=ledger.note))
    assert off(switches, "heart")
    ledger.down = False
    assert asyncio.run(switches.resume("heart", by="ada", reason="fixed", note=ledger.note)) == 2
    # Nobody knew whether the leaf of the start that failed was durable, so the stop stands after it once more.
    assert ledger.said == [("switched off", "harm"), ("switched off", "harm"), ("switched on", "fixed")]
    assert not off(switches, "heart")
    assert not off(Switches(path, USE_CASES), "heart")


@pytest.mark.parametrize("text", ["", "{}", '{"stops": [1]}', '{"stops": [{"use_case": "heart"}]}'])
def test_a_file_that_cannot_be_read_means_off(path: Path, text: str) -> None:
    """Nobody knows what was stopped, so everything is."""
    path.write_text(text)
    assert off(Switches(path, USE_CASES), "triage")


def test_taking_the_file_away_starts_nothing(path: Path) -> None:
    """It is written again."""
    switches = Switches(path, USE_CASES)
    asyncio.run(switches.stop("heart", by="ada", reason="harm", note=Ledger().note))
    path.unlink()
    switches.refresh()
    assert off(switches, "heart")
    assert json.loads(path.read_text())["stops"][0]["use_case"] == "heart"


def test_an_unknown_use_case_cannot_be_switched(path: Path) -> None:
    """A misspelt name must not look like a stop."""
    with pytest.raises(ParameterError, match="hart"):
        asyncio.run(Switches(path, USE_CASES).stop("hart", by="ada", reason="x", note=Ledger().note))


def test_the_watch_follows_the_file_and_pays_what_is_owed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is cancelled."""
    monkeypatch.setattr(module, "POLL_S", 0.01)
    ledger = Ledger()

    async def run() -> None:
        here, there = Switches(path, USE_CASES), Switches(path, USE_CASES)
        watches = [asyncio.create_task(here.watch(ledger.note)), asyncio.create_task(there.watch(None))]
        ledger.down = True
        await here.stop("heart", by="ada", reason="harm", note=ledger.note)
        await asyncio.sleep(0.1)
        assert off(there, "heart")
        ledger.down = False
        await asyncio.sleep(0.1)
        assert here.stops[0].recorded
        for watch in watches:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    asyncio.run(run())
    assert len(ledger.notes) == 1


async def turns() -> None:
    """Let what was begun come to where it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_stop_holds_against_a_start_that_waits_for_the_ledger(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off stays off, and the log ends with a stop."""
    monkeypatch.setattr(module, "ANSWER_S", 0.01)

    async def run() -> None:
        switches, ledger = Switches(path, USE_CASES), Ledger()
        await switches.stop("heart", by="ada", reason="harm", note=ledger.note)
        ledger.running.clear()
        starting = asyncio.create_task(switches.resume("heart", by="bob", reason="fixed", note=ledger.note))
        await turns()
        stop = await switches.stop("heart", by="ada", reason="no", note=ledger.note)
        assert not stop.recorded
        ledger.running.set()
        with pytest.raises(Refused) as refused:
            await starting
        assert refused.value.status == 409
        await switches.record(ledger.note)
        assert off(switches, "heart")
        assert off(Switches(path, USE_CASES), "heart")
        assert ledger.said == [("switched off", "harm"), ("switched on", "fixed"), ("switched off", "no")]
        assert await switches.resume("heart", by="bob", reason="now", note=ledger.note) == 3
        assert not off(switches, "heart")

    asyncio.run(run())


def test_a_stop_holds_against_a_start_that_waits_for_another_leaf(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start was asked for before the stop, so it did not mean that one; it writes no leaf."""
    monkeypatch.setattr(module, "ANSWER_S", 0.01)

    async def run() -> None:
        switches, ledger = Switches(path, USE_CASES), Ledger()
        ledger.running.clear()
        await switches.stop("triage", by="ada", reason="first", note=ledger.note)
        starting = asyncio.create_task(switches.resume("heart", by="bob", reason="fixed", note=ledger.note))
        await asyncio.sleep(0)
        await switches.stop("heart", by="ada", reason="second", note=ledger.note)
        ledger.running.set()
        with pytest.raises(Refused):
            await starting
        await switches.record(ledger.note)
        assert off(switches, "heart")
        assert ledger.said == [("switched off", "first"), ("switched off", "second")]

    asyncio.run(run())


def test_a_leaf_is_written_once_whoever_pays_it(path: Path) -> None:
    """The watch and the administrator come at the same time."""

    async def run() -> None:
        switches, ledger = Switches(path, USE_CASES), Ledger()
        ledger.running.clear()
        stopping = asyncio.create_task(switches.stop("heart", by="ada", reason="harm", note=ledger.note))
        await turns()
        paying = asyncio.create_task(switches.record(ledger.note))
        await asyncio.sleep(0)
        ledger.running.set()
        assert (await stopping).recorded
        await paying
        assert ledger.said == [("switched off", "harm")]

    asyncio.run(run())


def test_a_start_writes_the_stop_first_that_is_owed(path: Path) -> None:
    """A start without its stop would be a riddle."""
    switches, ledger = Switches(path, USE_CASES), Ledger()
    ledger.down = True
    asyncio.run(switches.stop("heart", by="ada", reason="harm", note=ledger.note))
    ledger.down = False
    asyncio.run(switches.resume("heart", by="bob", reason="fixed", note=ledger.note))
    assert ledger.said == [("switched off", "harm"), ("switched on", "fixed")]


def test_who_follows_is_told_of_what_is_off_now(path: Path) -> None:
    """In this worker at once, in the others with the file; of nothing when a stop is only confirmed."""
    here, there, ledger = Switches(path, USE_CASES), Switches(path, USE_CASES), Ledger()
    told: list[str] = []
    here.tell(lambda: told.append("here"))
    there.tell(lambda: told.append("there"))
    asyncio.run(here.stop("heart", by="ada", reason="harm", note=ledger.note))
    there.refresh()
    there.refresh()
    assert told == ["here", "there"]
    asyncio.run(here.resume("heart", by="ada", reason="fixed", note=ledger.note))
    there.refresh()
    assert told == ["here", "there"]


def test_a_start_of_what_is_on_is_only_a_leaf(path: Path) -> None:
    """Refused or not, nothing changes."""
    switches, ledger = Switches(path, USE_CASES), Ledger()
    assert asyncio.run(switches.resume("heart", by="ada", reason="drill", note=ledger.note)) == 0
    ledger.down = True
    with pytest.raises(Refused):
        asyncio.run(switches.resume("heart", by="ada", reason="drill", note=ledger.note))
    assert switches.stops == ()


def test_a_stop_that_comes_while_another_is_written_gets_its_own_leaf(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order."""
    monkeypatch.setattr(module, "ANSWER_S", 0.01)

    async def run() -> None:
        switches, ledger = Switches(path, USE_CASES), Ledger()
        ledger.running.clear()
        for reason in ("first", "second"):
            assert not (await switches.stop("heart", by="ada", reason=reason, note=ledger.note)).recorded
        ledger.running.set()
        await switches.record(ledger.note)
        assert ledger.said == [("switched off", "first"), ("switched off", "second")]
        assert switches.stops[0].recorded

    asyncio.run(run())


def test_what_can_be_switched_changes_with_the_configuration(path: Path) -> None:
    """What is off stays off, and can be switched no more when its use case is gone."""
    switches, ledger = Switches(path, USE_CASES), Ledger()
    asyncio.run(switches.stop("heart", by="ada", reason="harm", note=ledger.note))
    switches.know(frozenset({"triage", "scan"}))
    assert off(switches, "heart")
    assert asyncio.run(switches.stop("scan", by="ada", reason="harm", note=ledger.note)).recorded
    with pytest.raises(ParameterError):
        asyncio.run(switches.resume("heart", by="ada", reason="fixed", note=ledger.note))
