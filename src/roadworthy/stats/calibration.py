"""Whether a probability means what it says. Owns the reliability table and all that follows from its sums.

Everything is computed from counts and sums in fixed bins, so it can be had from rows, from a database, or by adding the
tables of two sites; only the calibration line needs rows for its exact form.

``calibration_error`` removes the bias of the expected calibration error (ECE): the plug-in ``sum_b w_b |d_b|``, with
``d_b`` the observed share less the mean probability of bin b, is above zero even for a perfect model, because noise has
an absolute value too. The estimator here is mean matching: with ``D_b`` normal around ``c |d_b|`` with the bin's
standard error, find the c at which the plug-in's expectation (a sum of folded normal means) is the value seen; c times
the plug-in is the estimate, and the ends are found in the same way at the normal quantiles. ``squared_calibration_error``
is the estimator of Kumar, Liang and Ma (NeurIPS 2019), unbiased for the squared error in these bins, hence sometimes
negative.

Rules kept here:
1. Both errors speak of the bins: a model may be wrong within a bin and no table of these bins can tell.
2. A probability outside [0, 1] or not finite is a caller's mistake and raises.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import norm

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.sample import FloatArray, check_confidence, scored

_BINS = 15
# Newton's steps for the calibration line; it converges quadratically or, when classes are separated, never.
_MOST_STEPS = 100
_CONVERGED = 1e-10
# Probabilities of exactly 0 or 1 have no log-odds; they are taken for this close.
_EDGE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityTable:
    """Counts and sums in fixed probability bins; tables on the same edges add up.

    Attributes:
        edges: ascending from 0 to 1, shape (b + 1,); a bin holds its lower edge, the last one also 1.
        rows: in each bin, shape (b,), as all below.
        positives: rows with label 1.
        probability_sum: of the probabilities.
        square_sum: of their squares.
        positive_sum: of the probabilities of the positives.
    """

    edges: FloatArray
    rows: FloatArray
    positives: FloatArray
    probability_sum: FloatArray
    square_sum: FloatArray
    positive_sum: FloatArray

    def __add__(self, other: "ReliabilityTable") -> "ReliabilityTable":
        """The table of both sets of rows.

        Raises:
            ParameterError: the edges differ (RW-114).
        """
        if not np.array_equal(self.edges, other.edges):
            raise ParameterError("Tables on different edges do not add up.", remedy="Build both on the same edges.")
        return ReliabilityTable(
            edges=self.edges,
            rows=self.rows + other.rows,
            positives=self.positives + other.positives,
            probability_sum=self.probability_sum + other.probability_sum,
            square_sum=self.square_sum + other.square_sum,
            positive_sum=self.positive_sum + other.positive_sum,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BrierParts:
    """The Brier score taken apart (Murphy 1973; Stephenson, Coelho and Jolliffe 2008 for the two parts within bins).

    ``score = reliability - resolution + uncertainty + within_variance - within_covariance``, exactly.

    Attributes:
        score: mean squared error of the probabilities, in [0, 1].
        reliability: mean squared gap between probability and observed share, by bin; lower is better.
        resolution: variance of the observed shares between bins; higher is better.
        uncertainty: variance of the outcome, which no model changes.
        within_variance: mean variance of the probabilities within bins.
        within_covariance: twice the mean covariance of probability and outcome within bins.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationLine:
    """The logistic recalibration of the outcome on the log-odds (Cox, Biometrika 45, 1958).

    Attributes:
        slope: 1 when calibrated; below 1 the probabilities are too extreme.
        intercept: calibration in the large, with the slope held at 1; 0 when calibrated, above 0 they are too low.
    """

    slope: Interval
    intercept: Interval


def reliability_table(
    labels: ArrayLike, probabilities: ArrayLike, *, edges: ArrayLike | None = None
) -> ReliabilityTable:
    """Count rows into bins.

    Args:
        labels: 0 or 1, shape (n,).
        probabilities: in [0, 1], shape (n,).
        edges: ascending from 0 to 1; None for 15 bins of equal width.

    Raises:
        ParameterError: labels outside {0, 1}, probabilities outside [0, 1], shapes that differ, or edges that do not
            ascend from 0 to 1 (RW-114).
    """
    positive, values = scored(labels, probabilities)
    if not ((values >= 0) & (values <= 1)).all():
        raise ParameterError("A probability is outside [0, 1].", remedy="Calibrate scores before, or drop such rows.")
    limits = np.linspace(0, 1, _BINS + 1) if edges is None else np.asarray(edges, dtype=np.float64)
    if limits.ndim != 1 or limits.size < 2 or limits[0] != 0 or limits[-1] != 1 or not (np.diff(limits) > 0).all():
        raise ParameterError("Edges do not ascend from 0 to 1.", remedy="Give ascending edges with both ends.")
    count = limits.size - 1
    places = np.clip(np.searchsorted(limits, values, side="right") - 1, 0, count - 1)

    def total(weights: FloatArray) -> FloatArray:
        return np.bincount(places, weights=weights, minlength=count).astype(np.float64)

    hits = positive.astype(np.float64)
    return ReliabilityTable(
        edges=limits,
        rows=total(np.ones(values.shape)),
        positives=total(hits),
        probability_sum=total(values),
        square_sum=total(values**2),
        positive_sum=total(values * hits),
    )


def calibration_error(table: ReliabilityTable, confidence: float = 0.95) -> Interval:
    """The expected calibration error in the bins of the table, bias removed by mean matching (see the module).

    Returns:
        A share in [0, 1]; unknown without rows.

    Raises:
        ParameterError: a level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    used = table.rows > 0
    n = int(table.rows.sum())
    if not n:
        return unknown()
    rows = table.rows[used]
    weight = rows / n
    gap = np.abs(table.positives[used] - table.probability_sum[used]) / rows
    # The noise of a bin: binomial, with one success and one failure added so that a bin without either is not certain.
    share = (table.positives[used] + 1) / (rows + 2)
    error = np.sqrt(share * (1 - share) / rows)
    seen = float(weight @ gap)
    z = float(norm.ppf(0.5 + confidence / 2))
    if seen == 0:
        # No direction to scale: the upper end is the most that noise around no gap at all would have shown.
        upper = min(1.0, z * float(weight @ error))
        return Interval(estimate=0.0, lower=0.0, upper=upper, n=n, confidence=confidence)

    def scaled(quantile: float) -> float:
        return seen * _match(seen, weight, gap, error, quantile)

    estimate = scaled(0.0)
    return Interval(
        estimate=estimate,
        lower=min(estimate, scaled(z)),
        upper=min(1.0, max(estimate, scaled(-z))),
        n=n,
        confidence=confidence,
    )


def squared_calibration_error(table: ReliabilityTable) -> float:
    """The mean squared gap by bin less its bias, unbiased in these bins; NaN when no bin has two rows.

    Bins of one row have no estimate of their noise, so they are left out of the average.
    """
    used = table.rows > 1
    rows = table.rows[used]
    if not rows.size:
        return math.nan
    share = table.positives[used] / rows
    gap = share - table.probability_sum[used] / rows
    return float((rows @ (gap**2 - share * (1 - share) / (rows - 1))) / rows.sum())


def brier_parts(table: ReliabilityTable) -> BrierParts:
    """The Brier score and its parts, exact up to rounding; NaN without rows."""
    used = table.rows > 0
    n = float(table.rows.sum())
    if not n:
        return BrierParts(**dict.fromkeys(BrierParts.__slots__, math.nan))
    rows, positives, sums = table.rows[used], table.positives[used], table.probability_sum[used]
    share, mean, base = positives / rows, sums / rows, float(positives.sum()) / n
    return BrierParts(
        score=float(table.square_sum.sum() - 2 * table.positive_sum.sum() + positives.sum()) / n,
        reliability=float(rows @ (mean - share) ** 2) / n,
        resolution=float(rows @ (share - base) ** 2) / n,
        uncertainty=base * (1 - base),
        within_variance=float((table.square_sum[used] - sums * mean).sum()) / n,
        within_covariance=2 * float((table.positive_sum[used] - positives * mean).sum()) / n,
    )


def calibration_line(labels: ArrayLike, probabilities: ArrayLike, confidence: float = 0.95) -> CalibrationLine:
    """Slope and intercept from rows, with Wald's interval.

    Returns:
        Both unknown when one class is absent; the slope also when the classes are separated.

    Raises:
        ParameterError: labels outside {0, 1}, probabilities outside [0, 1], shapes that differ, or a level outside
            (0, 1) (RW-114).
    """
    table_of = reliability_table(labels, probabilities, edges=(0.0, 1.0))
    positive, values = scored(labels, probabilities)
    return _line(np.ones(values.shape), positive.astype(np.float64), values, int(table_of.rows[0]), confidence)


def calibration_line_of(table: ReliabilityTable, confidence: float = 0.95) -> CalibrationLine:
    """Slope and intercept from a table, each bin standing at its mean probability: near the exact one for narrow bins.

    Raises:
        ParameterError: a level outside (0, 1) (RW-114).
    """
    used = table.rows > 0
    rows = table.rows[used]
    return _line(rows, table.positives[used], table.probability_sum[used] / rows, int(rows.sum()), confidence)


def _match(seen: float, weight: FloatArray, gap: FloatArray, error: FloatArray, quantile: float) -> float:
    """The factor c >= 0 at which ``mean(c) + quantile * sd(c)`` of the plug-in equals what was seen; 0 if none does."""

    def excess(factor: float) -> float:
        centre = factor * gap
        ratio = centre / error
        mean = error * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) + centre * (1 - 2 * norm.cdf(-ratio))
        variance = np.maximum(centre**2 + error**2 - mean**2, 0.0)
        return float(weight @ mean) + quantile * math.sqrt(float(weight**2 @ variance)) - seen

    low, high = 0.0, 1.0
    if excess(low) >= 0:
        return 0.0
    # The mean grows at least as c times what was seen and the spread is bounded, so a crossing exists.
    while excess(high) < 0:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return high


def _line(
    trials: FloatArray, successes: FloatArray, probabilities: FloatArray, n: int, confidence: float
) -> CalibrationLine:
    check_confidence(confidence)
    total = float(successes.sum())
    if not 0 < total < float(trials.sum()):
        return CalibrationLine(slope=unknown(n), intercept=unknown(n))
    odds = np.asarray(logit(np.clip(probabilities, _EDGE, 1 - _EDGE)), dtype=np.float64)
    ones = np.ones(odds.shape)
    both = _newton(trials, successes, np.stack([ones, odds], axis=1), np.zeros(odds.shape))
    level = _newton(trials, successes, ones[:, None], odds)
    z = float(norm.ppf(0.5 + confidence / 2))

    def wald(fit: tuple[FloatArray, FloatArray] | None) -> Interval:
        if fit is None:
            return unknown(n)
        # The slope is the last coefficient of two, the intercept the only one.
        value, half = float(fit[0][-1]), z * math.sqrt(float(fit[1][-1, -1]))
        return Interval(estimate=value, lower=value - half, upper=value + half, n=n, confidence=confidence)

    return CalibrationLine(slope=wald(both), intercept=wald(level))


def _newton(
    trials: FloatArray, successes: FloatArray, design: FloatArray, offset: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    """Maximum likelihood of a binomial logistic model and its covariance; None when it does not exist."""

    def log_likelihood(value: FloatArray) -> float:
        odds = design @ value + offset
        return float(successes @ odds - trials @ np.logaddexp(0, odds))

    value = np.zeros(design.shape[1])
    reached = log_likelihood(value)
    for _ in range(_MOST_STEPS):
        fitted = np.asarray(expit(design @ value + offset), dtype=np.float64)
        information = design.T @ (design * (trials * fitted * (1 - fitted))[:, None])
        if np.linalg.cond(information) > 1 / np.finfo(np.float64).eps:
            return None
        step = np.linalg.solve(information, design.T @ (successes - trials * fitted))
        # Far from the optimum a full step overshoots, and from there the next one would be wilder still.
        while np.abs(step).max() >= _CONVERGED and log_likelihood(value + step) < reached:
            step = step / 2
        value = value + step
        reached = log_likelihood(value)
        if np.abs(step).max() < _CONVERGED:
            return value, np.asarray(np.linalg.inv(information), dtype=np.float64)
    return None
