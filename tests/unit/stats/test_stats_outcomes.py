"""Three outcomes: what a refusal does to each share."""

import numpy as np
import pytest

from roadworthy.base.errors import ParameterError
from roadworthy.stats.means import share_interval
from roadworthy.stats.outcomes import Outcome, outcome_shares
from roadworthy.stats.proportions import wilson

_MIXED = [Outcome.CORRECT] * 60 + [Outcome.INCORRECT] * 20 + [Outcome.REFUSED] * 20


def test_refusal_is_its_own_outcome() -> None:
    """60 right, 20 wrong, 20 refused: 0.6 overall, 0.75 among the answered, each with Wilson's interval."""
    shares = outcome_shares(_MIXED)
    assert shares.correct == wilson(60, 100)
    assert shares.incorrect == wilson(20, 100)
    assert shares.refused == wilson(20, 100)
    assert shares.correct_of_answered == wilson(60, 80)


def test_refusing_all_gives_no_accuracy_among_answered() -> None:
    """Overall it is nil; among none it is unknown, never one; without questions all is unknown."""
    shares = outcome_shares([Outcome.REFUSED] * 10)
    assert shares.correct.estimate == 0.0
    assert shares.refused.estimate == 1.0
    assert not shares.correct_of_answered.known
    assert not outcome_shares([]).correct.known


def test_repeated_questions_widen_the_interval() -> None:
    """Each question asked five times with the same outcome says as much as asked once."""
    questions = np.arange(100) // 5
    repeated = outcome_shares(_MIXED, questions)
    assert repeated.correct == share_interval([each is Outcome.CORRECT for each in _MIXED], questions)
    plain = outcome_shares(_MIXED)
    assert repeated.correct.upper - repeated.correct.lower > 1.8 * (plain.correct.upper - plain.correct.lower)
    assert repeated.correct_of_answered.n == 16
    with pytest.raises(ParameterError):
        outcome_shares(_MIXED, questions[:5])
