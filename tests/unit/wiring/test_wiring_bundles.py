"""Bundles: what is exported verifies, and nothing that was changed afterwards does."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roadworthy.actions.gates import record_decision
from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.clock import days, now
from roadworthy.base.codec import to_json
from roadworthy.base.errors import BundleBroken, MissingFile, NoWorkspace, RoadworthyError
from roadworthy.domain.decision import Outcome
from roadworthy.domain.record import Draft, RecordKind
from roadworthy.ledger.bundle import read_bundle, write_bundle
from roadworthy.wiring import bundles
from roadworthy.wiring.workspace import Workspace
from small_project import Project


@pytest.fixture
def bundle(opened_gate: Project) -> Path:
    return opened_gate.folder / "bundle.zip"


@pytest.fixture
def copied(opened_gate: Project, tmp_path: Path) -> Iterator[Workspace]:
    """A copy that may be spoilt."""
    shutil.copytree(opened_gate.folder, tmp_path / "copy")
    workspace = Workspace(tmp_path / "copy" / "roadworthy.yaml")
    yield workspace
    workspace.close()


def record_forged(workspace: Workspace, **changes: Any) -> None:
    """The newest decision once more, with the head and the instant of its place, and something changed."""
    at = workspace.clock()
    head = workspace.store.head()
    forged = replace(workspace.case().decisions[-1].decision, **{"head": head, "at": at, **changes})
    with workspace.store.unit_of_work() as uow:
        record_decision(uow, decision=forged, actor="mallory", at=at)


def problems_of(workspace: Workspace, path: Path) -> tuple[str, ...]:
    """What is wrong with an export of it; the ledger itself must hold."""
    bundles.export(workspace, path, workspace.clock())
    verified = bundles.verify(path, now())
    assert verified.ledger.holds
    return verified.problems


def test_a_decision_that_has_expired_is_told_from_one_that_holds(bundle: Path) -> None:
    """It was right then; a reader years later must not take it for the state of affairs."""
    verified = bundles.verify(bundle, now() + days(4_000))
    assert verified.holds
    assert verified.newest is not None
    assert verified.newest.decision.outcome is Outcome.OPEN
    assert verified.now is Outcome.LAPSED


def test_a_decision_may_not_choose_what_it_had_seen(copied: Workspace, tmp_path: Path) -> None:
    """An older head would leave out what spoke against it since."""
    older = copied.case().decisions[-1].decision.head
    record_forged(copied, head=older)
    assert "does not speak of the ledger" in problems_of(copied, tmp_path / "b.zip")[0]


@pytest.mark.parametrize(
    ("part", "said"),
    [({"note": "none"}, "does not hold"), ({"root": "AAAA"}, "is not the one of the entries before it")],
)
def test_a_decision_names_the_checkpoint_before_it(
    copied: Workspace, tmp_path: Path, part: dict[str, str], said: str
) -> None:
    """Signed by the ledger's key, over exactly those entries."""
    record_forged(copied, head=replace(copied.store.head(), **part))
    assert said in problems_of(copied, tmp_path / "b.zip")[0]


def test_a_policy_that_got_looser_past_the_actions_is_found(copied: Workspace, tmp_path: Path) -> None:
    """Nobody signed it, so nothing that follows from it is worth anything."""
    profile = copied.case().profile
    assert profile is not None
    looser = replace(profile, criteria=profile.criteria[:1])
    payload = {"profile": to_json(looser), "loosenings": [], "envelope": None}
    draft = Draft(
        kind=RecordKind.POLICY_ADOPTED,
        at=copied.clock(),
        actor="mallory",
        use_case_id="road",
        subject=looser.digest,
        payload=payload,
    )
    with copied.store.unit_of_work() as uow:
        uow.append(draft)
    assert "got looser and no business owner signed it" in problems_of(copied, tmp_path / "b.zip")[0]


def test_what_was_exported_holds(bundle: Path) -> None:
    """Eight steps of the ledger, and every decision computed again."""
    verified = bundles.verify(bundle, now())
    assert verified.holds
    assert verified.problems == ()
    assert len(verified.ledger.steps) == 8
    assert verified.decisions >= 2
    assert verified.newest is not None
    assert verified.newest.decision.outcome is Outcome.OPEN
    assert verified.now is Outcome.OPEN


def test_the_decision_of_a_bundle_is_that_of_the_store(opened_gate: Project, bundle: Path) -> None:
    """Byte for byte."""
    workspace = Workspace(opened_gate.manifest)
    stored = workspace.case().decisions[-1]
    workspace.close()
    decision, outcome = bundles.decision_of(bundle, now())
    assert canonical_bytes(to_json(decision)) == canonical_bytes(to_json(stored.decision))
    assert outcome is Outcome.OPEN


def test_any_changed_byte_is_found(bundle: Path, tmp_path: Path) -> None:
    """400 positions all over the file, among them its first and last bytes; each time a problem is named."""
    data = bundle.read_bytes()
    chosen = random.Random(20261121).sample(range(len(data)), 380)
    broken = tmp_path / "broken.zip"
    for position in [*range(10), *range(len(data) - 10, len(data)), *chosen]:
        spoilt = bytearray(data)
        spoilt[position] ^= 1 << position % 8
        broken.write_bytes(spoilt)
        verified = bundles.verify(broken, now())
        assert not verified.holds, position
        assert any(problem.what for step in verified.ledger.steps for problem in step.problems), position
        assert verified.newest is None


@pytest.mark.parametrize("spoil", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: b"", lambda d: d[: len(d) // 2]])
def test_a_longer_or_shorter_file_is_found(bundle: Path, tmp_path: Path, spoil: Any) -> None:
    """Cut, continued, emptied, halved."""
    (tmp_path / "b.zip").write_bytes(spoil(bundle.read_bytes()))
    assert not bundles.verify(tmp_path / "b.zip", now()).holds


def test_a_foreign_key_is_found_when_the_auditor_has_their_own_copy(bundle: Path) -> None:
    """The bundle's own key is believed only when no other is given."""
    own = bundles.verify(bundle, now()).ledger.vkey
    assert bundles.verify(bundle, now(), vkey=own).holds
    other = bundles.verify(bundle, now(), vkey=own.replace(own[-6:-1], "AAAAA"))
    assert not other.holds


def test_a_member_that_nobody_signed_for_is_found(bundle: Path, tmp_path: Path) -> None:
    """An attachment whose bytes do not have the digest of its name, in a bundle that is otherwise whole."""
    members = {name: data for name, data in read_bundle(bundle).items() if name != "manifest.json"}
    write_bundle(tmp_path / "b.zip", {**members, "blobs/" + "0" * 64: b"something else"})
    verified = bundles.verify(tmp_path / "b.zip", now())
    assert not verified.holds


def test_a_decision_that_nobody_computed_is_found_though_the_ledger_holds(copied: Workspace, tmp_path: Path) -> None:
    """RW-506: the ledger's owner can sign anything, but not make it follow from the evidence."""
    record_forged(copied, outcome=Outcome.CLOSED)
    bundles.export(copied, tmp_path / "b.zip", copied.clock())
    verified = bundles.verify(tmp_path / "b.zip", now())
    assert verified.ledger.holds
    assert not verified.holds
    assert "RW-506" in verified.problems[0]
    assert verified.newest is None
    with pytest.raises(BundleBroken, match="is not what its inputs decide"):
        bundles.decision_of(tmp_path / "b.zip", now())


def test_a_payload_that_is_nonsense_is_a_problem_and_not_an_exit(copied: Workspace, tmp_path: Path) -> None:
    """Whoever signs a ledger can sign nonsense; the verification says that it does not hold."""
    nonsense = Draft(
        kind=RecordKind.DECISION_RECORDED,
        at=copied.clock(),
        actor="mallory",
        use_case_id="road",
        subject="forged",
        payload={"decision": {"outcome": "open"}},
    )
    with copied.store.unit_of_work() as uow:
        uow.append(nonsense)
    members = dict(copied.store.export(use_case="road", exported_at=copied.clock()))
    write_bundle(tmp_path / "b.zip", members)
    verified = bundles.verify(tmp_path / "b.zip", now())
    assert verified.ledger.holds
    assert not verified.holds
    assert "RW-201" in verified.problems[0]


def test_nothing_can_be_exported_before_anything_is_on_record(tmp_path: Path, opened_gate: Project) -> None:
    """RW-115, and no file is left."""
    shutil.copytree(opened_gate.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".roadworthy"))
    workspace = Workspace(tmp_path / "copy" / "roadworthy.yaml")
    with pytest.raises(NoWorkspace):
        bundles.export(workspace, tmp_path / "b.zip", workspace.clock())
    assert not (tmp_path / "b.zip").exists()
    assert not workspace.folder.exists()


def test_a_bundle_without_a_decision_says_so(copied: Workspace, tmp_path: Path) -> None:
    """RW-501, with what to do."""
    shutil.rmtree(copied.folder)
    fresh = Workspace(copied.path)
    fresh.synchronise(fresh.proposal())
    bundles.export(fresh, tmp_path / "b.zip", fresh.clock())
    fresh.close()
    assert bundles.verify(tmp_path / "b.zip", now()).holds
    with pytest.raises(BundleBroken, match="no decision"):
        bundles.decision_of(tmp_path / "b.zip", now())


@pytest.mark.parametrize("read", [bundles.verify, bundles.decision_of])
def test_a_bundle_that_is_not_there_is_missing(tmp_path: Path, read: Any) -> None:
    """RW-102."""
    with pytest.raises(MissingFile):
        read(tmp_path / "none.zip", now())


def test_a_bundle_is_never_written_in_half(copied: Workspace, tmp_path: Path) -> None:
    """RW-102 for a folder that is not there."""
    with pytest.raises(RoadworthyError) as caught:
        bundles.export(copied, tmp_path / "none" / "b.zip", copied.clock())
    assert caught.value.code == "RW-102"
    assert not (tmp_path / "none").exists()
