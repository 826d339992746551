import threading
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from raw_http import ask, chat_body, request

from roadworthy.base.errors import ParameterError, TargetUnreachable
from roadworthy.probes.fault.experiment import Condition, Experiment, Outcome, Step, run_experiment
from roadworthy.probes.fault.faults import Fault
from roadworthy.probes.fault.upstream import FaultUpstream

AT = datetime(2026, 11, 21, tzinfo=UTC)


class System:
    """A toy that is up or down, and notes what is done to it."""

    def __init__(self, *, recovers=True, notices=True):
        self.up = True
        self.recovers = recovers
        self.notices = notices
        self.done = []

    def steady(self):
        return self.up, "up" if self.up else "down"

    def noticed(self):
        return self.notices and not self.up, "fallback"

    def kill(self):
        self.done.append("kill")
        self.up = False

    def heal(self):
        self.done.append("heal")
        self.up = self.recovers


def experiment(system, **changes):
    parts = {
        "id": "e1",
        "title": "The model is killed.",
        "steady": (Condition(name="answers", holds=system.steady),),
        "method": (Step(name="kill", do=system.kill),),
        "observations": (Condition(name="falls back", holds=system.noticed),),
        "rollback": (Step(name="heal", do=system.heal),),
        "recover_within_s": 0.1,
        "step_s": 2.0,
    }
    return Experiment(**(parts | changes))


def test_a_sound_system_confirms_the_hypothesis():
    """All five phases are in the record."""
    system = System()
    result = run_experiment(experiment(system), clock=lambda: AT)
    assert result.outcome is Outcome.CONFIRMED
    assert system.done == ["kill", "heal"]
    assert [each.name for each in (*result.steady_before, *result.method, *result.observations)] == [
        "answers",
        "kill",
        "falls back",
    ]
    assert (result.began_at, result.ended_at) == (AT, AT)
    assert 0 <= result.recovered_s < 0.1
    assert asdict(result)["rollback"][0]["ok"] is True


def test_what_is_not_steady_is_left_alone():
    """Nothing is done to it."""
    system = System()
    system.up = False
    result = run_experiment(experiment(system))
    assert result.outcome is Outcome.NOT_STEADY
    assert system.done == []
    assert result.rollback == result.steady_after == ()
    assert result.recovered_s is None


def test_a_system_without_a_fallback_deviates():
    """It is healed all the same."""
    system = System(notices=False)
    result = run_experiment(experiment(system))
    assert result.outcome is Outcome.DEVIATED
    assert system.done == ["kill", "heal"]
    assert result.recovered_s is not None


def test_a_system_that_stays_down_has_not_recovered():
    """It was asked until its time was over, but no longer."""
    pauses = []
    result = run_experiment(experiment(System(recovers=False)), pause=pauses.append)
    assert result.outcome is Outcome.NOT_RECOVERED
    assert result.steady_after[0].saw == "down"
    assert pauses
    assert max(pauses) <= 0.1


def test_what_holds_later_counts_when_in_time():
    """A condition is asked again; its time is in the record."""
    answers = iter([(False, "not yet"), (False, "not yet"), (True, "now")])
    later = Condition(name="falls back", holds=lambda: next(answers), within_s=5)
    result = run_experiment(experiment(System(), observations=(later,)), pause=lambda _: None)
    assert result.outcome is Outcome.CONFIRMED
    assert result.observations[0].saw == "now"


def test_what_holds_too_late_does_not_count():
    """A look that itself takes longer than the time allowed."""
    slow = Condition(name="slow", holds=lambda: (not threading.Event().wait(0.05), "well"), within_s=0.01)
    result = run_experiment(experiment(System(), observations=(slow,)))
    assert result.outcome is Outcome.DEVIATED
    assert result.observations[0].saw == "too late: well"


@pytest.mark.parametrize("error", [TargetUnreachable("No.", remedy="Start it."), OSError(5, "broken")])
def test_a_method_that_fails_shows_nothing(error):
    """No observation is made, the rollback runs."""
    system = System()

    def fail():
        raise error

    steps = (Step(name="fail", do=fail), Step(name="kill", do=system.kill))
    result = run_experiment(experiment(system, method=steps))
    assert result.outcome is Outcome.METHOD_FAILED
    assert result.observations == ()
    assert system.done == ["heal"]
    assert str(error) in result.method[0].saw


def test_every_step_of_the_rollback_is_tried():
    """The first fails, the second runs; somebody must look."""
    system = System()

    def fail():
        raise OSError("stuck")

    result = run_experiment(experiment(system, rollback=(Step(name="x", do=fail), Step(name="heal", do=system.heal))))
    assert result.outcome is Outcome.ROLLBACK_FAILED
    assert [each.ok for each in result.rollback] == [False, True]


def test_a_defect_of_the_experiment_is_raised_after_the_rollback():
    """A ValueError is nobody's observation."""
    system = System()

    def defect():
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        run_experiment(experiment(system, observations=(Condition(name="x", holds=defect),)))
    assert system.done == ["kill", "heal"]


def test_a_step_that_hangs_is_left_behind():
    """Its deadline ends the wait, and the rollback runs."""
    system = System()
    released = threading.Event()
    try:
        steps = (Step(name="hang", do=lambda: released.wait(30)),)
        result = run_experiment(experiment(system, method=steps, step_s=0.05))
    finally:
        released.set()
    assert result.outcome is Outcome.METHOD_FAILED
    assert result.method[0].saw == "no end within 0.05 s"
    assert system.done == ["heal"]


def test_a_time_limit_of_the_step_itself_is_what_it_saw():
    """TimeoutError is an OSError like another."""

    def slow():
        raise TimeoutError("no answer within 1 s")

    result = run_experiment(experiment(System(), method=(Step(name="x", do=slow),)))
    assert result.method[0].saw == "no answer within 1 s"


@pytest.mark.parametrize("part", ["steady", "method", "observations"])
def test_an_experiment_that_cannot_fail_is_refused(part):
    """RW-114."""
    with pytest.raises(ParameterError, match="shows nothing"):
        experiment(System(), **{part: ()})


def test_a_real_upstream_is_broken_and_healed():
    """The parts fit together: switch a fault on, see it, switch it off."""
    with FaultUpstream() as upstream:

        def status():
            return int(ask(upstream.port, request("/v1/chat/completions", chat_body()))[0].split()[1])

        tried = Experiment(
            id="status-503",
            title="The upstream says that it is not ready.",
            steady=(Condition(name="answers", holds=lambda: ((seen := status()) == 200, str(seen))),),
            method=(Step(name="switch on", do=lambda: upstream.switch(Fault.ERROR_503)),),
            observations=(Condition(name="503", holds=lambda: ((seen := status()) == 503, str(seen))),),
            rollback=(Step(name="switch off", do=lambda: upstream.switch(None)),),
        )
        result = run_experiment(tried)
        assert result.outcome is Outcome.CONFIRMED
        assert [each.fault for each in upstream.seen] == [None, Fault.ERROR_503, None]
