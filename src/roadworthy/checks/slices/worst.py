"""The slice in which the model is furthest behind the rest: those named beforehand, and whatever a search finds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from roadworthy.base.errors import ManifestError
from roadworthy.base.interval import Interval, exact, unknown
from roadworthy.checks.scoring import (
    LabelledRows,
    endpoint_model,
    first_of_each,
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
from roadworthy.measure.delta import Metric, Sample
from roadworthy.measure.probing.inputs import Inputs, make_inputs
from roadworthy.measure.probing.slices import (
    SMALLEST_N,
    SliceFigure,
    SliceReport,
    candidate_slices,
    measure_slices,
)
from roadworthy.stats.sample import BoolArray

_MOST_CANDIDATES = 2_000
_MOST_ROWS = 5_000
_SHOWN = 10
_SPECIMEN_ROWS = 1_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        confidence_share: two-sided level that all slices reach together, in (0, 1).
        smallest_n: rows that a slice's figure must rest on to be measured.
    """

    confidence_share: float = higher(0.95)
    smallest_n: int = higher(SMALLEST_N)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Scored production rows, what they are sliced by, and the quality that is needed.

    Attributes:
        named: columns whose values are the slices named beforehand: cohort and acquisition.
        inputs: columns that are searched.
        sample: labels and scores of the same rows, independent of each other.
        declined: which of them the endpoint did not score.
        left_out: rows of clusters that already have a row here.
        unjudged: cohorts without any labelled row.
        quality: metric, threshold and margin.
    """

    named: Inputs
    inputs: Inputs
    sample: Sample
    declined: BoolArray
    left_out: int
    unjudged: tuple[str, ...]
    quality: Quality


class WorstSliceCheck(Check[Subject, Params]):
    """Measure each slice of production against the rest of the rows, all at one simultaneous level.

    Named slices - each value of cohort and acquisition columns - must show that they are not behind by more than the
    margin; one that is too small to be measured may be, so it keeps the bound from being met. Slices that a search finds
    among the inputs, one column or two at a time, can only accuse: they count when they are proven to be behind. Where
    none was large enough to be measured, how many are behind is unknown, as it is where all scores are alike.

    A declined row counts as the worst score. In a slice that is fair; among the rest it would hide how far a slice is
    behind, so the upper end has room for all that the declined rows of the rest may be worth.
    """

    id: ClassVar[str] = "slices.worst"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Slices of production, named and searched"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 240.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "scores that take one outcome for the other at one of two sites and in old age"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The labelled production rows, scored now, one row of each cluster."""
        quality, source = required_quality(context), required_source(context, "production")
        rows = labelled_rows(source)
        every = rows.labels.size
        rows = rows.take(first_of_each(rows.clusters, every, seed=context.seed))
        if rows.circumstances is None or not candidate_slices(_varying(rows.circumstances), depth=1):
            raise ManifestError(
                "No column tells the slices of production apart.",
                remedy="Name the site or group, data.production.cohort, or columns of data.production.acquisition.",
                where="data.production",
            )
        scores = endpoint_model(context, source)(rows.inputs)
        sample = score_rows(lambda _: scores, rows).sample
        yield _subject(rows, sample, np.isnan(scores), quality, every)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """Two sites with scores that know the outcome."""
        yield _specimen(required_quality(context))

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """The same, but wrong at one site and for the oldest quarter."""
        good = _specimen(required_quality(context))
        wrong = (good.named.column("site") == "south") | (good.inputs.column("age") >= 70)
        scores = np.where(wrong, 1 - good.sample.scores, good.sample.scores)
        yield replace(good, sample=replace(good.sample, scores=scores))

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Measure the named slices, then search."""
        metric, quality = metric_of(subject.quality), subject.quality
        columns = _varying(subject.named)
        named = measure_slices(
            columns,
            subject.sample,
            candidate_slices(columns, depth=1),
            metric,
            threshold=quality.threshold,
            tolerance=quality.margin_from_pilot,
            smallest_n=params.smallest_n,
            confidence=params.confidence_share,
        )
        searched, depth = _search(subject, metric, params, run)
        rows = len(subject.sample.labels)
        # A search that could measure nothing found nothing and cleared nothing.
        differ = _differ(subject)
        behind = exact(len(searched.worse), rows) if differ and _measured(searched) else unknown(rows)
        gap = _worst_gap(named, subject.unjudged, _hidden(named, columns, subject)) if differ else unknown(rows)
        return Observation(
            estimates=(
                Estimate(metric="worst_slice_gap", interval=gap),
                Estimate(metric="searched_slices_behind", interval=behind, unit="slice"),
            ),
            facts={
                "metric": metric.value,
                "margin": quality.margin_from_pilot,
                "rows": rows,
                "rows declined": int(subject.declined.sum()),
                "scores differ": differ,
                "rows of clusters already seen": subject.left_out,
                "smallest n": params.smallest_n,
                "named": [_row(each) for each in named.figures],
                "too small": [
                    *({"slice": str(each.slice), "n": each.n} for each in named.too_small),
                    *({"slice": f"cohort {name}", "n": 0} for name in subject.unjudged),
                ],
                "searched": _measured(searched),
                "searched too small": len(searched.too_small),
                "columns at a time": depth,
                "search": [_row(each) for each in searched.figures[:_SHOWN]],
                "found behind": [_row(each) for each in searched.worse[:_SHOWN]],
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """Named slices that are behind, may be or are too small; and slices that the search proved."""
        facts, findings = observation.facts, []
        if not facts["scores differ"]:
            findings.append(
                Finding(
                    what="All scores are alike or missing, so no slice can be told from another.",
                    remedy="See whether the endpoint answers every row alike.",
                )
            )
        gap: Interval = observation.estimates[0].interval
        if facts["rows declined"] and not gap.upper <= facts["margin"]:
            findings.append(
                Finding(
                    what=f"The endpoint declines {facts['rows declined']} of {facts['rows']} rows, which may hide how far a "
                    "slice is behind the rest.",
                    remedy="See why it declines them.",
                )
            )
        for row in facts["named"]:
            if row["upper"] is not None and row["upper"] <= facts["margin"]:
                continue
            proven = row["lower"] is not None and row["lower"] > facts["margin"]
            findings.append(
                Finding(
                    what=f"{row['slice']} {'is' if proven else 'may be'} behind the rest in {facts['metric'].upper()}: "
                    f"{_gap(row)}, {facts['margin']:g} is acceptable.",
                    remedy="Look at the data of that slice first; then retrain with its rows, or leave it out."
                    if proven
                    else "Label more rows of that slice.",
                )
            )
        findings += [
            Finding(
                what=f"{row['slice']} cannot be measured with {row['n']} rows: it takes {facts['smallest n']} there and as many "
                "elsewhere, for the AUC ten of each outcome.",
                remedy="Label more rows of that slice.",
            )
            for row in facts["too small"]
        ]
        if not facts["searched"]:
            findings.append(
                Finding(
                    what=f"The search measured no slice: none of {facts['searched too small']} has {facts['smallest n']} rows "
                    "with as many elsewhere.",
                    remedy="Label more rows.",
                )
            )
        findings += [
            Finding(
                what=f"The search found {row['slice']} behind the rest: {_gap(row)}.",
                remedy="Look at these rows with somebody who knows them, then name the slice in the next release's test.",
            )
            for row in facts["found behind"]
        ]
        return tuple(findings)


def _subject(rows: LabelledRows, sample: Sample, declined: BoolArray, quality: Quality, every: int) -> Subject:
    assert rows.circumstances is not None
    return Subject(
        named=rows.circumstances,
        inputs=rows.inputs,
        # One row of each cluster is left, so rows are independent.
        sample=Sample(labels=sample.labels, scores=sample.scores),
        declined=declined,
        left_out=every - rows.labels.size,
        unjudged=rows.unjudged_cohorts,
        quality=quality,
    )


def _varying(columns: Inputs) -> Inputs:
    """Without the columns that hold one value: the rows that have it are all rows, and there is no rest."""
    found = {name: columns.column(name) for name in columns.names}
    return Inputs(columns={name: values for name, values in found.items() if np.unique(values.astype(str)).size > 1})


def _search(subject: Subject, metric: Metric, params: Params, run: Run) -> tuple[SliceReport, int]:
    """Pairs of columns where their number allows it, and on a sample of rows where there are very many."""
    columns, sample = subject.inputs, subject.sample
    if columns.row_count > _MOST_ROWS:
        rows = np.sort(np.random.default_rng(run.seed).choice(columns.row_count, _MOST_ROWS, replace=False))
        columns, sample = columns.take(rows), Sample(labels=sample.labels[rows], scores=sample.scores[rows])
    single = len(candidate_slices(columns, depth=1))
    # Every pair of single slices at most.
    depth = 2 if single * single / 2 <= _MOST_CANDIDATES else 1
    report = measure_slices(
        columns,
        sample,
        candidate_slices(columns, depth=depth),
        metric,
        threshold=subject.quality.threshold,
        tolerance=subject.quality.margin_from_pilot,
        smallest_n=params.smallest_n,
        confidence=params.confidence_share,
    )
    return report, depth


def _measured(report: SliceReport) -> int:
    return sum(each.shortfall.known for each in report.figures)


def _differ(subject: Subject) -> bool:
    return np.unique(subject.sample.scores[~subject.declined]).size > 1


def _hidden(report: SliceReport, columns: Inputs, subject: Subject) -> dict[str, float]:
    """By slice, how much better the rest may be than it is with its declined rows counted as the worst.

    A share moves by no more than the share of declined rows, and the AUC by no more than the share of pairs with one;
    with d and e for the declined shares of either outcome that is 1 - (1 - d)(1 - e), which is at least any of them.
    """
    positive = subject.sample.labels == 1

    def share(rows: BoolArray) -> float:
        return float(subject.declined[rows].mean()) if rows.any() else 0.0

    found = {}
    for each in report.figures:
        rest = ~each.slice.rows(columns)
        found[str(each.slice)] = 1 - (1 - share(rest & positive)) * (1 - share(rest & ~positive))
    return found


def _worst_gap(report: SliceReport, unjudged: tuple[str, ...], hidden: Mapping[str, float]) -> Interval:
    """The largest shortfall, end by end; a slice that could not be measured may be behind by all there is."""
    n = min((each.shortfall.n for each in report.figures), default=report.whole.n)
    rooms = [(each.shortfall, hidden[str(each.slice)]) for each in report.figures if each.shortfall.known]
    measured = [gap for gap, _ in rooms]
    open_end = bool(unjudged or report.too_small) or len(measured) < len(report.figures)
    estimate, lower = (max((getattr(each, end) for each in measured), default=0.0) for end in ("estimate", "lower"))
    upper = 1.0 if open_end else max((min(1.0, gap.upper + room) for gap, room in rooms), default=1.0)
    return Interval(estimate=estimate, lower=lower, upper=max(upper, estimate), n=n, confidence=report.level)


def _row(figure: SliceFigure) -> dict[str, Any]:
    return {
        "slice": str(figure.slice),
        "n": figure.figure.n,
        "figure": _number(figure.figure.estimate),
        "behind": _number(figure.shortfall.estimate),
        "lower": _number(figure.shortfall.lower),
        "upper": _number(figure.shortfall.upper),
        "standing": figure.standing.value,
    }


def _gap(row: dict[str, Any]) -> str:
    if row["behind"] is None:
        return "it could not be measured"
    return f"{row['behind']:.3f} [{row['lower']:.3f}, {row['upper']:.3f}]"


def _number(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def _specimen(quality: Quality) -> Subject:
    rng = np.random.default_rng(7)
    labels = np.tile([0, 1], _SPECIMEN_ROWS // 2)
    noise = rng.uniform(0.0, 0.04, _SPECIMEN_ROWS)
    sites = np.asarray(["north", "south"], dtype=object)[np.arange(_SPECIMEN_ROWS) // 2 % 2]
    return Subject(
        named=make_inputs({"site": sites}),
        inputs=make_inputs(
            {"age": rng.uniform(30.0, 85.0, _SPECIMEN_ROWS), "size": rng.normal(14.0, 2.0, _SPECIMEN_ROWS)}
        ),
        sample=Sample(labels=labels, scores=np.where(labels == 1, 1 - noise, noise)),
        declined=np.zeros(_SPECIMEN_ROWS, dtype=np.bool_),
        left_out=0,
        unjudged=(),
        quality=quality,
    )
