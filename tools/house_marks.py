"""What each pytest mark means for continuous integration. Owns the rule; pyproject.toml describes the marks to people."""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA_MARK = "shared_data"
"""Not a mark that anybody writes: carried by every test that asks for the fixture of that name."""

BY_HAND = frozenset({"network", "soak", "bench"})
"""Never part of continuous integration, hence never missing from it."""

HOUSE_MARKS = BY_HAND | {"slow", "browser", "postgres", "extra", "spark", "alone"}
NO_DATA = "shared data absent"
NO_POSTGRES = "no PostgreSQL server"
NO_BROWSER = "no browser: ROADWORTHY_TEST_BROWSER is not set"
NO_SPARK = "no Spark"
ONLY_THERE = "only on "
"""Begin of the reason of a test that fits another operating system or another Python."""

TOOLS = ("curl", "nginx", "node", "npm", "promtool", "strace")
"""Programs by other hands that some tests drive; a test without one skips, saying ``<tool> is not installed``."""

REASONS = {
    NO_DATA: DATA_MARK,
    NO_POSTGRES: "postgres",
    NO_BROWSER: "browser",
    NO_SPARK: "spark",
    **{f"{tool} is not installed": tool for tool in TOOLS},
}
"""Begin of the reason for a skip, and the mark, or the program, that this reason says is not there."""

POSTGRES_URL = "ROADWORTHY_TEST_POSTGRES"
"""Names a PostgreSQL server for the tests; without it they start one of their own where one is installed."""


def in_ci() -> bool:
    """Whether what continuous integration must bring along counts as there, so that its absence is a failure."""
    return bool(os.environ.get("CI"))


def shared_data_folder() -> Path:
    """Where the shared data lies, whether or not it is there."""
    return Path(os.environ.get("ROADWORTHY_SHARED_DATA") or ROOT.parent / "shared" / "data")


def postgres_binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``: the newest of Debian's, else the one beside those on the path."""
    debian = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if debian:
        return max(debian, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def tool_path(name: str) -> Path | None:
    """A program of ``TOOLS``; servers may lie where only the administrator's path leads."""
    found = shutil.which(
        name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    )
    return Path(found) if found else None


def java_home() -> Path | None:
    """The Java that Spark shall use: the one that JAVA_HOME names, else the one on the path."""
    named = os.environ.get("JAVA_HOME")
    if named and (Path(named) / "bin" / "java").exists():
        return Path(named)
    found = shutil.which("java")
    return Path(found).resolve().parent.parent if found else None


def available() -> frozenset[str]:
    """The marks whose prerequisite is met here, so that their tests must have run.

    ``.ci/run`` installs PostgreSQL, Java and the programs, and makes the second environment, or fails; there they are always met.
    """
    second_environment = in_ci() or (ROOT / ".venv-full" / ".installed").exists()
    met = {
        "slow": True,
        "alone": True,
        DATA_MARK: shared_data_folder().is_dir(),
        "postgres": in_ci() or bool(os.environ.get(POSTGRES_URL)) or postgres_binaries() is not None,
        "extra": second_environment,
        "spark": in_ci() or (second_environment and java_home() is not None),
        "browser": bool(os.environ.get("ROADWORTHY_TEST_BROWSER")),
        **{tool: in_ci() or tool_path(tool) is not None for tool in TOOLS},
    }
    return frozenset(mark for mark, is_met in met.items() if is_met)
