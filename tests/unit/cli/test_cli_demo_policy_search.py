"""The second demo, told whole: the processes are real, and so is every answer."""

import re
from pathlib import Path

import pytest

from roadworthy.cli.app import execute

pytestmark = pytest.mark.slow


def test_the_story_of_a_question_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sources within scope, one blotted out, one refused; the fallback told so; feedback and receipts; a sound ledger."""
    folder = tmp_path / "demo"
    assert execute(["demo", "--story", "policy-search", "--dir", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "(exit code" not in told
    assert told.count("up to two days a week. [remote-work]") == 1
    assert re.search(r"people-office \(hr\).*\n.*\n  sources  salary-bands\n", told)
    assert re.search(r"employee \(hr\).*\n  403 ", told)
    assert re.search(r"employee \(internal\): What does.*\n.*\n  sources  redacted\n", told)
    assert told.count("notice   The full search is not available") == 2
    assert re.search(r"sources  annual-leave\n  notice ", told)
    assert told.count("✓ entry ") == 2
    assert "exchange.feedback" in told
    assert "VERIFIED" in told
    rows = re.findall(r"\n +\d+ +(outcome|feedback) +(\S+) +(\S+) *(\S*)", told)
    assert [row[3] for row in rows].count("alternate") == 2
    assert [row[:2] for row in rows][-1] == ("feedback", "employee")
    assert len(rows) == 8


def test_the_readme_of_the_example_shows_commands_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line that begins with roadworthy names a command and options that are known."""
    readme = Path(__file__).parents[3] / "examples" / "gateway-policy-search" / "README.md"
    lines = re.findall(r"^\$? ?roadworthy ([^&\n#>|]+)", readme.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) >= 5
    for line in lines:
        words = [word for word in line.split() if re.fullmatch(r"[a-z]+", word)][:2]
        options = re.findall(r"--[a-z-]+", line)
        capsys.readouterr()
        assert execute([*words, "--help"]) == 0 or execute([words[0], "--help"]) == 0
        said = capsys.readouterr().out
        assert all(option in said for option in options), line
