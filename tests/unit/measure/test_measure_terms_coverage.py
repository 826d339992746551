"""Coverage by frequency, conflicts, and sets that expire when their code list moves on."""

from datetime import date

import pytest

from roadworthy.base.errors import EmptyData
from roadworthy.measure.terms.code_list import CodeList, Term
from roadworthy.measure.terms.coverage import coverage
from roadworthy.measure.terms.expiry import Change, expiry
from roadworthy.measure.terms.mapping import NO_TERM, Mapping, MappingSet

SOURCE = "ex:list"


def _row(text, object_id, label="", **more):
    parts = {
        "subject_id": f"s:{text}",
        "subject_label": text,
        "predicate_id": "skos:exactMatch",
        "object_id": object_id,
        "object_label": label,
        "mapping_justification": "semapv:ManualMappingCuration",
        "author_id": ("o:1",),
        "mapping_date": date(2025, 4, 1),
        "object_source": SOURCE,
        "object_source_version": "1",
    }
    return Mapping(**{**parts, **more})


def _set(*rows):
    return MappingSet(mapping_set_id="https://e.org/s", license="https://l.org/", mappings=rows)


def _edition(version, *terms):
    return CodeList(source=SOURCE, version=version, terms=terms)


def test_occurrences_decide_and_not_texts():
    """One frequent unmapped text outweighs three rare mapped ones."""
    rows = _set(_row("a", "ex:1"), _row("b", "ex:1"), _row("c", "ex:2"))
    found = coverage({"a": 1, "b": 1, "c": 2, "pain": 36}, rows, object_source=SOURCE)
    assert (found.occurrences.estimate, found.occurrences.n, found.occurrences.confidence) == (0.1, 40, 1.0)
    assert found.distinct_share == 0.75
    assert found.unmapped == (("pain", 36),)


@pytest.mark.parametrize(
    "more",
    [
        {"author_id": ()},
        {"mapping_date": None},
        {"predicate_modifier": "Not"},
        {"predicate_id": "skos:broadMatch"},
        {"object_source": "ex:other"},
    ],
)
def test_what_maps_nothing_covers_nothing(more):
    """Suggestions, negated, broader and foreign mappings."""
    found = coverage({"a": 3}, _set(_row("a", "ex:1", **more)), object_source=SOURCE)
    assert found.occurrences.estimate == 0.0
    assert found.unmapped == (("a", 3),)
    assert found.ruled_out == ()


def test_no_term_fits_is_a_decision_and_no_coverage():
    """It stays unmapped and is named; a suggestion that none fits is not."""
    rows = _set(_row("a", NO_TERM), _row("b", NO_TERM, author_id=()))
    found = coverage({"a": 3, "b": 1}, rows, object_source=SOURCE)
    assert (found.occurrences.estimate, found.unmapped, found.ruled_out) == (0.0, (("a", 3), ("b", 1)), ("a",))


def test_one_text_for_two_terms_is_a_conflict():
    """It is named with both terms, covers nothing, and is not listed as unmapped; the same row twice is no conflict."""
    rows = _set(
        _row("a", "ex:2"), _row("a", "ex:1"), _row("b", "ex:1"), _row("b", "ex:1"), _row("z", "ex:1"), _row("z", "ex:3")
    )
    found = coverage({"a": 4, "b": 4}, rows, object_source=SOURCE)
    assert found.occurrences.estimate == 0.5
    assert [(row.text, row.object_ids, row.count) for row in found.conflicts] == [
        ("a", ("ex:1", "ex:2"), 4),
        ("z", ("ex:1", "ex:3"), 0),
    ]
    assert found.unmapped == ()


def test_nothing_cannot_be_covered():
    """No text at all is no full coverage."""
    with pytest.raises(EmptyData):
        coverage({}, _set(), object_source=SOURCE)


def test_an_edition_that_leaves_the_terms_alone_leaves_the_set_valid():
    """New terms and another case of a label change nothing."""
    rows = _set(_row("a", "ex:1", "Pain"), _row("b", NO_TERM), _row("c", "ex:9", object_source="ex:other"))
    found = expiry(rows, _edition("2", Term(id="ex:1", label="PAIN"), Term(id="ex:7", label="New")))
    assert not found.expired
    assert (found.version, found.mapped_versions, found.checked, found.findings()) == ("2", ("1",), 1, ())


def test_gone_deprecated_and_renamed_terms_expire_the_set():
    """Each is a finding that names the term, the texts and, where the edition knows one, the successor."""
    rows = _set(
        *(_row(f"t{k}", "ex:1", "Pain") for k in range(7)),
        _row("b", "ex:2", "Ache"),
        _row("c", "ex:3", "Fever"),
        _row("d", "ex:4", "Cough"),
        _row("e", "ex:5", "Rash", author_id=()),
    )
    edition = _edition(
        "2",
        Term(id="ex:2", label="Ache", deprecated=True, replaced_by="ex:8"),
        Term(id="ex:3", label="Fever of unknown origin"),
        Term(id="ex:4", label="Cough"),
    )
    found = expiry(rows, edition)
    assert found.expired
    assert [(term.object_id, term.change) for term in found.changed] == [
        ("ex:1", Change.MISSING),
        ("ex:2", Change.DEPRECATED),
        ("ex:3", Change.RENAMED),
    ]
    gone, old, renamed = found.findings()
    assert gone.what == ("ex:1 (Pain) is gone from edition 2; 't0', 't1', 't2', 't3', 't4' and 2 more stand on it.")
    assert old.remedy.endswith("the edition names ex:8.")
    assert "is now called 'Fever of unknown origin' in edition 2; 'c' stand on it" in renamed.what
