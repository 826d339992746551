"""Refusals as declared, and each deterministic scorer on right, wrong and malformed answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.errors import ContractError, ParameterError
from roadworthy.measure.answers.outcome import NEVER_REFUSES, Answer, Citation, Item, RefusalRule
from roadworthy.measure.answers.scorers import (
    CitationsResolve,
    Contains,
    Exact,
    JsonSchema,
    NumberWithin,
    OneOf,
    Regex,
    normalised,
)
from roadworthy.stats.outcomes import Outcome

RIGHT, WRONG, REFUSED = Outcome.CORRECT, Outcome.INCORRECT, Outcome.REFUSED


def item(*expected: str, **more) -> Item:
    return Item(id="q1", question="?", expected=expected, **more)


def said(text: str, **more) -> Answer:
    return Answer(item_id="q1", text=text, **more)


def test_nothing_declared_refuses_nothing():
    """No phrase is taken for a refusal unless somebody said so."""
    assert not NEVER_REFUSES.refused(said("I'm sorry, I cannot help with that."))


def test_patterns_are_searched_without_case():
    """A declared pattern makes a refusal wherever it stands."""
    rule = RefusalRule(patterns=("cannot help",))
    assert rule.refused(said("Sorry, I CANNOT HELP here."))
    assert not rule.refused(said("Forty-two."))


def test_the_declared_field_decides():
    """The system's own word counts, and its silence is an error."""
    rule = RefusalRule(by_field=True)
    assert rule.refused(said("Forty-two.", declined=True))
    assert not rule.refused(said("I cannot say.", declined=False))
    with pytest.raises(ContractError, match="does not say whether"):
        rule.refused(said("Forty-two."))


def test_field_and_patterns_together():
    """Where both are declared, either makes a refusal."""
    rule = RefusalRule(by_field=True, patterns=("no comment",))
    assert rule.refused(said("No comment.", declined=False))


def test_a_broken_pattern_is_refused_when_declared():
    """The error comes with the declaration, not with the first answer."""
    with pytest.raises(ParameterError, match="RW-114"):
        RefusalRule(patterns=("(",))


@pytest.mark.parametrize(
    "scorer",
    [
        Exact(refusal=RefusalRule(patterns=("pass",))),
        OneOf(refusal=RefusalRule(patterns=("pass",))),
        Regex(refusal=RefusalRule(patterns=("pass",))),
        NumberWithin(refusal=RefusalRule(patterns=("pass",))),
        Contains(refusal=RefusalRule(patterns=("pass",))),
        JsonSchema(refusal=RefusalRule(patterns=("pass",)), schema={}),
        CitationsResolve(refusal=RefusalRule(patterns=("pass",)), at_least=0),
    ],
)
def test_every_scorer_asks_for_a_refusal_first(scorer):
    """A refusal is never compared, so it is never wrong."""
    assert scorer.score(item("4"), said("I pass")) is REFUSED


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("Paris", RIGHT), (" paris. ", RIGHT), ("“PARIS”", RIGHT), ("Paris, France", WRONG), ("", WRONG)],
)
def test_exact(text, outcome):
    """Case, outer punctuation and white space do not matter; everything else does."""
    assert Exact(refusal=NEVER_REFUSES).score(item("Paris"), said(text)) is outcome


def test_exact_takes_one_expected_answer():
    """With two the item is for another scorer."""
    with pytest.raises(ContractError, match="expects 2 answers"):
        Exact(refusal=NEVER_REFUSES).score(item("a", "b"), said("a"))


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    """The normal form is one."""
    assert normalised(normalised(text)) == normalised(text)


def test_one_of():
    """Any accepted answer is right; none at all is the item's fault."""
    scorer = OneOf(refusal=NEVER_REFUSES)
    assert scorer.score(item("USA", "United States"), said("united  states")) is RIGHT
    assert scorer.score(item("USA", "United States"), said("Canada")) is WRONG
    with pytest.raises(ContractError, match="expects nothing"):
        scorer.score(item(), said("a"))


def test_regex():
    """Patterns are searched with regard to case; a broken one is an error."""
    scorer = Regex(refusal=NEVER_REFUSES)
    assert scorer.score(item(r"^yes\b"), said("yes, it does")) is RIGHT
    assert scorer.score(item(r"^yes\b"), said("Yes")) is WRONG
    with pytest.raises(ParameterError):
        scorer.score(item("("), said("yes"))


@pytest.mark.parametrize(
    ("expected", "text", "options", "outcome"),
    [
        ("42", "The answer is 42.", {}, RIGHT),
        ("42", "42 (six times seven)", {}, RIGHT),
        ("42", "6 times 7 is 42", {}, WRONG),
        ("42", "6 times 7 is 42", {"pattern": r"is (\d+)"}, RIGHT),
        ("42", "42, I repeat: 42.0", {}, RIGHT),
        ("0.2", "0.3", {"absolute": 0.1}, RIGHT),
        ("0.2", "0.31", {"absolute": 0.1}, WRONG),
        ("200", "204", {"relative": 0.02}, RIGHT),
        ("-200", "−204", {"relative": 0.02}, RIGHT),
        ("200", "205", {"relative": 0.02}, WRONG),
        ("1190", "1,190 rows", {}, RIGHT),
        ("1190", "1.190 rows", {}, WRONG),
        ("1190", "1.190 Zeilen", {"decimal_mark": ","}, RIGHT),
        ("1.5", "1,5", {"decimal_mark": ","}, RIGHT),
        ("15", "1,5", {}, WRONG),
        ("0.001", "1e-3", {}, RIGHT),
        ("3", "1.2.3", {}, WRONG),
        ("7", "none", {}, WRONG),
        ("7", "x7", {}, WRONG),
        ("7", "about", {"pattern": r"about(\d)?"}, WRONG),
    ],
)
def test_number_within(expected, text, options, outcome):
    """One number, near enough; an answer that leaves a choice is wrong."""
    scorer = NumberWithin(refusal=NEVER_REFUSES, **options)
    assert scorer.score(item(expected), said(text)) is outcome


@pytest.mark.parametrize(
    "options",
    [{"absolute": -1.0}, {"relative": float("nan")}, {"decimal_mark": ";"}, {"pattern": "no group"}],
)
def test_number_within_refuses_bad_options(options):
    """A tolerance below zero, another mark, or a pattern without a group."""
    with pytest.raises(ParameterError):
        NumberWithin(refusal=NEVER_REFUSES, **options)


def test_number_within_wants_a_number_to_compare_with():
    """Words in the key are the item's fault."""
    with pytest.raises(ContractError, match="no number"):
        NumberWithin(refusal=NEVER_REFUSES).score(item("many"), said("7"))


def test_contains():
    """All that is expected, nothing that is forbidden."""
    scorer = Contains(refusal=NEVER_REFUSES, forbidden=("aspirin",))
    assert scorer.score(item("ibuprofen"), said("Take Ibuprofen.")) is RIGHT
    assert scorer.score(item("ibuprofen"), said("Take ibuprofen or Aspirin.")) is WRONG
    assert scorer.score(item("ibuprofen", "water"), said("Take ibuprofen.")) is WRONG
    assert scorer.score(item(), said("Nothing.")) is RIGHT
    with pytest.raises(ContractError, match="expects nothing"):
        Contains(refusal=NEVER_REFUSES).score(item(), said("a"))


SCHEMA = {
    "type": "object",
    "required": ["dose"],
    "properties": {"dose": {"type": "number", "minimum": 0}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ('{"dose": 5}', RIGHT),
        ('{"dose": -5}', WRONG),
        ('{"dose": "5"}', WRONG),
        ('Here you are: {"dose": 5}', WRONG),
        ('{"dose": NaN}', WRONG),
        ('{"dose": 5, "dose": 6}', WRONG),
        ('{"dose": 5', WRONG),
        ("\ud800", WRONG),
    ],
)
def test_json_schema(text, outcome):
    """Strict JSON and nothing else, with the structure that is asked for."""
    assert JsonSchema(refusal=NEVER_REFUSES, schema=SCHEMA).score(item(), said(text)) is outcome


def test_json_schema_refuses_a_bad_schema():
    """A schema that is none is an error at once."""
    with pytest.raises(ParameterError, match="not a JSON Schema"):
        JsonSchema(refusal=NEVER_REFUSES, schema={"type": "decimal"})


def test_json_schema_fetches_nothing():
    """A reference to elsewhere is an error, not a request."""
    scorer = JsonSchema(refusal=NEVER_REFUSES, schema={"$ref": "http://127.0.0.1:9/other.json"})
    with pytest.raises(ParameterError, match="does not hold"):
        scorer.score(item(), said("{}"))


DOCUMENTS = {"d1": "The dose is\n  5 mg – not more.", "d2": "Take with water."}


@pytest.mark.parametrize(
    ("citations", "outcome"),
    [
        ((Citation(document_id="d1"),), RIGHT),
        ((Citation(document_id="d1", quote="dose is 5 mg - not"),), RIGHT),
        ((Citation(document_id="d1", quote="dose is 6 mg"),), WRONG),
        ((Citation(document_id="d1", quote="The Dose"),), WRONG),
        ((Citation(document_id="d1", quote="  "),), WRONG),
        ((Citation(document_id="d2", quote="dose"),), WRONG),
        ((Citation(document_id="d1"), Citation(document_id="d9")), WRONG),
        ((), WRONG),
    ],
)
def test_citations_resolve(citations, outcome):
    """Every reference points into the allowed set and every quote stands where it says."""
    scorer = CitationsResolve(refusal=NEVER_REFUSES)
    assert scorer.score(item(documents=DOCUMENTS), said("5 mg", citations=citations)) is outcome


def test_citations_in_the_text():
    """A declared marker finds references where the system reports none apart."""
    scorer = CitationsResolve(refusal=NEVER_REFUSES, marker=r"\[(\w+)\]", at_least=2)
    assert scorer.score(item(documents=DOCUMENTS), said("5 mg [d1], with water [d2]")) is RIGHT
    assert scorer.score(item(documents=DOCUMENTS), said("5 mg [d1], with milk [d7]")) is WRONG
    assert scorer.score(item(documents=DOCUMENTS), said("5 mg [d1]")) is WRONG
    with pytest.raises(ParameterError, match="no group"):
        CitationsResolve(refusal=NEVER_REFUSES, marker=r"\[\w+\]")
