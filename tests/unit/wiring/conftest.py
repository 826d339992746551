"""The small project, in a folder of its own for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitored_project import served, write_monitored
from small_project import Project, write_small


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Written, nothing on record."""
    write_small(tmp_path / "road")
    return Project(tmp_path / "road")


@pytest.fixture(scope="session")
def opened_gate(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Inspected, signed, open, exported to ``bundle.zip``. Not to be changed: copy it first."""
    folder = tmp_path_factory.mktemp("opened") / "road"
    write_small(folder)
    project = Project(folder)
    project.prepare()
    return project


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Inspected, signed, open, no window yet. Not to be changed: copy it first."""
    with served() as url:
        project = write_monitored(tmp_path_factory.mktemp("monitored") / "road", url)
        project.prepare()
        yield project


@pytest.fixture
def road(monitored: Project, tmp_path: Path) -> Project:
    """A copy."""
    shutil.copytree(monitored.folder, tmp_path / "road")
    return Project(tmp_path / "road")
