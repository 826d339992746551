"""The demo, told whole but for its load test, which takes a minute by design."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from roadworthy.base.errors import InputError
from roadworthy.cli import app
from roadworthy.cli.app import execute
from roadworthy.cli.demo import tell
from roadworthy.demo.outage import CALLERS

QUICK = ("D1", "D2", "D4", "D9", "D14", "D18", "D19", "D20", "T14", "T16")
FIGURE = r"-?\d+\.\d{3} \[-?\d+\.\d{3}, -?\d+\.\d{3}\]"
FIVE_LINES = (
    rf"site-c +({FIGURE}) +({FIGURE})",
    rf"mean_symmetry +({FIGURE}) moved +({FIGURE}) moved",
    rf"AUC of telling site +({FIGURE}) p [\d.]+ +({FIGURE}) p [\d.]+",
    r"mean_texture +(4 of 377 rows) +(0 of 360 rows)",
    rf"expected from scores alone +(cannot be told|{FIGURE}) +({FIGURE})",
)


@pytest.mark.slow
def test_the_story_is_told_by_the_commands_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that was planted is found, the repair turns what it touches, and the bundle verifies."""
    typed: list[tuple[str, int]] = []

    def run(words: Sequence[str]) -> int:
        given = [words[0], *QUICK, *words[1:]] if words[0] == "inspect" else list(words)
        code = execute(given)
        typed.append((words[0], code))
        return code

    folder = tmp_path / "demo"
    tell(run, folder)
    told = capsys.readouterr().out
    expected = [
        ("gateway", 0),
        ("tier", 0),
        ("inspect", 1),
        *[("person", 0)] * 3,
        ("sign", 0),
        ("gaps", 0),
        ("gate", 1),
        *[("log", 0)] * 4,
        ("inspect", 1),
        ("sign", 0),
        ("gate", 1),
        ("log", 0),
        ("report", 0),
        ("export", 0),
        ("verify", 0),
    ]
    assert typed == expected
    assert "NOT FOUND" not in told
    assert "site-c: 85 rows converted from millimetres to micrometres" in told
    assert "CLOSED" in told
    assert "not measured" not in told
    lines = [re.search(line, told) for line in FIVE_LINES]
    assert [bool(line) for line in lines] == [True] * 5
    loss, _, told_site, _, expected = [line.groups() for line in lines if line]
    assert _first(loss[0]) > 0.05 > _first(loss[1])
    assert re.search(r"is it harm\? +harmed +shifted but not harmed", told)
    assert _first(told_site[0]) > 0.6 > _first(told_site[1])
    realised = re.search(rf"realised, by the labels +({FIGURE}) +({FIGURE})", told)
    assert realised
    assert _first(realised[1]) < 0.9 < _first(realised[2])
    assert abs(_first(expected[1]) - _first(realised[2])) < 0.02
    _assert_the_outage_was_survived(told)
    for name in ("report.html", "bundle.zip", "roadworthy.yaml", "truth.json"):
        assert (folder / name).stat().st_size > 0


def _assert_the_outage_was_survived(told: str) -> None:
    """Nobody without an answer, the fallback told so, a site without a certificate refused, every answer on record."""
    counted = [re.search(rf"{phase} +(\d+) +(\d+) +(\d+) +0 +0 ", told) for phase in ("runs", "is away", "is back")]
    assert all(counted)
    runs, dead, back = [[int(digits) for digits in found.groups()] for found in counted if found]
    # What was on its way when the model died was answered too.
    assert runs[0] == runs[1] + runs[2]
    assert runs[2] <= 3 * CALLERS
    assert dead[2] >= 120
    assert back[1] >= 30
    assert "The model did not answer. Masses with large nuclei are read first" in told
    assert re.search(r"rung +rule\n", told)
    assert "403" in told
    assert "VERIFIED" in told
    answers = re.search(r"Of (\d+) answers .* (\d+) have their two entries", told)
    assert answers
    assert int(answers[1]) == int(answers[2]) >= sum(each[0] for each in (runs, dead, back))


def _first(figure: str) -> float:
    return float(figure.split(maxsplit=1)[0])


def test_a_folder_that_is_not_a_demo_is_left_alone(tmp_path: Path) -> None:
    """RW-100, and not one file less."""
    (tmp_path / "thesis.txt").write_text("ten years", encoding="utf-8")
    with pytest.raises(InputError, match="holds no demo"):
        tell(lambda words: 0, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_earlier_demo_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command makes room for itself, and is loaded only when it is asked for."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / ".roadworthy-demo").touch()
    (folder / "report.html").write_text("old", encoding="utf-8")
    monkeypatch.setattr("roadworthy.cli.demo.write_demo", _stop)
    assert execute(["demo", "--dir", str(folder)]) == InputError.exit_code
    assert [path.name for path in folder.iterdir()] == [".roadworthy-demo"]


def _stop(*_: object, **__: object) -> None:
    raise InputError("Far enough.", remedy="Nothing.")


@pytest.mark.parametrize(("code", "said"), [(0, ""), (app.INTERRUPTED, "Stopped. What had finished is on record")])
def test_run_leaves_with_the_code_and_says_when_it_was_stopped(
    code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C is no error, but a reader should know what became of their work."""
    monkeypatch.setattr(app, "execute", lambda arguments: code)
    with pytest.raises(SystemExit) as left:
        app.run(["gate"])
    assert left.value.code == code
    assert said in capsys.readouterr().err
