"""Whether the model's probabilities mean what they say in production, and what its uncertainty is good for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from roadworthy.base.interval import Interval
from roadworthy.checks.scoring import (
    Declined,
    endpoint_model,
    first_of_each,
    labelled_rows,
    required_quality,
    required_source,
    score_rows,
    specimen,
)
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import higher, lower
from roadworthy.measure.delta import Sample
from roadworthy.stats.abstention import abstention_threshold, risk_coverage
from roadworthy.stats.calibration import (
    ReliabilityTable,
    brier_parts,
    calibration_error,
    calibration_line,
    reliability_table,
)
from roadworthy.stats.conformal import (
    SetFigures,
    conformal_threshold,
    judge_sets,
    lac_scores,
    prediction_sets,
    scores_of_truth,
)
from roadworthy.stats.sample import FloatArray

_ANSWERED = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_SHORT_BY = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        confidence_share: two-sided level, in (0, 1).
        tolerated_error: expected calibration error that is acceptable, in [0, 1].
        promised_coverage_share: what prediction sets calibrated on the pilot promise, in (0, 1).
        tolerated_risk_share: errors among the answered rows that abstention is to keep to, in (0, 1).
    """

    confidence_share: float = higher(0.95)
    tolerated_error: float = lower(0.05)
    promised_coverage_share: float = higher(0.9)
    tolerated_risk_share: float = lower(0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Both sets scored by the same endpoint, rows independent of each other, and the threshold of decisions."""

    pilot: Sample
    production: Sample
    threshold: float


class CalibrationCheck(Check[Subject, Params]):
    """Compare production's probabilities with its outcomes, bin by bin, without the bias that few rows give.

    The calibration error decides. Beside it, for whoever sets up abstention: the coverage that prediction sets
    calibrated on the pilot keep in production, the error among the rows that the model is surest of, and the confidence
    below which it had better say "undecided".
    """

    id: ClassVar[str] = "uncertainty.calibration"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Calibration and abstention in production"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA, Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 180.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "probabilities that take one outcome for the other"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """Pilot and production, scored now, one row of each cluster."""
        quality = required_quality(context)
        yield Subject(
            pilot=_scored(context, "pilot", Declined.BEST),
            production=_scored(context, "production", Declined.WORST),
            threshold=quality.threshold,
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Probabilities near 0 and 1 that are right."""
        yield _specimen(informed=True, threshold=required_quality(context).threshold)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same, on the wrong side."""
        yield _specimen(informed=False, threshold=required_quality(context).threshold)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Measure calibration, coverage and risk on production's labelled rows."""
        labels, scores = subject.production.labels, subject.production.scores
        level = params.confidence_share
        table = reliability_table(labels, scores)
        line = calibration_line(labels, scores, level)
        kept = _coverage(subject, params)
        confidence, wrong = _confidence(subject)
        abstain = abstention_threshold(confidence, wrong, params.tolerated_risk_share, confidence=level)
        parts = brier_parts(table)
        return Observation(
            estimates=(
                Estimate(metric="calibration_error", interval=calibration_error(table, level)),
                Estimate(metric="conformal_coverage", interval=kept.coverage),
                Estimate(metric="calibration_slope", interval=line.slope),
            ),
            facts={
                "rows": int(labels.size),
                "tolerated": params.tolerated_error,
                "bins": _bins(table),
                "slope": _three(line.slope),
                "intercept": _three(line.intercept),
                "brier": {"score": _number(parts.score), "reliability": _number(parts.reliability)},
                "prediction sets": {
                    "promised": params.promised_coverage_share,
                    "covered": _three(kept.coverage),
                    "with one answer": _number(kept.single_share),
                    "mean size": _number(kept.mean_size.estimate),
                },
                "error among the surest": _curve(confidence, wrong),
                "abstention": {
                    "error to keep to": params.tolerated_risk_share,
                    "answer from confidence": abstain.threshold,
                    "answered": _number(abstain.answered_share),
                },
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Probabilities that mislead, and sets that do not keep their promise."""
        facts, error = observation.facts, observation.estimates[0].interval
        findings = []
        if error.upper > facts["tolerated"]:
            findings.append(
                Finding(
                    what=f"The probabilities are off by {error.estimate:.3f} [{error.lower:.3f}, {error.upper:.3f}] on "
                    f"average; {facts['tolerated']:g} is acceptable.",
                    remedy="Recalibrate on labelled production rows, by site where sites differ; where the interval is wide, "
                    "label more.",
                )
            )
        sets = facts["prediction sets"]
        if sets["covered"]["upper"] is not None and sets["covered"]["upper"] < sets["promised"] - _SHORT_BY:
            findings.append(
                Finding(
                    what=f"Prediction sets calibrated on the pilot hold the truth in {sets['covered']['estimate']:.1%} of "
                    f"production's rows; {sets['promised']:.0%} were promised.",
                    remedy="Calibrate them on production rows, or the promise is about the pilot only.",
                )
            )
        return tuple(findings)


def _scored(context: CheckContext, name: str, declined_as: Declined) -> Sample:
    source = required_source(context, name)
    rows = labelled_rows(source)
    rows = rows.take(first_of_each(rows.clusters, rows.labels.size, seed=context.seed))
    return score_rows(endpoint_model(context, source), rows, declined_as=declined_as).sample


def _specimen(*, informed: bool, threshold: float) -> Subject:
    return Subject(
        pilot=specimen(informed=True).sample,
        production=specimen(informed=informed, seed=8).sample,
        threshold=threshold,
    )


def _coverage(subject: Subject, params: Params) -> SetFigures:
    """Sets learned on the pilot, tried on production."""

    def classes(sample: Sample) -> FloatArray:
        return lac_scores(np.column_stack([1 - sample.scores, sample.scores]))

    strange = scores_of_truth(classes(subject.pilot), subject.pilot.labels)
    sets = prediction_sets(classes(subject.production), conformal_threshold(strange, params.promised_coverage_share))
    return judge_sets(sets, subject.production.labels, confidence=params.confidence_share)


def _confidence(subject: Subject) -> tuple[FloatArray, FloatArray]:
    """How sure the model is of its decision, and whether that was wrong."""
    scores = subject.production.scores
    positive = scores >= subject.threshold
    wrong = (positive != (subject.production.labels == 1)).astype(np.float64)
    return np.where(positive, scores, 1 - scores), wrong


def _curve(confidence: FloatArray, wrong: FloatArray) -> list[dict[str, Any]]:
    curve = risk_coverage(confidence, wrong)
    rows = []
    for share in _ANSWERED:
        place = min(int(np.searchsorted(curve.coverage_share, share)), curve.coverage_share.size - 1)
        rows.append({"answered": _number(curve.coverage_share[place]), "wrong": _number(curve.risk[place])})
    return rows


def _bins(table: ReliabilityTable) -> list[dict[str, Any]]:
    return [
        {
            "from": _number(table.edges[each]),
            "to": _number(table.edges[each + 1]),
            "rows": int(rows),
            "said": _number(table.probability_sum[each] / rows),
            "seen": _number(table.positives[each] / rows),
        }
        for each, rows in enumerate(table.rows)
        if rows
    ]


def _three(interval: Interval) -> dict[str, float | None]:
    return {end: _number(getattr(interval, end)) for end in ("estimate", "lower", "upper")}


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
