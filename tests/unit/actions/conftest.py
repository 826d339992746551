"""One world for each test."""

from pathlib import Path

import pytest
from actions_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Everything registered, no evidence yet."""
    return World(tmp_path)
