"""The kill switch, tested: how long answers still come after it was thrown, that then none does, and that both are on record."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import TargetAnswer
from roadworthy.base.interval import exact
from roadworthy.checks.rehearsed import Rehearsed, longest_answer_s, rehearsed, specimen, with_bypass
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import higher
from roadworthy.probes.fault.faults import Fault
from roadworthy.probes.rehearsal.callers import Callers
from roadworthy.probes.rehearsal.requests import tagged
from roadworthy.probes.rehearsal.rig import Rig
from roadworthy.probes.rehearsal.small import small_gateway

LONGEST_S = 60.0
_SPECIMEN_S = 2.0
_QUIET_S = 1.0
_LEAD_S = 0.5
_AGAIN_S = 0.05
_RESUME_S = 10.0
_PUBLISHED_S = 5.0
_AROUND = "/score"
_SAID = ("switched off", "switched on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        asks: questions after the stop, of which none may be answered.
    """

    asks: int = higher(50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A gateway with a kill switch.

    Attributes:
        gateway: to stop.
        patience_s: how long answers may still come before it is given up.
    """

    gateway: Rehearsed
    patience_s: float


class StopCheck(Check[Subject, Params]):
    """Rehearse the gateway with callers on every route, throw its kill switch, and listen; routes that answer count.

    The time that counts ends with the last answer that came after the switch was thrown. When answers that were under way
    still came, a slower system could take as long as the declared deadlines allow, so those count instead of what was
    measured. Then every route is asked again and none may answer; the switch is turned back and all must; and the ledger
    must say both. How long people take to throw it is not measured here.
    """

    id: ClassVar[str] = "switch.stop"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Kill switch stops all answers"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 600.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a gateway with a way around it, by which one route is answered though it is off"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """A rehearsal of the declared gateway."""
        with rehearsed(context) as gateway:
            yield Subject(gateway=gateway, patience_s=LONGEST_S)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A small gateway."""
        with specimen(context, small_gateway(context.workdir / "operator")) as gateway:
            yield Subject(gateway=gateway, patience_s=_SPECIMEN_S)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same, but one route is answered by the upstream itself."""
        with (
            specimen(context, small_gateway(context.workdir / "operator")) as gateway,
            with_bypass(gateway, _AROUND) as around,
        ):
            yield Subject(gateway=around, patience_s=_SPECIMEN_S)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Stop under traffic, ask, resume, ask, read the ledger."""
        rig, requests = subject.gateway.rig, subject.gateway.forwarded
        with Callers(rig, requests) as callers:
            time.sleep(_LEAD_S)
            subject.gateway.stage.upstream.switch(Fault.SLOW_BODY)  # so that answers are under way when it is thrown
            time.sleep(_LEAD_S)
            thrown_s = monotonic_s()
            rig.switch(on=False, reason="rehearsal of the stop")
            _listen(callers, thrown_s, subject.patience_s, run)
        subject.gateway.stage.restore()
        usual = {each.route for each in callers.heard if each.answered and each.ended_s <= thrown_s}
        asked = [each for each in requests if each.route in usual]
        if not asked:
            what = "No route answered before the switch was thrown, so nothing can be said of it."
            raise TargetAnswer(what, remedy="Give every route a request that it takes: gateway.samples.", where=rig.url)
        after = [each for each in callers.heard if each.answered and each.ended_s > thrown_s]
        stop_s = max((each.ended_s - thrown_s for each in after), default=0.0)
        under_way = sum(each.asked_s < thrown_s for each in after)
        longest_s = longest_answer_s(rig.declared.use_case)
        bound_s = max(stop_s, longest_s) if under_way else stop_s
        refused = [(each.route, rig.ask(tagged(each, f"off-{n}"))) for n in range(params.asks) for each in asked]
        off = Counter(route for route, reply in refused if reply.answered)
        rig.switch(on=True, reason="rehearsal of the start")
        resumed = rig.wait_for(lambda: all(rig.ask(tagged(each, "on")).answered for each in asked), _RESUME_S)
        leaves = _switch_leaves(rig)
        return Observation(
            estimates=(
                Estimate(metric="stop_s", interval=exact(bound_s, len(callers.heard)), unit="s"),
                Estimate(metric="answered_while_off", interval=exact(off.total(), len(refused)), unit="answer"),
                Estimate(metric="not_resumed", interval=exact(0 if resumed else 1, 1), unit="switch"),
                Estimate(metric="unrecorded_switches", interval=exact(2 - len(leaves), 2), unit="switch"),
            ),
            facts={
                "changes": list(rig.changes),
                "routes": sorted(usual),
                "answered_after": len(after),
                "under_way_and_answered": under_way,
                "longest_answer_s": longest_s,
                "answered_while_off": dict(sorted(off.items())),
                "resumed": resumed,
                "leaves": leaves,
                "measured_s": round(stop_s, 3),
                "stop_s": round(bound_s, 3),
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Which route goes on, and which half of the switch is not on record."""
        facts = observation.facts
        found = [
            Finding(
                what=f"{route} was answered {count} times while the use case was off.",
                remedy="Close the way around the gateway by which this route is answered.",
            )
            for route, count in facts["answered_while_off"].items()
        ]
        if facts["stop_s"] > LONGEST_S:
            what = f"Answers can come for {facts['stop_s']:.0f} s after the switch was thrown."
            remedy = "Lower the longest duration of an answer: deadlines.total_s of the upstreams."
            found.append(Finding(what=what, remedy=remedy))
        if not facts["resumed"]:
            what = "Not every route answered again after the switch was turned back."
            found.append(Finding(what=what, remedy="Look at the gateway's log."))
        found += [
            Finding(what=f"The ledger does not say that it was {each}.", remedy="Look at the gateway's log.")
            for each in _SAID
            if each not in facts["leaves"]
        ]
        return tuple(found)


def _listen(callers: Callers, thrown_s: float, patience_s: float, run: Run) -> None:
    """Wait until no answer has come for a while, or patience is over."""

    def last_s() -> float:
        return max((each.ended_s for each in callers.heard if each.answered), default=thrown_s)

    while monotonic_s() < thrown_s + patience_s and not run.cancelled():
        if monotonic_s() - max(thrown_s, last_s()) > _QUIET_S:
            return
        time.sleep(_AGAIN_S)


def _switch_leaves(rig: Rig) -> list[str]:
    """What the ledger says of the switch, once both is published or the time for it is over."""
    found: list[str] = []

    def both() -> bool:
        found[:] = sorted(set(_SAID) & set(rig.notes()))
        return len(found) == len(_SAID)

    rig.wait_for(both, _PUBLISHED_S)
    return found
