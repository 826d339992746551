"""Load checks: their schedules, their intervals for dependent latencies, and the words for what they cannot tell."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roadworthy.base.errors import ManifestError, MissingFile, UnreadableData
from roadworthy.checks import judged_load as judged
from roadworthy.checks.load.peak import PeakLoadCheck
from roadworthy.checks.load.recorded import RecordedLoadCheck
from roadworthy.domain.criterion import Comparator, Predicate, Verdict, judge
from roadworthy.kit.check import Observation, Run
from roadworthy.kit.context import CheckContext, Peak
from roadworthy.probes.load.histogram import histogram_of
from roadworthy.probes.load.result import LoadResult, result_from_json
from roadworthy.probes.load.schedule import peak_of
from roadworthy.probes.load.series import OK, TIMEOUT, series_of

RNG = np.random.default_rng(7)
PEAK = Peak(per_1_s=40, per_10_s=30, per_60_s=25, derived_from="test")
TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


def result_of(times_s: Any, latency_s: Any, outcomes: Any) -> LoadResult:
    """What a generator that kept up would report."""
    outcomes = np.asarray(outcomes)
    ok, scheduled = int((outcomes == OK).sum()), len(times_s)
    errors = {"timeout": scheduled - ok} if ok < scheduled else {}
    return LoadResult(
        scheduled=scheduled, sent=scheduled, completed=ok, ok=ok, errors=errors, latency=histogram_of(latency_s),
        send_lag=histogram_of([1e-5] * scheduled), sent_peak=peak_of(times_s), ok_peak=peak_of(times_s), duration_s=60.0,
        cpu_s=1.0, cpu_share=0.02, connections=3, series=series_of(times_s, latency_s, outcomes),
    )  # fmt: skip


def context(case: Any, **target: Any) -> CheckContext:
    """The case with a declared peak and objective."""
    case.add("production", {"x": [0.1, 0.2, 0.3], "y": [0, 1, 0]}, label="y", features=("x",))
    case.answer(lambda row: row["x"])
    given = case.context()
    declared = {"peak": PEAK, "p99_ms": 100.0} | target
    return dataclasses.replace(given, target=dataclasses.replace(given.target, **declared))


def observed(
    monkeypatch: pytest.MonkeyPatch, check: Any, given: CheckContext, latency_s: Any, *, outcomes: Any = None
) -> Observation:
    """The check with a run that is made up: latencies as a function of the number of requests."""

    def run(spec: Any, *, cancelled: Any) -> LoadResult:
        n = spec.times_s.size
        assert not cancelled()
        assert all(json.loads(body)["inputs"] for body in spec.bodies)
        return result_of(spec.times_s, latency_s(n), np.full(n, OK) if outcomes is None else outcomes(n))

    monkeypatch.setattr(judged, "run_load", run)
    with check.subject(given) as subject:
        return check.observe(subject, check.params(), Run(at=given.at, seed=1, cancelled=lambda: False))


def verdict(seen: Observation, metric: str = "p99_ms", bound: float = 100.0) -> Verdict:
    """As T3 asks."""
    unit = "ms" if metric == "p99_ms" else "1"
    return judge(
        Predicate(metric=metric, comparator=Comparator.AT_MOST, bound=bound, unit=unit, n_min=500, provenance="test"),
        seen.estimates,
    )


def spells(n: int, slow_s: float, *, every: int = 700, length: int = 6) -> Any:
    """Answers of 10 ms, give or take, with a few slow spells; the slow share stays below one percent."""
    latency_s = RNG.gamma(20.0, 0.0005, n)
    for start in range(every // 2, n, every):
        latency_s[start : start + length] = slow_s
    return latency_s


def test_prompt_answers_meet_the_objective(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute at 1.5 times the peak without dependence is enough; the raw series goes with the evidence."""
    seen = observed(monkeypatch, PeakLoadCheck(), context(case), lambda n: RNG.gamma(20.0, 0.0005, n))
    assert verdict(seen) is Verdict.MET
    assert verdict(seen, "error_share", 0.01) is Verdict.MET
    assert PeakLoadCheck().explain(seen) == ()
    assert seen.estimates[2].interval.estimate >= 1.5
    assert seen.facts["worth independent requests"] > 1_000
    again = result_from_json(json.loads(seen.attachments[0].data))
    assert again.series.latency_s().size == seen.facts["requests"]


def test_slow_spells_leave_it_open_where_their_requests_would_pass_as_independent(
    case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three spells in a minute: below one percent of requests, so p99 looks well, but three is a small number."""
    seen = observed(monkeypatch, PeakLoadCheck(), context(case), lambda n: spells(n, 0.5, length=4))
    p99 = seen.estimates[0].interval
    assert p99.estimate < 100
    assert p99.known
    assert verdict(seen) is Verdict.CANNOT_TELL


def test_a_run_that_is_too_short_says_so_and_what_to_do(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One long drift is worth a few requests: the upper end is the deadline of 10 s."""
    seen = observed(monkeypatch, PeakLoadCheck(), context(case), lambda n: np.linspace(0.01, 0.09, n))
    assert seen.estimates[0].interval.upper == 10_000
    assert verdict(seen) is Verdict.CANNOT_TELL
    (finding,) = PeakLoadCheck().explain(seen)
    assert "too short to tell" in finding.what
    assert "duration_s" in finding.remedy


def test_hiccups_far_below_the_promise_need_no_longer_run(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same drift against a promise ten times as large: met, and p99 only said to lie below a tenth of it."""
    given = context(case, p99_ms=1_000.0)
    seen = observed(monkeypatch, PeakLoadCheck(), given, lambda n: np.linspace(0.01, 0.09, n))
    assert verdict(seen, bound=1_000.0) is Verdict.MET
    assert seen.estimates[0].interval.upper == 100
    assert PeakLoadCheck().explain(seen) == ()


def test_the_deadline_lies_beyond_the_promise(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A promise of 30 s: a run too short to tell is not met because its requests were given up after 10 s."""
    given = context(case, p99_ms=30_000.0)
    seen = observed(monkeypatch, PeakLoadCheck(), given, lambda n: np.linspace(1.0, 9.0, n))
    assert seen.estimates[0].interval.upper == 60_000
    assert verdict(seen, bound=30_000.0) is Verdict.CANNOT_TELL


def test_slow_answers_miss_the_objective_however_dependent(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lower end decides, even where the upper one is the deadline."""
    seen = observed(monkeypatch, PeakLoadCheck(), context(case), lambda n: np.linspace(0.2, 0.4, n))
    assert seen.estimates[0].interval.upper == 10_000
    assert verdict(seen) is Verdict.NOT_MET
    (finding,) = PeakLoadCheck().explain(seen)
    assert "100 ms were promised" in finding.what
    assert "too short" not in finding.what


def test_failures_in_one_spell_are_less_certain_than_scattered_ones(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same half a percent: scattered it meets one percent, in one outage it does not."""

    def outage(n: int) -> Any:
        return np.where(np.arange(n) < n // 200, TIMEOUT, OK)

    def scattered(n: int) -> Any:
        return np.where(np.arange(n) % 200 == 100, TIMEOUT, OK)

    def prompt(n: int) -> Any:
        return RNG.gamma(20.0, 0.0005, n)

    given = context(case)
    seen = {each: observed(monkeypatch, PeakLoadCheck(), given, prompt, outcomes=each) for each in (outage, scattered)}
    assert verdict(seen[scattered], "error_share", 0.01) is Verdict.MET
    assert verdict(seen[outage], "error_share", 0.01) is Verdict.CANNOT_TELL
    (finding,) = PeakLoadCheck().explain(seen[outage])
    assert "timeout" in finding.what


def test_a_run_without_any_latency_is_no_verdict(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything was refused at once: p99 is unknown and all requests failed."""
    seen = observed(
        monkeypatch, PeakLoadCheck(), context(case), lambda n: np.full(n, 0.001), outcomes=lambda n: np.full(n, 503)
    )
    assert verdict(seen) is Verdict.CANNOT_TELL
    assert verdict(seen, "error_share", 0.01) is Verdict.NOT_MET
    assert len(PeakLoadCheck().explain(seen)) == 2


def test_a_record_is_replayed_to_the_declared_peak(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the file that the manifest names, in the form of public traces; the scale is among the facts."""
    stamps = np.datetime64("2023-11-16T18:15:00", "ns") + (np.cumsum(RNG.exponential(0.1, 9_000)) * 1e9).astype(int)
    lines = [f"{str(stamp).replace('T', ' ')},374,44\n" for stamp in stamps]
    (case.folder / "trace.csv").write_text(TRACE + "".join(lines))
    given = context(case, arrivals=Path("trace.csv"))
    seen = observed(monkeypatch, RecordedLoadCheck(), given, lambda n: RNG.gamma(20.0, 0.0005, n))
    facts = seen.facts
    assert seen.estimates[2].interval.estimate >= 1.5
    assert facts["recorded arrivals"] == 9_000
    assert 2_000 < facts["replayed arrivals"] == facts["requests"] <= 9_000
    assert 2 < facts["recorded seconds in one"] < 6
    assert verdict(seen) is Verdict.MET
    assert RecordedLoadCheck().explain(seen) == ()


def test_the_azure_trace_is_a_record(case: Any, monkeypatch: pytest.MonkeyPatch, shared_data: Path) -> None:
    """As it was published: five minutes of it at 1.5 times a declared peak."""
    trace = shared_data / "azure_llm_trace_2023" / "AzureLLMInferenceTrace_code.csv"
    given = context(case, arrivals=trace)
    seen = observed(monkeypatch, RecordedLoadCheck(), given, lambda n: RNG.gamma(20.0, 0.0005, n))
    assert seen.estimates[2].interval.estimate >= 1.5
    assert seen.facts["recorded arrivals"] == 8_819


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ({}, ManifestError),
        ({"arrivals": Path("absent.csv")}, MissingFile),
        ({"arrivals": Path("production.parquet")}, UnreadableData),
        ({"arrivals": Path("trace.csv"), "peak": None}, ManifestError),
    ],
)
def test_without_a_usable_record_it_says_what_is_missing(case: Any, target: dict[str, Any], error: type) -> None:
    """Before anything is sent."""
    given = context(case, **target)
    with pytest.raises(error), RecordedLoadCheck().subject(given):
        pass
