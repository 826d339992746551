"""Intervals for a share of independent trials. Owns Wilson and Clopper-Pearson; differences belong to ``difference``.

Wilson is the default: its coverage is near the nominal level on average. Clopper-Pearson never covers less than
nominal and is for claims where a shortfall would be worse than width.
"""

import math

from scipy.stats import beta, norm

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.sample import check_confidence


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The score interval without continuity correction (Wilson, JASA 22, 1927), as shares.

    Returns:
        The interval; unknown when ``n`` is 0.

    Raises:
        ParameterError: the counts or the level make no sense (RW-114).
    """
    _check(successes, n, confidence)
    if n == 0:
        return unknown()
    share = successes / n
    z = float(norm.ppf(0.5 + confidence / 2))
    # The interval is the set of shares that a two-sided score test would not reject.
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    centre = share + z * z / (2 * n)
    scale = 1 + z * z / n
    # Rounding must not push the ends past the estimate or past the possible range.
    lower = 0.0 if successes == 0 else max(0.0, (centre - spread) / scale)
    upper = 1.0 if successes == n else min(1.0, (centre + spread) / scale)
    return Interval(estimate=share, lower=lower, upper=upper, n=n, confidence=confidence)


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The exact interval from two one-sided binomial tests (Clopper and Pearson, Biometrika 26, 1934), as shares.

    Returns:
        The interval; unknown when ``n`` is 0.

    Raises:
        ParameterError: the counts or the level make no sense (RW-114).
    """
    _check(successes, n, confidence)
    if n == 0:
        return unknown()
    tail = (1 - confidence) / 2
    lower = 0.0 if successes == 0 else float(beta.ppf(tail, successes, n - successes + 1))
    upper = 1.0 if successes == n else float(beta.ppf(1 - tail, successes + 1, n - successes))
    return Interval(estimate=successes / n, lower=lower, upper=upper, n=n, confidence=confidence)


def _check(successes: int, n: int, confidence: float) -> None:
    check_confidence(confidence)
    if not 0 <= successes <= n:
        raise ParameterError(
            f"{successes} successes in {n} trials is impossible.", remedy="Give counts with 0 <= successes <= n."
        )
