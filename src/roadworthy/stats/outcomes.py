"""Answers that may be refused. Owns the three outcomes correct, incorrect and refused, and their shares.

A refusal is neither right nor wrong. Counting it as wrong hides a careful system, leaving it out hides a useless one;
so accuracy is given twice, among all questions and among the answered ones, and the share refused stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.means import share_interval
from roadworthy.stats.proportions import wilson
from roadworthy.stats.sample import BoolArray


class Outcome(Enum):
    """What became of a question."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeShares:
    """The shares of the three outcomes.

    Attributes:
        correct: among all questions: the accuracy overall.
        incorrect: among all questions.
        refused: among all questions.
        correct_of_answered: among those that were not refused; unknown when all were.
    """

    correct: Interval
    incorrect: Interval
    refused: Interval
    correct_of_answered: Interval


def outcome_shares(
    outcomes: Sequence[Outcome], clusters: ArrayLike | None = None, *, confidence: float = 0.95
) -> OutcomeShares:
    """The shares with Wilson's interval, or Korn and Graubard's where clusters repeat.

    Args:
        outcomes: one for each question.
        clusters: of each question (its document, its user), shape (n,); None when questions are independent.
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: lengths that differ, or a level outside (0, 1) (RW-114).
    """
    names = np.arange(len(outcomes)) if clusters is None else np.asarray(clusters)
    if names.shape != (len(outcomes),):
        raise ParameterError(
            f"{names.size} clusters do not fit {len(outcomes)} outcomes.", remedy="Give one cluster for each outcome."
        )

    def share(outcome: Outcome, among: BoolArray) -> Interval:
        hits = np.array([each is outcome for each in outcomes], dtype=np.bool_)[among]
        some = names[among]
        if not hits.size:
            return unknown()
        if np.unique(some).size == some.size:
            return wilson(int(hits.sum()), hits.size, confidence)
        return share_interval(hits, some, confidence=confidence)

    everything = np.ones(len(outcomes), dtype=np.bool_)
    answered = np.array([each is not Outcome.REFUSED for each in outcomes], dtype=np.bool_)
    return OutcomeShares(
        correct=share(Outcome.CORRECT, everything),
        incorrect=share(Outcome.INCORRECT, everything),
        refused=share(Outcome.REFUSED, everything),
        correct_of_answered=share(Outcome.CORRECT, answered),
    )
