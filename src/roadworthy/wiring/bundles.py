"""Exporting a bundle and verifying one. Owns the full offline proof: the ledger's eight steps, then every decision."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from roadworthy.actions.gates import recompute
from roadworthy.actions.replay import write_faults
from roadworthy.base.errors import BundleBroken, IntegrityError, RoadworthyError
from roadworthy.domain.case_file import RecordedDecision, fold
from roadworthy.domain.decision import Decision, Outcome
from roadworthy.domain.record import Record
from roadworthy.gates.case import decide_case
from roadworthy.ledger.bundle import read_file, unpack, write_bundle
from roadworthy.ledger.checkpoint import VerifierKey, open_checkpoint, parse_vkey
from roadworthy.ledger.examine import read_leaves
from roadworthy.ledger.merkle import leaf_hash, root
from roadworthy.ledger.verify import Report, verify_bytes
from roadworthy.store.bundle_reader import BundleReader
from roadworthy.wiring.workspace import Workspace, trust_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a verification found.

    Attributes:
        ledger: the eight steps.
        decisions: how many recorded decisions were computed again to the same bytes.
        beyond_reach: decisions that rest on payloads which were erased since, one sentence each.
        problems: what is wrong beyond the ledger's own steps.
        newest: the newest decision, when there is one and it was computed again.
        now: what the same gate says of the whole bundle at the instant of the verification.
    """

    ledger: Report
    decisions: int = 0
    beyond_reach: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    newest: RecordedDecision | None = None
    now: Outcome | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing at all is wrong."""
        return self.ledger.holds and not self.problems


def export(workspace: Workspace, path: Path, at: datetime) -> int:
    """Write everything on record into one file; returns its number of members.

    Raises:
        NoWorkspace: nothing is on record yet (RW-115).
    """
    case = workspace.case()
    newest = case.decisions[-1].index if case.decisions else None
    members = dict(
        workspace.store.export(use_case=workspace.manifest.use_case.id, exported_at=at, decision_index=newest)
    )
    write_bundle(path, members)
    return len(members)


def verify(path: Path, at: datetime, *, vkey: str | None = None) -> Verified:
    """Verify a bundle with nothing but the bundle.

    1. the ledger's own eight steps;
    2. every record can be read, and nothing in it got looser without its signature;
    3. every recorded decision names the ledger as it was just before it;
    4. every recorded decision, computed again from the entries that it had seen, gives the same bytes;
    5. what the gate says now: a decision that was right when it was made may have expired since.

    Args:
        path: the bundle.
        at: the instant of the verification.
        vkey: the reader's own copy of the ledger's key line.

    Raises:
        MissingFile: the file cannot be opened (RW-102).
    """
    # 1
    data = read_file(path)
    report = verify_bytes(data, vkey=vkey)
    if not report.holds:
        return Verified(ledger=report)
    reader = BundleReader(path, vkey=vkey)
    # 2
    try:
        records = reader.records()
        problems = list(write_faults(records, trust_of))
        case = fold(records)
    except RoadworthyError as error:
        # Whoever signs a ledger can sign nonsense.
        return Verified(ledger=report, problems=(str(error),))
    # 3
    hashes = [leaf_hash(leaf) for leaf in read_leaves(unpack(data).members)[0]]
    for recorded in case.decisions:
        problems += _head_faults(recorded, records[recorded.index], hashes, parse_vkey(report.vkey))
    # 4
    beyond: list[str] = []
    again: list[RecordedDecision] = []
    for recorded in case.decisions:
        try:
            recompute(reader, recorded, trust_of)
            again.append(recorded)
        except RoadworthyError as error:
            erased = [index for index in case.erased if index < recorded.decision.head.size]
            where = beyond if erased else problems
            where.append(f"{error.code} entry {recorded.index}: {error.what}")
    # 5
    known = bool(again) and again[-1] is case.decisions[-1] and not problems
    now = decide_case(case, reader.head(), at, trust_of(case)).outcome if known else None
    return Verified(
        ledger=report,
        decisions=len(again),
        beyond_reach=tuple(beyond),
        problems=tuple(problems),
        newest=again[-1] if known else None,
        now=now,
    )


def _head_faults(
    recorded: RecordedDecision, record: Record, hashes: Sequence[bytes], key: VerifierKey
) -> Iterator[str]:
    """A decision may not choose what it had seen: its checkpoint is the ledger's, of all entries before its own."""
    decision, place = recorded.decision, f"entry {recorded.index}"
    if decision.head.size != recorded.index or decision.at != record.at:
        yield f"{place}: the decision does not speak of the ledger and the instant at which it was recorded."
        return
    try:
        checkpoint = open_checkpoint(decision.head.note, [key])
    except IntegrityError as error:
        yield f"{place}: the checkpoint in the decision does not hold: {error.what}"
        return
    tree = root(hashes[: recorded.index])
    claimed = base64.b64encode(tree).decode("ascii")
    if (checkpoint.size, checkpoint.root, decision.head.root) != (recorded.index, tree, claimed):
        yield f"{place}: the checkpoint in the decision is not the one of the entries before it."


def decision_of(path: Path, at: datetime, *, vkey: str | None = None) -> tuple[Decision, Outcome]:
    """The newest decision in a bundle, computed again, and what its gate says at an instant.

    Raises:
        MissingFile: the file cannot be opened (RW-102).
        BundleBroken: something in the bundle is broken, or it holds no decision that can be computed again (RW-501).
    """
    verified = verify(path, at, vkey=vkey)
    if not verified.holds:
        found = [f"{each.where}: {each.what}" for step in verified.ledger.steps for each in step.problems]
        raise BundleBroken(
            f"The bundle is broken: {[*found, *verified.problems][0]}",
            remedy="Do not rely on it; run roadworthy verify.",
        )
    if verified.newest is None or verified.now is None:
        raise BundleBroken(
            "The bundle holds no decision that can be computed again.", remedy="Run roadworthy gate, then export again."
        )
    return verified.newest.decision, verified.now
