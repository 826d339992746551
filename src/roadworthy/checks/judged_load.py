"""A load run and what is read from it, the same for every schedule. Not a check itself.

Owns the subject of load checks, its requests, and the figures, facts and findings of one run; the schedule belongs to
each check.

Rules kept here:
1. Neighbouring requests wait in one queue and share their stalls, so p99 and the share of failures are taken with the
   interval for dependent series. A run that is too short for it has the request's deadline as its upper end: no verdict.
   Latencies below a tenth of the promise are not told apart: the hiccups of an idle machine need no longer run.
2. When the generator itself falls behind, its figures are refused.
3. ``requests_of`` is the one place that knows the target's protocol.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import ManifestError
from roadworthy.base.interval import Interval, exact
from roadworthy.checks.scoring import feature_rows, required_target, target_headers, target_model
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.kit.check import AttachedFile, Observation, Run
from roadworthy.kit.context import CheckContext, Peak
from roadworthy.measure.table import open_table
from roadworthy.probes.http import encode_json
from roadworthy.probes.load.generator import run_load
from roadworthy.probes.load.result import GeneratorLimit, LoadResult, refuse
from roadworthy.probes.load.schedule import peak_of
from roadworthy.probes.load.spec import LoadSpec
from roadworthy.probes.open_inference import infer_body, tensors_of
from roadworthy.probes.stand_in import good_body
from roadworthy.stats.dependent_quantile import Dependent, dependent_quantile, dependent_share

_BODIES = 200
_SECONDS_PER_WINDOW = (1.0, 10.0, 60.0)
# A generator that lags by a twentieth of the promised latency still tells well from badly; 1 ms is as good as it gets.
_LAG_SHARE = 0.05
_LEAST_LAG_S = 0.001
_P99 = 0.99
# At a tenth of the bound no simulated queue met it more often than promised; at a fifth some did.
_FLOOR_SHARE = 0.1
_LEAST_TIMEOUT_S, _LONGEST_TIMEOUT_S = 10.0, 600.0
# Fewer independent observations than this have no two-sided 95 % interval of the 99th percentile.
_LEAST_WORTH = 368
_SHOWN = (0.5, 0.9, 0.95, 0.99, 0.999)


class Requests(NamedTuple):
    """Where requests go, their bodies, sent in turn, and the headers of all, which are in no evidence."""

    url: str
    bodies: tuple[bytes, ...]
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What was declared of the target.

    Attributes:
        peak: declared rates.
        limit_ms: latency that was promised at the 99th percentile.
        error_share: share of failures that is acceptable, in [0, 1].
    """

    peak: Peak
    limit_ms: float
    error_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An endpoint with its load.

    Attributes:
        requests: what is sent.
        objective: what was declared.
        recorded_s: recorded arrivals in seconds; None where the schedule is made without any.
        times_s: a fixed schedule instead, for self-tests; seconds from the start.
    """

    requests: Requests
    objective: Objective
    recorded_s: NDArray[np.float64] | None = None
    times_s: NDArray[np.float64] | None = None


def objective_of(context: CheckContext) -> Objective:
    """The declared peak and service level.

    Raises:
        ManifestError: one of them is not declared (RW-101).
    """
    target = required_target(context)
    if target.peak is None or target.p99_ms is None:
        raise ManifestError(
            "Peak or latency objective is not declared.",
            remedy="Add target.peak with per_1_s, per_10_s, per_60_s, and slo with p99_ms.",
            where="target.peak",
        )
    return Objective(peak=target.peak, limit_ms=target.p99_ms, error_share=target.error_share)


def requests_of(context: CheckContext) -> Requests:
    """Requests made of production rows, in the protocol of the target."""
    model = target_model(context)
    metadata = model.metadata()
    source = context.data["production"]
    rows = feature_rows(open_table(source.pattern), source)[:_BODIES]
    columns = list(source.features)
    bodies = tuple(encode_json(infer_body(tensors_of(metadata, [row], columns=columns))) for row in rows)
    return Requests(model.infer_url, bodies, tuple(target_headers(context).items()))


def specimen(url: str, times_s: NDArray[np.float64], *, limit_ms: float) -> Subject:
    """A stand-in under a fixed schedule, declared so that the schedule is 1.6 times its peak."""
    offered = peak_of(times_s)
    peak = Peak(
        per_1_s=offered.per_1_s / 1.6,
        per_10_s=offered.per_10_s / 1.6,
        per_60_s=offered.per_60_s / 1.6,
        derived_from="self-test",
    )
    objective = Objective(peak=peak, limit_ms=limit_ms, error_share=0.01)
    return Subject(requests=Requests(url, (good_body(),)), objective=objective, times_s=times_s)


def observe_run(subject: Subject, times_s: NDArray[np.float64], run: Run, *, facts: dict[str, Any]) -> Observation:
    """Run the load in a process of its own and read its figures.

    Args:
        subject: target and objective.
        times_s: the schedule.
        run: the run at hand.
        facts: what the check adds of its own.

    Raises:
        GeneratorLagged: the generator fell behind (RW-203).
        TargetUnreachable: the target accepts no connection (RW-401).
    """
    requests, objective = subject.requests, subject.objective
    spec = LoadSpec(
        url=requests.url,
        times_s=times_s,
        bodies=requests.bodies,
        headers=requests.headers,
        # Beyond the promise in any case: a request that was given up must never look as if it had kept it.
        timeout_s=min(_LONGEST_TIMEOUT_S, max(_LEAST_TIMEOUT_S, 2 * objective.limit_ms / 1000)),
    )
    result = run_load(spec, cancelled=run.cancelled)
    refuse(result, GeneratorLimit(send_lag_p99_s=max(_LEAST_LAG_S, _LAG_SHARE * objective.limit_ms / 1000)))
    floor_s = _FLOOR_SHARE * objective.limit_ms / 1000
    p99 = dependent_quantile(result.series.latency_s(), _P99, within=(0.0, spec.timeout_s), floor=floor_s)
    failures = dependent_share(result.series.failed)
    offered = _offered(objective.peak, result, float(times_s[-1]))
    return Observation(
        estimates=(
            Estimate(metric="p99_ms", interval=_in_ms(p99.interval), unit="ms"),
            Estimate(metric="error_share", interval=failures.interval),
            Estimate(metric="offered_share_of_peak", interval=exact(offered, result.scheduled)),
        ),
        facts=_facts(subject, result, times_s, p99) | facts,
        attachments=(
            AttachedFile(name="load.json", media_type="application/json", data=canonical_bytes(result.to_json())),
        ),
    )


def explain_run(observation: Observation) -> tuple[Finding, ...]:
    """Which objective was missed or could not be judged, and what to look at."""
    facts, (p99, errors, *_) = observation.facts, observation.estimates
    findings = []
    if not p99.interval.known or p99.interval.upper > facts["p99 objective, ms"]:
        findings.append(_about_latency(facts, p99.interval))
    if errors.interval.upper > facts["acceptable share of failures"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(facts["failures"].items())) or "too few requests"
        findings.append(
            Finding(
                what=f"{errors.interval.estimate:.2%} of requests failed ({kinds}).",
                remedy="Look into the target's log at that time; a rejected request counts as failed.",
            )
        )
    return tuple(findings)


def _about_latency(facts: Any, interval: Interval) -> Finding:
    promised = f"{facts['p99 objective, ms']:g} ms were promised."
    if interval.lower <= facts["p99 objective, ms"] and facts["worth independent requests"] < _LEAST_WORTH:
        return Finding(
            what=f"p99 is {interval.estimate:.1f} ms in this run, which is too short to tell: {facts['requests']} requests "
            f"that share their stalls are worth {facts['worth independent requests']} independent ones; {promised}",
            remedy=f"Raise duration_s; {_LEAST_WORTH} are the least, so a run "
            f"{math.ceil(_LEAST_WORTH / max(1, facts['worth independent requests']))} times as long might do.",
        )
    return Finding(
        what=f"p99 is {interval.estimate:.1f} ms [{interval.lower:.1f}, {interval.upper:.1f}]; {promised}",
        remedy="Add replicas or batching, or find the stall: every request stands in load.json with its instant. "
        "Where the promise lies within the interval, raise duration_s.",
    )


def _offered(peak: Peak, result: LoadResult, length_s: float) -> float:
    """The smallest ratio of what was really sent to the declared peak, over the windows that fit into the run."""
    if result.sent_peak is None:
        return 0.0
    declared = (peak.per_1_s, peak.per_10_s, peak.per_60_s)
    sent = (result.sent_peak.per_1_s, result.sent_peak.per_10_s, result.sent_peak.per_60_s)
    ratios = [
        there / wanted
        for there, wanted, window_s in zip(sent, declared, _SECONDS_PER_WINDOW, strict=True)
        if window_s <= max(1.0, length_s * 1.05)
    ]
    return min(ratios)


def _in_ms(interval: Interval) -> Interval:
    return Interval(
        estimate=interval.estimate * 1000,
        lower=interval.lower * 1000,
        upper=interval.upper * 1000,
        n=interval.n,
        confidence=interval.confidence,
    )


def _facts(subject: Subject, result: LoadResult, times_s: NDArray[np.float64], p99: Dependent) -> dict[str, Any]:
    latency = {
        f"p{share * 100:g}": round(result.latency.quantile(share) * 1000, 3) for share in _SHOWN if result.latency.total
    }
    objective = subject.objective
    return {
        "requests": result.scheduled,
        "worth independent requests": math.floor(p99.effective),
        "answered well": result.ok,
        "failures": dict(result.errors),
        "latency, ms": latency,
        "declared peak, per s": _triple(objective.peak),
        "derived from": objective.peak.derived_from,
        "intended, per s": _triple(peak_of(times_s)),
        "sent, per s": _triple(result.sent_peak) if result.sent_peak else {},
        "generator lag p99, ms": round(result.send_lag.quantile(_P99) * 1000, 3),
        "generator share of a core": round(result.cpu_share, 3),
        "p99 interval": "for dependent latencies; a run too short for it ends at the request's deadline",
        "p99 objective, ms": objective.limit_ms,
        "acceptable share of failures": objective.error_share,
    }


def _triple(peak: Peak) -> dict[str, float]:
    return {"1 s": round(peak.per_1_s, 2), "10 s": round(peak.per_10_s, 2), "60 s": round(peak.per_60_s, 2)}
