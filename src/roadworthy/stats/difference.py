"""The difference of two independent estimates from their own intervals. Owns that one rule.

The method of variance estimates recovery (Zou and Donner, Statistics in Medicine 27, 2008) needs only the two
intervals, so it serves proportions (where it is Newcombe's hybrid score interval), AUC and means alike, and it stays
honest where a variance estimate is zero, for example when the pilot was classified without any error.
"""

import math

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown


def difference(pilot: Interval, production: Interval) -> Interval:
    """``production - pilot`` for two independent samples; negative means that production is lower.

    Args:
        pilot: the reference, with the same confidence as ``production``.
        production: what is compared with it.

    Returns:
        The interval with ``n`` of the smaller sample; unknown when either part is.

    Raises:
        ParameterError: the two levels differ (RW-114).
    """
    n = min(pilot.n, production.n)
    if not (pilot.known and production.known):
        return unknown(n)
    if pilot.confidence != production.confidence:
        raise ParameterError(
            f"Levels {pilot.confidence} and {production.confidence} differ.",
            remedy="Compute both intervals at the same confidence.",
        )
    estimate = production.estimate - pilot.estimate
    below = math.hypot(production.estimate - production.lower, pilot.upper - pilot.estimate)
    above = math.hypot(production.upper - production.estimate, pilot.estimate - pilot.lower)
    return Interval(estimate=estimate, lower=estimate - below, upper=estimate + above, n=n, confidence=pilot.confidence)
