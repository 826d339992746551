"""What a load run saw. Owns the figures, their JSON and the refusal to use them; judging the target belongs to checks.

How to read the figures:
1. Latency counts from the *intended* send time, so a pause of the target shows in every request that it held up, sent
   or not (no coordinated omission).
2. ``latency`` holds the requests that ended ``ok`` and, at their age, those that timed out. Answers that failed fast are
   counted in ``errors`` and nowhere else: a quick refusal must not flatter the percentiles.
3. ``send_lag`` is how late the generator's own timer was, measured when a request comes up and before any connection is
   looked for. Waiting for a free connection is the target's slowness and counts as latency instead.
4. ``series`` holds every request in the order of time, for what must know which of them were neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from roadworthy.base.codec import from_json, to_json
from roadworthy.base.errors import GeneratorLagged, MalformedEvidence
from roadworthy.kit.context import Peak
from roadworthy.probes.load.histogram import Histogram, histogram_from_json
from roadworthy.probes.load.series import Series, series_from_json

_PLAIN = ("scheduled", "sent", "completed", "ok", "connections", "duration_s", "cpu_s", "cpu_share", "interrupted")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadResult:
    """One run.

    Attributes:
        scheduled: requests whose intended time came up.
        sent: requests written to a connection.
        completed: requests that got a whole HTTP answer, of whatever status.
        ok: status 200 and, where asked for, a JSON content type.
        errors: by kind: ``http_<status>``, ``timeout``, ``connect_error``, ``connection_lost``, ``malformed``,
            ``not_json``, ``interrupted``. ``ok`` and the errors add up to ``scheduled``.
        latency: from intended send time to the end of the answer, see the module.
        send_lag: lateness of the generator's timer.
        sent_peak: busiest windows of the instants at which requests were written; None when none was.
        ok_peak: busiest windows of the instants at which ok answers were complete; None when there was none.
        duration_s: from the start until the last request was settled.
        cpu_s: processor time of the generator, without the turns in which it only waited for the next instant.
        cpu_share: ``cpu_s`` over ``duration_s``: 1 means that one core was full of work.
        connections: largest number of connections open at once.
        series: every scheduled request, in the order of intended send times.
        interrupted: whether the run was cancelled.
    """

    scheduled: int
    sent: int
    completed: int
    ok: int
    errors: Mapping[str, int]
    latency: Histogram
    send_lag: Histogram
    sent_peak: Peak | None
    ok_peak: Peak | None
    duration_s: float
    cpu_s: float
    cpu_share: float
    connections: int
    series: Series
    interrupted: bool = field(default=False)

    @property
    def error_share(self) -> float:
        """Share of scheduled requests that did not end ok, in [0, 1]; 1 when nothing was scheduled."""
        return 1.0 - self.ok / self.scheduled if self.scheduled else 1.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return plain | {
            "errors": dict(self.errors),
            "latency": self.latency.to_json(),
            "send_lag": self.send_lag.to_json(),
            "sent_peak": to_json(self.sent_peak),
            "ok_peak": to_json(self.ok_peak),
            "series": self.series.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorLimit:
    """What the generator may cost before its figures are refused.

    Attributes:
        send_lag_p99_s: the 99th percentile of the lag must stay below this.
        cpu_share: and the share of one core below this; a fuller core has no room for the next burst.
    """

    send_lag_p99_s: float = 0.001
    cpu_share: float = 0.95


def refuse(result: LoadResult, limit: GeneratorLimit | None = None) -> None:
    """Return quietly when the generator kept up, so that its figures speak of the target.

    Raises:
        GeneratorLagged: its timer was late, its core was full, or nothing was scheduled (RW-203).
    """
    bound = limit or GeneratorLimit()
    if result.scheduled == 0:
        raise GeneratorLagged("The run was stopped before its first request.", remedy="Run it again to its end.")
    lag_s = result.send_lag.quantile(0.99)
    if lag_s >= bound.send_lag_p99_s:
        raise GeneratorLagged(
            f"The generator sent late: lag p99 {lag_s * 1000:.2f} ms, limit {bound.send_lag_p99_s * 1000:.2f} ms.",
            remedy="Free a core for the generator, move it to another machine, or lower the rate.",
        )
    if result.cpu_share >= bound.cpu_share:
        raise GeneratorLagged(
            f"The generator filled {result.cpu_share:.0%} of its core, limit {bound.cpu_share:.0%}.",
            remedy="Split the load over several generators, or lower the rate.",
        )


def result_from_json(value: Mapping[str, Any]) -> LoadResult:
    """Read what ``LoadResult.to_json`` wrote.

    Raises:
        MalformedEvidence: it is not a result (RW-201).
    """
    try:
        return LoadResult(
            scheduled=from_json(int, value["scheduled"], path="scheduled"),
            sent=from_json(int, value["sent"], path="sent"),
            completed=from_json(int, value["completed"], path="completed"),
            ok=from_json(int, value["ok"], path="ok"),
            connections=from_json(int, value["connections"], path="connections"),
            duration_s=from_json(float, value["duration_s"], path="duration_s"),
            cpu_s=from_json(float, value["cpu_s"], path="cpu_s"),
            cpu_share=from_json(float, value["cpu_share"], path="cpu_share"),
            errors=from_json(dict[str, int], value["errors"], path="errors"),
            latency=histogram_from_json(value["latency"]),
            send_lag=histogram_from_json(value["send_lag"]),
            sent_peak=_peak(value["sent_peak"]),
            ok_peak=_peak(value["ok_peak"]),
            series=series_from_json(value["series"]),
            interrupted=from_json(bool, value["interrupted"], path="interrupted"),
        )
    except (KeyError, TypeError) as error:
        raise MalformedEvidence(
            f"This is not the result of a load run: {error!r}.", remedy="Run it again with this version of Roadworthy."
        ) from error


def _peak(value: object) -> Peak | None:
    return None if value is None else from_json(Peak, value, path="peak")
