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
from roadworthy.base.codec import to_json
from roadworthy.base.errors import BundleBroken, DecisionMismatch, MissingFile, NoWorkspace, RoadworthyError
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


def test_what_was_exported_holds(bundle: Path) -> None:
    """Eight steps of the ledger, and every decision computed again."""
    verified = bundles.verify(bundle)
    assert verified.holds
    assert verified.problems == ()
    assert len(verified.ledger.steps) == 8
    assert verified.decisions >= 2
    assert verified.newest is not None
    assert verified.newest.outcome is Outcome.OPEN


def test_the_decision_of_a_bundle_is_that_of_the_store(opened_gate: Project, bundle: Path) -> None:
    """Byte for byte."""
    workspace = Workspace(opened_gate.manifest)
    stored = workspace.case().decisions[-1]
    workspace.close()
    found = bundles.decision_of(bundle)
    assert canonical_bytes(to_json(found.decision)) == canonical_bytes(to_json(stored.decision))
    assert found.index == stored.index


def test_any_changed_byte_is_found(bundle: Path, tmp_path: Path) -> None:
    """400 positions all over the file, among them its first and last bytes; each time a problem is named."""
    data = bundle.read_bytes()
    chosen = random.Random(20261121).sample(range(len(data)), 380)
    broken = tmp_path / "broken.zip"
    for position in [*range(10), *range(len(data) - 10, len(data)), *chosen]:
        spoilt = bytearray(data)
        spoilt[position] ^= 1 << position % 8
        broken.write_bytes(spoilt)
        verified = bundles.verify(broken)
        assert not verified.holds, position
        assert any(problem.what for step in verified.ledger.steps for problem in step.problems), position
        assert verified.newest is None


@pytest.mark.parametrize("spoil", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: b"", lambda d: d[: len(d) // 2]])
def test_a_longer_or_shorter_file_is_found(bundle: Path, tmp_path: Path, spoil: Any) -> None:
    """Cut, continued, emptied, halved."""
    (tmp_path / "b.zip").write_bytes(spoil(bundle.read_bytes()))
    assert not bundles.verify(tmp_path / "b.zip").holds


def test_a_foreign_key_is_found_when_the_auditor_has_their_own_copy(bundle: Path) -> None:
    """The bundle's own key is believed only when no other is given."""
    own = bundles.verify(bundle).ledger.vkey
    assert bundles.verify(bundle, vkey=own).holds
    other = bundles.verify(bundle, vkey=own.replace(own[-6:-1], "AAAAA"))
    assert not other.holds


def test_a_member_that_nobody_signed_for_is_found(bundle: Path, tmp_path: Path) -> None:
    """An attachment whose bytes do not have the digest of its name, in a bundle that is otherwise whole."""
    members = {name: data for name, data in read_bundle(bundle).items() if name != "manifest.json"}
    write_bundle(tmp_path / "b.zip", {**members, "blobs/" + "0" * 64: b"something else"})
    verified = bundles.verify(tmp_path / "b.zip")
    assert not verified.holds


def test_a_decision_that_nobody_computed_is_found_though_the_ledger_holds(copied: Workspace, tmp_path: Path) -> None:
    """RW-506: the ledger's owner can sign anything, but not make it follow from the evidence."""
    forged = replace(copied.case().decisions[0].decision, outcome=Outcome.OPEN)
    with copied.store.unit_of_work() as uow:
        record_decision(uow, decision=forged, actor="mallory", at=copied.clock())
    bundles.export(copied, tmp_path / "b.zip", copied.clock())
    verified = bundles.verify(tmp_path / "b.zip")
    assert verified.ledger.holds
    assert not verified.holds
    assert "RW-506" in verified.problems[0]
    assert verified.newest is None
    with pytest.raises(DecisionMismatch):
        bundles.decision_of(tmp_path / "b.zip")


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
    verified = bundles.verify(tmp_path / "b.zip")
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
    assert bundles.verify(tmp_path / "b.zip").holds
    with pytest.raises(BundleBroken, match="no decision"):
        bundles.decision_of(tmp_path / "b.zip")


@pytest.mark.parametrize("read", [bundles.verify, bundles.decision_of])
def test_a_bundle_that_is_not_there_is_missing(tmp_path: Path, read: Any) -> None:
    """RW-102."""
    with pytest.raises(MissingFile):
        read(tmp_path / "none.zip")


def test_a_bundle_is_never_written_in_half(copied: Workspace, tmp_path: Path) -> None:
    """RW-102 for a folder that is not there."""
    with pytest.raises(RoadworthyError) as caught:
        bundles.export(copied, tmp_path / "none" / "b.zip", copied.clock())
    assert caught.value.code == "RW-102"
    assert not (tmp_path / "none").exists()
