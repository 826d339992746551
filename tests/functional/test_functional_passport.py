"""The passport of the demonstration's data, for others to read."""

import json
from pathlib import Path

import pytest

from roadworthy.measure.passport.croissant import read_croissant
from roadworthy.measure.passport.openlineage import read_events
from small_project import Project


def test_both_documents_are_written_and_read_again(
    demo: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They speak of the same bytes, and every rule of the pilot holds."""
    croissant, events = tmp_path / "croissant.json", tmp_path / "events.jsonl"
    capsys.readouterr()
    assert demo.run("passport", "--croissant", str(croissant), "--openlineage", str(events), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    description, (event,) = read_croissant(croissant), read_events(events)
    assert description.problems == ()
    assert description.record_sets[0].rows == event.inputs[0].row_count == said["rows"] > 0
    assert (event.inputs[0].version, event.inputs[0].dataset.text) == (said["version"], said["dataset"])
    assert (said["broken"], said["tested"]) == (0, len(event.inputs[0].assertions))
    assert demo.run("passport", "production", "--openlineage", str(events)) == 0
    assert "✓" in capsys.readouterr().out
    assert any(not each.success for each in read_events(events)[0].inputs[0].assertions)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "RW-114"),
        (("holdout", "--croissant", "c.json"), "RW-114"),
        (("training", "--croissant", "c.json"), "RW-1"),
        (("pilot", "--croissant", "none/c.json"), "RW-102"),
    ],
)
def test_what_cannot_be_written_is_said(
    demo: Project, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file asked for, no such data set, no contract, no folder: exit 2."""
    capsys.readouterr()
    assert demo.run("passport", *words) == 2
    assert said in capsys.readouterr().err
