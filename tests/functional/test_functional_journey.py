"""The first journey on the demonstration: assess, look, repair, look again, prove."""

import json
from pathlib import Path
from typing import Any

import pytest

from roadworthy.cli.app import execute
from roadworthy.demo.materials import repair_feed
from small_project import Project

# Every check but the load test, which takes a minute by design and has a test of its own below.
QUICK = ("D1", "D2", "D4", "D7", "D9", "D13", "D14", "T14", "T16")
BEFORE = {
    "D4": "not_satisfied",
    "D13": "not_satisfied",
    "D7": "satisfied",
    "D14": "satisfied",
    "T14": "satisfied",
    "T16": "satisfied",
    "T3": "missing",
    "G1": "missing",
}


def states(capsys: pytest.CaptureFixture[str], project: Project) -> dict[str, str]:
    capsys.readouterr()
    project.run("gate", "--json")
    return {each["criterion_id"]: each["state"] for each in json.loads(capsys.readouterr().out)["readings"]}


def ran(capsys: pytest.CaptureFixture[str], project: Project, *only: str) -> dict[str, Any]:
    capsys.readouterr()
    code = project.run("inspect", *only, "--json")
    assert code == 1
    return {each["check"]: each for each in json.loads(capsys.readouterr().out)["ran"]}


def test_the_journey(demo: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged feed keeps the gate closed; repaired, only what depends on it runs again and turns; the bundle proves it."""
    # Assess: every check completes, and what was planted is found.
    first = ran(capsys, demo, *QUICK)
    assert {each["outcome"] for each in first.values()} == {"completed"}
    assert len(first) == len(QUICK)
    before = states(capsys, demo)
    assert {name: before[name] for name in BEFORE} == BEFORE
    assert before["D1"] in {"not_satisfied", "indeterminate"}
    # Nothing has changed, so nothing runs.
    assert ran(capsys, demo, *QUICK) == {}
    # Sign what no program can know.
    demo.add_people()
    assert demo.as_person("sign", "G2") == 0
    assert states(capsys, demo)["G2"] == "satisfied"
    # Repair the feed: what reads it is stale, nothing else.
    assert repair_feed(demo.folder)
    second = ran(capsys, demo, *QUICK)
    assert {"data_quality.contract", "performance.production", "performance.threshold", "performance.delta"} <= set(
        second
    )
    assert "endpoint.messy_input" not in second
    assert "endpoint.health" not in second
    after = states(capsys, demo)
    assert {name: after[name] for name in ("D1", "D4", "D9", "D13")} == {
        "D1": "satisfied",
        "D4": "satisfied",
        "D9": "satisfied",
        "D13": "not_satisfied",
    }
    # Prove it, from the bundle alone.
    bundle = str(tmp_path / "bundle.zip")
    assert demo.run("export", bundle) == 0
    assert execute(["verify", bundle]) == 0
    capsys.readouterr()
    assert demo.run("gate", "--json") == 1
    stored = capsys.readouterr().out
    assert execute(["gate", "--bundle", bundle, "--json"]) == 1
    assert capsys.readouterr().out == stored


def test_the_page_and_the_registers_agree(demo: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every open gap of the register is on the page, with its owner's role or name."""
    ran(capsys, demo, "D4", "T14")
    page = tmp_path / "report.html"
    assert demo.run("report", str(page)) == 0
    capsys.readouterr()
    assert demo.run("gaps", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    html = page.read_text(encoding="utf-8")
    assert len(said["gaps"]) > 10
    assert said["plan"]["critical_path"]
    assert all(gap["criterion_id"] in html for gap in said["gaps"])
    assert "<script" not in html


@pytest.mark.slow
def test_the_load_test_ends_with_evidence(demo: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A minute at 150 % of the peak: it completes, or says why the generator's figures would flatter the target."""
    capsys.readouterr()
    code = demo.run("inspect", "T3", "--json")
    (run,) = json.loads(capsys.readouterr().out)["ran"]
    if run["outcome"] == "completed":
        assert (code, run["criteria"]) == (1, {"T3": "met"})
    else:
        assert code == 3
        assert "RW-203" in run["problem"]
