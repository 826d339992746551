"""Audit logging, tested: canaries in every situation, the ledger frozen and killed, and copies tampered with."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import TargetAnswer
from roadworthy.base.interval import exact, unknown
from roadworthy.checks.rehearsed import Rehearsed, rehearsed, specimen, with_bypass
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.exchange import LeafKind
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import higher, lower
from roadworthy.probes.rehearsal.canaries import PLAIN, send_canaries
from roadworthy.probes.rehearsal.found import Finding as Judged
from roadworthy.probes.rehearsal.found import Placed, by_exchange, judge
from roadworthy.probes.rehearsal.published import copy_log, verifies, vkey_of
from roadworthy.probes.rehearsal.reply import Reply
from roadworthy.probes.rehearsal.rig import Rig
from roadworthy.probes.rehearsal.sink import SinkTrial, freeze_sink, kill_sink
from roadworthy.probes.rehearsal.small import ALTERNATE, small_gateway
from roadworthy.probes.rehearsal.tamper import tampers
from roadworthy.stats.proportions import clopper_pearson

MOST_SKEW_S = 2.0
_SHOWN = 20
_AROUND = "/score"
_TAMPERS = len(tuple(tampers()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        canaries: how many at least; with 100, all of them found, the share recorded is at least 0.96 with 95 % confidence.
        freeze_s: for how long the ledger is frozen.
        recover_within_s: how long the service may take to answer again.
    """

    canaries: int = higher(100)
    freeze_s: float = higher(1.0)
    recover_within_s: float = lower(30.0)


class LoggingCheck(Check[Rehearsed, Params]):
    """Rehearse the gateway and look for the record of everything that it answered.

    Canaries go over every declared route: as they should be answered, while the AI system fails, refused for their
    purpose, held back by the input filter, and answered by a person, as far as the use case has these. Each must stand
    in the published log with the bytes that were sent and seen. Then the ledger is frozen and killed, meanwhile no
    answer may come without its record; and copies of the log are tampered with, which the verifier must find.
    """

    id: ClassVar[str] = "audit.logging"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Audit logging active and tested"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 900.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a gateway with a way around it, by which one route is answered without a record"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Rehearsed]:
        """A rehearsal of the declared gateway."""
        with rehearsed(context) as gateway:
            yield gateway

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Rehearsed]:
        """A small gateway with a person on its ladder."""
        with specimen(context, _small(context)) as gateway:
            yield gateway

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Rehearsed]:
        """The same, but one route is answered by the upstream itself."""
        with specimen(context, _small(context)) as gateway, with_bypass(gateway, _AROUND) as around:
            yield around

    def observe(self, subject: Rehearsed, params: Params, run: Run) -> Observation:
        """Canaries, then the ledger's absence, then the tampered copies."""
        rig = subject.rig
        canaries = send_canaries(
            rig, subject.stage, subject.others, subject.requests, least=params.canaries, cancelled=run.cancelled
        )
        if not any(each.situation == PLAIN and each.reply.answered for each in canaries):
            what = "Not one canary was answered, so nothing is known of answers."
            raise TargetAnswer(what, remedy="Give every route a request that it takes: gateway.samples.", where=rig.url)
        trials = (
            freeze_sink(
                rig,
                subject.stage,
                subject.requests,
                freeze_s=params.freeze_s,
                within_s=params.recover_within_s,
            ),
            kill_sink(rig, subject.stage, subject.requests, within_s=params.recover_within_s),
        )
        replies = (*(each.reply for each in canaries), *(each for trial in trials for each in trial.meanwhile))
        log = by_exchange(rig.leaves([each.record_id for each in replies]))
        with contextlib.ExitStack() as held:
            kept = rig.declared.use_case.get("keep_payloads", True)
            payloads = held.enter_context(rig.payloads()) if kept else None
            judged = [judge(canary, log, payloads) for canary in canaries]
        lost = {trial.name: len(trial.during) + _unrecorded(trial.meanwhile, log) for trial in trials}
        undetected = _undetected(rig, run.seed)
        return Observation(
            estimates=_estimates(judged, trials, sum(lost.values()), undetected),
            facts={
                "changes": list(rig.changes),
                "canaries": _table(judged),
                "unrecorded": _problems(judged),
                "sink": [_trial(each, lost[each.name]) for each in trials],
                "undetected_tampers": undetected,
                "most_skewed_s": max((each.skew_s for each in judged), default=0.0),
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Which situation leaves no record, and what came without one."""
        facts = observation.facts
        return (
            *(
                Finding(
                    what=f"{each['canaries']} canaries ({each['situation']}, {each['route']}): {each['problem']}.",
                    remedy="Let every answer of this route come through the gateway, and close every way around it.",
                )
                for each in facts["unrecorded"]
            ),
            *(finding for each in facts["sink"] for finding in _of_sink(each)),
            *(
                Finding(what=f"The verifier did not see: {name}.", remedy="Do not rely on this verifier.")
                for name in facts["undetected_tampers"]
            ),
            *_of_clock(facts["most_skewed_s"]),
        )


def _small(context: CheckContext) -> Path:
    evidence = digest_bytes(b"specimen")
    ladder: list[dict[str, Any]] = [
        {"alternate": ALTERNATE, "evidence": evidence},
        {"human": "desk", "evidence": evidence, "wait_s": 5},
        {"refuse": "Please use the manual procedure."},
    ]
    return small_gateway(context.workdir / "operator", fallback=ladder)


def _unrecorded(replies: Sequence[Reply], log: Mapping[str, Sequence[Placed]]) -> int:
    """How many answers have no outcome in the log."""
    return sum(
        all(leaf.base.kind != LeafKind.OUTCOME.value for _, leaf in log.get(reply.record_id, ())) for reply in replies
    )


def _undetected(rig: Rig, number: int) -> list[str]:
    """Names of the ways to tamper that the verifier does not see in a fresh copy; the copy itself verifies."""
    found, copy = [], rig.ledger.with_name("copy")
    for name, tamper in tampers():
        copy_log(rig.log, copy)
        tamper(copy, number)
        if verifies(copy, vkey_of(rig.log)):
            found.append(name)
    return found


def _estimates(
    judged: Sequence[Judged], trials: Sequence[SinkTrial], lost: int, undetected: Sequence[str]
) -> tuple[Estimate, ...]:
    count, asked = len(judged), sum(trial.asked for trial in trials)
    recorded = sum(not each.problems for each in judged)
    skew_s = max((each.skew_s for each in judged), default=0.0)
    recovered = [trial.recovered_s for trial in trials]
    slowest = unknown() if None in recovered else exact(max(each or 0.0 for each in recovered), len(recovered))
    return (
        Estimate(metric="recorded_share", interval=clopper_pearson(recorded, count)),
        Estimate(metric="unrecorded_canaries", interval=exact(count - recorded, count), unit="canary"),
        Estimate(metric="answers_without_sink", interval=exact(lost, asked), unit="answer"),
        Estimate(metric="undetected_tampers", interval=exact(len(undetected), _TAMPERS), unit="tamper"),
        Estimate(metric="clock_skew_s", interval=exact(skew_s, count), unit="s"),
        Estimate(metric="sink_recovery_s", interval=slowest, unit="s"),
    )


def _table(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    sent = Counter((each.canary.situation, each.canary.request.route) for each in judged)
    good = Counter((each.canary.situation, each.canary.request.route) for each in judged if not each.problems)
    return [
        {"situation": situation, "route": route, "sent": count, "recorded": good[situation, route]}
        for (situation, route), count in sorted(sent.items())
    ]


def _problems(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """What is wrong, counted by situation and route."""
    counted = Counter(
        (each.canary.situation, each.canary.request.route, each.problems[0]) for each in judged if each.problems
    )
    return [
        {"situation": situation, "route": route, "problem": problem, "canaries": count}
        for (situation, route, problem), count in sorted(counted.items())[:_SHOWN]
    ]


def _trial(trial: SinkTrial, lost: int) -> dict[str, Any]:
    return {"sink": trial.name, "asked": trial.asked, "without_record": lost, "recovered_s": trial.recovered_s}


def _of_sink(trial: Mapping[str, Any]) -> Iterator[Finding]:
    if trial["without_record"]:
        yield Finding(
            what=f"{trial['without_record']} answers came without a record while the ledger was {trial['sink']}.",
            remedy="An answer may leave only after its record is durable: look for what answers beside the gateway.",
        )
    if trial["recovered_s"] is None:
        yield Finding(
            what=f"The service did not answer again after the ledger was {trial['sink']}.",
            remedy="Look at the gateway's log: the supervisor starts the ledger's process again.",
        )


def _of_clock(skew_s: float) -> Iterator[Finding]:
    if skew_s > MOST_SKEW_S:
        yield Finding(
            what=f"Instants in the log are off by up to {skew_s:.1f} s.",
            remedy="Let the gateway's machine follow a time server.",
        )
