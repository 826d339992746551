"""How many labels would bound what a label-free estimate cannot see. Owns that one plan, for shares and for the AUC.

An audit draws production rows at random and has people label them. It shows that the unseen loss is at most D when the
one-sided lower bound of the labelled figure lies above (estimate - D). The sample must be large enough to show it with
the wanted power when the estimate is right; when the estimate is wrong by D or more, it shows it wrongly with
probability 1 - confidence at most.
"""

import math

import numpy as np
from scipy.stats import binom, norm

from roadworthy.base.errors import ParameterError
from roadworthy.stats.auc import hanley_mcneil_variance
from roadworthy.stats.sample import check_confidence

_LOOK_AHEAD = 400


def audit_sample_size(
    expected_share: float, max_unseen_loss: float, *, confidence: float = 0.95, power: float = 0.8
) -> int:
    """Labels for a share (accuracy, or sensitivity among positives), by the exact binomial test.

    1. Reject "share <= expected - loss" when at least c of n are right, c the least with
       ``P(Bin(n, expected - loss) >= c) <= 1 - confidence``.
    2. The answer is the least n from which on, over the next few hundred sizes too, ``P(Bin(n, expected) >= c)`` is at
       least the power; looking ahead matters because power goes up and down by steps of c.

    Args:
        expected_share: what the estimate says, in (0, 1].
        max_unseen_loss: how much worse the truth might be, in (0, expected_share).
        confidence: one-sided, in (0, 1).
        power: probability of showing it when the estimate is right, in (0, 1).

    Raises:
        ParameterError: a value outside its range (RW-114).
    """
    _check(expected_share, max_unseen_loss, confidence, power)
    bound = expected_share - max_unseen_loss
    z_level, z_power = float(norm.ppf(confidence)), float(norm.ppf(power))
    wanted = z_level * math.sqrt(bound * (1 - bound)) + z_power * math.sqrt(expected_share * (1 - expected_share))
    guess = max(1, math.ceil((wanted / max_unseen_loss) ** 2))
    # The normal formula is near; below half of it nothing can suffice, and twice it with slack always does.
    sizes = np.arange(max(1, guess // 2), 2 * guess + 2 * _LOOK_AHEAD)
    # 1.
    critical = binom.isf(1 - confidence, sizes, bound) + 1
    # 2.
    reached = binom.sf(critical - 1, sizes, expected_share) >= power
    short = np.flatnonzero(~reached)
    return int(sizes[short[-1] + 1]) if short.size else int(sizes[0])


def audit_sample_size_auc(
    expected_auc: float,
    max_unseen_loss: float,
    positive_share: float,
    *,
    confidence: float = 0.95,
    power: float = 0.8,
) -> int:
    """Labels for the AUC, by the normal approximation with the variance of Hanley and McNeil.

    Args:
        expected_auc: what the estimate says, in (0, 1].
        max_unseen_loss: in (0, expected_auc).
        positive_share: of production rows, in (0, 1).
        confidence: one-sided, in (0, 1).
        power: in (0, 1).

    Raises:
        ParameterError: a value outside its range (RW-114).
    """
    _check(expected_auc, max_unseen_loss, confidence, power)
    if not 0.0 < positive_share < 1.0:
        raise ParameterError(f"A positive share of {positive_share} is not in (0, 1).", remedy="Give a share like 0.1.")
    z_level, z_power = float(norm.ppf(confidence)), float(norm.ppf(power))

    def shows(n: int) -> bool:
        positives = max(2, round(n * positive_share))
        negatives = max(2, n - positives)
        at_bound, at_estimate = (
            math.sqrt(hanley_mcneil_variance(area, positives, negatives))
            for area in (expected_auc - max_unseen_loss, expected_auc)
        )
        return z_level * at_bound + z_power * at_estimate <= max_unseen_loss

    high = 4
    while not shows(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high


def _check(expected: float, loss: float, confidence: float, power: float) -> None:
    check_confidence(confidence)
    check_confidence(power)
    if not (0.0 < expected <= 1.0 and 0.0 < loss < expected):
        raise ParameterError(
            f"Cannot plan for a loss of {loss} from {expected}.",
            remedy="Give an estimate in (0, 1] and a loss above 0 and below it.",
        )
