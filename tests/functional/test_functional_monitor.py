"""A monitor as a process of its own: killed, started again, looped and stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitored_project import add_window, served, write_monitored
from roadworthy.wiring.windows import INPUTS, RISK, window_runs
from roadworthy.wiring.workspace import Workspace
from small_project import Project

pytestmark = pytest.mark.slow

CHECKS = (INPUTS, "performance.production", RISK)
WINDOWS = 4


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Project]:
    """Inspected, four windows in the feed."""
    with served() as url:
        project = write_monitored(tmp_path / "road", url)
        assert project.run("inspect") == 1
        for number in range(1, WINDOWS + 1):
            add_window(project, number)
        yield project


def started(project: Project, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "roadworthy", "monitor", "run", *words],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def on_record(project: Project) -> list[tuple[str, str]]:
    workspace = Workspace(project.manifest)
    try:
        return [(run.window.name[10:12], run.evidence.check) for run in window_runs(workspace.case())]
    finally:
        workspace.close()


@pytest.mark.slow
def test_killed_twice_and_nothing_is_lost_or_done_again(road: Project) -> None:
    """Once after the first check, in the middle of a window, once a little later: the record is that of one round."""
    for enough in (1, 4):
        with started(road) as process:
            deadline = time.monotonic() + 60
            while len(on_record(road)) < enough and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert enough <= len(on_record(road)) < WINDOWS * len(CHECKS)
    assert road.run("monitor", "run") == 0
    assert on_record(road) == [(f"w{number}", check) for number in range(1, WINDOWS + 1) for check in CHECKS]
    workspace = Workspace(road.manifest)
    units = [run.evidence.facts["units so far"] for run in window_runs(workspace.case()) if run.evidence.check == RISK]
    workspace.close()
    assert units == [units[0] * number for number in range(1, WINDOWS + 1)]
    assert road.run("monitor", "run") == 0
    assert len(on_record(road)) == WINDOWS * len(CHECKS)


@pytest.mark.slow
def test_every_prints_a_line_a_round_until_ctrl_c(road: Project) -> None:
    """The first round has all windows, the next ones what came since; Ctrl-C ends it with 130."""
    with started(road, "--every", "1s") as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            add_window(road, 9, drift=True)
            lines = [process.stdout.readline() for _ in range(2)]
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert f"{WINDOWS} windows, 2,400 rows; 0 with drift; no harm found; 0 to look into; gate closed" in first
    assert any("1 window, 600 rows; 1 with drift" in line for line in lines)
    assert process.returncode == 130, said
    assert "Traceback" not in said
