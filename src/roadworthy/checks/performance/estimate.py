"""Quality in production before labels arrive, estimated from scores alone, with its blind spot beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from roadworthy.base.errors import EmptyData, ManifestError
from roadworthy.base.interval import Interval, unknown
from roadworthy.checks.scoring import (
    Declined,
    LabelledRows,
    all_inputs,
    endpoint_model,
    labelled_rows,
    metric_of,
    required_quality,
    required_source,
    score_rows,
)
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run, Watch
from roadworthy.kit.context import CheckContext, Quality
from roadworthy.kit.params import higher
from roadworthy.measure.delta import Metric, Sample, ShiftVerdict, performance, shift_verdict
from roadworthy.measure.table import open_table
from roadworthy.stats.audit_size import audit_sample_size, audit_sample_size_auc
from roadworthy.stats.difference import difference
from roadworthy.stats.label_free import (
    ENOUGH_OF_A_CLASS,
    LabelFreeEstimate,
    ScoreCalibration,
    cell_rows,
    estimate_performance,
    learn_calibration,
)
from roadworthy.stats.sample import FloatArray

_ROWS_A_CELL = 50
_FEWEST_ROWS_A_CELL = 10
_WANTED_CELLS = 10
_MOST_CELLS = 64
_SPECIMEN_ROWS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        confidence_share: two-sided level, in (0, 1).
        supported_share: of production's rows that must have scores which the pilot had too, in [0, 1].
    """

    confidence_share: float = higher(0.95)
    supported_share: float = higher(0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The pilot with outcomes, and production's scores alone, NaN where the endpoint declined.

    Attributes:
        pilot: rows that got a score: what a score means is learned on these.
        judged: all rows, the declined ones as the best score for their outcome: what production is held against.
        production: scores.
        quality: metric, threshold and margin.
    """

    pilot: Sample
    judged: Sample
    production: FloatArray
    quality: Quality


class EstimateCheck(Check[Subject, Params]):
    """Learn on the pilot what a score means, and expect production's outcomes by it.

    The loss is the pilot's figure minus the expected one; positive is worse. Its two parts are combined as if they were
    independent; they share the pilot's outcomes and move together, so the interval is too wide rather than too narrow.

    Scores are put into cells of 50 pilot rows, 64 cells at most; a pilot of fewer than 500 rows makes do with smaller ones
    so as to keep ten cells, as long as each has ten rows. Larger cells blur the AUC, smaller ones know too little. Pilot
    rows of one cluster count together, and with fewer than five rows or clusters of either outcome nothing is known.

    A row that the endpoint declines has no score to expect anything by: it counts as one whose score the pilot never
    saw, and with too many of these nothing is known. In the pilot it counts as the best score there is, since a poor pilot
    would make the loss look small. Scores that are all alike say nothing of any loss.
    """

    id: ClassVar[str] = "performance.estimate"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Production quality estimated without labels"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PILOT_DATA, Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 180.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "production scores that all lie where the pilot was right half of the time"
    watch: ClassVar[Watch | None] = Watch(harm=True)

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The labelled pilot and every production row, scored now."""
        quality = required_quality(context)
        if metric_of(quality) is Metric.BRIER:
            raise ManifestError(
                "The Brier score is not estimated without labels.",
                remedy="Declare auc, accuracy, sensitivity or specificity, or label production rows.",
                where="quality.metric",
            )
        pilot, production = required_source(context, "pilot"), required_source(context, "production")
        rows = labelled_rows(pilot)
        scores = endpoint_model(context, pilot)(rows.inputs)
        feed = all_inputs(open_table(production.pattern), production)
        yield Subject(
            pilot=_answered(rows, scores),
            judged=score_rows(lambda _: scores, rows, declined_as=Declined.BEST).sample,
            production=endpoint_model(context, production)(feed),
            quality=quality,
        )

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Production scores drawn as the pilot's were."""
        quality = required_quality(context)
        _, scores = _specimen(quality.threshold, seed=2)
        pilot = _pilot(quality.threshold)
        yield Subject(pilot=pilot, judged=pilot, production=scores, quality=quality)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """Production scores around the threshold only."""
        quality = required_quality(context)
        _, scores = _specimen(quality.threshold, seed=2, near_share=1.0)
        pilot = _pilot(quality.threshold)
        yield Subject(pilot=pilot, judged=pilot, production=scores, quality=quality)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Learn, expect, and plan the audit that would bound what the expectation cannot see."""
        metric, threshold = metric_of(subject.quality), subject.quality.threshold
        calibration = learn_calibration(
            subject.pilot.labels,
            subject.pilot.scores,
            thresholds=[threshold],
            cells=_cells(subject.pilot.scores.size),
            clusters=subject.pilot.clusters,
        )
        given = np.isfinite(subject.production)
        expected = _expect(calibration, subject, given, params, run)
        supported = expected.support_share * float(given.mean()) if given.any() else 0.0
        figure: Interval = getattr(expected, metric.value)
        judged = subject.judged
        before = performance(
            judged.labels,
            judged.scores,
            metric,
            threshold=threshold,
            confidence=params.confidence_share,
            clusters=judged.clusters,
            seed=run.seed,
        )
        differ = bool(np.ptp(subject.pilot.scores))
        loss = difference(figure, before) if differ else unknown(subject.pilot.scores.size)
        margin = subject.quality.margin_from_pilot
        return Observation(
            estimates=(
                Estimate(metric="estimated_loss", interval=loss),
                Estimate(metric="estimated_quality", interval=figure),
                Estimate(metric="pilot_quality", interval=before),
            ),
            facts={
                "metric": metric.value,
                "margin": margin,
                "verdict": shift_verdict(loss, margin, inputs_shifted=False).value,
                "rows": int(given.size),
                "rows declined": int((~given).sum()),
                "rows with a score that the pilot had": round(supported, 6),
                "rows wanted with such a score": params.supported_share,
                "pilot rows declined": int(judged.scores.size - subject.pilot.scores.size),
                "pilot scores differ": differ,
                "rarer outcome in the pilot": calibration.rarer,
                "blind spot": expected.blind_spot,
                "labels that would bound it": _audit(figure, metric, margin, subject.pilot),
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """The loss to expect, or why none can be told."""
        facts, loss = observation.facts, observation.estimates[0].interval
        labels = facts["labels that would bound it"]
        audit = "Label production rows." if labels is None else f"Label {labels} production rows drawn at random."
        if not facts["pilot scores differ"]:
            return (
                Finding(
                    what="No quality can be expected: the pilot's scores are all alike.",
                    remedy="See whether the endpoint answers every row alike.",
                ),
            )
        if not loss.known:
            return (
                Finding(
                    what=f"No quality can be expected: {facts['rows with a score that the pilot had']:.0%} of the rows have "
                    f"a score that the pilot had, {facts['rows wanted with such a score']:.0%} are needed, and "
                    f"{ENOUGH_OF_A_CLASS} rows or clusters of each outcome in the pilot, which shows "
                    f"{facts['rarer outcome in the pilot']} of the rarer.",
                    remedy="Label production rows: what the pilot did not show would be guessing.",
                ),
            )
        if loss.upper <= facts["margin"]:
            return ()
        harmed = facts["verdict"] == ShiftVerdict.HARMED.value
        return (
            Finding(
                what=f"By its scores, production {'loses' if harmed else 'may lose'} {loss.estimate:.3f} "
                f"[{loss.lower:.3f}, {loss.upper:.3f}] of {facts['metric'].upper()} against the pilot; "
                f"{facts['margin']:g} is acceptable.",
                remedy=f"{audit} Then look at the inputs that moved; the estimate sees nothing of a changed outcome.",
            ),
        )


def _answered(rows: LabelledRows, scores: FloatArray) -> Sample:
    """The rows that got a score."""
    given = np.isfinite(scores)
    if not given.any():
        raise EmptyData(f"The endpoint scores none of {scores.size} pilot rows.", remedy="See why it declines them.")
    return Sample(
        labels=rows.labels[given].astype(np.int64),
        scores=scores[given],
        clusters=None if rows.clusters is None else rows.clusters[given],
    )


def _cells(rows: int) -> int:
    wanted = max(rows // _ROWS_A_CELL, _WANTED_CELLS)
    return max(2, min(wanted, _MOST_CELLS, rows // _FEWEST_ROWS_A_CELL))


def _expect(
    calibration: ScoreCalibration, subject: Subject, given: np.ndarray[Any, Any], params: Params, run: Run
) -> LabelFreeEstimate:
    # A declined row is one without support: so many fewer of the others may be.
    allowed = params.supported_share / float(given.mean()) if given.any() else 1.0
    return estimate_performance(
        calibration,
        cell_rows(subject.production[given], calibration.edges),
        subject.quality.threshold,
        seed=run.seed,
        confidence=params.confidence_share,
        min_support_share=allowed,
    )


def _audit(figure: Interval, metric: Metric, margin: float, pilot: Sample) -> int | None:
    """Labels that would bound the loss that nobody sees by the margin; None when the estimate leaves no room for one."""
    if not figure.known or not 0 < margin < figure.estimate:
        return None
    if metric is not Metric.AUC:
        return audit_sample_size(figure.estimate, margin)
    share = float(pilot.labels.mean())
    return audit_sample_size_auc(figure.estimate, margin, share) if 0 < share < 1 else None


def _pilot(threshold: float) -> Sample:
    labels, scores = _specimen(threshold, seed=1)
    return Sample(labels=labels, scores=scores)


def _specimen(
    threshold: float, *, seed: int, near_share: float = 0.1
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], FloatArray]:
    """Outcomes and scores: far from the threshold the score is right, near it the outcome is a coin's."""
    rng = np.random.default_rng(seed)
    positive = rng.random(_SPECIMEN_ROWS) < 0.5
    within = rng.random(_SPECIMEN_ROWS)
    low, high = threshold * within / 2, threshold + (1 - threshold) * (1 + within) / 2
    near = threshold + 0.2 * min(threshold, 1 - threshold) * (2 * within - 1)
    scores = np.where(rng.random(_SPECIMEN_ROWS) < near_share, near, np.where(positive, high, low))
    return positive.astype(np.int64), scores
