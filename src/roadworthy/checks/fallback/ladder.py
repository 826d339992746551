"""The fallback ladder, tested: every fault at the primary upstream must reach the rung that was declared for it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from roadworthy.base.errors import ManifestError
from roadworthy.base.interval import exact, unknown
from roadworthy.checks.rehearsed import Rehearsed, longest_answer_s, rehearsed, required_gateway, specimen
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import lower
from roadworthy.probes.fault.scenarios import SCENARIOS, Scenario
from roadworthy.probes.rehearsal.declared import read_declared
from roadworthy.probes.rehearsal.faults import Judged, judge_trial, try_scenario
from roadworthy.probes.rehearsal.found import by_exchange
from roadworthy.probes.rehearsal.requests import Request
from roadworthy.probes.rehearsal.small import ALTERNATE, small_gateway

_SPECIMEN = frozenset({
    "connect-refused", "reset-before", "reset-in-head", "status-429", "status-500", "malformed-json", "chunk-size-bad",
    "head-huge", "slow-head", "id-null", "network-slicer", "stall-stream", "done-missing-stream", "status-503-stream",
    "usage-missing-stream",
})  # fmt: skip
"""Scenarios of the small gateways: one of each kind, of the quick ones."""

_ROUNDS = 3
"""A scenario that a circuit breaker kept from the primary is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        slack_s: that an answer may take beyond the declared deadlines of all rungs together.
    """

    slack_s: float = lower(2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A gateway with a ladder, and the scenarios that are tried on it."""

    gateway: Rehearsed
    scenarios: tuple[Scenario, ...]


class LadderCheck(Check[Subject, Params]):
    """Rehearse the gateway, bring every known fault about at its primary upstream, and see who answers.

    Each fault is an experiment: steady state, fault, observation, rollback, steady state again. The answer must come
    from the declared rung within the declared deadlines; the caller must be told; the ledger must hold exactly one
    outcome; after bytes have left nobody else may be asked; and the primary must answer again once the fault is gone.
    Streamed answers are tried where a route streams.
    """

    id: ClassVar[str] = "fallback.ladder"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Fallback ladder under faults"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 3_600.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a ladder whose alternate system does not answer"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """A rehearsal of the declared gateway, whose use case must have a ladder."""
        gateway = required_gateway(context)
        if not read_declared(gateway.config, gateway.use_case).ladder:
            what = f"{gateway.use_case} has no fallback ladder."
            raise ManifestError(what, remedy="Declare its rungs: fallback: [...].", where=gateway.config.name)
        with rehearsed(context) as found:
            yield Subject(gateway=found, scenarios=SCENARIOS)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A small gateway with a sound alternate."""
        with specimen(context, small_gateway(context.workdir / "operator")) as found:
            yield Subject(gateway=found, scenarios=_quick())

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same, but the alternate is down."""
        with specimen(context, small_gateway(context.workdir / "operator")) as found:
            found.others[ALTERNATE].go_down()
            yield Subject(gateway=found, scenarios=_quick())

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """One experiment after the other, then the ledger."""
        gateway, rig = subject.gateway, subject.gateway.rig
        longest_s = longest_answer_s(rig.declared.use_case) + params.slack_s
        judged: dict[str, Judged] = {}
        scenarios = subject.scenarios
        for _ in range(_ROUNDS):
            judged |= {each.trial.scenario.id: each for each in _tried(gateway, scenarios, longest_s, run)}
            scenarios = tuple(each.trial.scenario for each in judged.values() if each.blocked)
            if not scenarios:
                break
        return Observation(
            estimates=_estimates(tuple(judged.values())),
            facts={
                "changes": list(rig.changes),
                "ladder": [kind.value for kind in rig.declared.ladder],
                "deadline_s": longest_s,
                "scenarios": [_row(each) for each in judged.values()],
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Which fault did not reach its rung, and whom nobody told."""
        found = []
        for row in observation.facts["scenarios"]:
            if row["problems"]:
                what = f"Fault {row['scenario']}: {'; '.join(row['problems'])}. {row['why']}"
                remedy = "Repair or rearm the rung that should have answered, and evaluate it again."
                found.append(Finding(what=what, remedy=remedy))
            if not row["told"]:
                what = f"Fault {row['scenario']}: the caller was not told that this is no answer of the usual system."
                found.append(
                    Finding(what=what, remedy="Let the notice beside the answer reach the person who reads it.")
                )
        return tuple(found)


def _tried(gateway: Rehearsed, scenarios: Sequence[Scenario], longest_s: float, run: Run) -> Iterator[Judged]:
    """Each scenario as an experiment, and then what the ledger says of all of them."""
    rig, trials = gateway.rig, []
    for scenario in scenarios:
        request = _request(gateway.requests, streamed=scenario.streamed)
        if request is not None and not run.cancelled():
            trials.append(try_scenario(rig, gateway.stage, gateway.others, request, scenario, deadline_s=longest_s))
    log = by_exchange(rig.leaves([trial.reply.record_id for trial in trials if trial.reply]))
    for trial in trials:
        placed = log.get(trial.reply.record_id, []) if trial.reply else []
        yield judge_trial(trial, [leaf for _, leaf in placed], rig.declared.ladder)


def _quick() -> tuple[Scenario, ...]:
    return tuple(each for each in SCENARIOS if each.id in _SPECIMEN)


def _request(requests: Sequence[Request], *, streamed: bool) -> Request | None:
    """The first that has a body and streams, or does not; None when no route does."""
    return next((each for each in requests if each.forwarded and each.body and each.stream is streamed), None)


def _estimates(judged: Sequence[Judged]) -> tuple[Estimate, ...]:
    """The table of faults is tried as a whole, so its shares are counts without a sampling error."""
    count = len(judged)
    if not count:
        return ()
    unhandled = sum(bool(each.problems) for each in judged)
    untold = sum(not each.told for each in judged)
    recovered = [each.trial.result.recovered_s for each in judged]
    slowest = unknown() if None in recovered else exact(max(each or 0.0 for each in recovered), count)
    return (
        Estimate(metric="faults_handled_share", interval=exact(1 - unhandled / count, count)),
        Estimate(metric="unhandled_faults", interval=exact(unhandled, count), unit="fault"),
        Estimate(metric="untold_callers", interval=exact(untold, count), unit="caller"),
        Estimate(metric="recovery_s", interval=slowest, unit="s"),
    )


def _row(judged: Judged) -> dict[str, Any]:
    trial = judged.trial
    return {
        "scenario": trial.scenario.id,
        "why": trial.scenario.why,
        "experiment": trial.result.outcome.value,
        "status": trial.reply.status if trial.reply else 0,
        "took_s": round(trial.reply.took_s, 3) if trial.reply else None,
        "rung": judged.rung,
        "told": judged.told,
        "problems": list(judged.problems),
        "recovered_s": trial.result.recovered_s,
    }
