"""Whether the model beats something simpler on the same rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from roadworthy.base.errors import EmptyData
from roadworthy.base.interval import Interval
from roadworthy.checks.recipe import train_logistic
from roadworthy.checks.scoring import (
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
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext, DataSource, Quality
from roadworthy.kit.params import higher
from roadworthy.measure.delta import Metric, Sample, performance
from roadworthy.measure.probing.inputs import Inputs, make_inputs
from roadworthy.stats.auc import auc, delong_paired_delta
from roadworthy.stats.bootstrap import weighted_bootstrap
from roadworthy.stats.means import Range, mean_interval
from roadworthy.stats.sample import FloatArray
from roadworthy.stats.weighted import weighted_auc

_FEWEST_OF_AN_OUTCOME = 10
_SPECIMEN_ROWS = 1_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        confidence_share: two-sided level, in (0, 1).
    """

    confidence_share: float = higher(0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Rows that simpler models learn from: which set, inputs and outcomes."""

    name: str
    inputs: Inputs
    labels: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Production rows with the model's scores, and the sets that simpler models learn from.

    Attributes:
        inputs: of the production rows.
        sample: their outcomes, the model's scores, and clusters.
        lessons: the training set where one is declared, and the pilot; at least one.
        quality: metric and threshold.
    """

    inputs: Inputs
    sample: Sample
    lessons: tuple[Lesson, ...]
    quality: Quality


class SimplerCheck(Check[Subject, Params]):
    """Train simpler models on what the model may have learned from, and compare all on the same production rows.

    Three of them: the share of positives, which knows no input; the best single input, chosen where it was trained; and
    a logistic regression on all inputs. The last one decides. A model that is not shown to be better costs more than it
    brings, unless somebody signs why it is kept.

    Each is trained on the training set and once more on the pilot, and the one that the model is shown to beat by less
    counts: a training set that teaches badly makes every model look good. A set teaches with ten rows of each outcome.

    They are compared by accuracy or the Brier score where the quality is stated so, else by the AUC: any sensitivity
    can be had for nothing by calling more rows positive.
    """

    id: ClassVar[str] = "baseline.simpler"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Model against simpler baselines"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PRODUCTION_DATA, Part.PILOT_DATA, Part.TRAINING_DATA})
    budget_s: ClassVar[float] = 180.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "scores that take one outcome for the other, beside an input that tells it"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """Production scored now; simpler models learn from the training set and from the pilot."""
        quality, production = required_quality(context), required_source(context, "production")
        lessons = _lessons(context, production)
        rows = labelled_rows(production)
        sample = score_rows(endpoint_model(context, production), rows).sample
        yield Subject(inputs=rows.inputs, sample=sample, lessons=lessons, quality=quality)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A model that knows what no single input and no sum of inputs tells."""
        yield _specimen(required_quality(context), informed=True)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """Scores on the wrong side, where one input alone tells the outcome."""
        yield _specimen(required_quality(context), informed=False)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Train three baselines on each set, and measure by how much the model is better than the stronger of each."""
        metric = _compared_by(metric_of(subject.quality))
        trained = [_baselines(subject, lesson) for lesson in subject.lessons]
        found = {
            name: min(
                (
                    _rival(subject, each[name], metric, confidence=params.confidence_share, seed=run.seed)
                    for each in trained
                ),
                key=lambda rival: rival[0].lower if rival[0].known else -np.inf,
            )
            for name in trained[0]
        }
        return Observation(
            estimates=tuple(Estimate(metric=f"gain_over_{name}", interval=gain) for name, (gain, _) in found.items()),
            facts={
                "metric": metric.value,
                "rows": subject.inputs.row_count,
                "learned from": {lesson.name: lesson.inputs.row_count for lesson in subject.lessons},
                "stronger one learned from": {name: rival.lesson for name, (_, rival) in found.items()},
                "best single input": found["single_input"][1].by,
                "model": _figure(subject, subject.sample.scores, metric),
                "baselines": {name: _figure(subject, rival.scores, metric) for name, (_, rival) in found.items()},
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """The baselines that are not beaten."""
        facts = observation.facts
        words = {
            "gain_over_prior": "the share of positives alone",
            "gain_over_single_input": f"{facts['best single input']} alone",
            "gain_over_logistic": "a logistic regression on the same inputs",
        }
        findings = []
        for each in observation.estimates:
            gain = each.interval
            if gain.known and gain.lower > 0:
                continue
            shown = f"{gain.estimate:+.3f} [{gain.lower:+.3f}, {gain.upper:+.3f}]" if gain.known else "not measurable"
            findings.append(
                Finding(
                    what=f"The model is not shown to beat {words[each.metric]}: {facts['metric'].upper()} {shown}.",
                    remedy="Use the simpler one, or have the reason signed why the model is kept; label more rows where the "
                    "interval is wide.",
                )
            )
        return tuple(findings)


def _lessons(context: CheckContext, production: DataSource) -> tuple[Lesson, ...]:
    """The training set, which must teach where it is declared, and the pilot, which must where it is alone."""
    lessons: list[Lesson] = []
    for name in ("training", "pilot") if "training" in context.data else ("pilot",):
        source = required_source(context, name)
        if lessons and source.label is None:
            continue
        learned = labelled_rows(replace(source, features=production.features))
        rarer = min(int((learned.labels == outcome).sum()) for outcome in (0, 1))
        if rarer >= _FEWEST_OF_AN_OUTCOME:
            lessons.append(Lesson(name=name, inputs=learned.inputs, labels=learned.labels))
        elif not lessons:
            raise EmptyData(
                f"The {name} rows have one outcome only."
                if not rarer
                else f"The {name} rows show the rarer outcome {rarer} times, too seldom to learn from.",
                remedy=f"Give {_FEWEST_OF_AN_OUTCOME} rows of each outcome.",
            )
    return tuple(lessons)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Baseline:
    """Scores of production by a simpler model: which set it learned from, and the one input that it reads, if it is one."""

    lesson: str
    scores: FloatArray
    by: str = ""


def _baselines(subject: Subject, lesson: Lesson) -> dict[str, _Baseline]:
    rows, inputs = lesson.inputs, subject.inputs
    # The input whose own regression ranks the rows that it learned from best.
    models = {name: train_logistic(rows.only([name]), lesson.labels) for name in rows.names}
    best = max(models, key=lambda name: auc(lesson.labels, models[name](rows)))
    share = np.full(inputs.row_count, float(lesson.labels.mean()))
    return {
        "prior": _Baseline(lesson=lesson.name, scores=share),
        "single_input": _Baseline(lesson=lesson.name, scores=models[best](inputs), by=best),
        "logistic": _Baseline(lesson=lesson.name, scores=train_logistic(rows, lesson.labels)(inputs)),
    }


def _rival(
    subject: Subject, baseline: _Baseline, metric: Metric, *, confidence: float, seed: int
) -> tuple[Interval, _Baseline]:
    return _gain(subject, baseline.scores, metric, confidence=confidence, seed=seed), baseline


def _gain(subject: Subject, scores: FloatArray, metric: Metric, *, confidence: float, seed: int) -> Interval:
    """By how much the model is better, positive when it is, on the same rows."""
    sample = subject.sample
    if metric is Metric.AUC:
        if sample.clusters is None:
            return delong_paired_delta(sample.labels, scores, sample.scores, confidence)
        before, after = weighted_auc(sample.labels, scores), weighted_auc(sample.labels, sample.scores)
        return weighted_bootstrap(
            lambda weights: after(weights) - before(weights),
            sample.clusters.astype(np.str_),
            seed=seed,
            confidence=confidence,
        )
    # Both others are means over rows, so their difference is one of paired differences.
    clusters = None if sample.clusters is None else sample.clusters.astype(np.str_)
    lost = [_losses(subject, given, metric) for given in (scores, sample.scores)]
    return mean_interval(lost[0] - lost[1], clusters, confidence=confidence, within=Range(-1.0, 1.0))


def _losses(subject: Subject, scores: FloatArray, metric: Metric) -> FloatArray:
    labels = subject.sample.labels
    if metric is Metric.BRIER:
        return np.asarray((scores - labels) ** 2, dtype=np.float64)
    return np.asarray((scores >= subject.quality.threshold) != (labels == 1), dtype=np.float64)


def _compared_by(metric: Metric) -> Metric:
    """Calling every row positive has the best sensitivity there is, so one-sided shares are compared by ranking."""
    return metric if metric in {Metric.ACCURACY, Metric.BRIER} else Metric.AUC


def _figure(subject: Subject, scores: FloatArray, metric: Metric) -> float | None:
    found = performance(subject.sample.labels, scores, metric, threshold=subject.quality.threshold).estimate
    return round(found, 6) if np.isfinite(found) else None


def _specimen(quality: Quality, *, informed: bool) -> Subject:
    """Two inputs whose product tells the outcome, or one that tells it by itself beside a model that is wrong."""
    rng = np.random.default_rng(11)

    def draw() -> tuple[Inputs, FloatArray]:
        inputs = make_inputs({"a": rng.normal(size=_SPECIMEN_ROWS), "b": rng.normal(size=_SPECIMEN_ROWS)})
        told = inputs.column("a") * inputs.column("b") if informed else inputs.column("a")
        return inputs, (told > 0).astype(np.float64)

    (learned, labels), (inputs, outcome) = draw(), draw()
    noise = rng.uniform(0.0, 0.04, _SPECIMEN_ROWS)
    return Subject(
        inputs=inputs,
        sample=Sample(labels=outcome.astype(np.int64), scores=np.where((outcome == 1) == informed, 1 - noise, noise)),
        lessons=(Lesson(name="training", inputs=learned, labels=labels),),
        quality=quality,
    )
