"""What ``roadworthy monitor`` prints, and its exit codes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitored_project import add_window, served, write_monitored
from roadworthy.base.clock import now
from roadworthy.base.errors import InputError
from roadworthy.cli import monitor
from roadworthy.cli.monitor import seconds
from small_project import Project

Answer = Callable[..., Any]


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Project]:
    """Inspected, one fine window, one that drifted, one that harms; the chapters below stand in the order of their story."""
    with served() as url:
        project = write_monitored(tmp_path / "road", url)
        assert project.run("inspect") == 1
        yield project


def a_round_shows_what_it_looked_at(road: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A table, a line, and what there is to look into; nothing to do the second time."""
    capsys.readouterr()
    assert road.run("monitor", "status") == 0
    assert "No window." in capsys.readouterr().out
    add_window(road, 1)
    add_window(road, 2, drift=True)
    assert road.run("monitor", "run") == 0
    seen = capsys.readouterr()
    assert "✓ shifted but not harmed" in seen.out
    assert "2 windows, 1,200 rows; 1 with drift; no harm found; 1 to look into" in seen.out
    assert "y, since data/feed/w2.parquet (sha256:" in seen.out
    assert "data/feed/w1.parquet: not harmed" in seen.err
    assert road.run("monitor", "run") == 0
    assert "No window." in capsys.readouterr().out


def harm_is_exit_code_1_and_programs_read_json(road: Project, answer: Answer) -> None:
    """The same facts for a program."""
    add_window(road, 3, harm=True)
    code, value = answer(road.run, "monitor", "run")
    assert code == 1
    (window,) = value["round"]["windows"]
    assert (window["verdict"], window["rows"], window["complete"]) == ("harmed", 600, True)
    assert value["round"]["error"] is None
    code, value = answer(road.run, "monitor", "status")
    assert code == 0
    assert [each["name"] for each in value["windows"]] == [f"data/feed/w{number}.parquet" for number in (1, 2, 3)]
    # The third window is within tolerance again.
    assert value["investigations"] == []
    evidence = value["windows"][2]["evidence"]["monitor.risk"]
    assert road.run("evidence", "show", evidence) == 0
    assert road.run("evidence", "show", evidence, "--json") == 0


def problems_and_many_columns_are_told(road: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A window that cannot be read is a question mark, with the reason."""
    (road.folder / "data/feed/w4.parquet").write_bytes(b"PAR1")
    assert road.run("monitor", "run") == 0
    seen = capsys.readouterr().out
    assert "? cannot tell" in seen
    assert "! data/feed/w4.parquet: monitor.inputs: RW-103" in seen


def a_target_that_is_gone_ends_the_round_with_its_code(road: Project, answer: Answer) -> None:
    """4, and the window waits."""
    url = road.manifest.read_text(encoding="utf-8").split('url: "')[1].split('"')[0]
    road.edit("roadworthy.yaml", url, "http://127.0.0.1:9/v2/models/m")
    assert road.run("inspect", "T14") in {1, 4}
    add_window(road, 5)
    code, value = answer(road.run, "monitor", "run")
    assert code == 4
    assert value["round"]["error"]["code"] == "RW-401"
    assert value["round"]["waiting"] == 1
    assert road.run("monitor", "run") == 4
    road.edit("roadworthy.yaml", "http://127.0.0.1:9/v2/models/m", url)


def rounds_on_a_schedule_go_on_after_an_error(
    road: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line each; the pause is what was asked for."""
    pauses: list[float] = []

    class Pause:
        def wait(self, length_s: float) -> None:
            pauses.append(length_s)
            if len(pauses) == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(monitor, "Event", Pause)
    road.edit("models/model.json", "[1]", "[2]")
    capsys.readouterr()
    assert road.run("monitor", "run", "--every", "15m") == 130
    seen = capsys.readouterr()
    assert pauses == [900, 900]
    assert len(seen.err.strip().splitlines()) >= 2
    assert "RW-202" in seen.err


def test_the_story_of_five_windows(
    road: Project, answer: Answer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each chapter builds on the windows of those before, so they are one test, in any order of tests."""
    a_round_shows_what_it_looked_at(road, capsys)
    harm_is_exit_code_1_and_programs_read_json(road, answer)
    problems_and_many_columns_are_told(road, capsys)
    a_target_that_is_gone_ends_the_round_with_its_code(road, answer)
    rounds_on_a_schedule_go_on_after_an_error(road, capsys, monkeypatch)


def test_names_beyond_the_third_are_counted() -> None:
    """The table stays narrow."""
    many = monitor.WindowStatus(
        name="w",
        digest="sha256:00",
        complete=False,
        observed_at=now(),
        rows=1,
        drifted=("a", "b", "c"),
        unsure=("e",),
        lost=("d",),
        verdict=monitor.WindowVerdict.CANNOT_TELL,
        problems={},
        evidence={},
    )
    assert monitor.columns_of(many) == "a, b, c and 1 more; 1 cannot tell"


@pytest.mark.parametrize(("text", "length_s"), [("30s", 30), ("15m", 900), ("2h", 7200), ("0.5d", 43_200)])
def test_durations(text: str, length_s: float) -> None:
    """A number and a unit."""
    assert seconds(text) == length_s


@pytest.mark.parametrize("text", ["", "15", "m", "-1m", "0s", "1e9d", "99999999999d", "5 min"])
def test_what_is_no_duration(text: str) -> None:
    """Refused with a remedy."""
    with pytest.raises(InputError, match="no duration"):
        seconds(text)
