"""One chaos experiment: is it steady, do something to it, look, undo it, is it steady again?

Owns the order of the steps, their deadlines and the plain record of what happened. Leaves alone what the steps do: they are
functions of the caller.

How an experiment goes:
1. Every condition of the steady state must hold; otherwise nothing is done, and the verdict is ``NOT_STEADY``.
2. The method is carried out, step by step; a step that fails ends it.
3. The observations are looked at while the fault is there; each is asked again until it holds or its time is over.
4. The rollback is carried out, every step of it, also when something before it failed.
5. The steady state must come back within ``recover_within_s``, counted from the end of the rollback.

Rules kept here:
1. What a step says in our words (``RoadworthyError``), or the operating system in its own (``OSError``), is part of the
   record. Any other error is a fault of the experiment: it is raised again, after the rollback.
2. Every step has a deadline. A step that hangs is left behind in its thread and counts as failed; it cannot be ended from
   outside, so steps should have time limits of their own.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import TracebackType
from typing import Any, TypeVar

from roadworthy.base.clock import Clock, monotonic_s, now
from roadworthy.base.errors import ParameterError, RoadworthyError

T = TypeVar("T")
Pause = Callable[[float], None]
_ASK_AGAIN_S = 0.05
_STEP_S = 30.0


class Outcome(Enum):
    """How an experiment ended, the worst that applies."""

    CONFIRMED = "confirmed"
    """All observations held and the steady state came back in time."""
    DEVIATED = "deviated"
    """An observation did not hold while the fault was there."""
    NOT_RECOVERED = "not-recovered"
    """The steady state did not come back in time."""
    NOT_STEADY = "not-steady"
    """It was not steady before; nothing was done."""
    METHOD_FAILED = "method-failed"
    """The fault could not be brought about, so nothing is known."""
    ROLLBACK_FAILED = "rollback-failed"
    """The fault could not be undone; somebody must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that holds or not.

    Attributes:
        name: for the record.
        holds: looks; returns whether it holds, and what was seen in words.
        within_s: how long it may take to hold; 0 means at once.
    """

    name: str
    holds: Callable[[], tuple[bool, str]]
    within_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that is done.

    Attributes:
        name: for the record.
        do: does it.
    """

    name: str
    do: Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What shall be tried.

    Attributes:
        id: for the record.
        title: one sentence.
        steady: the hypothesis of the steady state.
        method: brings the fault about.
        observations: what a sound system shows while the fault is there.
        rollback: undoes the method.
        recover_within_s: until it must be steady again.
        step_s: deadline of every single call.
    """

    id: str
    title: str
    steady: tuple[Condition, ...]
    method: tuple[Step, ...]
    observations: tuple[Condition, ...]
    rollback: tuple[Step, ...]
    recover_within_s: float = 10.0
    step_s: float = _STEP_S

    def __post_init__(self) -> None:
        """Refuse an experiment that could not fail."""
        if not (self.steady and self.method and self.observations):
            raise ParameterError(
                "An experiment without steady state, method or observations shows nothing.",
                remedy="Give at least one of each.",
                where=self.id,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What became of one condition or step.

    Attributes:
        name: of the condition or step.
        ok: whether it held or was carried out.
        saw: in words; "" when a step ended as it should.
        after_s: from the beginning of its phase to its end.
    """

    name: str
    ok: bool
    saw: str
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentResult:
    """The record of one experiment, fit for evidence.

    Attributes:
        id: of the experiment.
        title: of the experiment.
        outcome: how it ended.
        began_at: before the first look at the steady state.
        ended_at: after the last.
        steady_before: phase 1.
        method: phase 2; shorter than the experiment's when a step failed.
        observations: phase 3; empty when the method failed.
        rollback: phase 4.
        steady_after: phase 5.
        recovered_s: from the end of the rollback until all of it was steady; None when it was not.
    """

    id: str
    title: str
    outcome: Outcome
    began_at: datetime
    ended_at: datetime
    steady_before: tuple[Observed, ...]
    method: tuple[Observed, ...]
    observations: tuple[Observed, ...]
    rollback: tuple[Observed, ...]
    steady_after: tuple[Observed, ...]
    recovered_s: float | None


def run_experiment(experiment: Experiment, *, clock: Clock = now, pause: Pause = time.sleep) -> ExperimentResult:
    """Run one experiment to its end.

    Args:
        experiment: to run.
        clock: for the instants of the record.
        pause: waits so many seconds before something is asked again.
    """
    began_at = clock()
    look = _Looking(experiment.step_s, pause)
    steady_before = look.at_all(experiment.steady)  # 1
    method: tuple[Observed, ...] = ()
    observations: tuple[Observed, ...] = ()
    rollback: tuple[Observed, ...] = ()
    steady_after: tuple[Observed, ...] = ()
    if _all_ok(steady_before):
        try:
            method = look.carry_out(experiment.method, to_the_end=False)  # 2
            if _all_ok(method):
                observations = look.at_all(experiment.observations)  # 3
        finally:
            rollback = look.carry_out(experiment.rollback, to_the_end=True)  # 4
        steady_after = look.at_all(experiment.steady, within_s=experiment.recover_within_s)  # 5
    recovered = bool(steady_after) and _all_ok(steady_after)
    return ExperimentResult(
        id=experiment.id,
        title=experiment.title,
        outcome=_outcome(steady_before, method, observations, rollback, steady_after),
        began_at=began_at,
        ended_at=clock(),
        steady_before=steady_before,
        method=method,
        observations=observations,
        rollback=rollback,
        steady_after=steady_after,
        recovered_s=max(each.after_s for each in steady_after) if recovered else None,
    )


def _outcome(
    before: Sequence[Observed],
    method: Sequence[Observed],
    observations: Sequence[Observed],
    rollback: Sequence[Observed],
    after: Sequence[Observed],
) -> Outcome:
    """The worst that applies, in the order of who must act first."""
    if not _all_ok(before):
        return Outcome.NOT_STEADY
    if not _all_ok(rollback):
        return Outcome.ROLLBACK_FAILED
    if not _all_ok(after):
        return Outcome.NOT_RECOVERED
    if not _all_ok(method):
        return Outcome.METHOD_FAILED
    return Outcome.CONFIRMED if _all_ok(observations) else Outcome.DEVIATED


def _all_ok(observed: Sequence[Observed]) -> bool:
    return all(each.ok for each in observed)


class _Looking:
    """Carries out the phases, with a deadline for every call."""

    def __init__(self, step_s: float, pause: Pause) -> None:
        self._step_s = step_s
        self._pause = pause

    def at_all(self, conditions: Sequence[Condition], *, within_s: float = 0.0) -> tuple[Observed, ...]:
        """Every condition, asked until it holds or its time, at least ``within_s``, is over."""
        from_s = monotonic_s()
        return tuple(self._at(each, from_s, max(within_s, each.within_s)) for each in conditions)

    def _at(self, condition: Condition, from_s: float, within_s: float) -> Observed:
        while True:
            result, failure = self._call(condition.holds)
            ok, saw = (False, failure) if result is None else result
            after_s = monotonic_s() - from_s
            # What holds only after its time is over does not count as held.
            if (ok and (within_s == 0 or after_s <= within_s)) or after_s >= within_s:
                late = ok and 0 < within_s < after_s
                return Observed(
                    name=condition.name, ok=ok and not late, saw=f"too late: {saw}" if late else saw, after_s=after_s
                )
            self._pause(min(_ASK_AGAIN_S, within_s - after_s))

    def carry_out(self, steps: Sequence[Step], *, to_the_end: bool) -> tuple[Observed, ...]:
        """The steps in order; a failure ends them unless they shall go on to the end."""
        from_s = monotonic_s()
        done: list[Observed] = []
        for step in steps:
            _, failure = self._call(step.do)
            done.append(Observed(name=step.name, ok=not failure, saw=failure, after_s=monotonic_s() - from_s))
            if failure and not to_the_end:
                break
        return tuple(done)

    def _call(self, work: Callable[[], T]) -> tuple[T | None, str]:
        """What a call returns, or in words why it did not."""
        future: Future[T] = Future()
        threading.Thread(target=_fulfil, args=(future, work), name="experiment-step", daemon=True).start()
        try:
            return future.result(self._step_s), ""
        except TimeoutError as error:
            # The same class may come out of the call itself, whose future is then done.
            return None, (str(error) or "timed out") if future.done() else f"no end within {self._step_s:g} s"
        except (RoadworthyError, OSError) as error:
            return None, str(error)


def _fulfil(future: "Future[Any]", work: Callable[[], object]) -> None:
    """Carry a result, or whatever error, over to the thread that waits for it."""
    with _Carried(future):
        future.set_result(work())


class _Carried:
    """Hands an error of its block to a future instead of letting the thread die of it."""

    def __init__(self, future: "Future[Any]") -> None:
        self._future = future

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Nothing is swallowed: whoever waits for the future gets the error raised."""
        if error is not None:
            self._future.set_exception(error)
        return True
