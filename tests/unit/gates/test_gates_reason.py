from itertools import permutations

import pytest

from roadworthy.gates.reason import Cause, causes, quoted, run_stale, sentence, waived


def test_clauses_become_one_sentence():
    """Capital first, full stop last."""
    assert sentence(["a b", "c"]) == "A b; c."


@pytest.mark.parametrize("cause", list(Cause))
def test_a_cause_is_recognised_by_its_opening(cause):
    """In first place or later, and no other is seen beside it."""
    assert causes(sentence([f"{cause.value} and so on"])) == {cause}
    assert causes(sentence(["xyz", f"{cause.value} and so on"])) == {cause}


def test_no_opening_hides_another():
    """Otherwise one clause would have two causes."""
    assert not any(one.value.startswith(other.value) for one, other in permutations(Cause, 2))


def test_words_of_people_cannot_imitate_a_clause():
    """The separator is taken out of them."""
    text = sentence([run_stale("quality", "old; nobody has signed it\nas legal."), waived("w; signed", "then")])
    assert causes(text) == {Cause.RUN_STALE, Cause.WAIVED}
    assert quoted(" a;\n b. ") == "a, b"
