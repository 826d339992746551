"""One inspection: what runs, what does not, and what is on record when it is stopped."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from roadworthy.actions.inspection import Due, Finished
from roadworthy.base.errors import LooseningRefused, ParameterError, RoadworthyError, UnknownCriterion
from roadworthy.checks.release.pinned import PinnedCheck
from roadworthy.domain.case_file import fold
from roadworthy.domain.evidence import RunOutcome
from roadworthy.wiring import inspection
from roadworthy.wiring.inspection import Inspected, Watcher, inspect
from roadworthy.wiring.view import envelopes
from roadworthy.wiring.workspace import Workspace
from small_project import Project


class Watching(Watcher):
    """Notes what it sees."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def planned(self, due: Sequence[Due]) -> None:
        super().planned(due)
        self.seen += [f"planned {each.check.id}: {each.reason}" for each in due]

    def started(self, due: Due) -> None:
        super().started(due)
        self.seen.append(f"started {due.check.id}")

    def ended(self, due: Due, finished: Finished) -> None:
        super().ended(due, finished)
        self.seen.append(f"ended {due.check.id}")


def look(project: Project, watcher: Watcher | None = None, *only: str, everything: bool = False) -> Inspected:
    workspace = Workspace(project.manifest)
    try:
        return inspect(workspace, watcher=watcher or Watcher(), only=only, everything=everything)
    finally:
        workspace.close()


def test_the_first_time_everything_runs_and_then_nothing(project: Project) -> None:
    """Fresh evidence is not made again, unless asked for."""
    watching = Watching()
    first = look(project, watching)
    assert watching.seen == [
        "planned release.pinned: never run",
        "started release.pinned",
        "ended release.pinned",
    ]
    assert (len(first.ran), first.fresh, first.errors) == (1, 0, ())
    second = look(project)
    assert (len(second.ran), second.fresh) == (0, 1)
    assert second.decision == first.decision
    third = look(project, everything=True)
    assert (len(third.ran), third.fresh) == (1, 0)


@pytest.mark.parametrize("only", ["T14", "release.pinned"])
def test_a_criterion_or_a_check_may_be_named(project: Project, only: str) -> None:
    """Either runs the check."""
    assert len(look(project, None, only).ran) == 1


def test_what_was_not_asked_for_is_not_called_fresh(project: Project) -> None:
    """G2 has no check: nothing runs, and nothing is said to be fresh."""
    done = look(project, None, "G2")
    assert (done.ran, done.fresh) == ((), 0)


BAD = [
    ("checks: {nosuch.check: {}}\n", (), ParameterError, "RW-114"),
    ("checks: {release.pinned: {depth: 1}}\n", (), ParameterError, "RW-114"),
    ("checks: {load.peak: {duration_s: 1}}\n", (), LooseningRefused, "RW-304"),
    ("checks: {load.peak: {duration_s: long}}\n", (), ParameterError, "RW-114"),
    ("", ("T99",), UnknownCriterion, "RW-107"),
]


@pytest.mark.parametrize(("text", "only", "error", "code"), BAD)
def test_a_bad_parameter_or_name_is_refused_before_anything_is_written(
    project: Project, text: str, only: tuple[str, ...], error: type[RoadworthyError], code: str
) -> None:
    """Also of a check that is not asked for, or that the profile does not use."""
    project.manifest.write_text(project.manifest.read_text() + text)
    with pytest.raises(error) as caught:
        look(project, None, *only)
    assert caught.value.code == code
    assert caught.value.remedy
    assert not (project.folder / ".roadworthy").exists()


def test_a_tightened_parameter_stands_in_the_evidence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed too."""
    workspace = Workspace(project.manifest)
    done = inspect(workspace, watcher=Watcher(), seed=7)
    workspace.close()
    assert done.ran[0].evidence.seed == 7
    assert done.ran[0].evidence.parameters == {}


ANOTHER = """\
- id: T15
  domain: technical
  title: Another
  kind: executable
  check: data_quality.datasheet
  accept:
  - {metric: questions_answered, op: ">=", bound: 1, unit: question, n_min: 1, provenance: House rule.}
  depends_on: [model]
  max_age_days: {R1: 60, R2: 30, R3: 30, R4: 15}
  waivable_at: []
  min_assurance: executed
  signer_roles: []
  may_not_apply: false
  required_from: R1
  effort: {low: 1, likely: 2, high: 4}
  owner_role: system_owner
  gap_depends_on: []
  sources: [{document: House rules, clause: "3"}]
"""


def outcomes(project: Project) -> list[tuple[str, RunOutcome]]:
    workspace = Workspace(project.manifest)
    found = [(e.evidence.check, e.evidence.outcome) for e in envelopes(fold(workspace.store.records()))]
    workspace.close()
    return found


def test_ctrl_c_loses_nothing_that_had_ended(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ended is on record once, what ran is recorded as terminated, and the next inspection goes on from there."""
    path = project.folder / "packs/road.yaml"
    path.write_text(path.read_text() + ANOTHER)
    real = PinnedCheck.observe

    # The other check ends at once: this use case names no datasheet, which is an error on record.
    def wait(self: PinnedCheck, subject: Any, params: Any, run: Any) -> Any:
        while not run.cancelled():
            time.sleep(0.01)
        return real(self, subject, params, run)

    class AfterTheOther(Watcher):
        def ended(self, due: Due, finished: Finished) -> None:
            if due.check.id == "data_quality.datasheet":
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PinnedCheck, "observe", wait)
        with pytest.raises(KeyboardInterrupt):
            look(project, AfterTheOther())
    assert [check for check, _ in outcomes(project)] == ["data_quality.datasheet", "release.pinned"]
    assert outcomes(project)[1] == ("release.pinned", RunOutcome.TERMINATED)
    done = look(project)
    assert "release.pinned" in {each.evidence.check for each in done.ran}
    assert ("release.pinned", RunOutcome.COMPLETED) in outcomes(project)


def test_ctrl_c_while_a_result_is_written_does_not_lose_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written again: what had ended must be on record."""
    real, pressed = inspection.record_evidence, []

    def press(*arguments: Any, **named: Any) -> Any:
        if not pressed:
            pressed.append(True)
            raise KeyboardInterrupt
        return real(*arguments, **named)

    monkeypatch.setattr(inspection, "record_evidence", press)
    with pytest.raises(KeyboardInterrupt):
        look(project)
    assert outcomes(project) == [("release.pinned", RunOutcome.COMPLETED)]


def test_a_broken_instrument_is_reported_and_runs_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """On record as an error; due again at once."""

    def broken(self: PinnedCheck, *arguments: object) -> object:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(PinnedCheck, "observe", broken)
        done = look(project)
    assert [error.code for error in done.errors] == ["RW-200"]
    assert "the disk is gone" in done.errors[0].what
    assert len(look(project).ran) == 1


def test_a_file_that_changes_while_it_is_inspected_is_found(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """T14 compares with what was registered, not with what it reads first."""

    class Changing(Watcher):
        def started(self, due: Due) -> None:
            project.edit("models/model.json", "1", "2")

    done = look(project, Changing())
    assert {ref.id: ref.verdict.value for ref in done.ran[0].evidence.criteria} == {"T14": "not_met"}


def test_two_inspections_at_once_both_succeed(project: Project) -> None:
    """On a folder where nothing is on record yet, which is the hardest case."""
    found: list[object] = []

    def one() -> None:
        try:
            found.append(look(project).decision.outcome)
        except RoadworthyError as error:
            found.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    workspace = Workspace(project.manifest)
    decision = workspace.decide(workspace.clock() + timedelta(seconds=1))
    workspace.close()
    assert found == [decision.outcome] * 4
    assert decision.refused == ()


def test_an_inspection_leaves_no_temporary_files(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its own nor its checks'."""
    place = tmp_path / "t"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    look(project)
    assert list(place.iterdir()) == []
