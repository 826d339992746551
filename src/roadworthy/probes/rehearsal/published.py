"""The published log of a rehearsal, read as an auditor would: verified before a single entry is believed.

Owns reading a log that still grows. Leaves alone how a log is verified (``ledger.log``).

Rule kept here: a log that runs is ahead of its checkpoint, and its partial tiles go while they are read. So what does not
hold is looked at again, and only what never holds within the time is broken.
"""

import shutil
import time
from pathlib import Path

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import LedgerBroken, MissingFile
from roadworthy.ledger.leaf import Leaf, parse_leaf
from roadworthy.ledger.log import LOG_VKEY, verify_log
from roadworthy.ledger.tiles import level_paths, split_entries

_AGAIN_S = 0.05


def read_log(log: Path, *, within_s: float = 5.0) -> list[Leaf]:
    """Every entry below the newest checkpoint, by index.

    Args:
        log: folder that is published.
        within_s: how long a log that grows may take to hold still.

    Raises:
        LedgerBroken: it does not verify (RW-503).
    """
    until_s = monotonic_s() + within_s
    while True:
        try:
            return _verified(log)
        except (LedgerBroken, MissingFile, OSError) as error:
            if monotonic_s() > until_s:
                what = f"The published log does not verify: {error}"
                raise LedgerBroken(what, remedy="Look at the ledger's own words.", where=str(log)) from error
        time.sleep(_AGAIN_S)


def copy_log(log: Path, copy: Path, *, within_s: float = 5.0) -> None:
    """Copy a log that grows, so that the copy verifies.

    Raises:
        LedgerBroken: no copy does (RW-503).
    """
    until_s = monotonic_s() + within_s
    while True:
        shutil.rmtree(copy, ignore_errors=True)
        try:
            shutil.copytree(log, copy)
            _verified(copy)
        except (LedgerBroken, MissingFile, OSError) as error:  # shutil.Error is an OSError
            if monotonic_s() > until_s:
                what = f"No copy of the published log verifies: {error}"
                raise LedgerBroken(what, remedy="Look at the ledger's own words.", where=str(log)) from error
        else:
            return
        time.sleep(_AGAIN_S)


def verifies(log: Path, vkey: str) -> bool:
    """Whether the log in a folder is the one that a key signed, whole and unchanged."""
    return verify_log(log, vkey).holds


def vkey_of(log: Path) -> str:
    """The log's key line."""
    return (log / LOG_VKEY).read_text(encoding="ascii").strip()


def _verified(log: Path) -> list[Leaf]:
    report = verify_log(log, vkey_of(log))
    if report.checkpoint is None or not report.holds:
        first = report.problems[0]
        raise LedgerBroken(f"{first.where}: {first.what}", remedy="Compare it with a copy that verifies.")
    leaves: list[Leaf] = []
    for path in level_paths(None, report.checkpoint.size):
        place = log / path.text()
        if not place.exists():  # the partial bundle is full by now
            place = place.parent.with_suffix("")
        entries, _ = split_entries(place.read_bytes())
        leaves += [parse_leaf(entry) for entry in entries[: path.width]]
    return leaves
