"""``roadworthy contract infer``: a draft is written, shown, and never in the place of another."""

import json
from pathlib import Path

import pytest

from roadworthy.cli.app import execute


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A clean table of 120 rows in Windows-1252, with a date that is not ISO."""
    path = tmp_path / "stays.csv"
    lines = ["stay,ward,fee,opened,seen"]
    lines += [
        f"s{row:04},Köln {row % 3},{row % 40 * 1.5 + 10},{row % 9 + 1}/{row % 28 + 1}/{row % 90 + 10},2026-01-{row % 28 + 1:02}"
        for row in range(120)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="cp1252")
    return path


def test_a_draft_is_written_and_shown(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rule, what it says, what it allows, what backs it; the clean file then meets it."""
    output = tmp_path / "stays.odcs.yaml"
    assert execute(["contract", "infer", str(clean), "-o", str(output), "--as-of", "2026-02-01T00:00:00Z"]) == 0
    said = capsys.readouterr().out
    for words in ("cp1252", "Köln 0, Köln 1, Köln 2", "never repeats", "lone rows", "status draft", "the newest row"):
        assert words in " ".join(said.split())
    assert output.read_text(encoding="utf-8").startswith("version")
    assert execute(["contract", "check", str(clean), str(output), "--at", "2026-02-01T00:00:00Z"]) == 0


def test_programs_get_json(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same rules, with the promise."""
    output = tmp_path / "stays.odcs.yaml"
    assert execute(["contract", "infer", str(clean), "-o", str(output), "--json", "--alarm-share", "0.1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["rows"], told["encodings"]) == ("draft", 120, {"stays.csv": "cp1252"})
    rules = {each["rule"]: each for each in told["rules"]}
    assert rules["validity.fee.range"]["says"].startswith('"fee" BETWEEN')
    assert "% of rows" in rules["validity.ward.invalidValues"]["allowed"]
    assert rules["schema.ward.column"]["says"] == "the column is there"
    assert "10 %" in told["promise"]


def test_a_contract_is_not_replaced_unasked(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody may have approved it."""
    output = tmp_path / "stays.odcs.yaml"
    output.write_text("approved", encoding="utf-8")
    assert execute(["contract", "infer", str(clean), "-o", str(output)]) == 2
    assert output.read_text(encoding="utf-8") == "approved"
    assert "--force" in capsys.readouterr().err
    assert execute(["contract", "infer", str(clean), "-o", str(output), "--force"]) == 0
    assert output.read_text(encoding="utf-8") != "approved"


def test_dependencies_and_long_sets_are_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads which column decides which, and how long a list is; notes say what is not promised."""
    path = tmp_path / "shops.csv"
    lines = ["code,town,kind"]
    lines += [f"c{row % 20},t{row % 20 // 2},{'rare' + str(row) if row % 15 == 0 else 'usual'}" for row in range(400)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert execute(["contract", "infer", str(path), "-o", str(tmp_path / "shops.odcs.yaml")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "code decides town" in said
    assert "(20 values)" in said
    assert "not promised: validity.kind.invalidValues" in said
