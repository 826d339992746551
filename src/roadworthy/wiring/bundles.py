"""Exporting a bundle and verifying one. Owns the full offline proof: the ledger's eight steps, then every decision."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from roadworthy.actions.gates import recompute
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import BundleBroken, RoadworthyError
from roadworthy.domain.case_file import RecordedDecision, fold
from roadworthy.domain.decision import Decision
from roadworthy.ledger.bundle import read_bundle, write_bundle
from roadworthy.ledger.verify import Report, verify_bundle
from roadworthy.store.bundle_reader import BundleReader
from roadworthy.wiring.workspace import Workspace, trust_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a verification found.

    Attributes:
        ledger: the eight steps.
        decisions: how many recorded decisions were computed again to the same bytes.
        problems: what is wrong beyond the ledger's own steps.
        newest: the newest decision, when there is one and it holds.
    """

    ledger: Report
    decisions: int
    problems: tuple[str, ...]
    newest: Decision | None

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


def verify(path: Path, *, vkey: str | None = None) -> Verified:
    """Verify a bundle with nothing but the bundle.

    1. the ledger's own eight steps;
    2. every attachment has the digest that its name claims;
    3. every recorded decision, computed again from the entries that it had seen, gives the same bytes.
    """
    # 1
    report = verify_bundle(path, vkey=vkey)
    if not report.holds:
        return Verified(ledger=report, decisions=0, problems=(), newest=None)
    # 2
    problems = [
        f"{name}: its bytes do not have the digest of its name."
        for name, data in read_bundle(path).items()
        if name.startswith("blobs/") and digest_bytes(data) != f"sha256:{name.removeprefix('blobs/')}"
    ]
    # 3
    reader = BundleReader(path)
    try:
        decisions = fold(reader.records()).decisions
    except RoadworthyError as error:
        # Whoever signs a ledger can sign nonsense.
        return Verified(ledger=report, decisions=0, problems=(*problems, str(error)), newest=None)
    for recorded in decisions:
        try:
            recompute(reader, recorded, trust_of)
        except RoadworthyError as error:
            problems.append(str(error))
    newest = decisions[-1].decision if decisions and not problems else None
    return Verified(ledger=report, decisions=len(decisions), problems=tuple(problems), newest=newest)


def decision_of(path: Path) -> RecordedDecision:
    """The newest decision in a bundle, computed again.

    Raises:
        BundleBroken: the bundle is broken, or holds no decision (RW-501).
        DecisionMismatch: it is not what its inputs decide (RW-506).
    """
    reader = BundleReader(path)
    decisions = fold(reader.records()).decisions
    if not decisions:
        raise BundleBroken("The bundle holds no decision.", remedy="Run roadworthy gate, then export again.")
    newest = decisions[-1]
    return RecordedDecision(index=newest.index, decision=recompute(reader, newest, trust_of))
