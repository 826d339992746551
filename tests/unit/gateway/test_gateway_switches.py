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

    async def note(self, actor: str, use_case: str, subject: str, facts: dict[str, str | int]) -> int:
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
    assert asyncio.run(switches.resume("heart", by="ada", reason="fixed", note=ledger.note)) == 1
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
