"""The command line as a process of its own: exit codes as a shell sees them, Ctrl-C, two at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roadworthy.cli.app import execute
from roadworthy.domain.evidence import RunOutcome
from roadworthy.wiring.view import envelopes
from roadworthy.wiring.workspace import Workspace
from small_project import PACK, Project, write_small

PEAK = """\
- id: T3
  domain: technical
  title: Bears its load
  kind: executable
  check: load.peak
  accept:
  - {metric: error_share, op: "<=", bound: {param: slo.error_share}, unit: "1", n_min: 1, provenance: House rule.}
  depends_on: [model]
  max_age_days: {R1: 60, R2: 30, R3: 30, R4: 15}
  waivable_at: []
  min_assurance: executed
  signer_roles: []
  may_not_apply: false
  required_from: R1
  effort: {low: 1, likely: 2, high: 4}
  owner_role: system_owner
  gap_depends_on: []
  sources: [{document: House rules, clause: "3"}]
"""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "roadworthy", *words]


def shell(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_a_shell_sees_exit_codes_and_errors_apart_from_results(road: Project) -> None:
    """2 where there is nothing, said on standard error alone; 5 for a broken bundle, said as the result."""
    nowhere = shell("gate", cwd=road.folder / "data")
    assert nowhere.returncode == 2
    assert nowhere.stdout == ""
    assert "RW-115" in nowhere.stderr
    data = bytearray((road.folder / "bundle.zip").read_bytes())
    data[999] ^= 4
    (road.folder / "bundle.zip").write_bytes(data)
    broken = shell("verify", "bundle.zip", cwd=road.folder)
    assert broken.returncode == 5
    assert "✗" in broken.stdout


def test_a_new_process_prints_the_same_bytes(road: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the hash seed, the locale and the zone."""
    capsys.readouterr()
    assert road.run("gate", "--json") == 0
    here = capsys.readouterr().out.encode()
    env = {**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    done = subprocess.run(
        command("gate", "--json"), cwd=road.folder, env=env, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == here


def outcomes(project: Project) -> list[tuple[str, RunOutcome]]:
    workspace = Workspace(project.manifest)
    found = [(each.evidence.check, each.evidence.outcome) for each in envelopes(workspace.case())]
    workspace.close()
    return found


@pytest.fixture
def loaded(demo: Project) -> Project:
    """The demonstration with three criteria only: one check that ends at once, one that takes a minute, one signature."""
    demo.edit("roadworthy.yaml", "packs: [enterprise@2, hardening@2]", "packs: [packs/road.yaml]")
    (demo.folder / "packs").mkdir()
    (demo.folder / "packs/road.yaml").write_text(PACK + PEAK, encoding="utf-8")
    return demo


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_finished(loaded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 130; the finished check is on record, the load test as terminated, and the next inspection goes on."""
    with subprocess.Popen(
        command("inspect"), cwd=loaded.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            deadline = time.monotonic() + 30
            while not _recorded(loaded) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(1.0)  # the load test has begun by now
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130, said
    assert time.monotonic() - begun < 15
    assert "Stopped." in said
    assert "Traceback" not in said
    assert outcomes(loaded) == [("release.pinned", RunOutcome.COMPLETED), ("load.peak", RunOutcome.TERMINATED)]
    capsys.readouterr()
    assert loaded.run("inspect", "T14", "--json") == 1
    assert json.loads(capsys.readouterr().out)["ran"] == []
    workspace = Workspace(loaded.manifest)
    assert "T3" in workspace.due(workspace.case(), workspace.clock())
    workspace.close()


def _recorded(project: Project) -> bool:
    if not (project.folder / ".roadworthy/store.db").exists():
        return False
    return ("release.pinned", RunOutcome.COMPLETED) in outcomes(project)


def test_two_inspections_at_once_on_a_fresh_folder(tmp_path: Path) -> None:
    """Both end as they would alone, and one ledger has the work of both."""
    write_small(tmp_path / "road")
    project = Project(tmp_path / "road")
    both = [
        subprocess.Popen(
            command("inspect", "--json"), cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [1, 1], said
    assert {outcome for _, outcome in outcomes(project)} == {RunOutcome.COMPLETED}
    assert project.run("export", str(tmp_path / "b.zip")) == 0
    assert execute(["verify", str(tmp_path / "b.zip")]) == 0


def test_the_stand_alone_verifier_agrees(road: Project) -> None:
    """What we export, the auditor's program verifies without any of our other rooms."""
    words = [sys.executable, "-m", "roadworthy.ledger.verify", "bundle.zip"]
    done = subprocess.run(words, cwd=road.folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "VERIFIED" in done.stdout
