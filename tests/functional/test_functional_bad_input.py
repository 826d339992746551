"""Bad input: a clear error with code and remedy, the documented exit code, and nothing half-written."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.base.clock import now
from roadworthy.cli.app import execute
from roadworthy.wiring.workspace import Workspace
from small_project import Project

pytestmark = pytest.mark.slow

Said = pytest.CaptureFixture[str]


def nothing_written(project: Project) -> bool:
    return not (project.folder / ".roadworthy").exists()


def explained(said: Said, code: str, *words: str) -> None:
    """The error has its code, these words, and a remedy."""
    text = said.readouterr().err
    flat = " ".join(text.split())
    assert code in text
    assert all(word in flat for word in words), flat
    assert "→ " in text or "Remedy:" in text
    assert "Traceback" not in text


def failed(said: Said, project: Project, code: int, error: str, *words: str) -> dict[str, Any]:
    """One check failed for that reason: an error on record, whole and signed, never a pass; returns its run."""
    said.readouterr()
    assert project.run(*words, "--json") == code
    value = json.loads(said.readouterr().out)
    (run,) = value["ran"]
    assert run["outcome"] == "error"
    assert error in run["problem"]
    assert set(run["criteria"].values()) == {"cannot_tell"}
    assert run["findings"][0]["remedy"]
    bundle = project.folder / "b.zip"
    project.run("export", str(bundle))
    assert execute(["verify", str(bundle)]) == 0
    said.readouterr()
    # To a person too, with the same exit code; it is due again, since it did not complete.
    assert project.run(*words) == code
    explained(said, error)
    return dict(run)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("intended_use:", "intendet_use:", ("Unknown key", "Did you mean intended_use?")),
        ("per_1_s: 20", "per_1_s: 20 rps", ("target.peak.per_1_s",)),
        ("p99_ms: 100", "p99_ms: 100 ms", ("slo",)),
        ("p99_ms: 100", "p99_s: 0.1", ("Unknown key", "Did you mean p99_ms?")),
        ("bound: 0.85", "bound: 85", ("quality.bound",)),
        ("roadworthy: 1", "roadworthy: 1\nroadworthy: 1", ("stands twice",)),
    ],
    ids=["unknown key", "rate with text", "time with text", "other unit", "percent", "twice"],
)
def test_a_mistake_in_the_manifest(demo: Project, old: str, new: str, words: tuple[str, ...], capsys: Said) -> None:
    """RW-101 with line, path and the nearest known key; exit code 2."""
    demo.edit("roadworthy.yaml", old, new)
    assert demo.run("inspect", "T14") == 2
    explained(capsys, "RW-101", "line", *words)
    assert nothing_written(demo)


def test_a_contract_without_a_unit(demo: Project, capsys: Said) -> None:
    """RW-105, exit code 2: a range of a quantity says nothing without its unit."""
    path = demo.folder / "contracts/breast.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    lacking = re.sub(r"\{unit: '[^']*', medianRange", "{medianRange", text, count=1)
    assert lacking != text
    path.write_text(lacking, encoding="utf-8")
    failed(capsys, demo, 2, "RW-105", "inspect", "D4")


@pytest.mark.parametrize(
    "name",
    [
        "models/breast.json",
        "serving.yaml",
        "data/pilot.parquet",
        "contracts/breast.odcs.yaml",
        "answers/tier.yaml",
        "data/feed",
    ],
)
def test_a_missing_file(demo: Project, name: str, capsys: Said) -> None:
    """RW-102 with its name, exit code 2."""
    path = demo.folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert demo.run("inspect", "T14") == 2
    explained(capsys, "RW-102", Path(name).name)
    assert nothing_written(demo)


def each_feed(project: Project, change: Callable[[pa.Table], pa.Table]) -> None:
    for path in (project.folder / "data/feed").glob("*.parquet"):
        pq.write_table(change(pq.read_table(path)), path)


def nulls(column: str) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index(column)
        field = table.schema.field(index)
        return table.set_column(index, field, pa.nulls(table.num_rows, field.type))

    return change


@pytest.mark.parametrize("criterion", ["D1", "D4"])
def test_unreadable_parquet(demo: Project, criterion: str, capsys: Said) -> None:
    """RW-103, exit code 2."""
    for path in (demo.folder / "data/feed").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:100])
    failed(capsys, demo, 2, "RW-103", "inspect", criterion)


@pytest.mark.parametrize("criterion", ["D1", "D4", "D9"])
def test_an_empty_data_set(demo: Project, criterion: str, capsys: Said) -> None:
    """RW-104, exit code 2."""
    each_feed(demo, lambda table: table.slice(0, 0))
    failed(capsys, demo, 2, "RW-104", "inspect", criterion)


@pytest.mark.parametrize("criterion", ["D1", "D2", "D9"])
def test_a_label_that_is_null_throughout(demo: Project, criterion: str, capsys: Said) -> None:
    """RW-104, exit code 2: nothing can be judged without outcomes."""
    each_feed(demo, nulls("malignant"))
    failed(capsys, demo, 2, "RW-104", "inspect", criterion)


def test_a_feature_that_is_null_throughout(demo: Project, capsys: Said) -> None:
    """D4 is not satisfied and names the column; it is no error, since the data could be read."""
    each_feed(demo, nulls("mean_radius"))
    capsys.readouterr()
    assert demo.run("inspect", "D4", "--json") == 1
    (run,) = json.loads(capsys.readouterr().out)["ran"]
    assert run["criteria"] == {"D4": "not_met"}
    assert any("mean_radius" in finding["what"] for finding in run["findings"])


@pytest.mark.parametrize("criterion", ["T16", "D13", "D7", "D1", "T3"])
def test_an_endpoint_that_is_down(
    demo: Project, elsewhere: Callable[[int], None], closed_port: int, criterion: str, capsys: Said
) -> None:
    """RW-401, exit code 4; the load test says so at once, not after a minute."""
    elsewhere(closed_port)
    failed(capsys, demo, 4, "RW-401", "inspect", criterion)


@pytest.mark.parametrize("criterion", ["D13", "D7", "D1", "T3"])
def test_an_endpoint_that_answers_html(
    demo: Project, elsewhere: Callable[[int], None], html_port: int, criterion: str, capsys: Said
) -> None:
    """RW-402, exit code 4, with the beginning of the page."""
    elsewhere(html_port)
    run = failed(capsys, demo, 4, "RW-402", "inspect", criterion)
    assert "HTML" in run["problem"]


def test_an_endpoint_that_answers_html_is_not_healthy(
    demo: Project, elsewhere: Callable[[int], None], html_port: int, capsys: Said
) -> None:
    """T16 measures just that: not satisfied, with what was not so."""
    elsewhere(html_port)
    capsys.readouterr()
    assert demo.run("inspect", "T16", "--json") == 1
    (run,) = json.loads(capsys.readouterr().out)["ran"]
    assert run["criteria"] == {"T16": "not_met"}
    assert any("HTML" in finding["what"] for finding in run["findings"])


def test_another_endpoint_makes_evidence_about_the_first_one_stale(
    demo: Project, elsewhere: Callable[[int], None], html_port: int
) -> None:
    """T16 was satisfied by a server that is no longer the target."""
    assert demo.run("inspect", "T16") == 1
    elsewhere(html_port)
    workspace = Workspace(demo.manifest)
    case = workspace.synchronise(workspace.proposal())
    reason = workspace.due(case, workspace.clock())["T16"]
    workspace.close()
    assert reason == "changed since: infrastructure"


def test_a_url_that_leads_to_no_model(demo: Project, capsys: Said) -> None:
    """RW-100, exit code 2."""
    demo.edit("roadworthy.yaml", "/v2/models/breast", "/api")
    failed(capsys, demo, 2, "RW-100", "inspect", "T16")


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("checks: {nosuch.check: {}}", 2, "RW-114"),
        ("checks: {load.peak: {durations_s: 60}}", 2, "RW-114"),
        ("checks: {load.peak: {duration_s: soon}}", 2, "RW-114"),
        ("checks: {load.peak: {duration_s: 1}}", 1, "RW-304"),
    ],
    ids=["unknown check", "unknown parameter", "no number", "loosened"],
)
def test_a_parameter_that_cannot_be_used(demo: Project, text: str, code: int, error: str, capsys: Said) -> None:
    """Said before anything is written, although the check named was not asked for."""
    demo.manifest.write_text(demo.manifest.read_text(encoding="utf-8") + f"\n{text}\n", encoding="utf-8")
    assert demo.run("inspect", "T14") == code
    explained(capsys, error)
    assert nothing_written(demo)


@pytest.mark.parametrize(
    "words",
    [("inspect", "Q77"), ("inspect", "endpoint.helth"), ("gaps", "assign", "T99", "--as", "ada", "--owner", "x")],
    ids=" ".join,
)
def test_an_unknown_criterion(road: Project, words: tuple[str, ...], capsys: Said) -> None:
    """RW-107, exit code 2."""
    size = road.size()
    assert road.run(*words) == 2
    explained(capsys, "RW-107")
    assert road.size() == size


def test_an_unknown_criterion_on_a_fresh_folder(demo: Project, capsys: Said) -> None:
    """Nothing is registered on the way."""
    assert demo.run("inspect", "Q77") == 2
    explained(capsys, "RW-107", "Known here")
    assert nothing_written(demo)


def test_a_clock_in_the_past(road: Project, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    """RW-504, exit code 5."""
    size = road.size()

    def yesterday() -> datetime:
        return now() - timedelta(days=1)

    with monkeypatch.context() as patch:
        patch.setitem(Workspace.__init__.__kwdefaults__, "clock", yesterday)
        assert road.run("inspect", "--all") == 5
        explained(capsys, "RW-504", "before the newest entry")
    assert road.size() == size


def test_evidence_for_another_release(road: Project, road_template: Path, tmp_path: Path, capsys: Said) -> None:
    """RW-202, exit code 3."""
    shutil.copytree(road_template, tmp_path / "other")
    other = Project(tmp_path / "other")
    other.edit("models/model.json", "1", "2")
    other.run("inspect")
    capsys.readouterr()
    assert other.run("evidence", "show", "T14", "--json") == 0
    (tmp_path / "e.json").write_text(capsys.readouterr().out, encoding="utf-8")
    size = road.size()
    assert road.run("evidence", "import", str(tmp_path / "e.json")) == 3
    explained(capsys, "RW-202", "for a release that was inspected here")
    assert road.size() == size


def test_an_expired_waiver(road: Project, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    """Asked for with an end in the past: RW-302, exit code 1."""
    size = road.size()
    words = ("waive", "request", "T14", "--risk-owner", "ada", "--until", "2026-01-01", "--obligation", "x")
    assert road.as_person(*words, "--evidence", "T14", person="ben") == 1
    explained(capsys, "RW-302", "must end after now")
    assert road.size() == size


def test_a_label_of_text_breaks_a_check_and_not_the_inspection(demo: Project, capsys: Said) -> None:
    """Whatever goes wrong inside a check is an error on record with its reason, never a traceback."""

    def as_text(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index("malignant")
        texts = pa.array(["M" if value else "B" for value in table["malignant"].to_pylist()])
        return table.set_column(index, "malignant", texts)

    each_feed(demo, as_text)
    capsys.readouterr()
    assert demo.run("inspect", "D1", "--json") in (2, 3)
    (run,) = json.loads(capsys.readouterr().out)["ran"]
    assert run["outcome"] == "error"
