import os
from pathlib import Path

import pytest


@pytest.fixture
def closed_input():
    """A standard input that has ended: the process that held its other end is gone."""
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        yield nothing
