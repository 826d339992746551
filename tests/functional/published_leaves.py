"""What a running gateway has published, verified as an auditor would before a single entry is read."""

import time
from collections import Counter
from pathlib import Path

from roadworthy.ledger.leaf import Leaf, parse_leaf
from roadworthy.ledger.log import LogReport, verify_log
from roadworthy.ledger.tiles import level_paths, split_entries

INTENT, OUTCOME, ABANDONED, PART = "exchange.intent", "exchange.outcome", "exchange.abandoned", "exchange.part"


def published_size(folder: Path) -> int:
    """How many entries the newest checkpoint covers."""
    return int((folder / "checkpoint").read_text().split("\n")[1])


def verified(ledger: Path, *, at_least: int = 0, timeout_s: float = 10.0) -> list[Leaf]:
    """Every entry of the published log, after the whole log was found sound.

    Args:
        ledger: the gateway's ledger folder.
        at_least: entries that must be published.
        timeout_s: how long they may take to be.
    """
    log = ledger / "log"
    deadline_s = time.monotonic() + timeout_s
    while published_size(log) < at_least:
        assert time.monotonic() < deadline_s, f"{published_size(log)} of {at_least} entries are published"
        time.sleep(0.05)
    # The files of a log that runs are ahead of its checkpoint, and partial tiles go while it is read: ask again.
    while True:
        report = verify_log(log, (log / "log.vkey").read_text().strip())
        if report.holds or time.monotonic() > deadline_s:
            break
    assert report.holds, report.problems[:3]
    return _entries(log, report)


def of(leaves: list[Leaf], record: str) -> list[Leaf]:
    """The entries of one exchange, in the order of the log."""
    return [leaf for leaf in leaves if leaf.facts.get("id") == record]


def kinds(leaves: list[Leaf], record: str) -> list[str]:
    """Their kinds."""
    return [leaf.base.kind for leaf in of(leaves, record)]


def outcome(leaves: list[Leaf], record: str) -> Leaf:
    """The one outcome of an exchange; there must be exactly one."""
    (found,) = [leaf for leaf in of(leaves, record) if leaf.base.kind == OUTCOME]
    return found


def twice(leaves: list[Leaf]) -> list[tuple[object, ...]]:
    """Entries that one worker wrote more than once, which must never be."""
    counted = Counter(
        (leaf.facts["node"], leaf.facts["epoch"], leaf.facts["wseq"]) for leaf in leaves if "wseq" in leaf.facts
    )
    return [name for name, count in counted.items() if count > 1]


def _entries(log: Path, report: LogReport) -> list[Leaf]:
    assert report.checkpoint is not None
    found: list[Leaf] = []
    for path in level_paths(None, report.checkpoint.size):
        place = log / path.text()
        if not place.exists():  # the tile is full by now
            place = place.parent.with_suffix("")
        found += [parse_leaf(entry) for entry in split_entries(place.read_bytes())[0][: path.width]]
    return found
