"""How good decisions and probabilities were. Owns the figures at a threshold and the Brier score; AUC has its module.

A row is decided positive when its score is at or above the threshold. A score that is not finite was not decided, so
every figure is then unknown.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.means import UNIT, mean_interval
from roadworthy.stats.proportions import wilson
from roadworthy.stats.sample import check_confidence, scored

_ENOUGH_FOR_A_SPREAD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Counts of rows by truth and decision.

    Attributes:
        true_positives: label 1, decided positive.
        false_positives: label 0, decided positive.
        true_negatives: label 0, decided negative.
        false_negatives: label 1, decided negative.
        undecided: rows whose score is not finite; above zero, no figure is known.
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    undecided: int

    def accuracy(self, confidence: float = 0.95) -> Interval:
        """Share of right decisions, with Wilson's interval."""
        right = self.true_positives + self.true_negatives
        return self._share(right, right + self.false_positives + self.false_negatives, confidence)

    def sensitivity(self, confidence: float = 0.95) -> Interval:
        """Share of positives that were decided positive, with Wilson's interval."""
        return self._share(self.true_positives, self.true_positives + self.false_negatives, confidence)

    def specificity(self, confidence: float = 0.95) -> Interval:
        """Share of negatives that were decided negative, with Wilson's interval."""
        return self._share(self.true_negatives, self.true_negatives + self.false_positives, confidence)

    def ppv(self, confidence: float = 0.95) -> Interval:
        """Share of positive decisions that were right (positive predictive value), with Wilson's interval."""
        return self._share(self.true_positives, self.true_positives + self.false_positives, confidence)

    def _share(self, successes: int, n: int, confidence: float) -> Interval:
        return unknown(n) if self.undecided else wilson(successes, n, confidence)


def confusion(labels: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> Confusion:
    """Count decisions at ``threshold`` (a score at the threshold is positive).

    Raises:
        ParameterError: labels outside {0, 1} or shapes that differ (RW-114).
    """
    positive, values = scored(labels, scores)
    finite = np.isfinite(values)
    decided = values >= threshold
    return Confusion(
        true_positives=int((positive & decided & finite).sum()),
        false_positives=int((~positive & decided & finite).sum()),
        true_negatives=int((~positive & ~decided & finite).sum()),
        false_negatives=int((positive & ~decided & finite).sum()),
        undecided=int((~finite).sum()),
    )


def brier(labels: ArrayLike, probabilities: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean squared error of probabilities in [0, 1], lower is better (Brier, Monthly Weather Review 78, 1950).

    The interval is that of ``mean_interval`` on the row losses, which lie in [0, 1]: a rare outcome makes a few large
    losses among many small ones, whose mean Student's interval would call too good in twice the promised share of cases.

    Returns:
        The interval; unknown below two rows, or when a value is not a probability.

    Raises:
        ParameterError: labels outside {0, 1}, shapes that differ, or a level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    positive, values = scored(labels, probabilities)
    n = values.size
    # Written so that NaN fails too.
    if n < _ENOUGH_FOR_A_SPREAD or not ((values >= 0) & (values <= 1)).all():
        return unknown(n)
    return mean_interval((values - positive) ** 2, confidence=confidence, within=UNIT)
