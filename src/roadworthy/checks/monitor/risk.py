"""Whether production has become worse than the pilot, watched over all windows with one bound on the false alarm."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from roadworthy.base.interval import Interval
from roadworthy.checks.scoring import Declined, metric_of, required_quality, score
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run, Watch
from roadworthy.kit.context import CheckContext, Quality
from roadworthy.measure.losses import Losses, unit_losses
from roadworthy.measure.monitor_risk import RiskMonitor, feed, start_monitor, to_record

_SPECIMEN_UNITS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """The level stands in the manifest's block ``monitor``, the margin in ``quality``; here they are only told.

    Attributes:
        false_alarm_share: the largest chance of ever raising a false alarm, in (0, 1).
    """

    false_alarm_share: float = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The monitor as it was before the window, and the window's losses in the order of its rows."""

    before: RiskMonitor
    losses: Losses
    unlabelled: int


class RiskCheck(Check[Subject, Params]):
    """Feed the window's losses to a monitor that has seen all windows before.

    The loss is the shortfall of the declared metric, so the tolerance is the margin against the pilot that the manifest
    grants. An alarm that was raised stays raised.

    Args:
        resume: the monitor after the last window; None to start one on the pilot, scored now.
        series: name of the sequence of windows that the monitor's state belongs to.
    """

    id: ClassVar[str] = "monitor.risk"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Quality over all windows so far"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA, Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 600.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "a window in which everything is wrong, after a pilot in which nothing was"
    watch: ClassVar[Watch | None] = Watch(harm=True, labels=True)

    def __init__(self, resume: RiskMonitor | None, series: str, level: float) -> None:
        self._resume = resume
        self._series = series
        self._level = level

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The window's losses; for a new monitor the pilot's too, with declined rows at their best there."""
        quality = required_quality(context)
        window = score(context, context.data["production"])
        before = self._resume
        if before is None:
            pilot = score(context, context.data["pilot"], declined_as=Declined.BEST)
            before = self._start(unit_losses(pilot.sample, metric_of(quality), threshold=quality.threshold), quality)
        losses = unit_losses(window.sample, metric_of(quality), threshold=quality.threshold)
        yield Subject(before=before, losses=losses, unlabelled=window.unlabelled)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Nothing wrong, before and now."""
        right = np.zeros(_SPECIMEN_UNITS)
        yield Subject(before=self._start(right, required_quality(context)), losses=right, unlabelled=0)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """Nothing wrong before, everything now."""
        right = np.zeros(_SPECIMEN_UNITS)
        yield Subject(before=self._start(right, required_quality(context)), losses=right + 1, unlabelled=0)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Go on from the state before; no alarm is no proof of quality, so without one nothing can be told."""
        after = feed(subject.before, subject.losses)
        mean = after.loss_sum / after.rows if after.rows else 0.0
        return Observation(
            estimates=(
                Estimate(
                    metric="harm_alarms",
                    interval=Interval(
                        estimate=float(after.alarmed), lower=float(after.alarmed), upper=1.0, n=after.rows
                    ),
                    unit="alarm",
                ),
                Estimate(
                    metric="loss_since_start",
                    interval=Interval(
                        estimate=mean,
                        lower=min(after.risk_lower_bound, mean),
                        upper=1.0,
                        n=after.rows,
                        confidence=1 - self._level,
                    ),
                ),
            ),
            facts={
                "units of this window": int(subject.losses.size),
                "rows without a label": subject.unlabelled,
                "units so far": after.rows,
                "mean loss so far": round(mean, 6),
                "lower bound": round(after.risk_lower_bound, 6),
                "threshold": round(after.threshold, 6),
                "alarm at unit": after.alarm_row,
                "raised here": after.alarmed and not subject.before.alarmed,
                "series": self._series,
                "monitor": to_record(after),
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """The alarm, as long as it stands."""
        facts = observation.facts
        if facts["alarm at unit"] is None:
            return ()
        return (
            Finding(
                what=f"Since unit {facts['alarm at unit']} of {facts['units so far']} the loss is above what the pilot and "
                f"the margin allow ({facts['threshold']:.3f}); its mean so far is {facts['mean loss so far']:.3f}.",
                remedy="Take the model back to its fallback or to the pilot cohort, find the cause, then inspect again.",
            ),
        )

    def _start(self, losses: Losses, quality: Quality) -> RiskMonitor:
        return start_monitor(losses, tolerance=quality.margin_from_pilot, level=self._level)
