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
    LabelledRows,
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
from roadworthy.kit.context import CheckContext, Quality
from roadworthy.kit.params import higher
from roadworthy.measure.delta import Metric, Sample, performance
from roadworthy.measure.probing.inputs import Inputs, make_inputs
from roadworthy.stats.auc import auc, delong_paired_delta
from roadworthy.stats.bootstrap import weighted_bootstrap
from roadworthy.stats.means import Range, mean_interval
from roadworthy.stats.sample import FloatArray
from roadworthy.stats.weighted import weighted_auc

_SPECIMEN_ROWS = 1_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        confidence_share: two-sided level, in (0, 1).
    """

    confidence_share: float = higher(0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Production rows with the model's scores, and the rows that simpler models learn from.

    Attributes:
        inputs: of the production rows.
        sample: their outcomes, the model's scores, and clusters.
        learned_from: inputs of the training rows, or of the pilot's where no training set is declared.
        labels: their outcomes.
        set_name: which of the two it is.
        quality: metric and threshold.
    """

    inputs: Inputs
    sample: Sample
    learned_from: Inputs
    labels: FloatArray
    set_name: str
    quality: Quality


class SimplerCheck(Check[Subject, Params]):
    """Train simpler models on what the model may have learned from, and compare all on the same production rows.

    Three of them: the share of positives, which knows no input; the best single input, chosen where it was trained; and
    a logistic regression on all inputs. The last one decides. A model that is not shown to be better costs more than it
    brings, unless somebody signs why it is kept.

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
        """Production scored now; simpler models learn from the training set, or from the pilot."""
        quality, production = required_quality(context), required_source(context, "production")
        set_name = "training" if "training" in context.data else "pilot"
        learned = labelled_rows(replace(required_source(context, set_name), features=production.features))
        if np.unique(learned.labels).size < 2:  # both outcomes
            raise EmptyData(f"The {set_name} rows have one outcome only.", remedy="Give rows of both outcomes.")
        rows = labelled_rows(production)
        yield _subject(rows, score_rows(endpoint_model(context, production), rows).sample, learned, set_name, quality)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A model that knows what no single input and no sum of inputs tells."""
        yield _specimen(required_quality(context), informed=True)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """Scores on the wrong side, where one input alone tells the outcome."""
        yield _specimen(required_quality(context), informed=False)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Train three baselines, and measure by how much the model is better than each."""
        metric = _compared_by(metric_of(subject.quality))
        single, single_scores = _best_single(subject)
        baselines = {
            "prior": np.full(subject.inputs.row_count, float(subject.labels.mean())),
            "single_input": single_scores,
            "logistic": train_logistic(subject.learned_from, subject.labels)(subject.inputs),
        }
        gains = {
            name: _gain(subject, scores, metric, confidence=params.confidence_share, seed=run.seed)
            for name, scores in baselines.items()
        }
        return Observation(
            estimates=tuple(Estimate(metric=f"gain_over_{name}", interval=gain) for name, gain in gains.items()),
            facts={
                "metric": metric.value,
                "rows": subject.inputs.row_count,
                "learned from": subject.set_name,
                "rows learned from": subject.learned_from.row_count,
                "best single input": single,
                "model": _figure(subject, subject.sample.scores, metric),
                "baselines": {name: _figure(subject, scores, metric) for name, scores in baselines.items()},
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


def _subject(rows: LabelledRows, sample: Sample, learned: LabelledRows, set_name: str, quality: Quality) -> Subject:
    return Subject(
        inputs=rows.inputs,
        sample=sample,
        learned_from=learned.inputs,
        labels=learned.labels,
        set_name=set_name,
        quality=quality,
    )


def _best_single(subject: Subject) -> tuple[str, FloatArray]:
    """The input whose own regression ranks its training rows best, and that regression's scores of production."""
    models = {
        name: train_logistic(subject.learned_from.only([name]), subject.labels) for name in subject.learned_from.names
    }
    best = max(models, key=lambda name: auc(subject.labels, models[name](subject.learned_from)))
    return best, models[best](subject.inputs)


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
        learned_from=learned,
        labels=labels,
        set_name="training",
        quality=quality,
    )
