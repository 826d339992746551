"""The small project, in a folder of its own for each test."""

from pathlib import Path

import pytest

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
