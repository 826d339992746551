"""When a model had better not answer. Owns the risk-coverage curve, its area, and the threshold that bounds the risk.

A row is answered when the model's confidence is at or above a threshold; the risk is the mean loss among the answered
(El-Yaniv and Wiener, JMLR 11, 2010).

Algorithm of ``abstention_threshold`` (Angelopoulos et al., Learn then Test, Annals of Applied Statistics 19, 2025), on
calibration rows with losses of 0 or 1:
1. The grid of thresholds is fixed before the losses are seen: by the caller, or at quantiles of the confidences.
2. For each threshold the hypothesis "the risk among the answered is above the target" has the exact binomial p-value
   ``P(Bin(m, target) <= wrong)``, with m answered rows. Given the confidences, wrong answers are independent trials.
3. Thresholds are tested from strict to lax in ``starts`` chains that begin equally spaced, each at level
   ``(1 - confidence) / starts``; a chain ends at its first hypothesis that is not rejected. Chains begin where even an
   answered set without an error could reject, which the confidences alone decide.
4. Every rejected threshold keeps the promise at once, with probability ``confidence`` over calibration sets; the lowest
   of them answers most.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, binom

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval
from roadworthy.stats.bootstrap import weighted_bootstrap
from roadworthy.stats.sample import BoolArray, FloatArray, check_confidence

_GRID = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskCoverage:
    """The curve, from answering least to answering all.

    Attributes:
        thresholds: descending, one for each distinct confidence, shape (t,).
        coverage_share: share of rows answered at each threshold, ascending to 1, shape (t,).
        risk: mean loss among the answered, shape (t,).
    """

    thresholds: FloatArray
    coverage_share: FloatArray
    risk: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """A threshold that bounds the risk, or the finding that none does.

    Attributes:
        threshold: answer at or above it; None when no threshold could be shown to keep the target.
        answered_share: share of calibration rows answered at it, in [0, 1]; 0 without a threshold.
        risk: share of wrong answers among the answered calibration rows; NaN without a threshold.
        risk_upper: the exact one-sided upper bound of that risk at the level that the threshold was tested at, at most
            the target; NaN without a threshold.
        valid: all thresholds that keep the target at once, descending.
    """

    threshold: float | None
    answered_share: float
    risk: float
    risk_upper: float
    valid: tuple[float, ...]


def risk_coverage(confidences: ArrayLike, losses: ArrayLike) -> RiskCoverage:
    """The curve of mean loss against share answered; rows of equal confidence are answered together.

    Args:
        confidences: the model's own, any scale, shape (n,).
        losses: of each row, shape (n,); 0 or 1 for wrong answers, any finite number else.

    Raises:
        ParameterError: shapes that differ, no rows, or a value that is not finite (RW-114).
    """
    given, loss = _columns(confidences, losses)
    order = np.argsort(-given, kind="stable")
    ordered = given[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    answered = last + 1.0
    return RiskCoverage(
        thresholds=ordered[last],
        coverage_share=answered / given.size,
        risk=np.cumsum(loss[order])[last] / answered,
    )


def risk_coverage_area(
    confidences: ArrayLike,
    losses: ArrayLike,
    *,
    seed: int,
    clusters: ArrayLike | None = None,
    replicates: int = 2_000,
    confidence: float = 0.95,
) -> Interval:
    """The area under the risk-coverage curve (AURC): the mean over rows of the risk when answering down to that row.

    Geifman, Uziel and El-Yaniv (ICLR 2019); lower is better. Rows of equal confidence share one risk.

    Args:
        confidences: as for ``risk_coverage``.
        losses: as for ``risk_coverage``.
        seed: of the resampling.
        clusters: of each row, shape (n,); None when rows are independent.
        replicates: how many times to resample, at least 100.
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: as for ``risk_coverage``; too few replicates, or a level outside (0, 1) (RW-114).
    """
    given, loss = _columns(confidences, losses)
    order = np.argsort(-given, kind="stable")
    ordered, ordered_loss = given[order], loss[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

    def area(weights: FloatArray) -> FloatArray:
        rows = np.add.reduceat(weights[:, order], starts, axis=1)
        lost = np.add.reduceat(weights[:, order] * ordered_loss, starts, axis=1)
        answered, total = np.cumsum(rows, axis=1), rows.sum(axis=1)
        # A tie group that was not drawn answers nothing yet: its risk is multiplied by no rows.
        risk = np.cumsum(lost, axis=1) / np.maximum(answered, 1.0)
        return np.asarray(np.einsum("ij,ij->i", risk, rows) / total, dtype=np.float64)

    names = np.arange(given.size) if clusters is None else np.asarray(clusters)
    return weighted_bootstrap(area, names, seed=seed, replicates=replicates, confidence=confidence)


def abstention_threshold(
    confidences: ArrayLike,
    wrong: ArrayLike,
    target: float,
    *,
    confidence: float = 0.95,
    starts: int = 5,
    grid: Sequence[float] | None = None,
) -> Abstention:
    """The lowest threshold whose risk is at most ``target``, by the algorithm of the module.

    Args:
        confidences: the model's own on calibration rows, shape (n,).
        wrong: whether the answer would be wrong, 0 or 1, shape (n,); rows independent.
        target: the risk to stay at or below, in (0, 1).
        confidence: one-sided probability that the promise holds, in (0, 1).
        starts: how many chains; one is most powerful where strict thresholds are nearly free of errors.
        grid: thresholds chosen without looking at ``wrong``; None for 100 quantiles of the confidences.

    Raises:
        ParameterError: shapes that differ, no rows, a value that is not finite, a loss outside {0, 1}, no start, or a
            target or level outside (0, 1) (RW-114).
    """
    given, loss = _columns(confidences, wrong)
    check_confidence(confidence)
    if not np.isin(loss, (0.0, 1.0)).all() or not 0.0 < target < 1.0 or starts < 1:
        raise ParameterError(
            f"No threshold for a target of {target} with {starts} starts.",
            remedy="Give losses of 0 or 1, a target in (0, 1) and at least one start.",
        )
    # 1. Fixed by confidences alone, strict to lax.
    points = np.quantile(given, np.linspace(0, 1, _GRID), method="inverted_cdf") if grid is None else np.asarray(grid)
    thresholds = np.unique(points)[::-1]
    answered = np.array([(given >= each).sum() for each in thresholds])
    mistakes = np.array([loss[given >= each].sum() for each in thresholds])
    # 2.
    p_values = binom.cdf(mistakes, answered, target)
    # 3.
    level = (1 - confidence) / starts
    valid = _chains(np.asarray(p_values <= level), answered >= math.log(level) / math.log1p(-target), starts)
    if not valid.any():
        return Abstention(threshold=None, answered_share=0.0, risk=math.nan, risk_upper=math.nan, valid=())
    # 4.
    lowest = int(np.flatnonzero(valid)[-1])
    m, k = int(answered[lowest]), int(mistakes[lowest])
    return Abstention(
        threshold=float(thresholds[lowest]),
        answered_share=m / given.size,
        risk=k / m,
        risk_upper=float(beta.ppf(1 - level, k + 1, m - k)),
        valid=tuple(float(each) for each in thresholds[valid]),
    )


def _chains(rejected: BoolArray, able: BoolArray, starts: int) -> BoolArray:
    """Which hypotheses fall, when each chain walks on until its first that does not."""
    valid = np.zeros(rejected.shape, dtype=np.bool_)
    candidates = np.flatnonzero(able)
    for place in np.linspace(0, candidates.size, starts, endpoint=False).astype(int) if candidates.size else ():
        begin = candidates[place]
        stands = np.flatnonzero(~rejected[begin:])
        valid[begin : begin + (int(stands[0]) if stands.size else rejected.size)] = True
    return valid


def _columns(confidences: ArrayLike, losses: ArrayLike) -> tuple[FloatArray, FloatArray]:
    given, loss = np.asarray(confidences, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if given.ndim != 1 or given.shape != loss.shape or not given.size:
        raise ParameterError(
            f"Confidences of shape {given.shape} do not fit losses of shape {loss.shape}.",
            remedy="Give one confidence and one loss for each row.",
        )
    if not (np.isfinite(given).all() and np.isfinite(loss).all()):
        raise ParameterError("A confidence or loss is not finite.", remedy="Leave such rows out, and say how many.")
    return given, loss
