"""Performance before labels arrive. Owns the estimate from score histograms, and how many labels would bound its error.

Confidence-based performance estimation: if ``P(positive | score)`` is what it was in the pilot, the expected confusion
matrix of production follows from how many scores fell into each cell; nothing but counts leaves a site.

Algorithm of ``estimate_performance``:
1. The probability of each score cell was learnt on labelled pilot rows (isotonic, or cell by cell).
2. A cell expects ``rows * probability`` positives; cells at or above the threshold are decided positive.
3. Figures are ratios of expected counts; for the AUC, half of a cell's pairs count as won.
4. The interval is for the figure that labels would show: each replicate draws the pilot's positives anew and learns
   the probabilities from them (what the pilot leaves open), then draws production's positives (what chance leaves open).

Rules kept here:
1. ``BLIND_SPOT`` goes wherever an estimate goes: no interval here contains what it names.
2. Too many production scores where the pilot had no rows: every figure is unknown, since it would be extrapolation.
3. A score that is not finite has no cell and raises: count such rows apart, they are not decided.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.bootstrap import check_resampling, percentile_interval
from roadworthy.stats.sample import FloatArray, IntArray, scored

BLIND_SPOT = (
    "This estimate assumes that a score still means what it meant in the pilot. If the relation between inputs and "
    "outcome itself has changed (concept drift), it does not move, however wrong the model has become; only labels show "
    "that."
)


class Method(Enum):
    """How probabilities are learnt from cells: never falling with the score, or each cell by itself."""

    ISOTONIC = "isotonic"
    BINNED = "binned"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCalibration:
    """What a score meant in the pilot.

    Attributes:
        edges: ascending inner edges, shape (c - 1,); cell j holds ``edges[j - 1] <= score < edges[j]``.
        rows: pilot rows in each cell, shape (c,).
        positives: of them with label 1, shape (c,).
        probability: of label 1 in each cell, shape (c,).
        method: how it was learnt.
    """

    edges: FloatArray
    rows: IntArray
    positives: IntArray
    probability: FloatArray
    method: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFigures:
    """Figures from expected counts, each of shape (b,) for b lines of counts; NaN where there is nothing to divide by."""

    accuracy: FloatArray
    sensitivity: FloatArray
    specificity: FloatArray
    ppv: FloatArray
    f1: FloatArray
    auc: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFreeEstimate:
    """What labels are expected to show.

    Attributes:
        true_positives: expected rows, as the three that follow.
        false_positives: expected rows.
        true_negatives: expected rows.
        false_negatives: expected rows.
        accuracy: with the interval of step 4, as the five that follow; ``n`` = production rows.
        sensitivity: share of positives decided positive.
        specificity: share of negatives decided negative.
        ppv: share of positive decisions that are right.
        f1: harmonic mean of sensitivity and PPV.
        auc: area under the ROC curve.
        support_share: share of production rows in cells where the pilot had enough rows, in [0, 1].
        blind_spot: what the estimate cannot see.
    """

    true_positives: float
    false_positives: float
    true_negatives: float
    false_negatives: float
    accuracy: Interval
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    f1: Interval
    auc: Interval
    support_share: float
    blind_spot: str = BLIND_SPOT


def learn_calibration(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    thresholds: Sequence[float],
    cells: int = 64,
    method: Method = Method.ISOTONIC,
) -> ScoreCalibration:
    """Learn from pilot rows: about ``cells`` cells of equally many rows, and one beyond each end that the pilot reached.

    Args:
        labels: 0 or 1, shape (n,).
        scores: shape (n,), higher means more likely positive.
        thresholds: at which decisions are taken; each becomes an edge.
        cells: how many, at least 2.
        method: how probabilities are learnt.

    Raises:
        ParameterError: labels outside {0, 1}, shapes that differ, no rows, or a score that is not finite (RW-114).
    """
    positive, values = scored(labels, scores)
    if not values.size or not np.isfinite(values).all() or cells < 2:
        raise ParameterError(
            f"Cannot learn {cells} cells from {values.size} scores.", remedy="Give finite scores and two cells or more."
        )
    inner = np.quantile(values, np.linspace(0, 1, cells + 1)[:-1], method="inverted_cdf")
    # The first edge is the lowest pilot score and the last lies just above the highest: beyond them nothing is known.
    edges = np.unique(np.concatenate([inner, np.asarray(thresholds), [np.nextafter(values.max(), np.inf)]]))
    rows = cell_rows(values, edges)
    return calibration_of_counts(edges, rows, cell_rows(values[positive], edges), method=method)


def calibration_of_counts(
    edges: ArrayLike, rows: ArrayLike, positives: ArrayLike, *, method: Method = Method.ISOTONIC
) -> ScoreCalibration:
    """The same from counts.

    Raises:
        ParameterError: edges that do not ascend, counts that do not fit them, or no rows (RW-114).
    """
    limits = np.asarray(edges, dtype=np.float64)
    counts, hits = np.asarray(rows, dtype=np.intp), np.asarray(positives, dtype=np.intp)
    fits = counts.shape == hits.shape == (limits.size + 1,) and (np.diff(limits) > 0).all()
    if not fits or not counts.sum() or (hits > counts).any() or (hits < 0).any():
        raise ParameterError(
            "Edges and counts make no histogram.", remedy="Give ascending edges and one more count than edges."
        )
    return ScoreCalibration(
        edges=limits, rows=counts, positives=hits, probability=_learn(counts, hits, method), method=method
    )


def cell_rows(scores: ArrayLike, edges: FloatArray) -> IntArray:
    """How many scores fall into each cell, shape (c,); histograms of parts add up.

    Raises:
        ParameterError: a score that is not finite (RW-114).
    """
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ParameterError("A score is not finite.", remedy="Count such rows apart: they were not decided.")
    places = np.searchsorted(edges, values, side="right")
    return np.bincount(places, minlength=edges.size + 1).astype(np.intp)


def expected_figures(rows: ArrayLike, positives: ArrayLike, first_positive_cell: int) -> ExpectedFigures:
    """Figures of histograms: for each cell its rows and the sum of their probabilities.

    Args:
        rows: in each cell, ascending scores, shape (c,).
        positives: expected (or drawn) positives in each cell, shape (c,) or (b, c).
        first_positive_cell: cells from this one on are decided positive.
    """
    total = np.asarray(rows, dtype=np.float64)
    hits = np.atleast_2d(np.asarray(positives, dtype=np.float64))
    misses = total - hits
    true_positives, positive = hits[:, first_positive_cell:].sum(axis=1), hits.sum(axis=1)
    false_positives, negative = misses[:, first_positive_cell:].sum(axis=1), misses.sum(axis=1)
    below = np.cumsum(misses, axis=1) - misses / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return ExpectedFigures(
            accuracy=(true_positives + negative - false_positives) / (positive + negative),
            sensitivity=true_positives / positive,
            specificity=(negative - false_positives) / negative,
            ppv=true_positives / (true_positives + false_positives),
            f1=2 * true_positives / (positive + true_positives + false_positives),
            auc=np.einsum("ij,ij->i", hits, below) / (positive * negative),
        )


def estimate_performance(
    calibration: ScoreCalibration,
    production_rows: ArrayLike,
    threshold: float,
    *,
    seed: int,
    replicates: int = 1_000,
    confidence: float = 0.95,
    min_cell_rows: int = 5,
    min_support_share: float = 0.95,
) -> LabelFreeEstimate:
    """Expected figures of production by the algorithm of the module.

    Args:
        calibration: learnt on the pilot.
        production_rows: in each of its cells, shape (c,).
        threshold: decisions are positive at or above it; one of the calibration's edges.
        seed: of the resampling.
        replicates: how many times, at least 100.
        confidence: two-sided level in (0, 1).
        min_cell_rows: pilot rows that a cell needs to count as supported.
        min_support_share: share of production rows in supported cells below which nothing is known.

    Raises:
        ParameterError: a threshold that is no edge, counts that do not fit, too few replicates, or a level outside
            (0, 1) (RW-114).
    """
    check_resampling(replicates, confidence)
    rows = np.asarray(production_rows, dtype=np.intp)
    if rows.shape != calibration.rows.shape:
        raise ParameterError(
            f"{rows.size} cells do not fit {calibration.rows.size}.", remedy="Count on the calibration's edges."
        )
    first = _cell_of(threshold, calibration.edges)
    n = int(rows.sum())
    support = float(rows[calibration.rows >= min_cell_rows].sum()) / n if n else math.nan
    # 1. and 2.
    expected = rows * calibration.probability
    # 3.
    whole = expected_figures(rows, expected, first)
    # 4.
    drawn = expected_figures(rows, _draw(calibration, rows, seed, replicates), first)
    known = n > 0 and support >= min_support_share

    def interval(name: str) -> Interval:
        if not known:
            return unknown(n)
        return percentile_interval(float(getattr(whole, name)[0]), getattr(drawn, name), n, confidence)

    true_positives, positive = float(expected[first:].sum()), float(expected.sum())
    decided = float(rows[first:].sum())
    return LabelFreeEstimate(
        true_positives=true_positives,
        false_positives=decided - true_positives,
        true_negatives=n - decided - positive + true_positives,
        false_negatives=positive - true_positives,
        accuracy=interval("accuracy"),
        sensitivity=interval("sensitivity"),
        specificity=interval("specificity"),
        ppv=interval("ppv"),
        f1=interval("f1"),
        auc=interval("auc"),
        support_share=support,
    )


def _learn(rows: IntArray, positives: IntArray, method: Method) -> FloatArray:
    """The probability of each cell; a cell without rows takes what lies between its neighbours."""
    seen = np.flatnonzero(rows)
    share = positives[seen] / rows[seen]
    if method is Method.ISOTONIC:
        share = isotonic_regression(share, weights=rows[seen].astype(np.float64)).x
    return np.asarray(np.interp(np.arange(rows.size), seen, share), dtype=np.float64)


def _draw(calibration: ScoreCalibration, rows: IntArray, seed: int, replicates: int) -> FloatArray:
    """Production's positives in each replicate, shape (replicates, c)."""
    rng = np.random.default_rng(seed)
    drawn = np.empty((replicates, rows.size))
    for line in range(replicates):
        pilot = rng.binomial(calibration.rows, calibration.probability)
        # Isotonic fits can leave [0, 1] by rounding only, and the sampler is strict about it.
        learnt = np.clip(_learn(calibration.rows, pilot, calibration.method), 0.0, 1.0)
        drawn[line] = rng.binomial(rows, learnt)
    return drawn


def _cell_of(threshold: float, edges: FloatArray) -> int:
    place = int(np.searchsorted(edges, threshold))
    if place >= edges.size or edges[place] != threshold:
        raise ParameterError(
            f"The threshold {threshold} is no edge of the histogram, so its decisions cannot be counted.",
            remedy="Learn the calibration with this threshold among its thresholds.",
        )
    return place + 1
