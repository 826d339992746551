"""The demonstration as the tests of its room want it."""

from datetime import UTC, datetime

from roadworthy.demo.materials import write_demo

AT = datetime(2026, 11, 21, 10, 42, tzinfo=UTC)
SEED = 20_261_121
PORT = 8080


def written(folder):
    """A demonstration written at a fixed instant."""
    return write_demo(folder, at=AT, seed=SEED, port=PORT)
