"""Faults at the primary upstream of a rehearsal, one experiment for each scenario, and what a right gateway had to show.

Owns the experiments and the judgement of each. Leaves alone which faults there are and what is right about them
(``probes.fault.scenarios``), and how an experiment goes (``probes.fault.experiment``).

How a scenario is judged:

1. The experiment went through: steady before, fault brought about, answered within the deadline, undone.
2. The ledger has one outcome of the exchange, and its rung and the caller's status are those that are expected, given the
   declared ladder. A rung that had no answer to this very question, and says so in the attempts, is passed over. A stream
   that breaks before its first byte has left may be refused as a whole.
3. The caller was told: by the notice beside the answer, or by the error that ends a stream.
4. After bytes had left, nobody else was asked.

A question that a circuit breaker kept from the primary never met the fault: such a trial is *blocked*, says nothing, and
has to be repeated. Every worker has breakers of its own, so the steady state is looked at more than once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roadworthy.domain.exchange import LeafKind, RungKind
from roadworthy.ledger.leaf import Leaf
from roadworthy.probes.fault.experiment import Condition, Experiment, ExperimentResult, Outcome, run_experiment
from roadworthy.probes.fault.scenarios import Effect, Scenario, expected
from roadworthy.probes.fault.stage import FaultStage
from roadworthy.probes.fault.upstream import FaultUpstream
from roadworthy.probes.rehearsal.reply import DONE, Reply
from roadworthy.probes.rehearsal.requests import Request, tagged
from roadworthy.probes.rehearsal.rig import Rig

_WENT_THROUGH = frozenset({Outcome.CONFIRMED, Outcome.DEVIATED, Outcome.NOT_RECOVERED})
_PASSED_OVER = frozenset({"no_match", "queue_full"})
_REFUSED = frozenset({502, 503, 504})
_ERROR = b'"error"'
_BLOCKED = "breaker_open"
_LOOKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One scenario, carried out.

    Attributes:
        scenario: which.
        result: of the experiment.
        reply: while the fault was there; None when it never came to that.
        others_asked: how often the other upstreams were asked meanwhile.
    """

    scenario: Scenario
    result: ExperimentResult
    reply: Reply | None
    others_asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The judgement of one trial.

    Attributes:
        trial: which.
        rung: that answered, as the ledger says; "" when it says nothing.
        problems: in words; empty when the fault was handled.
        told: whether the caller was told where that was needed.
        blocked: whether the question never met the fault.
    """

    trial: Trial
    rung: str
    problems: tuple[str, ...]
    told: bool
    blocked: bool = False


@dataclass(slots=True)
class _Seen:
    """Where a condition puts what it saw."""

    replies: list[Reply] = field(default_factory=list)


def try_scenario(
    rig: Rig,
    stage: FaultStage,
    others: Mapping[str, FaultUpstream],
    request: Request,
    scenario: Scenario,
    *,
    deadline_s: float,
) -> Trial:
    """Carry one scenario out.

    Args:
        rig: the rehearsal.
        stage: in place of its primary upstream.
        others: in place of its other upstreams.
        request: that is asked; a stream for a scenario that streams.
        scenario: which.
        deadline_s: within which the caller must have an answer.
    """
    seen = _Seen()

    def steady() -> tuple[bool, str]:
        for _ in range(int(rig.declared.config.get("workers", 1)) * _LOOKS):
            reply = rig.ask(tagged(request, f"{scenario.id}-steady"), timeout_s=deadline_s)
            if not reply.answered or reply.rung:
                return False, f"{reply.status} {reply.rung} {reply.fault}".strip()
        return True, "answered by the primary"

    def answered() -> tuple[bool, str]:
        reply = rig.ask(tagged(request, scenario.id), timeout_s=deadline_s)
        seen.replies.append(reply)
        return bool(reply.status) and reply.took_s <= deadline_s, f"{reply.status} after {reply.took_s:.2f} s"

    before = sum(len(other.seen) for other in others.values())
    asked_after: list[int] = []

    def count() -> tuple[bool, str]:
        asked_after.append(sum(len(other.seen) for other in others.values()))
        return True, f"{asked_after[-1] - before} questions reached other upstreams"

    result = run_experiment(
        Experiment(
            id=scenario.id,
            title=scenario.why,
            steady=(Condition(name="the primary answers", holds=steady, within_s=scenario.recover_within_s),),
            method=(stage.method(scenario),),
            observations=(
                Condition(name="the caller has an answer within the deadline", holds=answered),
                Condition(name="who else was asked", holds=count),
            ),
            rollback=(stage.rollback(scenario),),
            recover_within_s=scenario.recover_within_s,
            step_s=deadline_s * 2,
        )
    )
    return Trial(
        scenario=scenario,
        result=result,
        reply=seen.replies[0] if seen.replies else None,
        others_asked=asked_after[0] - before if asked_after else 0,
    )


def judge_trial(trial: Trial, leaves: Sequence[Leaf], ladder: Sequence[RungKind]) -> Judged:
    """Judge one trial.

    Args:
        trial: as it went.
        leaves: of its exchange.
        ladder: kinds of the declared rungs.
    """
    reply = trial.reply
    if reply is None or trial.result.outcome not in _WENT_THROUGH:  # 1
        return Judged(trial=trial, rung="", problems=(f"the experiment was {trial.result.outcome.value}",), told=False)
    problems = [f"not so: {each.name}: {each.saw}" for each in trial.result.observations if not each.ok]
    if trial.result.recovered_s is None:
        problems.append("the primary did not answer again in time")
    outcomes = [leaf for leaf in leaves if leaf.base.kind == LeafKind.OUTCOME.value]
    if len(outcomes) != 1:  # 2
        problems.append(f"the ledger has {len(outcomes)} outcomes of it")
    facts: Mapping[str, str | int] = outcomes[0].facts if outcomes else {}
    rung, attempts = str(facts.get("rung", "")), str(facts.get("attempts", ""))
    right = expected(trial.scenario, _able(ladder, attempts))
    if rung != right.rung.value:
        problems.append(f"{rung or 'nobody'} answered, not {right.rung.value}")
    refusable = _REFUSED if trial.scenario.effect is Effect.CUT else frozenset[int]()
    if reply.status not in right.statuses | refusable:
        problems.append(f"the status is {reply.status}")
    if right.complete and reply.fault:
        problems.append(f"the answer is torn: {reply.fault}")
    problems += _after_release(trial, reply)  # 4
    told = not right.told or bool(reply.notice) or (trial.scenario.effect is Effect.CUT and _ERROR in reply.body)  # 3
    blocked = attempts.partition(",")[0].split(":")[1:2] == [_BLOCKED]
    if blocked:
        problems.append("a circuit breaker kept the question from the fault")
    return Judged(trial=trial, rung=rung, problems=tuple(problems), told=told, blocked=blocked)


def _after_release(trial: Trial, reply: Reply) -> list[str]:
    """Step 4, for streams of which a part had left."""
    if trial.scenario.effect is not Effect.CUT:
        return []
    problems = []
    if DONE in reply.body:
        problems.append("a stream that was cut ends as if it were whole")
    if trial.others_asked:
        problems.append("another upstream was asked after bytes had left")
    return problems


def _able(ladder: Sequence[RungKind], attempts: str) -> tuple[RungKind, ...]:
    """The ladder below the rungs that say that they had no answer to this question; of such there is one line each."""
    passed = sum(each.split(":")[1] in _PASSED_OVER for each in attempts.split(",") if ":" in each)
    rest = list(ladder)
    for kind in ladder:
        if passed and kind in {RungKind.CACHED, RungKind.RULE, RungKind.HUMAN}:
            rest.remove(kind)
            passed -= 1
    return tuple(rest)
