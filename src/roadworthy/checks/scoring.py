"""Labelled rows scored by the live endpoint: what the checks of the performance family measure. Not a check itself.

The model is judged as users meet it: every score comes over HTTP from the endpoint under inspection, never from a model
file loaded here.

Rules kept here:
1. Rows without a label cannot be judged, but their cohort is not forgotten: a site without any label is unmeasured.
2. A row that the endpoint declines to score counts against it: as the worst score for its label in production, and as
   the best one in the pilot, since a poor pilot would make the loss look small. Declining never pays.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import EmptyData, ManifestError
from roadworthy.kit.context import CheckContext, DataSource, Quality, Target
from roadworthy.measure.delta import Metric, Sample
from roadworthy.measure.table import Table, open_table
from roadworthy.probes.open_inference import OpenInference, Row

_BATCH = 256
_SPECIMEN_ROWS = 600


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


def required_quality(context: CheckContext) -> Quality:
    """The quality needed.

    Raises:
        ManifestError: none is declared (RW-101).
    """
    if context.quality is None:
        raise ManifestError("No quality is declared.", remedy="Add quality: with metric, bound, side and margin.")
    return context.quality


def feature_rows(table: Table, source: DataSource) -> list[Row]:
    """The rows as the endpoint takes them.

    Raises:
        ManifestError: the manifest names no features (RW-101).
        ContractError: a feature is no column of the data (RW-106).
    """
    if not source.features:
        raise ManifestError(
            "The columns that the model takes are not named.", remedy=f"List them: data.{source.name}.features."
        )
    columns = {name: table.column(name).tolist() for name in source.features}
    return [{name: columns[name][index] for name in source.features} for index in range(table.row_count)]


class Declined(Enum):
    """How a row counts that the endpoint did not score."""

    WORST = "worst"
    BEST = "best"


def score(context: CheckContext, source: DataSource, *, declined_as: Declined = Declined.WORST) -> ScoredSet:
    """Score every labelled row of a data set through the endpoint.

    Raises:
        ManifestError: target, label or features are not declared (RW-101).
        EmptyData: no row has a label (RW-104).
        TargetUnreachable: no answer (RW-401).
        TargetAnswer: not an answer of the protocol (RW-402).
    """
    if source.label is None:
        raise ManifestError("The true outcome is not named.", remedy=f"Name its column: data.{source.name}.label.")
    model = OpenInference(required_target(context).url, timeout_s=30.0)
    table = open_table(source.pattern)
    labels = np.asarray(table.column(source.label), dtype=np.float64)
    known = ~np.isnan(labels)
    if not known.any():
        raise EmptyData(f"No row of {table.name} has a label.", remedy="Label some rows.", where=source.label)
    rows = [row for row, keep in zip(feature_rows(table, source), known, strict=True) if keep]
    scores = np.concatenate(
        [model.predict(rows[start : start + _BATCH], columns=source.features) for start in range(0, len(rows), _BATCH)]
    )
    outcome = labels[known]
    declined = np.isnan(scores)
    scores[declined] = _stand_ins(outcome[declined], scores[~declined], declined_as)
    cohorts: NDArray[Any] | None = None
    unjudged: tuple[str, ...] = ()
    if source.cohort is not None:
        named = np.asarray(table.column(source.cohort), dtype=object)
        cohorts = named[known]
        unjudged = tuple(sorted({str(each) for each in named} - {str(each) for each in cohorts}))
    return ScoredSet(
        sample=Sample(labels=outcome.astype(np.int64), scores=scores, cohorts=cohorts),
        rows=table.row_count,
        unlabelled=int((~known).sum()),
        declined=int(declined.sum()),
        unjudged_cohorts=unjudged,
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
