"""The runner: what comes of a check that completes, fails, breaks, takes too long or is stopped; and what is due."""

import time
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from actions_world import DAY, PARTS, PRODUCER, PROFILE, SUBJECT, T1, FakeCheck, World

from roadworthy.actions.inspection import due_reasons, tool
from roadworthy.actions.policy import adopt_policy
from roadworthy.actions.registration import register_release
from roadworthy.base.digest import is_digest
from roadworthy.base.errors import EvidenceError, TargetUnreachable
from roadworthy.domain.criterion import Assurance, Verdict
from roadworthy.domain.decision import State
from roadworthy.domain.evidence import Attachment, Finding, RunOutcome
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Run


def state_of(world: World, criterion_id: str = "T1") -> State:
    return next(r.state for r in world.decide().readings if r.criterion_id == criterion_id)


@pytest.mark.parametrize(
    ("faults", "verdict", "state"), [(0, Verdict.MET, State.SATISFIED), (2, Verdict.NOT_MET, State.NOT_SATISFIED)]
)
def test_a_completed_run_says_what_it_saw(world: World, faults: float, verdict: Verdict, state: State) -> None:
    """Verdict, figures, findings, control, inputs, seed and instants."""
    finished = world.run(FakeCheck(faults))
    evidence = finished.evidence
    assert finished.error is None
    assert evidence.outcome is RunOutcome.COMPLETED
    assert [(ref.id, ref.digest, ref.verdict) for ref in evidence.criteria] == [("T1", T1.digest, verdict)]
    assert evidence.findings == ((Finding(what="2 faults.", remedy="Fix them."),) if faults else ())
    assert evidence.control is not None
    assert evidence.control.failed
    assert evidence.control.detail == "faults 3"
    assert evidence.inputs == PARTS
    assert evidence.seed == 1
    assert evidence.observed_from < evidence.observed_until == evidence.produced_at
    assert evidence.assurance is Assurance.EXECUTED
    world.record(finished)
    assert state_of(world) is state


def unreachable(run: Run) -> NoReturn:
    raise TargetUnreachable("Nobody answers.", remedy="Start it.", where="http://127.0.0.1:1")


def test_an_instrument_that_fails_is_evidence_of_that(world: World) -> None:
    """ERROR with its reason and remedy; the error itself comes back for the exit code."""
    finished = world.run(FakeCheck(act=unreachable))
    evidence = finished.evidence
    assert evidence.outcome is RunOutcome.ERROR
    assert finished.error is not None
    assert finished.error.exit_code == 4
    assert "RW-401" in (evidence.problem or "")
    assert evidence.findings == (Finding(what="Nobody answers.", remedy="Start it."),)
    assert evidence.criteria[0].verdict is Verdict.CANNOT_TELL
    assert evidence.estimates == ()
    assert finished.files == ()
    world.record(finished)
    assert state_of(world) is State.INDETERMINATE


def broken(run: Run) -> NoReturn:
    raise ZeroDivisionError("by nothing")


def test_a_check_that_breaks_neither_passes_nor_ends_the_inspection(world: World) -> None:
    """A third party's mistake becomes an error on record, with what broke."""
    finished = world.run(FakeCheck(act=broken))
    assert finished.evidence.outcome is RunOutcome.ERROR
    assert isinstance(finished.error, EvidenceError)
    assert "ZeroDivisionError: by nothing" in finished.error.what
    assert finished.error.where == "fake.share"
    world.record(finished)
    assert state_of(world) is State.INDETERMINATE


class Slow(FakeCheck):
    """Has a budget of next to nothing."""

    budget_s = 0.02


def wait_until_told(run: Run) -> None:
    for _ in range(500):
        if run.cancelled():
            return
        time.sleep(0.005)


def test_a_run_over_its_budget_is_asked_to_stop_and_no_longer_counts(world: World) -> None:
    """TERMINATED, although it returned a good figure afterwards."""
    finished = world.run(Slow(act=wait_until_told))
    assert finished.evidence.outcome is RunOutcome.TERMINATED
    assert finished.evidence.problem == "Over its budget of 0.02 s."
    assert finished.error is None
    world.record(finished)
    assert state_of(world) is State.INDETERMINATE


def test_a_run_that_the_user_stopped_does_not_count(world: World) -> None:
    """TERMINATED by whom, and due again."""
    finished = world.run(FakeCheck(), cancelled=lambda: True)
    assert finished.evidence.outcome is RunOutcome.TERMINATED
    assert finished.evidence.problem == "Stopped by the user."
    assert finished.evidence.findings[0].remedy == "Run roadworthy inspect again."
    world.record(finished)
    assert "T1" in due_reasons(world.case(), world.trust(), world.clock(), {})


def test_a_complaint_after_it_was_asked_to_stop_says_nothing_about_the_target(world: World) -> None:
    """An interrupted load test has too few requests; that is the user's doing, not an error of anybody's."""
    finished = world.run(FakeCheck(act=unreachable), cancelled=lambda: True)
    assert finished.evidence.outcome is RunOutcome.TERMINATED
    assert finished.error is None


def test_a_check_that_cannot_find_a_planted_fault_proves_nothing(world: World) -> None:
    """The run completes and its figure is good, but the state stays indeterminate."""
    finished = world.run(FakeCheck(0, planted=0))
    assert finished.evidence.outcome is RunOutcome.COMPLETED
    assert finished.evidence.control is not None
    assert not finished.evidence.control.failed
    world.record(finished)
    assert state_of(world) is State.INDETERMINATE


def test_a_control_that_says_nothing_has_not_failed(world: World) -> None:
    """Without a figure there is no verdict of not met."""

    class Silent(FakeCheck):
        def observe(self, subject: float, params: Any, run: Run) -> Any:
            seen = super().observe(subject, params, run)
            return replace(seen, estimates=()) if subject == self.planted else seen

    control = world.run(Silent()).evidence.control
    assert control is not None
    assert (control.failed, control.detail) == (False, "nothing measured")


def reasons(world: World) -> dict[str, str]:
    return due_reasons(world.case(), world.trust(), world.clock(), {})


def test_what_never_ran_is_due(world: World) -> None:
    """Criteria without a check are not."""
    assert reasons(world) == {"T1": "never run"}


def test_what_is_fresh_is_not_due_until_it_is_too_old(world: World) -> None:
    """Ten days at this tier."""
    world.record(world.run(FakeCheck(faults=2)))
    assert reasons(world) == {}
    world.at += 10 * DAY
    assert "too old" in reasons(world)["T1"]


def test_what_did_not_complete_is_due_though_an_older_run_did(world: World) -> None:
    """The newest run counts."""
    world.record(world.run(FakeCheck()))
    world.record(world.run(FakeCheck(act=unreachable)))
    assert reasons(world) == {"T1": "the last run did not complete"}


@pytest.mark.parametrize(("part", "due"), [(Part.MODEL, True), (Part.CONFIG, False)])
def test_only_a_change_of_what_it_depends_on_makes_it_due(world: World, part: Part, due: bool) -> None:
    """T1 depends on the model, not on the configuration."""
    world.record(world.run(FakeCheck()))
    changed = replace(SUBJECT, parts={**PARTS, part: "sha256:" + "f" * 64})
    world.write(register_release, subject=changed, actor=PRODUCER)
    assert reasons(world) == ({"T1": f"changed since: {part.value}"} if due else {})


def test_a_revised_criterion_is_due(world: World) -> None:
    """What was proven is no longer what is asked."""
    world.record(world.run(FakeCheck()))
    tighter = replace(T1, acceptance=(replace(T1.acceptance[0], n_min=5),))
    proposed = replace(PROFILE, criteria=(tighter, *PROFILE.criteria[1:]))
    world.write(adopt_policy, current=PROFILE, proposed=proposed, actor=PRODUCER, revision=None)
    assert "T1" in reasons(world)


def test_nothing_is_due_before_anything_is_on_record(tmp_path: Any) -> None:
    """No policy, no release."""
    assert reasons(World(tmp_path, registered=False)) == {}


def test_the_tool_is_named_by_version_and_environment() -> None:
    """Enough to run it again."""
    named = tool()
    assert set(named) == {"roadworthy", "python", "machine", "environment"}
    assert is_digest(named["environment"])


def test_attachments_are_kept_only_by_what_completed(world: World) -> None:
    """The digest on record is of the bytes that the check gave."""
    finished = world.run(FakeCheck())
    assert [file.name for file in finished.files] == ["faults.txt"]
    assert finished.evidence.attachments == ()
    world.record(finished)
    payload = world.trust().open(world.case().evidence[0].body).payload["predicate"]
    assert Attachment(**payload["attachments"][0]).size_bytes == 7


def test_a_changed_parameter_makes_a_check_due(world: World) -> None:
    """Evidence says with which parameters it was made; stricter ones ask for another run."""
    world.record(world.run(FakeCheck()))
    made_with = world.run(FakeCheck()).evidence.parameters
    stricter = {**made_with, "something": 1}

    def due(parameters: dict[str, Any]) -> dict[str, str]:
        return due_reasons(world.case(), world.trust(), world.clock(), {FakeCheck.id: parameters})

    assert due(dict(made_with)) == {}
    assert due(stricter) == {"T1": "its parameters were changed"}
