"""``contract check``: rules on data, for a person and for a program."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roadworthy.cli.app import execute

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: visits
version: 1.0.0
status: active
schema:
  - name: visits
    properties:
      - {name: patient, logicalType: string, required: true, unique: true}
      - {name: glucose, logicalType: number, logicalTypeOptions: {minimum: 20, maximum: 900}}
      - {name: seen_at, logicalType: timestamp, customProperties: [{property: roadworthy, value: {maxAge: 14 d}}]}
      - {name: site, logicalType: string}
    quality: [{type: text, description: Reviewed each spring.}]
"""
GOOD = "patient,glucose,seen_at,site\np1,90,2026-06-01T10:00:00Z,a\np2,110,2026-06-02T10:00:00Z,a\n"
BAD = (
    GOOD.replace("\n", ",w\n").replace("site,w", "site,ward")
    + "p2,5,2026-06-02T10:00:00Z,b,w\n"
    + "".join(f"q{i},0,2026-06-02T10:00:00Z,b,w\n" for i in range(30))
)
AT = "2026-06-03T00:00:00Z"


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., int]:
    """Runs the command in a folder with the contract and two deliveries."""
    (tmp_path / "c.yaml").write_text(CONTRACT, encoding="utf-8")
    (tmp_path / "good.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bad.csv").write_text(BAD, encoding="utf-8")

    def run(name: str, *words: str, contract: str = "c.yaml") -> int:
        return execute(["contract", "check", str(tmp_path / name), str(tmp_path / contract), *words])

    return run


def test_good_data_keeps_every_rule(check: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, and what is not run is said."""
    assert check("good.csv", "--at", AT) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "rules met." in said and "Not run: " in said and "✗" not in said


def test_broken_rules_are_shown_with_an_example(check: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1; what looks wrong beside the rules is a suspicion."""
    assert check("bad.csv", "--at", AT, "--by", "site") == 1
    assert "The contract does not know: ward" in capsys.readouterr().out
    assert check("bad.csv", "--at", AT, "--by", "site") == 1
    said = " ".join(capsys.readouterr().out.split())
    for expected in (
        "✗ not met",
        "validity.glucose.range",
        "row 2: 5",
        "! glucose is 0 in 30 of 31 rows in b",
        "rules met.",
    ):
        assert expected in said


def test_json_holds_every_rule(check: Callable[..., int], answer: Callable[..., Any]) -> None:
    """Verdicts, counts, examples, suspicions; canonical."""
    code, value = answer(check, "bad.csv", "--at", AT)
    assert (code, value["met"], value["rows"]) == (1, False, 33)
    rules = {rule["rule"]: rule for rule in value["rules"]}
    assert rules["validity.glucose.range"]["bad_rows"] == 31
    assert rules["validity.glucose.range"]["examples"][0] == {"row": 2, "values": ["5"]}
    assert rules["completeness.patient.null"]["verdict"] == "met"
    assert answer(check, "good.csv", "--at", AT)[1]["met"] is True


def test_ages_count_to_now_unless_an_instant_is_given(check: Callable[..., int]) -> None:
    """A delivery of long ago is old today."""
    assert check("good.csv") == 1


def test_a_contract_without_a_rule_proves_nothing(tmp_path: Path, check: Callable[..., int], capsys: Any) -> None:
    """It is an error of use, not a pass."""
    empty = CONTRACT.split("    properties:", maxsplit=1)[0]
    (tmp_path / "empty.yaml").write_text(empty, encoding="utf-8")
    assert check("good.csv", contract="empty.yaml") == 2
    assert "no rule that can be run" in capsys.readouterr().err
    assert execute(["contract"]) == 2
