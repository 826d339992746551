"""Load at 150 % of the declared peak, with latency counted from the intended send time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import ManifestError
from roadworthy.base.interval import Interval, exact
from roadworthy.checks.scoring import feature_rows, required_target
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import AttachedFile, Check, Observation, Run
from roadworthy.kit.context import CheckContext, Peak
from roadworthy.kit.params import higher
from roadworthy.measure.table import open_table
from roadworthy.probes.http import encode_json
from roadworthy.probes.load.generator import run_load
from roadworthy.probes.load.result import GeneratorLimit, LoadResult, refuse
from roadworthy.probes.load.schedule import at_peak, constant, peak_of
from roadworthy.probes.load.spec import LoadSpec
from roadworthy.probes.open_inference import OpenInference, infer_body, tensors_of
from roadworthy.probes.stand_in import Manner, good_body, stand_in
from roadworthy.stats.proportions import wilson
from roadworthy.stats.quantiles import quantile_interval

_BODIES = 200
_SECONDS_PER_WINDOW = (1.0, 10.0, 60.0)
_CONTROL_RPS = 200.0
_CONTROL_S = 3.0
# A generator that lags by a twentieth of the promised latency still tells well from badly; 1 ms is as good as it gets.
_LAG_SHARE = 0.05
_LEAST_LAG_S = 0.001
# Sending jitters by a millisecond; without a margin a window would fall one request short of the factor by chance.
_MARGIN = 1.02
# Durations are known to 0.8 %, as their bucket's upper edge; the lower end of an interval may lie that much below.
_BUCKET_SHARE = 0.008
_SHOWN = (0.5, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        duration_s: length of the run; 60 s hold one window of every length.
        factor: multiple of the declared peak.
    """

    duration_s: float = higher(60.0)
    factor: float = higher(1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An endpoint with its load.

    Attributes:
        url: where requests go.
        bodies: sent in turn.
        peak: that was declared.
        times_s: a fixed schedule instead of one made from the peak, for self-tests; seconds from the start.
        limit_ms: latency that was promised at the 99th percentile.
        error_share: share of failures that is acceptable, in [0, 1].
    """

    url: str
    bodies: tuple[bytes, ...]
    peak: Peak
    times_s: NDArray[np.float64] | None
    limit_ms: float
    error_share: float


class PeakLoadCheck(Check[Subject, Params]):
    """Send production-shaped requests at 1.5 times the declared peak of the busiest second, ten seconds and minute.

    Arrivals are open loop: they come whether or not earlier ones were answered, as users do, and a stalled server is
    charged for everybody it kept waiting. When the generator itself falls behind, its figures are refused.

    The interval of p99 takes latencies as independent. Neighbouring requests share their stalls, so for a short run it is
    narrower than the truth: raise ``duration_s`` where the decision is close.
    """

    id: ClassVar[str] = "load.peak"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Load at 150 % of the declared peak"
    reads: ClassVar[frozenset[Part]] = frozenset()
    alone: ClassVar[bool] = True
    budget_s: ClassVar[float] = 7_200.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "an endpoint that takes twice the promised latency to answer anything"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The declared target, its peak, and bodies made from production rows."""
        target = required_target(context)
        if target.peak is None or target.p99_ms is None:
            raise ManifestError(
                "Peak or latency objective is not declared.",
                remedy="Add target.peak with per_1_s, per_10_s, per_60_s, and slo with p99_ms.",
                where="target.peak",
            )
        model = OpenInference(target.url)
        metadata = model.metadata()
        source = context.data["production"]
        rows = feature_rows(open_table(source.pattern), source)[:_BODIES]
        columns = list(source.features)
        yield Subject(
            url=model.infer_url,
            bodies=tuple(encode_json(infer_body(tensors_of(metadata, [row], columns=columns))) for row in rows),
            peak=target.peak,
            times_s=None,
            limit_ms=target.p99_ms,
            error_share=target.error_share,
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A prompt stand-in under a small, short load."""
        with stand_in(Manner.SOUND) as it:
            yield _specimen(it.infer_url, limit_ms=2_000.0)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A stand-in that is twice as slow as promised."""
        limit_ms = context.target.p99_ms if context.target and context.target.p99_ms else 50.0
        with stand_in(Manner.SOUND, delay_s=limit_ms * 2 / 1000) as it:
            yield _specimen(it.infer_url, limit_ms=limit_ms)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Run the load in a process of its own and read its figures; refuse them when the generator lagged."""
        times_s = subject.times_s
        if times_s is None:
            times_s = at_peak(subject.peak, params.duration_s, run.seed, factor=params.factor * _MARGIN)
        result = run_load(LoadSpec(url=subject.url, times_s=times_s, bodies=subject.bodies), cancelled=run.cancelled)
        refuse(result, GeneratorLimit(send_lag_p99_s=max(_LEAST_LAG_S, _LAG_SHARE * subject.limit_ms / 1000)))
        p99 = _in_ms(quantile_interval(result.latency.upper_edges_s(), 0.99))
        offered = _offered(subject.peak, result, float(times_s[-1]))
        return Observation(
            estimates=(
                Estimate(metric="p99_ms", interval=p99, unit="ms"),
                Estimate(metric="error_share", interval=wilson(result.scheduled - result.ok, result.scheduled)),
                Estimate(metric="offered_share_of_peak", interval=exact(offered, result.scheduled)),
            ),
            facts=_facts(subject, result, times_s),
            attachments=(
                AttachedFile(name="load.json", media_type="application/json", data=canonical_bytes(result.to_json())),
            ),
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Which objective was missed, and what to look at."""
        facts, (p99, errors, *_) = observation.facts, observation.estimates
        findings = []
        if not p99.interval.known or p99.interval.upper > facts["p99 objective, ms"]:
            findings.append(
                Finding(
                    what=f"p99 is {p99.interval.estimate:.1f} ms [{p99.interval.lower:.1f}, {p99.interval.upper:.1f}]; "
                    f"{facts['p99 objective, ms']:g} ms were promised.",
                    remedy="Add replicas or batching, or find the stall: the slowest requests stand in load.json.",
                )
            )
        if errors.interval.upper > facts["acceptable share of failures"]:
            kinds = (
                ", ".join(f"{count} {kind}" for kind, count in sorted(facts["failures"].items())) or "too few requests"
            )
            findings.append(
                Finding(
                    what=f"{errors.interval.estimate:.2%} of requests failed ({kinds}).",
                    remedy="Look into the target's log at that time; a rejected request counts as failed.",
                )
            )
        return tuple(findings)


def _specimen(url: str, *, limit_ms: float) -> Subject:
    times_s = constant(_CONTROL_RPS, _CONTROL_S)
    offered = peak_of(times_s)
    peak = Peak(
        per_1_s=offered.per_1_s / 1.6,
        per_10_s=offered.per_10_s / 1.6,
        per_60_s=offered.per_60_s / 1.6,
        derived_from="self-test",
    )
    return Subject(url=url, bodies=(good_body(),), peak=peak, times_s=times_s, limit_ms=limit_ms, error_share=0.01)


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
        lower=interval.lower * 1000 * (1 - _BUCKET_SHARE),
        upper=interval.upper * 1000,
        n=interval.n,
        confidence=interval.confidence,
    )


def _facts(subject: Subject, result: LoadResult, times_s: NDArray[np.float64]) -> dict[str, Any]:
    latency = {
        f"p{share * 100:g}": round(result.latency.quantile(share) * 1000, 3) for share in _SHOWN if result.latency.total
    }
    return {
        "requests": result.scheduled,
        "answered well": result.ok,
        "failures": dict(result.errors),
        "latency, ms": latency,
        "declared peak, per s": _triple(subject.peak),
        "derived from": subject.peak.derived_from,
        "intended, per s": _triple(peak_of(times_s)),
        "sent, per s": _triple(result.sent_peak) if result.sent_peak else {},
        "generator lag p99, ms": round(result.send_lag.quantile(0.99) * 1000, 3),
        "generator share of a core": round(result.cpu_share, 3),
        "p99 interval": "takes latencies as independent; a longer run is surer",
        "p99 objective, ms": subject.limit_ms,
        "acceptable share of failures": subject.error_share,
    }


def _triple(peak: Peak) -> dict[str, float]:
    return {"1 s": round(peak.per_1_s, 2), "10 s": round(peak.per_10_s, 2), "60 s": round(peak.per_60_s, 2)}
