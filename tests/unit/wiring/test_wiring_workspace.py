"""The workspace: what is written when, and what is never written."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roadworthy.actions.registration import PRODUCER_ID
from roadworthy.base.errors import (
    ClockWentBack,
    LooseningRefused,
    MissingFile,
    NoWorkspace,
    PackError,
    ProhibitedUse,
)
from roadworthy.domain.record import RecordKind
from roadworthy.wiring.inspection import Watcher, inspect
from roadworthy.wiring.workspace import Workspace
from small_project import Project

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    """Goes on by a second with every look at it."""

    def __init__(self, at: datetime = AT) -> None:
        self.at = at

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


def kinds(workspace: Workspace) -> list[RecordKind]:
    return [record.kind for record in workspace.store.records()]


def test_without_a_manifest_there_is_no_workspace(tmp_path: Path) -> None:
    """RW-115, with what to do."""
    with pytest.raises(NoWorkspace, match=r"no roadworthy\.yaml") as caught:
        Workspace(tmp_path / "roadworthy.yaml")
    assert caught.value.code == "RW-115"
    assert "roadworthy init" in caught.value.remedy


def test_looking_makes_nothing(project: Project) -> None:
    """Neither reading the manifest nor asking for the case leaves a folder behind."""
    workspace = Workspace(project.manifest)
    workspace.proposal()
    for ask in (workspace.case, lambda: workspace.decide(AT), lambda: workspace.settle(AT)):
        with pytest.raises(NoWorkspace, match="Nothing is on record"):
            ask()
    workspace.close()
    assert not (project.folder / ".roadworthy").exists()


def test_the_first_time_puts_policy_producer_use_case_and_release_on_record(project: Project) -> None:
    """One entry each, in that order."""
    workspace = Workspace(project.manifest, clock=Clock())
    case = workspace.synchronise(workspace.proposal())
    assert kinds(workspace) == [
        RecordKind.POLICY_ADOPTED,
        RecordKind.PRODUCER_REGISTERED,
        RecordKind.USE_CASE_REGISTERED,
        RecordKind.RELEASE_REGISTERED,
    ]
    assert case.size == 4
    assert set(case.producers) == {PRODUCER_ID}
    workspace.close()


def test_what_has_not_changed_is_not_written(project: Project) -> None:
    """Also by another process, later."""
    first = Workspace(project.manifest, clock=Clock())
    first.synchronise(first.proposal())
    first.close()
    second = Workspace(project.manifest, clock=Clock(AT + timedelta(days=1)))
    assert second.synchronise(second.proposal()).size == 4
    second.close()


@pytest.mark.parametrize(
    ("name", "old", "new", "kind"),
    [
        ("models/model.json", "1", "2", RecordKind.RELEASE_REGISTERED),
        ("roadworthy.yaml", "title: A short road", "title: A road", RecordKind.USE_CASE_REGISTERED),
        ("packs/road.yaml", "R3: 30, R4: 15}", "R3: 20, R4: 15}", RecordKind.POLICY_ADOPTED),
    ],
)
def test_only_what_changed_is_written(project: Project, name: str, old: str, new: str, kind: RecordKind) -> None:
    """A changed pack also changes the release in use: evidence may depend on the packs."""
    first = Workspace(project.manifest, clock=Clock())
    first.synchronise(first.proposal())
    first.close()
    project.edit(name, old, new)
    second = Workspace(project.manifest, clock=Clock(AT + timedelta(days=1)))
    second.synchronise(second.proposal())
    expected = [kind, RecordKind.RELEASE_REGISTERED] if kind is RecordKind.POLICY_ADOPTED else [kind]
    assert kinds(second)[4:] == expected
    second.close()


def test_a_looser_policy_is_refused_and_nothing_of_the_manifest_is_written(project: Project) -> None:
    """RW-304; the changed model is not registered either."""
    first = Workspace(project.manifest, clock=Clock())
    first.synchronise(first.proposal())
    first.close()
    project.edit("packs/road.yaml", "R3: 30, R4: 15}", "R3: 40, R4: 15}")
    project.edit("models/model.json", "1", "2")
    second = Workspace(project.manifest, clock=Clock(AT + timedelta(days=1)))
    with pytest.raises(LooseningRefused) as caught:
        second.synchronise(second.proposal())
    assert caught.value.code == "RW-304"
    assert "max_age_days.R3: 30 becomes 40" in caught.value.what
    assert len(kinds(second)) == 4
    second.close()


def test_a_prohibited_use_is_refused_before_anything_is_written(project: Project) -> None:
    """RW-308: R0 is not to be made ready."""
    project.edit("answers/tier.yaml", "Q1: no ", 'Q1: "yes" ')
    workspace = Workspace(project.manifest)
    with pytest.raises(ProhibitedUse) as caught:
        workspace.proposal()
    assert (caught.value.code, caught.value.exit_code) == ("RW-308", 1)
    assert not (project.folder / ".roadworthy").exists()


@pytest.mark.parametrize(
    ("packs", "error"),
    [
        ("[enterprise]", PackError),
        ("[enterprise@99]", PackError),
        ("[nosuch@1]", PackError),
        ("[packs/nosuch.yaml]", MissingFile),
    ],
)
def test_a_pack_that_is_not_there_is_refused(project: Project, packs: str, error: type[Exception]) -> None:
    """Built in by id and version, or a file."""
    project.edit("roadworthy.yaml", "packs: [packs/road.yaml]", f"packs: {packs}")
    with pytest.raises(error):
        Workspace(project.manifest).proposal()


def test_an_overlay_is_a_file_and_can_only_tighten(project: Project) -> None:
    """A looser one is refused by name."""
    overlay = "id: ours\nversion: 1\ntitle: Ours\nstatus: active\noverlays:\n- {op: tighten, criterion: T14, max_age_days: {R3: %s}}\n"
    project.edit("roadworthy.yaml", "packs: [", "overlays: [packs/ours.yaml]\npacks: [")
    (project.folder / "packs/ours.yaml").write_text(overlay % 10)
    tight = Workspace(project.manifest).proposal().profile
    assert next(c for c in tight.criteria if c.id == "T14").max_age_days[tight.tier] == 10
    (project.folder / "packs/ours.yaml").write_text(overlay % 99)
    with pytest.raises(PackError):
        Workspace(project.manifest).proposal()


def test_a_clock_before_the_newest_entry_stops_everything_before_it_starts(project: Project) -> None:
    """RW-504: no check runs, nothing is written."""
    first = Workspace(project.manifest, clock=Clock())
    inspect(first, watcher=Watcher())
    size = len(kinds(first))
    first.close()
    second = Workspace(project.manifest, clock=Clock(AT - timedelta(days=1)))
    started: list[str] = []

    class Watching(Watcher):
        def started(self, due: object) -> None:
            started.append(str(due))

    with pytest.raises(ClockWentBack) as caught:
        inspect(second, watcher=Watching(), everything=True)
    assert (caught.value.code, caught.value.exit_code) == ("RW-504", 5)
    assert started == []
    assert len(kinds(second)) == size
    second.close()


def test_a_decision_stands_byte_for_byte_until_something_changes(project: Project) -> None:
    """The same record is returned, at any later instant."""
    clock = Clock()
    workspace = Workspace(project.manifest, clock=clock)
    inspect(workspace, watcher=Watcher())
    size = len(kinds(workspace))
    first = workspace.settle(clock())
    assert workspace.settle(clock() + timedelta(days=3)) == first
    assert len(kinds(workspace)) == size
    # After 30 days the evidence is too old, which is a change.
    clock.at += timedelta(days=31)
    assert workspace.settle(clock()) != first
    assert len(kinds(workspace)) == size + 1
    workspace.close()


def test_deciding_at_another_instant_writes_nothing(project: Project) -> None:
    """A question, not a decision."""
    workspace = Workspace(project.manifest, clock=Clock())
    inspect(workspace, watcher=Watcher())
    size = len(kinds(workspace))
    workspace.decide(AT + timedelta(days=400))
    assert len(kinds(workspace)) == size
    workspace.close()
