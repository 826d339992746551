"""What each pytest mark means for continuous integration. Owns the rule; pyproject.toml describes the marks to people."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA_MARK = "shared_data"
"""Not a mark that anybody writes: carried by every test that asks for the fixture of that name."""

BY_HAND = frozenset({"network", "soak", "bench"})
"""Never part of continuous integration, hence never missing from it."""

HOUSE_MARKS = BY_HAND | {"slow", "browser", "postgres"}
NO_DATA = "shared data absent"
NO_POSTGRES = "no PostgreSQL server: ROADWORTHY_TEST_POSTGRES is not set"
NO_BROWSER = "no browser: ROADWORTHY_TEST_BROWSER is not set"
ONLY_THERE = "only on "
"""Begin of the reason of a test that fits another operating system or another Python."""

KNOWN_REASONS = (NO_DATA, NO_POSTGRES, NO_BROWSER, ONLY_THERE)


def shared_data_folder() -> Path:
    """Where the shared data lies, whether or not it is there."""
    return Path(os.environ.get("ROADWORTHY_SHARED_DATA") or ROOT.parent / "shared" / "data")


def available() -> frozenset[str]:
    """The marks whose prerequisite is met here, so that their tests must have run."""
    met = {
        "slow": True,
        DATA_MARK: shared_data_folder().is_dir(),
        "postgres": bool(os.environ.get("ROADWORTHY_TEST_POSTGRES")),
        "browser": bool(os.environ.get("ROADWORTHY_TEST_BROWSER")),
    }
    return frozenset(mark for mark, is_met in met.items() if is_met)
