"""The area under the ROC curve with its uncertainty. Owns AUC, DeLong's variance and deltas between two AUCs.

The AUC is the probability that a random positive scores above a random negative, a tie counting one half. Its
variance follows DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988), computed from midranks in O(n log n) (Sun and
Xu, IEEE Signal Processing Letters 21, 2014).

Rules kept here:
1. One class only, fewer than two of either class, or a score that is not finite: unknown, never a number.
2. The variance of the rarer class rests on few rows, however many the other class has. So intervals take Student's
   quantile with one degree of freedom less than the rarer class has rows, not the normal one.
3. DeLong's variance collapses with the errors that it is estimated from: an area near 1, a rare class or a coarse score
   show hardly any spread, and then its lower end is too good in up to 22 % of samples where 2.5 % are promised. The
   interval of one AUC is therefore never narrower than with the variance of Hanley and McNeil, which needs no spread,
   only the area and the counts. DeLong's decides wherever it is the larger.
4. Nor is an end ever further away than the counts alone explain. ``m = min(positives, negatives)`` disjoint pairs of one
   row of each class are independent trials of the same chance, and all pairs together never vary more than they
   (Birnbaum and Klose, Annals of Mathematical Statistics 28, 1957). So the binomial interval of m trials is the widest
   one. Separation without an error has that interval exactly: ``lower = (error / 2)**(1 / m)``, 0.69 for ten positives.
   No higher end would hold: a model that ranks a positive below all negatives with a chance of 0.31 and else above all
   of them shows ten positives without an error in 2.5 % of samples.

What is left: where a share of positives fails altogether and the others rank nearly perfectly, samples without a failure
look better than they are; with ten to thirty positives the lower end is then too good in up to 4.5 %.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri
from scipy.stats import rankdata
from scipy.stats import t as student

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, exact, unknown
from roadworthy.stats.difference import difference
from roadworthy.stats.sample import BoolArray, FloatArray, Scored, check_confidence, scored

_ENOUGH_OF_EACH_CLASS = 2


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """The area itself, ties counting one half; NaN when a class is absent or a score is not finite.

    Args:
        labels: 0 or 1, shape (n,).
        scores: higher means more likely positive, shape (n,).

    Raises:
        ParameterError: labels outside {0, 1} or shapes that differ (RW-114).
    """
    sample = scored(labels, scores)
    if not _usable(sample, at_least=1):
        return math.nan
    on_positives, _ = _placements(sample.positive, sample.scores)
    return float(on_positives.mean())


def delong(labels: ArrayLike, scores: ArrayLike, confidence: float = 0.95, *, logit: bool = True) -> Interval:
    """The AUC with DeLong's interval.

    Args:
        labels: 0 or 1, shape (n,).
        scores: higher means more likely positive, shape (n,).
        confidence: two-sided level in (0, 1).
        logit: compute the interval on log(A / (1 - A)) and map it back, which keeps it inside (0, 1) and covers better
            near the ends; without it the interval is the area plus and minus its reach, inside that of rule 4.

    1. DeLong's error times Student's quantile, or Hanley and McNeil's times the normal one, whichever is larger (rule 3).
    2. The interval on the scale that was asked for.
    3. Cut to the binomial interval of as many pairs as the rarer class has rows (rule 4).

    Raises:
        ParameterError: labels outside {0, 1}, shapes that differ, or a level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    sample = scored(labels, scores)
    if not _usable(sample, at_least=_ENOUGH_OF_EACH_CLASS):
        return unknown(sample.scores.size)
    on_positives, on_negatives = _placements(sample.positive, sample.scores)
    area = float(on_positives.mean())
    positives, negatives = on_positives.size, on_negatives.size
    lower, upper = _of_pairs(area, min(positives, negatives), confidence)
    if 0.0 < area < 1.0:
        # 1. The model of Hanley and McNeil treats the classes differently; which of them is the rarer one must not matter.
        modelled = max(
            hanley_mcneil_variance(area, positives, negatives), hanley_mcneil_variance(area, negatives, positives)
        )
        reach = max(
            _quantile(positives, negatives, confidence) * math.sqrt(_variance(on_positives, on_negatives)),
            float(ndtri(0.5 + confidence / 2)) * math.sqrt(modelled),
        )
        # 2. and 3.
        low, high = _interval(area, reach, logit=logit)
        lower, upper = max(lower, low), min(upper, high)
    return Interval(estimate=area, lower=lower, upper=upper, n=sample.scores.size, confidence=confidence)


def delong_variance(labels: ArrayLike, scores: ArrayLike) -> float:
    """DeLong's variance of the AUC; NaN where ``delong`` is unknown.

    1. Placement values: how each row stands among the rows of the other class.
    2. Each class contributes the variance of its placement values over its own count.

    Args:
        labels: 0 or 1, shape (n,).
        scores: higher means more likely positive, shape (n,).

    Raises:
        ParameterError: labels outside {0, 1} or shapes that differ (RW-114).
    """
    sample = scored(labels, scores)
    if not _usable(sample, at_least=_ENOUGH_OF_EACH_CLASS):
        return math.nan
    return _variance(*_placements(sample.positive, sample.scores))


def delong_paired_delta(
    labels: ArrayLike, scores_before: ArrayLike, scores_after: ArrayLike, confidence: float = 0.95
) -> Interval:
    """``AUC(after) - AUC(before)`` for two scorers on the same rows, using their covariance.

    Args:
        labels: 0 or 1, shape (n,).
        scores_before: of the reference scorer, shape (n,).
        scores_after: of the scorer that is compared with it, shape (n,).
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: as for ``delong`` (RW-114).
    """
    check_confidence(confidence)
    before, after = scored(labels, scores_before), scored(labels, scores_after)
    n = before.scores.size
    if not (_usable(before, at_least=_ENOUGH_OF_EACH_CLASS) and _usable(after, at_least=_ENOUGH_OF_EACH_CLASS)):
        return unknown(n)
    if np.array_equal(before.scores, after.scores):
        return exact(0.0, n)
    before_positives, before_negatives = _placements(before.positive, before.scores)
    after_positives, after_negatives = _placements(after.positive, after.scores)
    # The variance of a mean of differences already contains the covariance of the two scorers.
    on_positives, on_negatives = after_positives - before_positives, after_negatives - before_negatives
    variance = _variance(on_positives, on_negatives)
    if variance <= 0.0:
        return difference(delong(labels, scores_before, confidence), delong(labels, scores_after, confidence))
    estimate = float(on_positives.mean())
    half = _quantile(on_positives.size, on_negatives.size, confidence) * math.sqrt(variance)
    return Interval(
        estimate=estimate,
        lower=max(-1.0, estimate - half),
        upper=min(1.0, estimate + half),
        n=n,
        confidence=confidence,
    )


def delong_unpaired_delta(
    pilot: tuple[ArrayLike, ArrayLike], production: tuple[ArrayLike, ArrayLike], confidence: float = 0.95
) -> Interval:
    """``AUC(production) - AUC(pilot)`` for two independent samples, each given as (labels, scores).

    The two logit intervals are combined by ``difference``, so that a pilot without any error does not look certain.

    Raises:
        ParameterError: as for ``delong`` (RW-114).
    """
    return difference(delong(*pilot, confidence), delong(*production, confidence))


def hanley_mcneil_variance(area: float, positives: int, negatives: int) -> float:
    """The variance of an AUC when only the area and the class counts are known (Radiology 143, 1982).

    It assumes negative-exponential score laws: good enough to plan a sample, and as the least variance that rule 3 asks
    for; not to judge a sample by itself.

    Raises:
        ParameterError: an area outside [0, 1] or a class without rows (RW-114).
    """
    if not (0.0 <= area <= 1.0 and positives > 0 and negatives > 0):
        raise ParameterError(
            f"No variance for an area of {area} with {positives} positives and {negatives} negatives.",
            remedy="Give an area in [0, 1] and at least one row of each class.",
        )
    both_positives = area / (2 - area)
    both_negatives = 2 * area * area / (1 + area)
    square = area * area
    total = (
        area * (1 - area) + (positives - 1) * (both_positives - square) + (negatives - 1) * (both_negatives - square)
    )
    return total / (positives * negatives)


def _usable(sample: Scored, *, at_least: int) -> bool:
    positives = int(sample.positive.sum())
    finite = bool(np.isfinite(sample.scores).all())
    return finite and min(positives, sample.positive.size - positives) >= at_least


def _placements(positive: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each positive the share of negatives below it; for each negative the share of positives above it."""
    overall = rankdata(scores)
    above, below = scores[positive], scores[~positive]
    on_positives = (overall[positive] - rankdata(above)) / below.size
    on_negatives = 1.0 - (overall[~positive] - rankdata(below)) / above.size
    return np.asarray(on_positives, dtype=np.float64), np.asarray(on_negatives, dtype=np.float64)


def _variance(on_positives: FloatArray, on_negatives: FloatArray) -> float:
    return float(on_positives.var(ddof=1)) / on_positives.size + float(on_negatives.var(ddof=1)) / on_negatives.size


def _quantile(positives: int, negatives: int, confidence: float) -> float:
    """Student's two-sided quantile with the degrees of freedom of the rarer class."""
    return float(student.ppf(0.5 + confidence / 2, min(positives, negatives) - 1))


def _interval(area: float, reach: float, *, logit: bool) -> tuple[float, float]:
    if not logit:
        return max(0.0, area - reach), min(1.0, area + reach)
    centre = math.log(area / (1 - area))
    half = reach / (area * (1 - area))
    return _expit(centre - half), _expit(centre + half)


def _expit(value: float) -> float:
    # Both branches are the same function; each is used where its exponential cannot overflow.
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))


def _of_pairs(area: float, pairs: int, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's ends for ``area * pairs`` right ones, whole or not, of so many independent pairs."""
    tail, right = (1 - confidence) / 2, area * pairs
    lower = float(betaincinv(right, pairs - right + 1, tail)) if area > 0.0 else 0.0
    upper = float(betaincinv(right + 1, pairs - right, 1 - tail)) if area < 1.0 else 1.0
    return lower, upper
