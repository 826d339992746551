"""A number with its uncertainty. Owns the closed interval; how to compute one belongs to ``stats``."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with a two-sided confidence interval.

    Attributes:
        estimate: the point; NaN when it could not be computed.
        lower: lower end, inclusive; equals ``estimate`` for an exact count.
        upper: upper end, inclusive.
        n: how many independent units (rows, requests, clusters) it rests on.
        confidence: two-sided level as a share, for example 0.95; 1.0 for an exact count.
    """

    estimate: float
    lower: float
    upper: float
    n: int
    confidence: float = 0.95

    @property
    def known(self) -> bool:
        """Whether all three numbers are finite and in order."""
        finite = math.isfinite(self.estimate) and math.isfinite(self.lower) and math.isfinite(self.upper)
        return finite and self.lower <= self.estimate <= self.upper


def exact(value: float, n: int) -> Interval:
    """A counted value, which has no sampling error."""
    return Interval(estimate=value, lower=value, upper=value, n=n, confidence=1.0)


def unknown(n: int = 0) -> Interval:
    """What could not be computed: never a pass, whatever the bound."""
    return Interval(estimate=math.nan, lower=math.nan, upper=math.nan, n=n)
