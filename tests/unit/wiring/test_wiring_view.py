"""The scorecard's parts, gathered from what is on record."""

from datetime import timedelta

import pytest

from roadworthy.base.errors import NoWorkspace
from roadworthy.domain.decision import Outcome, State
from roadworthy.wiring.inspection import Watcher, inspect
from roadworthy.wiring.view import envelopes, view
from roadworthy.wiring.workspace import Workspace
from small_project import Project


def test_the_view_of_an_inspected_workspace_writes_nothing(project: Project) -> None:
    """The decision stands already; the gap register has what is open."""
    workspace = Workspace(project.manifest)
    inspect(workspace, watcher=Watcher())
    size = workspace.store.head().size
    seen = view(workspace, workspace.clock())
    assert workspace.store.head().size == size
    assert seen.decision.outcome is Outcome.CLOSED
    assert [(gap.criterion_id, gap.state) for gap in seen.scorecard.gaps] == [("G2", State.MISSING)]
    assert len(seen.scorecard.evidence) == 1
    workspace.close()


def test_a_changed_decision_is_put_on_record_first(project: Project) -> None:
    """When evidence has become too old."""
    workspace = Workspace(project.manifest)
    inspect(workspace, watcher=Watcher())
    size = workspace.store.head().size
    real = workspace.clock
    workspace.clock = lambda: real() + timedelta(days=40)
    seen = view(workspace, workspace.clock())
    assert workspace.store.head().size == size + 1
    assert {reading.criterion_id: reading.state for reading in seen.decision.readings}["T14"] is State.STALE
    workspace.close()


def test_envelopes_come_in_ledger_order_with_their_digests(opened_gate: Project) -> None:
    """One for the check, one for the word."""
    workspace = Workspace(opened_gate.manifest)
    case = workspace.case()
    workspace.close()
    found = envelopes(case)
    assert [each.evidence.check for each in found] == ["release.pinned", "attestation"]
    assert [(each.digest, each.index) for each in found] == [(s.digest, s.index) for s in case.evidence]


def test_there_is_no_view_of_nothing(project: Project) -> None:
    """RW-115."""
    workspace = Workspace(project.manifest)
    with pytest.raises(NoWorkspace):
        view(workspace, workspace.clock())
