"""Alerts that fire when they should, stay silent when they should, and are taken by somebody in time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import ManifestError
from roadworthy.base.ids import new_id
from roadworthy.base.interval import exact
from roadworthy.checks.declared import required_file
from roadworthy.checks.rehearsed import Rehearsed, rehearsed, required_gateway, specimen
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.declared.alerts import Alerts, read_alerts
from roadworthy.kit.params import higher, lower
from roadworthy.probes.alerts import Watch, call_on, read_figures
from roadworthy.probes.answering import answering
from roadworthy.probes.fault.faults import Fault
from roadworthy.probes.http_server import Asked
from roadworthy.probes.rehearsal.requests import tagged
from roadworthy.probes.rehearsal.small import small_gateway

CAUSES = ("ledger", "upstream")
_OVER_S = 30.0
_LEDGER_RULE = {"name": "ledger away", "when": "roadworthy_ledger_up < 1", "for_s": 0.1, "cause": "ledger"}
_FALLBACK_RULE = {
    "name": "fallback in use",
    "when": 'increase(roadworthy_exchanges_total{rung="alternate"}[2s]) > 0',
    "cause": "upstream",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        quiet_s: how long nothing may fire while all is well, in seconds.
        fire_within_s: how soon after its cause an alert fires, beyond its own ``for_s``.
    """

    quiet_s: float = higher(2.0)
    fire_within_s: float = lower(10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A rehearsal, and the alerts that are declared for it.

    Attributes:
        rehearsed: the rehearsal.
        alerts: as declared.
        folder: where their relative paths start.
    """

    rehearsed: Rehearsed
    alerts: Alerts
    folder: Path


class FiresCheck(Check[Subject, Params]):
    """Bring about the cause of every declared alert in a rehearsal, and follow it to whoever is on call.

    The condition is evaluated over the figures that the gateway itself gives; the call goes to the declared receiver,
    marked as a drill. Every alert must be silent while all is well, fire after its cause, end after it, be delivered, and
    be taken within its declared time. An outage of the ledger and one of the AI system each need an alert. Whether a
    monitoring system evaluates the same lines, and whether certificates that end or loads that grow raise one, is not
    seen by this.
    """

    id: ClassVar[str] = "alert.fires"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Alerts fire and are acknowledged"
    reads: ClassVar[frozenset[Part]] = frozenset()
    budget_s: ClassVar[float] = 14_400.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "an alert on a figure that does not exist, and nobody who takes the other one"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The operator's own gateway, rehearsed, and its alerts."""
        file = required_file(required_gateway(context).alerts, "alerts")
        alerts = read_alerts(file)
        with rehearsed(context) as found:
            yield Subject(rehearsed=found, alerts=alerts, folder=file.parent)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Two alerts that fit, and somebody who takes them."""
        with _specimen(context, [_LEDGER_RULE, _FALLBACK_RULE], taken=True) as subject:
            yield subject

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A figure that nobody gives, and nobody who answers."""
        silent = {**_LEDGER_RULE, "when": "roadworthy_ledger_is_up < 1"}
        with _specimen(context, [silent, _FALLBACK_RULE], taken=False) as subject:
            yield subject

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """All quiet first, then one cause after the other.

        Raises:
            ManifestError: the use case has no route on which an upstream could be asked (RW-101).
        """
        drill = _Drill(subject, params, run)
        early = drill.quiet()
        rows = [drill.follow(watch) for watch in drill.watches]
        causes = {row["cause"] for row in rows}
        counts = {
            "false_alarms": sum(1 for row in rows if row["alert"] in early),
            "alerts_silent": sum(1 for row in rows if row["fired_s"] < 0),
            "alerts_stuck": sum(1 for row in rows if not row["ended"]),
            "alerts_unacknowledged": sum(1 for row in rows if row["fired_s"] >= 0 and row["acknowledged_s"] < 0),
        }
        estimates = [
            Estimate(metric=name, interval=exact(count, len(rows)), unit="alert") for name, count in counts.items()
        ]
        missing = [cause for cause in CAUSES if cause not in causes]
        estimates.append(
            Estimate(metric="causes_without_alert", interval=exact(len(missing), len(CAUSES)), unit="cause")
        )
        facts = {"alerts": rows, "false alarms": sorted(early), "causes without alert": missing}
        return Observation(estimates=tuple(estimates), facts=facts)

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """What is wrong with each alert."""
        facts = observation.facts
        findings = [
            Finding(what=f"{name}: it fires although all is well.", remedy="Raise its value, or its for_s.")
            for name in facts["false alarms"]
        ]
        for row in facts["alerts"]:
            if row["fired_s"] < 0:
                what = f"{row['alert']}: it did not fire when its cause ({row['cause']}) was there."
                findings.append(Finding(what=what, remedy=f"Compare {row['when']} with the gateway's own figures."))
            elif not row["delivered"]:
                what = f"{row['alert']}: it fired, and the receiver did not take the call."
                findings.append(Finding(what=what, remedy="Look at the address, and at the receiver's log."))
            elif row["acknowledged_s"] < 0:
                what = f"{row['alert']}: nobody took it within {row['acknowledge_within_s']:g} s."
                findings.append(Finding(what=what, remedy="Agree on who answers, and how they are reached."))
            if not row["ended"]:
                what = f"{row['alert']}: it did not end when its cause was gone."
                findings.append(Finding(what=what, remedy="Use increase over a short window, not a counter itself."))
        findings += [
            Finding(what=f"No alert has the cause {cause}.", remedy="Declare one, and drill it.")
            for cause in facts["causes without alert"]
        ]
        return tuple(findings)


class _Drill:
    """Callers that go on asking, and alerts that are looked at after each answer."""

    def __init__(self, subject: Subject, params: Params, run: Run) -> None:
        self._found, self._alerts, self._folder = subject.rehearsed, subject.alerts, subject.folder
        self._params, self._run, self._asked = params, run, 0
        self.watches = tuple(Watch(rule) for rule in subject.alerts.rules)
        if not self._found.forwarded:
            what = "No route of this use case reaches an upstream."
            raise ManifestError(what, remedy="Declare one in gateway.yaml.", where="gateway.use_case")

    def quiet(self) -> frozenset[str]:
        """Names of the alerts that fire although all is well."""
        until_s, early = monotonic_s() + self._params.quiet_s, set[str]()
        while monotonic_s() < until_s and not self._run.cancelled():
            early |= self._firing()
        return frozenset(early)

    def follow(self, watch: Watch) -> dict[str, Any]:
        """From the cause to the acknowledgement, and back to quiet."""
        rule = watch.rule
        self._until(lambda firing: rule.name not in firing, _OVER_S + watch.window_s)
        try:
            within_s = rule.for_s + self._params.fire_within_s
            fired_s = self._until(lambda firing: rule.name in firing, within_s, cause=rule.cause)
        finally:
            self._found.stage.restore()
        row: dict[str, Any] = {
            "alert": rule.name,
            "when": rule.when,
            "cause": rule.cause,
            "fired_s": round(fired_s, 3),
            "delivered": False,
            "acknowledged_s": -1.0,
            "acknowledge_within_s": rule.acknowledge_within_s,
            "ended": True,
        }
        if fired_s >= 0:
            called = call_on(self._alerts, rule, new_id("drill"), self._folder)
            row |= {"delivered": called.delivered, "acknowledged_s": round(called.acknowledged_s, 3)}
        self._found.rig.wait_ready()
        row["ended"] = self._until(lambda firing: rule.name not in firing, _OVER_S + watch.window_s) >= 0
        return row

    def _until(self, holds: Callable[[set[str]], bool], within_s: float, *, cause: str = "") -> float:
        """Seconds until something holds of the alerts that fire; -1 when it does not within the time."""
        began_s = monotonic_s()
        if cause == "upstream":
            self._found.stage.upstream.switch(Fault.ERROR_503)
        while monotonic_s() - began_s < within_s and not self._run.cancelled():
            if cause == "ledger":
                self._found.rig.kill_ledger()
            if holds(self._firing()):
                return monotonic_s() - began_s
        return -1.0

    def _firing(self) -> set[str]:
        """One caller more, then a look at every alert."""
        self._asked += 1
        request = self._found.forwarded[self._asked % len(self._found.forwarded)]
        self._found.rig.ask(tagged(request, f"alert-{self._asked}"))
        figures, at_s = read_figures(self._found.rig.metrics()), monotonic_s()
        return {watch.rule.name for watch in self.watches if watch.look(figures, at_s)}


@contextmanager
def _specimen(context: CheckContext, rules: list[dict[str, Any]], *, taken: bool) -> Iterator[Subject]:
    """A small gateway, and a receiver whose people take a call the second time that they are asked about it."""
    asked_of: list[str] = []

    def respond(asked: Asked) -> tuple[int, bytes]:
        if asked.method == "POST":
            return 202, b"{}"
        asked_of.append(asked.path)
        return (200 if taken and asked_of.count(asked.path) > 1 else 404), b"{}"

    with answering(respond) as url, specimen(context, small_gateway(context.workdir / "small")) as found:
        alerts = Alerts.model_validate(
            {
                "alerts": 1,
                "notify": f"{url}/alerts",
                "acknowledged": f"{url}/alerts/{{{{id}}}}",
                "rules": [{**rule, "acknowledge_within_s": 1.0} for rule in rules],
            }
        )
        yield Subject(rehearsed=found, alerts=alerts, folder=context.workdir)
