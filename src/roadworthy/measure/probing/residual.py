"""Does the site say something about the label that the score does not? Owns that test; judges no model's inputs.

If, among rows of the same score, the label depends on the site, the score does not mean the same everywhere: the model
lacks what differs between sites, or has learned it at one of them only.

Algorithm:
1. Put the score on a scale: its logit when all scores are probabilities, else the normal quantile of its rank.
2. Fit a logistic regression of the label on that scale and its second and third powers.
3. Fit another one that adds one term for each site but the first.
4. Twice the gain in log-likelihood is compared with chi-squared, one degree of freedom for each added term (Wilks).
5. By site, the mean residual of fit 2 is shown with Student's interval at the level at which all sites hold together:
   positive means more positives than the score says.

Rules kept here: sites with fewer than ten rows take no part and are named; a faint penalty on both fits keeps the
weights finite where a site has one outcome only, and makes the test faintly cautious; the residuals take fit 2 as it is,
so their intervals are somewhat too wide for a site that dominates the data.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import chi2, norm, rankdata
from scipy.stats import t as student

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval
from roadworthy.stats.multiplicity import simultaneous_confidence
from roadworthy.stats.sample import BoolArray, FloatArray, check_confidence, scored

_ENOUGH = 10
_PENALTY = 1e-3
_EDGE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteEffect:
    """What the sites add to the score.

    Attributes:
        likelihood_ratio: twice the gain in log-likelihood; NaN when the test could not be made.
        degrees: of freedom: sites minus one.
        p_value: of "given the score, the site says nothing"; 1 when the test could not be made.
        excess: by site, the share of positives beyond what the score says, at the simultaneous level.
        too_small: sites that took no part, with their row counts.
    """

    likelihood_ratio: float
    degrees: int
    p_value: float
    excess: tuple[tuple[str, Interval], ...]
    too_small: tuple[tuple[str, int], ...]


def site_beyond_score(
    labels: ArrayLike, scores: ArrayLike, sites: ArrayLike, *, confidence: float = 0.95
) -> SiteEffect:
    """Test whether the site predicts the label beyond the score.

    Args:
        labels: 0 or 1, shape (n,).
        scores: of a model that did not see these labels, finite, shape (n,).
        sites: the name of each row's site, shape (n,).
        confidence: two-sided level for all sites together, in (0, 1).

    Raises:
        ParameterError: labels outside {0, 1}, a score that is not finite, or lengths that differ (RW-114).
    """
    check_confidence(confidence)
    sample = scored(labels, scores)
    names: NDArray[np.str_] = np.asarray(sites).astype(np.str_)
    if names.shape != sample.scores.shape or not np.isfinite(sample.scores).all():
        raise ParameterError(
            "Sites do not fit the rows, or a score is not finite.",
            remedy="Give one site and one finite score a row; drop rows that the model declined.",
        )
    found, counts = np.unique(names, return_counts=True)
    kept = found[counts >= _ENOUGH]
    too_small = tuple((str(name), int(n)) for name, n in zip(found, counts, strict=True) if n < _ENOUGH)
    used = np.isin(names, kept)
    positive, names = sample.positive[used], names[used]
    both = 0 < int(positive.sum()) < positive.size
    if kept.size < 2 or not both:
        return SiteEffect(likelihood_ratio=math.nan, degrees=0, p_value=1.0, excess=(), too_small=too_small)
    # 1. The scale,  2. the label on the score,  3. and on score and site.
    scale = _scale(sample.scores[used])
    powers = np.column_stack([np.ones_like(scale), scale, scale**2, scale**3])
    with_sites = np.column_stack([powers, *((names == name).astype(np.float64) for name in kept[1:])])
    without, expected = _fit(powers, positive)
    gained, _ = _fit(with_sites, positive)
    # 4. Wilks.
    ratio = max(0.0, 2 * (gained - without))
    degrees = int(kept.size) - 1
    # 5. By site.
    level = simultaneous_confidence(confidence, int(kept.size))
    residuals = positive - expected
    return SiteEffect(
        likelihood_ratio=ratio,
        degrees=degrees,
        p_value=float(chi2.sf(ratio, degrees)),
        excess=tuple((str(name), _mean(residuals[names == name], level)) for name in kept),
        too_small=too_small,
    )


def _scale(scores: FloatArray) -> FloatArray:
    if bool((scores >= 0).all() and (scores <= 1).all()):
        # A probability of exactly 0 or 1 has no logit.
        moved = logit(np.clip(scores, _EDGE, 1 - _EDGE))
    else:
        moved = norm.ppf(rankdata(scores) / (scores.size + 1))
    spread = float(moved.std())
    return np.asarray((moved - moved.mean()) / (spread or 1.0), dtype=np.float64)


def _fit(rows: FloatArray, positive: BoolArray) -> tuple[float, FloatArray]:
    """The penalised log-likelihood at its maximum, and the probabilities there."""
    sign = np.where(positive, 1.0, -1.0)

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        margins = sign * (rows @ weights)
        value = float(np.logaddexp(0.0, -margins).sum() + _PENALTY * (weights @ weights) / 2)
        return value, _PENALTY * weights - rows.T @ (sign * expit(-margins))

    def curvature(weights: FloatArray) -> FloatArray:
        share = expit(rows @ weights)
        weighted = rows * (share * (1 - share))[:, None]
        return np.asarray(rows.T @ weighted + _PENALTY * np.eye(rows.shape[1]), dtype=np.float64)

    found = minimize(loss, np.zeros(rows.shape[1]), jac=True, hess=curvature, method="trust-exact")
    return -float(found.fun), np.asarray(expit(rows @ found.x), dtype=np.float64)


def _mean(values: FloatArray, level: float) -> Interval:
    centre = float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
    half = float(student.ppf(0.5 + level / 2, values.size - 1)) * error
    return Interval(estimate=centre, lower=centre - half, upper=centre + half, n=values.size, confidence=level)
