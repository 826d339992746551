"""From answers to a tier: the rules as data, and the file that a person fills in."""

import pytest

from roadworthy.base.codec import to_json
from roadworthy.base.errors import MissingFile, TierAnswersError
from roadworthy.domain.risk import Tier
from roadworthy.packs.tier import Answer, classify, load_answers, template
from roadworthy.packs.tier_rules import tier_rules

RULES = tier_rules()
ANSWERS = {question.id: question.answers for question in RULES.questions}


def mildest(**worse):
    """Every question at its mildest, but for those named."""
    return {name: Answer(value=worse.get(name, answers[0])) for name, answers in ANSWERS.items()}


def test_there_are_twenty_four_questions():
    """In order, each with a text and answers of its own."""
    assert [*ANSWERS] == [f"Q{number}" for number in range(1, 25)]
    assert all(question.text.endswith((".", "?")) for question in RULES.questions)
    assert all(len(set(answers)) == len(answers) for answers in ANSWERS.values())


def test_rules_speak_of_questions_that_exist():
    """And of answers that these questions have; every question is used."""
    named = [
        (name, [answer])
        for group in (RULES.rules, RULES.matrices, RULES.raises, RULES.blocks)
        for rule in group
        for name, answer in rule.when.items()
    ]
    named.extend((name, accepted) for rule in RULES.obligations for name, accepted in rule.given.items())
    assert all(set(accepted) <= set(ANSWERS[name]) for name, accepted in named)
    used = {name for name, _ in named} | {m.rows for m in RULES.matrices} | {m.columns for m in RULES.matrices}
    assert used == set(ANSWERS)


def test_ids_of_rules_are_unique():
    """A reason names its rule."""
    ids = [
        each.id
        for group in (RULES.rules, RULES.matrices, RULES.raises, RULES.blocks, RULES.obligations)
        for each in group
    ]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)
def test_every_rule_can_be_reached_and_decides(rule):
    """With everything else at its mildest, the tier is the rule's own."""
    found = classify(mildest(**rule.when))
    assert rule.id in {reason.rule for reason in found.reasons}
    assert found.tier is rule.tier


@pytest.mark.parametrize("rule", RULES.rules[1:], ids=lambda rule: rule.id)
def test_no_rule_applies_without_its_conditions(rule):
    """One condition at its mildest takes the rule away."""
    for name in rule.when:
        milder = {**rule.when, name: ANSWERS[name][0]}
        assert rule.id not in {reason.rule for reason in classify(mildest(**milder)).reasons}


@pytest.mark.parametrize("obligation", RULES.obligations, ids=lambda each: each.id)
def test_every_obligation_can_be_reached(obligation):
    """And changes no tier by itself."""
    given = {name: accepted[0] for name, accepted in obligation.given.items()}
    assert obligation.id in {each.id for each in classify(mildest(**given)).obligations}


MATRIX = {
    "low": {"low": "R1", "medium": "R2", "high": "R3"},
    "medium": {"low": "R2", "medium": "R3", "high": "R4"},
    "high": {"low": "R3", "medium": "R4", "high": "R4"},
}


@pytest.mark.parametrize("influence", MATRIX)
@pytest.mark.parametrize("consequence", ["low", "medium", "high"])
def test_influence_times_consequence(influence, consequence):
    """All nine cells, and none of them without a regulatory decision."""
    answers = {"Q11": influence, "Q12": consequence}
    assert classify(mildest(Q10="yes", **answers)).tier.value == MATRIX[influence][consequence]
    assert classify(mildest(**answers)).tier is Tier.R1


@pytest.mark.parametrize(
    ("answers", "tier"),
    [
        ({"Q16": "yes"}, Tier.R2),
        ({"Q16": "yes", "Q15": "class_iia"}, Tier.R4),
        ({"Q16": "yes", "Q13": "yes"}, Tier.R4),
        ({"Q16": "yes", "Q1": "yes"}, Tier.R0),
    ],
)
def test_learning_in_use_is_one_tier_more(answers, tier):
    """At most R4: changing is not prohibited by itself."""
    assert classify(mildest(**answers)).tier is tier


def test_a_critical_use_must_be_pinned():
    """At R4 an unpinned model of a third party blocks; below, it does not."""
    assert classify(mildest(Q13="yes", Q22="unpinned_third_party")).tier is Tier.R0
    assert classify(mildest(Q13="yes", Q22="pinned_third_party")).tier is Tier.R4
    assert classify(mildest(Q15="class_iia", Q22="unpinned_third_party")).tier is Tier.R3


def test_nothing_answered_is_the_worst():
    """Every question is listed, and the first reason says what was assumed."""
    found = classify({})
    assert found.tier is Tier.R0
    assert found.unanswered == tuple(ANSWERS)
    assert found.reasons[0].why.endswith("Not answered, so taken at its worst: Q1.")
    assert classify(dict.fromkeys(ANSWERS, Answer(value="unknown"))) == found


def test_reasons_stand_from_the_most_severe():
    """The command line shows the first."""
    found = classify(mildest(Q2="no", Q5="yes", Q7="no_exemption", Q13="yes"))
    assert [(each.rule, each.tier) for each in found.reasons] == [
        ("Q13-PATIENT", Tier.R4),
        ("Q7-HIGH-RISK", Tier.R3),
        ("Q5-EXEMPT", Tier.R2),
        ("BASE", Tier.R1),
    ]
    assert found.unanswered == ()
    assert to_json(found)["tier"] == "R4"


def test_a_doctor_deciding_about_device_software_is_r3():
    """The case that the demonstration uses."""
    triage = mildest(Q2="no", Q3="provider", Q4="third_party_assessed", Q12="medium", Q15="class_iia", Q17="recommends")
    assert classify(triage).tier is Tier.R3


@pytest.mark.parametrize("answers", [{"Q99": Answer(value="no")}, {"Q1": Answer(value="perhaps")}])
def test_classify_refuses_what_it_does_not_know(answers):
    """A misspelt answer must not count as mild."""
    with pytest.raises(TierAnswersError):
        classify(answers)


def written(tmp_path, text):
    """An answers file."""
    path = tmp_path / "tier.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_answers_are_read_in_every_form(tmp_path):
    """Bare yes and no, words, quoted words, with a link, and left open."""
    text = 'Q1: no\nQ5: {answer: yes, link: "https://example.org/x"}\nQ6: "no"\nQ11: low\nQ12:\nQ13: unknown\nQ14: {answer: no}\n'
    assert load_answers(written(tmp_path, text)) == {
        "Q1": Answer(value="no"),
        "Q5": Answer(value="yes", link="https://example.org/x"),
        "Q6": Answer(value="no"),
        "Q11": Answer(value="low"),
        "Q12": Answer(value="unknown"),
        "Q13": Answer(value="unknown"),
        "Q14": Answer(value="no"),
    }
    assert load_answers(written(tmp_path, "# nothing yet\n")) == {}


def test_all_problems_of_a_file_are_listed(tmp_path):
    """Each with its line and what is allowed."""
    text = "Q1: maybe\nQ25: no\nQ3: 7\nQ5: {answr: no}\nQ6: no\nQ6: yes\nQ8: {answer: no, link: 3}\n"
    with pytest.raises(TierAnswersError) as caught:
        load_answers(written(tmp_path, text))
    found = caught.value.what.splitlines()[1:]
    assert [each.strip().split(": ")[0] for each in found] == [f"line {n}" for n in (1, 2, 3, 4, 6, 7)]
    assert "'maybe' is no answer to Q1. Allowed: no, yes, unknown." in found[0]
    assert "Unknown question 'Q25'. Did you mean Q" in found[1]


@pytest.mark.parametrize("text", ["Q1: [", "[]", "Q1: 2026-13-01", "3"])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    """Broken syntax, an impossible date, another shape."""
    with pytest.raises(TierAnswersError):
        load_answers(written(tmp_path, text))


def test_a_file_that_cannot_be_read(tmp_path):
    """Absent, or not UTF-8."""
    with pytest.raises(MissingFile):
        load_answers(tmp_path / "absent.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"Q1: \xe9")
    with pytest.raises(TierAnswersError, match="UTF-8"):
        load_answers(path)


def test_the_template_can_be_read_back(tmp_path):
    """It asks every question, with every answer, and answers none."""
    text = template()
    assert load_answers(written(tmp_path, text)) == dict.fromkeys(ANSWERS, Answer(value="unknown"))
    assert all(f"#   {' | '.join(answers)}\n{name}:" in text for name, answers in ANSWERS.items())
    assert all(len(line) <= 120 for line in text.splitlines())
