"""Rows of the manifest, with outcomes and scored by the live endpoint: what checks of a model measure. Not a check itself.

The model is judged as users meet it: every score comes over HTTP from the endpoint under inspection, never from a model
file loaded here.

Rules kept here:
1. Rows without a label cannot be judged, but their cohort is not forgotten: a site without any label is unmeasured.
2. A row that the endpoint declines to score counts against it: as the worst score for its label in production, and as
   the best one in the pilot, since a poor pilot would make the loss look small. Declining never pays.
3. A row without a patient, or whatever the cluster is, is a cluster of its own: nothing says that it belongs to another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import EmptyData, ManifestError
from roadworthy.kit.context import CheckContext, DataSource, Quality, Target
from roadworthy.measure.delta import Metric, Sample
from roadworthy.measure.probing.inputs import Inputs, Model, inputs_of, is_missing, make_inputs, one_of_each
from roadworthy.measure.table import Table, open_table
from roadworthy.probes.http import NO_HEADERS, read_headers
from roadworthy.probes.open_inference import OpenInference, Row
from roadworthy.stats.sample import FloatArray, IntArray

_BATCH = 256
_SPECIMEN_ROWS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRows:
    """The rows of a data set whose outcome is known, n of them.

    Attributes:
        inputs: what the model takes.
        circumstances: cohort and acquisition columns; None when the manifest names neither.
        labels: 0 or 1, shape (n,).
        cohorts: the site or group of each row, shape (n,); None when the manifest names none.
        clusters: the independent unit of each row, shape (n,); None when the manifest names none.
        rows: of the whole set.
        unjudged_cohorts: cohorts without any labelled row.
        times: when each row was made, shape (n,); None when the manifest names no such column.
    """

    inputs: Inputs
    circumstances: Inputs | None
    labels: FloatArray
    cohorts: NDArray[Any] | None
    clusters: NDArray[Any] | None
    rows: int
    unjudged_cohorts: tuple[str, ...] = ()
    times: NDArray[Any] | None = None

    def take(self, rows: NDArray[Any]) -> "LabelledRows":
        """Some of them, by number or by mask."""
        return LabelledRows(
            inputs=self.inputs.take(rows),
            circumstances=None if self.circumstances is None else self.circumstances.take(rows),
            labels=self.labels[rows],
            cohorts=None if self.cohorts is None else self.cohorts[rows],
            clusters=None if self.clusters is None else self.clusters[rows],
            rows=self.rows,
            unjudged_cohorts=self.unjudged_cohorts,
            times=None if self.times is None else self.times[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSet:
    """A data set with its scores.

    Attributes:
        sample: labels, scores and cohorts of the rows that have a label.
        rows: of the whole set.
        unlabelled: rows that were left out for want of a label.
        declined: labelled rows that the endpoint did not score.
        unjudged_cohorts: cohorts without any labelled row.
    """

    sample: Sample
    rows: int
    unlabelled: int
    declined: int
    unjudged_cohorts: tuple[str, ...] = ()


def required_target(context: CheckContext) -> Target:
    """The target.

    Raises:
        ManifestError: none is declared (RW-101).
    """
    if context.target is None:
        raise ManifestError("No target is declared.", remedy="Add target: with the URL of a running endpoint.")
    return context.target


def target_headers(context: CheckContext) -> Mapping[str, str]:
    """Headers that every request to the target needs, such as a credential.

    Raises:
        MissingFile: the file that was declared is not there (RW-102).
        ManifestError: it holds no headers (RW-101).
    """
    name = required_target(context).headers_file
    return NO_HEADERS if name is None else read_headers(context.root / name)


def target_model(context: CheckContext, *, timeout_s: float = 10.0) -> OpenInference:
    """A client of the target.

    Raises:
        ManifestError: none is declared, or its headers cannot be used (RW-101).
        MissingFile: the file of its headers is not there (RW-102).
    """
    return OpenInference(required_target(context).url, timeout_s=timeout_s, headers=target_headers(context))


def required_quality(context: CheckContext) -> Quality:
    """The quality needed.

    Raises:
        ManifestError: none is declared (RW-101).
    """
    if context.quality is None:
        raise ManifestError("No quality is declared.", remedy="Add quality: with metric, bound, side and margin.")
    return context.quality


def required_source(context: CheckContext, name: str) -> DataSource:
    """A data set of the manifest.

    Raises:
        ManifestError: it is not declared (RW-101).
    """
    if name not in context.data:
        raise ManifestError(f"No {name} data are declared.", remedy=f"Add data.{name} with path, label and features.")
    return context.data[name]


def feature_rows(table: Table, source: DataSource) -> list[Row]:
    """The rows as the endpoint takes them.

    Raises:
        ManifestError: the manifest names no features (RW-101).
        ContractError: a feature is no column of the data (RW-106).
    """
    return _rows_of(all_inputs(table, source), source.features)


def all_inputs(table: Table, source: DataSource) -> Inputs:
    """What the model takes, of every row.

    Raises:
        ManifestError: the manifest names no features (RW-101).
        ContractError: a feature is no column of the data (RW-106).
    """
    if not source.features:
        raise ManifestError(
            "The columns that the model takes are not named.", remedy=f"List them: data.{source.name}.features."
        )
    return inputs_of(table, source.features)


def endpoint_model(context: CheckContext, source: DataSource) -> Model:
    """The endpoint as a function from inputs to one score a row, NaN where it declines; asked in batches.

    The function raises TargetUnreachable (RW-401) or TargetAnswer (RW-402).

    Raises:
        ManifestError: no target is declared (RW-101).
    """
    client = target_model(context, timeout_s=30.0)

    def model(inputs: Inputs) -> FloatArray:
        rows = _rows_of(inputs, source.features)
        batches = [
            client.predict(rows[start : start + _BATCH], columns=source.features)
            for start in range(0, len(rows), _BATCH)
        ]
        return np.concatenate([np.asarray(batch, dtype=np.float64) for batch in batches])

    return model


def _rows_of(inputs: Inputs, names: tuple[str, ...]) -> list[Row]:
    columns = {name: inputs.column(name).tolist() for name in names}
    return [{name: columns[name][index] for name in names} for index in range(inputs.row_count)]


def labelled_rows(source: DataSource) -> LabelledRows:
    """The rows of a data set whose outcome is known.

    Raises:
        ManifestError: label or features are not declared (RW-101).
        ContractError: a column that is named is not there (RW-106).
        EmptyData: no row has a label (RW-104).
    """
    if source.label is None:
        raise ManifestError("The true outcome is not named.", remedy=f"Name its column: data.{source.name}.label.")
    table = open_table(source.pattern)
    labels = np.asarray(table.column(source.label), dtype=np.float64)
    known = np.flatnonzero(~np.isnan(labels))
    if not known.size:
        raise EmptyData(f"No row of {table.name} has a label.", remedy="Label some rows.", where=source.label)
    made = dict.fromkeys([*([source.cohort] if source.cohort else []), *source.acquisition])
    cohorts = None if source.cohort is None else np.asarray(table.column(source.cohort), dtype=object)
    every = LabelledRows(
        inputs=all_inputs(table, source),
        circumstances=make_inputs({name: table.column(name) for name in made}) if made else None,
        labels=labels,
        cohorts=cohorts,
        clusters=None if source.cluster is None else _cluster_names(table.column(source.cluster)),
        rows=table.row_count,
        times=None if source.time is None else table.column(source.time),
    )
    if cohorts is None:
        return every.take(known)
    unjudged = {str(each) for each in cohorts} - {str(each) for each in cohorts[known]}
    return replace(every.take(known), unjudged_cohorts=tuple(sorted(unjudged)))


def _cluster_names(values: NDArray[Any]) -> NDArray[Any]:
    missing = is_missing(values)
    return np.asarray(
        [f"row {row}" if null else str(value) for row, (value, null) in enumerate(zip(values, missing, strict=True))],
        dtype=object,
    )


def first_of_each(clusters: NDArray[Any] | None, rows: int, *, seed: int = 0) -> IntArray:
    """The first row of each cluster in a drawn order, for figures that need independent rows; every row without clusters.

    The order is drawn because files are seldom unordered: the first row of a patient is often the earliest visit.
    """
    return np.arange(rows) if clusters is None else one_of_each(clusters, np.random.default_rng(seed))


class Declined(Enum):
    """How a row counts that the endpoint did not score."""

    WORST = "worst"
    BEST = "best"


def score(context: CheckContext, source: DataSource, *, declined_as: Declined = Declined.WORST) -> ScoredSet:
    """Score every labelled row of a data set through the endpoint.

    Raises:
        ManifestError: target, label or features are not declared (RW-101).
        ContractError: a column that is named is not there (RW-106).
        EmptyData: no row has a label (RW-104).
        TargetUnreachable: no answer (RW-401).
        TargetAnswer: not an answer of the protocol (RW-402).
    """
    return score_rows(endpoint_model(context, source), labelled_rows(source), declined_as=declined_as)


def score_rows(model: Model, rows: LabelledRows, *, declined_as: Declined = Declined.WORST) -> ScoredSet:
    """Score labelled rows by a model; what it declines counts as said.

    Raises:
        TargetUnreachable: no answer (RW-401).
        TargetAnswer: not an answer of the protocol (RW-402).
    """
    scores = model(rows.inputs)
    declined = np.isnan(scores)
    scores = scores.copy()
    scores[declined] = _stand_ins(rows.labels[declined], scores[~declined], declined_as)
    return ScoredSet(
        sample=Sample(labels=rows.labels.astype(np.int64), scores=scores, cohorts=rows.cohorts, clusters=rows.clusters),
        rows=rows.rows,
        unlabelled=rows.rows - rows.labels.size,
        declined=int(declined.sum()),
        unjudged_cohorts=rows.unjudged_cohorts,
    )


def _stand_ins(outcome: NDArray[np.float64], given: NDArray[np.float64], declined_as: Declined) -> NDArray[np.float64]:
    """Scores for declined rows: beyond every score that was given, on the wrong side or on the right one.

    Scores in [0, 1] are taken for probabilities, whose ends are 0 and 1; others have no ends, so one step beyond serves.
    """
    probabilities = bool(((given >= 0) & (given <= 1)).all())
    low, high = (0.0, 1.0) if probabilities else (float(given.min()) - 1, float(given.max()) + 1)
    right = np.where(outcome == 1, high, low)
    return right if declined_as is Declined.BEST else low + high - right


def specimen(*, informed: bool, seed: int = 7) -> ScoredSet:
    """Synthetic rows of two cohorts, scored by something that knows the outcome, or that takes one for the other.

    Scores on the wrong side are the negative control: every metric is at its worst there, at any threshold.
    """
    rng = np.random.default_rng(seed)
    labels = np.tile([0, 1], _SPECIMEN_ROWS // 2)
    noise = rng.uniform(0.0, 0.04, _SPECIMEN_ROWS)
    scores = np.where((labels == 1) == informed, 1 - noise, noise)
    cohorts = np.asarray(["north", "south"], dtype=object)[np.arange(_SPECIMEN_ROWS) // 2 % 2]
    return ScoredSet(
        sample=Sample(labels=labels, scores=scores, cohorts=cohorts), rows=_SPECIMEN_ROWS, unlabelled=0, declined=0
    )


def metric_of(quality: Quality) -> Metric:
    """The metric that the manifest names."""
    return Metric(quality.metric)
