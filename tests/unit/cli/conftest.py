"""The small project: as written, and with its gate open."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roadworthy.base.canonical import canonical_bytes
from small_project import Project, write_small

Answer = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Written, nothing on record."""
    write_small(tmp_path / "road")
    return Project(tmp_path / "road")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inspected, signed, open, exported; only copied."""
    folder = tmp_path_factory.mktemp("template") / "road"
    write_small(folder)
    Project(folder).prepare()
    return folder


@pytest.fixture
def opened(template: Path, tmp_path: Path) -> Project:
    """A copy of the project whose gate is open."""
    shutil.copytree(template, tmp_path / "road")
    return Project(tmp_path / "road")


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Answer:
    """Runs a command line with ``--json``; returns exit code and value, after checking that the bytes are canonical."""

    def ask(run: Callable[..., int], *words: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = run(*words, "--json")
        said = capsys.readouterr().out.encode()
        value = json.loads(said)
        assert said == canonical_bytes(value) + b"\n"
        return code, value

    return ask
