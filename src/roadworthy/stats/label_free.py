"""Performance before labels arrive. Owns the estimate from score histograms, and how many labels would bound its error.

Confidence-based performance estimation: if ``P(positive | score)`` is what it was in the pilot, the expected confusion
matrix of production follows from how many scores fell into each cell; nothing but counts leaves a site.

Algorithm of ``estimate_performance``:
1. The probability of each score cell was learnt on labelled pilot rows: the share of positives, each cell by itself.
2. A cell expects ``rows * probability`` positives; cells at or above the threshold are decided positive.
3. Figures are ratios of expected counts; for the AUC, half of a cell's pairs count as won.
4. The interval is for the figure that labels would show. Each replicate draws the probabilities (what the pilot leaves
   open), then production's positives from them (what chance leaves open). With k positives among the n rows of a cell
   its probability is drawn from Beta(k + b, n - k + 1 - b), the posterior under one imagined row at the base rate b,
   which is itself drawn: a cell that showed no positive is not certain to have none.
5. Where pilot rows share clusters, each cluster gets a weight drawn from the exponential law, and the same posterior
   follows from weighted counts (the Bayesian bootstrap, Rubin, Annals of Statistics 9, 1981): with one row a cluster the
   two are the same law. The imagined row then weighs as much as an average cluster weighs in that cell.
6. No end is closer to the estimate than what the pilot's rows leave open that the figure rests on - positives for
   sensitivity, negatives for specificity, decided rows for the PPV, the rarer class for the AUC - had none of them shown
   an exception (Clopper and Pearson's end of 0 in n): five positives in one cell do not make a sensitivity certain.

Probabilities are not made to rise with the score. Pooling neighbours until they do (isotonic regression) sorts the
pilot's noise in the score's favour: from pilots of 200 to 1,000 rows in cells of ten or more, the AUC that labels showed
lay below its 95 % interval in 11 to 17 of 100 worlds.

Rules kept here:
1. ``BLIND_SPOT`` goes wherever an estimate goes: no interval here contains what it names.
2. Too many production scores where the pilot had no rows: every figure is unknown, since it would be extrapolation.
3. A score that is not finite has no cell and raises: count such rows apart, they are not decided.
4. Fewer than five positives or five negatives in the pilot, or clusters that hold one, tell no probability apart from
   nil: every figure is unknown.
5. Production's rows are drawn as independent. Where they share clusters too, what labels will show varies more around
   its expectation than the interval says.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.bootstrap import check_resampling, cluster_codes, percentile_interval
from roadworthy.stats.proportions import clopper_pearson
from roadworthy.stats.sample import BoolArray, FloatArray, IntArray, scored

BLIND_SPOT = (
    "This estimate assumes that a score still means what it meant in the pilot. If the relation between inputs and "
    "outcome itself has changed (concept drift), it does not move, however wrong the model has become; only labels show "
    "that."
)


ENOUGH_OF_A_CLASS = 5
_LINES_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterCells:
    """How the pilot's rows fall into cells, cluster by cluster.

    Attributes:
        rows: of each of g clusters in each cell, shape (g, c).
        positives: of them with label 1, shape (g, c).
    """

    rows: IntArray
    positives: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCalibration:
    """What a score meant in the pilot.

    Attributes:
        edges: ascending inner edges, shape (c - 1,); cell j holds ``edges[j - 1] <= score < edges[j]``.
        rows: pilot rows in each cell, shape (c,).
        positives: of them with label 1, shape (c,).
        probability: of label 1 in each cell, shape (c,).
        clusters: the same counts by cluster; None when rows are independent.
    """

    edges: FloatArray
    rows: IntArray
    positives: IntArray
    probability: FloatArray
    clusters: ClusterCells | None = None

    @property
    def rarer(self) -> int:
        """Independent units that show the rarer outcome: rows, or clusters that hold such a row."""
        if self.clusters is None:
            positives = int(self.positives.sum())
            return min(positives, int(self.rows.sum()) - positives)
        hits = self.clusters.positives.sum(axis=1)
        return min(int((hits > 0).sum()), int((self.clusters.rows.sum(axis=1) > hits).sum()))


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
    clusters: ArrayLike | None = None,
) -> ScoreCalibration:
    """Learn from pilot rows: about ``cells`` cells of equally many rows, and one beyond each end that the pilot reached.

    Few cells blur the AUC by the order within them; many leave few rows in each, whose imagined row then pulls the
    interval towards an AUC of one half.

    Args:
        labels: 0 or 1, shape (n,).
        scores: shape (n,), higher means more likely positive.
        thresholds: at which decisions are taken; each becomes an edge.
        cells: how many, at least 2.
        clusters: of each row, shape (n,); None when rows are independent.

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
    learnt = calibration_of_counts(edges, cell_rows(values, edges), cell_rows(values[positive], edges))
    return learnt if clusters is None else replace(learnt, clusters=_by_cluster(positive, values, edges, clusters))


def calibration_of_counts(edges: ArrayLike, rows: ArrayLike, positives: ArrayLike) -> ScoreCalibration:
    """The same from counts, of independent rows.

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
    seen = np.flatnonzero(counts)
    share = np.interp(np.arange(counts.size), seen, hits[seen] / counts[seen])
    return ScoreCalibration(edges=limits, rows=counts, positives=hits, probability=share)


def cell_rows(scores: ArrayLike, edges: FloatArray) -> IntArray:
    """How many scores fall into each cell, shape (c,); histograms of parts add up.

    Raises:
        ParameterError: a score that is not finite (RW-114).
    """
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ParameterError("A score is not finite.", remedy="Count such rows apart: they were not decided.")
    places = _places(values, edges)
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
    known = n > 0 and support >= min_support_share and calibration.rarer >= ENOUGH_OF_A_CLASS
    unseen = _unseen(calibration, first, confidence)

    def interval(name: str) -> Interval:
        if not known:
            return unknown(n)
        drawn_interval = percentile_interval(float(getattr(whole, name)[0]), getattr(drawn, name), n, confidence)
        # 6.
        return _opened(drawn_interval, unseen[name])

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


def _unseen(calibration: ScoreCalibration, first: int, confidence: float) -> dict[str, float]:
    """By figure, the share of exceptions that its pilot rows may have without showing one."""
    clusters = calibration.clusters
    rows = calibration.rows[None, :] if clusters is None else clusters.rows
    hits = calibration.positives[None, :] if clusters is None else clusters.positives

    def unseen(counts: IntArray) -> float:
        each = counts.sum(axis=1)
        units = int(each.sum()) if clusters is None else int((each > 0).sum())
        return clopper_pearson(0, units, confidence).upper if units else 1.0

    positive, negative = unseen(hits), unseen(rows - hits)
    return {
        "accuracy": unseen(rows),
        "sensitivity": positive,
        "specificity": negative,
        "ppv": unseen(rows[:, first:]),
        "f1": positive,
        "auc": max(positive, negative),
    }


def _opened(interval: Interval, unseen: float) -> Interval:
    if not interval.known:
        return interval
    return Interval(
        estimate=interval.estimate,
        lower=min(interval.lower, interval.estimate * (1 - unseen)),
        upper=max(interval.upper, interval.estimate + (1 - interval.estimate) * unseen),
        n=interval.n,
        confidence=interval.confidence,
    )


def _places(values: FloatArray, edges: FloatArray) -> IntArray:
    return np.searchsorted(edges, values, side="right").astype(np.intp)


def _by_cluster(positive: BoolArray, values: FloatArray, edges: FloatArray, clusters: ArrayLike) -> ClusterCells | None:
    """Counts by cluster; None when no cluster repeats."""
    codes, count = cluster_codes(clusters)
    if codes.shape != values.shape:
        raise ParameterError(
            f"{codes.size} clusters do not fit {values.size} rows.", remedy="Give one cluster for each row."
        )
    if count == values.size:
        return None
    cells = edges.size + 1
    places = codes * cells + _places(values, edges)
    rows, hits = (np.bincount(part, minlength=count * cells) for part in (places, places[positive]))
    return ClusterCells(
        rows=rows.reshape(count, cells).astype(np.intp), positives=hits.reshape(count, cells).astype(np.intp)
    )


def _draw(calibration: ScoreCalibration, rows: IntArray, seed: int, replicates: int) -> FloatArray:
    """Production's positives in each replicate, shape (replicates, c)."""
    rng = np.random.default_rng(seed)
    seen = np.flatnonzero(calibration.rows)
    # A cell without pilot rows takes what lies between its neighbours, which is linear in them.
    between = np.stack([np.interp(np.arange(rows.size), seen, line) for line in np.eye(seen.size)])
    blocks = []
    for start in range(0, replicates, _LINES_AT_ONCE):
        lines = min(_LINES_AT_ONCE, replicates - start)
        learnt = _posterior(calibration, seen, lines, rng) @ between
        # Interpolation can leave [0, 1] by rounding only, and the sampler is strict about it.
        blocks.append(rng.binomial(rows, np.clip(learnt, 0.0, 1.0)))
    return np.concatenate(blocks).astype(np.float64)


def _posterior(calibration: ScoreCalibration, seen: IntArray, lines: int, rng: np.random.Generator) -> FloatArray:
    """Probabilities of the cells that the pilot has rows in, drawn by step 4 or 5, shape (lines, seen)."""
    if calibration.clusters is None:
        hits, misses = calibration.positives[seen], (calibration.rows - calibration.positives)[seen]
        base = rng.beta(hits.sum() + 0.5, misses.sum() + 0.5, (lines, 1))
        return rng.beta(hits + base, misses + 1 - base)
    counts, hits = calibration.clusters.rows[:, seen], calibration.clusters.positives[:, seen]
    weights = rng.exponential(size=(lines, len(counts)))
    weighted, weighted_hits = weights @ counts, weights @ hits
    # The imagined row, in units of what a cluster weighs on average: overall for the base rate, then in each cell.
    usual = counts.sum() / len(counts)
    one, other = (usual * rng.gamma(0.5, size=(lines, 1)) for _ in range(2))
    base = (weighted_hits.sum(axis=1, keepdims=True) + one) / (weighted.sum(axis=1, keepdims=True) + one + other)
    heavy = counts.sum(axis=0) / (counts > 0).sum(axis=0)
    shape = np.broadcast_to(base, weighted.shape)
    one, other = heavy * rng.gamma(shape), heavy * rng.gamma(1 - shape)
    return np.asarray((weighted_hits + one) / (weighted + one + other), dtype=np.float64)


def _cell_of(threshold: float, edges: FloatArray) -> int:
    place = int(np.searchsorted(edges, threshold))
    if place >= edges.size or edges[place] != threshold:
        raise ParameterError(
            f"The threshold {threshold} is no edge of the histogram, so its decisions cannot be counted.",
            remedy="Learn the calibration with this threshold among its thresholds.",
        )
    return place + 1
