"""Laws of the tier: total, monotone, and never mild about what nobody answered."""

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.packs.tier import Answer, classify
from roadworthy.packs.tier_rules import tier_rules

ANSWERS = {question.id: question.answers for question in tier_rules().questions}
LEVELS = st.fixed_dictionaries(
    {name: st.sampled_from([*range(len(answers)), None]) for name, answers in ANSWERS.items()}
)
# Most random answers prohibit the use at once; the interesting ones do not.
ALLOWED = LEVELS.map(lambda levels: levels | {"Q1": 0, "Q9": 0, "Q22": 0})


def answered(levels):
    """Answers by their rank; None leaves the question out."""
    return {name: Answer(value=ANSWERS[name][rank]) for name, rank in levels.items() if rank is not None}


@given(LEVELS)
def test_every_set_of_answers_has_a_tier(levels):
    """Total: a tier, its reason first, and exactly the open questions listed."""
    found = classify(answered(levels))
    assert found.reasons[0].tier is found.tier
    assert found.unanswered == tuple(name for name in ANSWERS if levels[name] is None)


@given(st.one_of(LEVELS, ALLOWED), st.sampled_from([*ANSWERS]), st.data())
def test_a_worse_answer_never_lowers_the_tier(levels, name, data):
    """Monotone in each single answer; leaving it out is as bad as the worst."""
    last = len(ANSWERS[name]) - 1
    milder = data.draw(st.integers(0, last))
    worse = data.draw(st.one_of(st.integers(milder, last), st.none()))
    before, after = classify(answered(levels | {name: milder})), classify(answered(levels | {name: worse}))
    assert after.tier.at_least(before.tier)


@given(st.one_of(LEVELS, ALLOWED))
def test_an_open_question_counts_as_the_worst(levels):
    """Never as neutral: answering it at its worst changes neither the tier nor the obligations."""
    worst = {name: len(ANSWERS[name]) - 1 if rank is None else rank for name, rank in levels.items()}
    open_one, closed = classify(answered(levels)), classify(answered(worst))
    assert (open_one.tier, open_one.obligations) == (closed.tier, closed.obligations)


@given(ALLOWED)
def test_the_order_of_answers_is_irrelevant(levels):
    """A file may be sorted as one likes."""
    answers = answered(levels)
    assert classify(answers) == classify(dict(reversed(answers.items())))
