"""Suggestions by label, synonym and similarity; none of them is a mapping until somebody takes it."""

import csv
from collections import Counter
from datetime import date

import pytest

from roadworthy.base.errors import ParameterError
from roadworthy.measure.terms.code_list import CodeList, Term
from roadworthy.measure.terms.mapping import NO_TERM, Mapping, Predicate, approve, curate, is_curie, text_id
from roadworthy.measure.terms.suggest import Step, suggest

LIST = CodeList(
    source="ex:severity",
    version="2025-03",
    terms=(
        Term(id="ex:1", label="Chest pain", synonyms=("Thoracic pain", "chest PAIN")),
        Term(id="ex:2", label="Headache", synonyms=("Cephalgia",)),
        Term(id="ex:3", label="Back pain"),
        Term(id="ex:4", label="Head ache (old)", deprecated=True, replaced_by="ex:2"),
        Term(id="ex:5", label="Pain in the chest wall"),
    ),
)


def _first(text, **options):
    (suggestion,) = suggest({text: 1}, LIST, **options)
    return [(candidate.term.id, candidate.step) for candidate in suggestion.candidates]


def test_each_step_in_its_order():
    """A label beats a synonym, a synonym beats similarity."""
    assert _first(" CHEST-PAIN ") == [("ex:1", Step.LABEL)]
    assert _first("cephalgia.") == [("ex:2", Step.SYNONYM)]
    assert _first("hedache") == [("ex:2", Step.SIMILAR)]
    assert _first("broken leg") == []
    assert _first("..") == []


def test_a_subset_of_words_is_similar_and_no_more():
    """The token-set ratio of ``pain`` is 1 for every pain; the nearest text comes first and the step says similar."""
    found = _first("pain")
    assert found[0] == ("ex:3", Step.SIMILAR)
    assert {step for _, step in found} == {Step.SIMILAR}
    assert {term for term, _ in found} == {"ex:1", "ex:3", "ex:5"}
    assert len(_first("pain", most=2)) == 2


def test_deprecated_terms_are_not_suggested():
    """Not even for their own label."""
    assert _first("Head ache (old)", least_similarity_share=1.0) == []


def test_the_most_frequent_text_comes_first_and_none_is_lost():
    """Texts without candidates stay in the answer."""
    found = suggest({"zzz": 5, "headache": 5, "Back pain": 9}, LIST)
    assert [(row.text, row.count, len(row.candidates)) for row in found] == [
        ("Back pain", 9, 1),
        ("headache", 5, 1),
        ("zzz", 5, 0),
    ]


def test_two_terms_of_one_name_are_both_shown():
    """An ambiguous synonym gives both terms, for a person to choose."""
    terms = (Term(id="a:1", label="A", synonyms=("cold",)), Term(id="a:2", label="B", synonyms=("Cold",)))
    (found,) = suggest({"COLD": 1}, CodeList(source="a:l", version="1", terms=terms))
    assert [candidate.term.id for candidate in found.candidates] == ["a:1", "a:2"]


def test_bad_parameters_and_lists_are_refused():
    """A share outside its range, no candidates, an empty list, an id twice."""
    for options in ({"least_similarity_share": 0.0}, {"most": 0}):
        with pytest.raises(ParameterError):
            suggest({"x": 1}, LIST, **options)
    for terms in ((), (Term(id="a:1", label="A"), Term(id="a:1", label="B"))):
        with pytest.raises(ParameterError):
            CodeList(source="a:l", version="1", terms=terms)


def test_a_person_makes_a_mapping_of_a_suggestion():
    """Author, date, tool, edition, the person's confidence and the tool's score, each in its own place."""
    (suggestion,) = suggest({"hedache": 3}, LIST)
    candidate = suggestion.candidates[0]
    mapping = approve(
        "hedache",
        candidate,
        LIST,
        prefix="site",
        author_id="orcid:0000-0002-1825-0097",
        on=date(2025, 4, 1),
        confidence=0.95,
    )
    assert (mapping.subject_id, mapping.object_id, mapping.object_label) == ("site:hedache", "ex:2", "Headache")
    assert mapping.mapping_justification == "semapv:LexicalMatching"
    assert (mapping.object_source, mapping.object_source_version) == ("ex:severity", "2025-03")
    assert mapping.confidence == 0.95
    assert mapping.similarity_score == candidate.similarity_share < 1
    assert mapping.accepted
    assert mapping.says_what_it_is


def test_a_person_may_choose_otherwise():
    """Another term, or the decision that none fits, which maps nothing."""
    chosen = curate("sore", "ex:3", LIST, prefix="s", author_id="o:1", on=date(2025, 4, 1), confidence=0.6)
    assert chosen.mapping_justification == "semapv:ManualMappingCuration"
    assert chosen.mapping_tool == ""
    assert chosen.says_what_it_is
    broad = curate(
        "sore", "ex:3", LIST, prefix="s", author_id="o:1", on=date(2025, 4, 1), confidence=1, predicate=Predicate.BROAD
    )
    none = curate("zzz", NO_TERM, LIST, prefix="s", author_id="o:1", on=date(2025, 4, 1), confidence=1)
    assert broad.accepted
    assert none.accepted
    assert not broad.says_what_it_is
    assert not none.says_what_it_is


def test_nothing_is_accepted_without_a_person():
    """A row of a tool is no mapping; nobody's approval and a term outside the edition are refused."""
    tool = Mapping(subject_id="s:a", predicate_id="skos:exactMatch", object_id="ex:1", mapping_justification="semapv:L")
    assert not tool.accepted
    for author, confidence, term in ("", 1, "ex:1"), ("o:1", 1.1, "ex:1"), ("o:1", 1, "ex:9"), ("o:1", 1, "ex:4"):
        with pytest.raises(ParameterError):
            curate("x", term, LIST, prefix="s", author_id=author, on=date(2025, 4, 1), confidence=confidence)


def test_a_text_has_one_id():
    """Different texts, different CURIEs, whatever signs are in them."""
    texts = ["a b", "a%20b", "a/b", "ä", "a:b"]
    ids = [text_id("s", text) for text in texts]
    assert len(set(ids)) == len(texts)
    assert all(is_curie(name) for name in ids)
    assert not any(is_curie(name) for name in ("", "plain", "http://x.org/a", "a: b", ":x"))


@pytest.mark.parametrize(
    ("column", "clean", "wrong", "placed"),
    [("condition", "Condition", 23, 20), ("city", "City", 33, 25), ("owner", "HospitalOwner", 19, 16)],
)
def test_real_typing_errors(shared_data, column, clean, wrong, placed):
    """Quintet's hospitals: of the misspelt texts, those that are placed have the right term first, every one."""
    folder = shared_data / "quintet_dirty_clean"
    dirty, truth = (
        list(csv.DictReader((folder / f"hospital_{half}.csv").read_text("utf-8").splitlines()))
        for half in ("dirty", "clean")
    )
    meant = {one[column]: two[clean] for one, two in zip(dirty, truth, strict=True)}
    labels = sorted(set(meant.values()))
    terms = tuple(Term(id=f"t:{place}", label=label) for place, label in enumerate(labels))
    found = suggest(
        Counter(row[column] for row in dirty),
        CodeList(source="t:l", version="1", terms=terms),
        least_similarity_share=0.8,
    )
    misspelt = [row for row in found if row.text not in labels]
    suggested = [row for row in misspelt if row.candidates]
    assert (len(misspelt), len(suggested)) == (wrong, placed)
    assert all(row.candidates[0].term.label == meant[row.text] for row in suggested)
