"""Which estimates are sure enough to decide. Owns the least confidence of an interval; judging numbers is the domain's.

An interval can be made as narrow as one likes by being less sure of it, so below a level it says nothing, either way.
"""

from collections.abc import Sequence
from dataclasses import replace

from roadworthy.base.interval import Interval, unknown
from roadworthy.domain.criterion import Estimate

LEAST_CONFIDENCE_SHARE = 0.8
"""Lowest two-sided level at which an interval decides; an exact count has 1.0."""


def sure(interval: Interval) -> bool:
    """Whether an interval is stated at a level that can decide; one that is no share, or not a number, cannot."""
    return LEAST_CONFIDENCE_SHARE <= interval.confidence <= 1.0


def credible(estimates: Sequence[Estimate]) -> Sequence[Estimate]:
    """The estimates, unsure ones as unknown: left out, one could make an ambiguous metric look unambiguous."""
    if all(sure(estimate.interval) for estimate in estimates):
        return estimates
    return tuple(e if sure(e.interval) else replace(e, interval=unknown(e.interval.n)) for e in estimates)
