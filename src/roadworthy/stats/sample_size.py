"""How many more rows before a verdict. Owns the answers to "cannot tell: N more labels".

All three answer *if the estimate stays where it is*: that is a plan for the next sample, never a verdict on this one.
Each returns ``None`` where no sample would do, because the estimate lies on the bound.
"""

import math
from collections.abc import Callable

from scipy.stats import norm

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval
from roadworthy.stats.auc import hanley_mcneil_variance
from roadworthy.stats.sample import check_confidence

# Beyond this nobody would label; it also ends the search.
_MOST = 2**40


def samples_needed_proportion(estimate: float, bound: float, confidence: float = 0.95) -> int | None:
    """The smallest n at which Wilson's interval around ``estimate`` leaves ``bound`` outside; both are shares.

    Wilson's interval excludes a bound exactly when the score test rejects it, hence
    ``n > z^2 bound (1 - bound) / (estimate - bound)^2``.

    Raises:
        ParameterError: a share outside [0, 1] or a level outside (0, 1) (RW-114).
    """
    _check_shares(estimate, bound, confidence)
    if estimate == bound:
        return None
    z = float(norm.ppf(0.5 + confidence / 2))
    return math.floor(z * z * bound * (1 - bound) / (estimate - bound) ** 2) + 1


def samples_needed_auc(estimate: float, bound: float, positive_share: float, confidence: float = 0.95) -> int | None:
    """The smallest n at which an AUC of ``estimate`` is told from ``bound``, with the given share of positives.

    Uses the variance of Hanley and McNeil on the logit scale, as ``delong`` does by default; at least two rows of each
    class are asked for.

    Raises:
        ParameterError: an area outside (0, 1), a share outside (0, 1), or a level outside (0, 1) (RW-114).
    """
    _check_shares(estimate, bound, confidence)
    if not (0.0 < estimate < 1.0 and 0.0 < bound < 1.0 and 0.0 < positive_share < 1.0):
        raise ParameterError(
            f"Cannot plan for an area of {estimate} against {bound} with a positive share of {positive_share}.",
            remedy="Give values strictly between 0 and 1.",
        )
    if estimate == bound:
        return None
    z = float(norm.ppf(0.5 + confidence / 2))
    gap = abs(_logit(estimate) - _logit(bound))

    def enough(n: int) -> bool:
        positives = max(2, round(n * positive_share))
        negatives = max(2, n - positives)
        error = math.sqrt(hanley_mcneil_variance(estimate, positives, negatives)) / (estimate * (1 - estimate))
        return z * error < gap

    return _smallest(enough)


def samples_needed_scaled(interval: Interval, bound: float) -> int | None:
    """The total n at which an interval of any kind would leave ``bound`` outside, if its width shrinks as 1/sqrt(n).

    For AUC this is the scaling of DeLong's variance; for deltas and means it is the central limit theorem.

    Returns:
        The total, or ``None`` when the estimate lies on the bound or nothing is known yet.
    """
    if not interval.known or interval.estimate == bound or interval.n == 0:
        return None
    side = interval.estimate - interval.lower if bound < interval.estimate else interval.upper - interval.estimate
    gap = abs(interval.estimate - bound)
    return interval.n if side < gap else math.floor(interval.n * (side / gap) ** 2) + 1


def _smallest(enough: Callable[[int], bool]) -> int | None:
    """The least n for which a condition holds that, once true, stays true."""
    high = 4
    while not enough(high):
        high *= 2
        if high > _MOST:
            return None
    low = high // 2 if high > 4 else 3
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _logit(value: float) -> float:
    return math.log(value / (1 - value))


def _check_shares(estimate: float, bound: float, confidence: float) -> None:
    check_confidence(confidence)
    if not (0.0 <= estimate <= 1.0 and 0.0 <= bound <= 1.0):
        raise ParameterError(f"{estimate} or {bound} is not a share.", remedy="Give values in [0, 1].")
