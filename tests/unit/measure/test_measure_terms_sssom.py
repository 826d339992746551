"""SSSOM/TSV: what is written reads back, what is foreign is read as the standard says, what is broken is refused."""

from datetime import date

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.errors import MissingFile, ParameterError, UnreadableData
from roadworthy.measure.terms.mapping import Mapping, MappingSet
from roadworthy.measure.terms.sssom import format_sssom, load_sssom, parse_sssom

CURIES = {"ex": "https://example.org/", "o": "https://orcid.org/"}
HEADER = (
    "#curie_map:\n#  ex: https://example.org/\n#mapping_set_id: https://example.org/set\n#license: https://l.org/\n"
)
COLUMNS = "subject_id\tpredicate_id\tobject_id\tmapping_justification"
ROW = "ex:a\tskos:exactMatch\tex:1\tsemapv:LexicalMatching"
_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\t\n\r"), max_size=12)
_SHARE = st.none() | st.floats(0, 1)


def _mapping(**more):
    parts = {"subject_id": "ex:a", "predicate_id": "skos:exactMatch", "object_id": "ex:1"}
    return Mapping(**{**parts, "mapping_justification": "semapv:ManualMappingCuration", **more})


def _set(*mappings, **more):
    parts = {"mapping_set_id": "https://example.org/set", "license": "https://l.org/", "curie_map": CURIES}
    return MappingSet(**{**parts, "mappings": mappings, **more})


_MAPPINGS = st.builds(
    _mapping,
    subject_id=st.sampled_from(["ex:a", "ex:b%20c", "ex:ä"]),
    subject_label=_TEXT,
    predicate_modifier=st.sampled_from(["", "Not"]),
    object_id=st.sampled_from(["ex:1", "sssom:NoTermFound"]),
    author_id=st.lists(st.sampled_from(["o:1", "o:2|x", "o:b\\", "o:\\|"]), max_size=3).map(tuple),
    mapping_date=st.none() | st.dates(),
    mapping_tool=_TEXT,
    mapping_tool_version=st.sampled_from(["", "1.10", "0x1F", "null", "yes", "2025-01-01"]),
    object_source=st.sampled_from(["", "ex:list"]),
    object_source_version=st.sampled_from(["", "1.10", "~"]),
    confidence=_SHARE,
    similarity_score=_SHARE,
    comment=_TEXT,
)


@given(st.lists(_MAPPINGS, max_size=5), st.sampled_from(["", "1.10", "# x", "a: b"]))
def test_a_set_survives_writing_and_reading(mappings, version):
    """The same mappings come back, and writing them again gives the same bytes."""
    made = _set(*mappings, mapping_set_version=version)
    text = format_sssom(made)
    back = parse_sssom(text)
    assert sorted(map(repr, back.mappings)) == sorted(map(repr, mappings))
    assert (back.mapping_set_id, back.license, back.mapping_set_version) == (made.mapping_set_id, made.license, version)
    assert back.discarded == ()
    assert format_sssom(back) == text


def test_the_form_on_paper():
    """Shared slots once in the header, used prefixes only, rows sorted, quotes where needed."""
    shared = {"mapping_date": date(2025, 4, 1), "object_source": "ex:list", "object_source_version": "1.10"}
    text = format_sssom(
        _set(
            _mapping(subject_id="ex:b", author_id=("o:1", "o:2"), confidence=1.0, **shared),
            _mapping(comment='say "so"\tnow', confidence=0.25, **shared),
            curie_map={**CURIES, "zz": "https://unused.org/"},
        )
    )
    assert text == (
        "#curie_map:\n#  ex: https://example.org/\n#  o: https://orcid.org/\n#mapping_set_id: https://example.org/set\n"
        "#license: https://l.org/\n#object_source: ex:list\n#object_source_version: '1.10'\n#mapping_date: '2025-04-01'\n"
        "subject_id\tpredicate_id\tobject_id\tmapping_justification\tauthor_id\tconfidence\tcomment\n"
        'ex:a\tskos:exactMatch\tex:1\tsemapv:ManualMappingCuration\t\t0.25\t"say ""so""\tnow"\n'
        "ex:b\tskos:exactMatch\tex:1\tsemapv:ManualMappingCuration\to:1|o:2\t1\t\n"
    )
    header = yaml.safe_load("\n".join(line[1:] for line in text.splitlines() if line.startswith("#")))
    assert header["object_source_version"] == "1.10"


def test_a_foreign_file_is_read_by_the_standard():
    """Blanks after ``#``, CRLF, shared slots, quoted cells, unknown slots named, numbers left texts."""
    text = (
        "# curie_map:\r\n#   ex: https://example.org/\r\n#   o: https://orcid.org/\r\n# mapping_set_id: https://e.org/s\r\n"
        "# license: https://l.org/\r\n# mapping_set_version: 1.10\r\n# mapping_date: 2025-04-01\r\n"
        '# object_source: "ex:list"\r\n# creator_id:\r\n#   - o:9\r\n'
        f"{COLUMNS}\tauthor_id\tsee_also\tsubject_label\r\n"
        f'{ROW}\to:1|o:2\thttps://x.org\t"two\r\nlines"\r\n'
    )
    found = parse_sssom(text)
    (row,) = found.mappings
    assert found.mapping_set_version == "1.10"
    assert found.discarded == ("creator_id", "see_also")
    assert (row.mapping_date, row.object_source, row.author_id) == (date(2025, 4, 1), "ex:list", ("o:1", "o:2"))
    assert row.subject_label == "two\r\nlines"
    assert row.accepted


def test_a_header_value_beside_own_values_is_void():
    """Propagation only where no row has a value; the header's is named as lost."""
    text = f"{HEADER}#mapping_tool: one\n{COLUMNS}\tmapping_tool\n{ROW}\ttwo\n{ROW}\t\n"
    found = parse_sssom(text)
    assert [row.mapping_tool for row in found.mappings] == ["two", ""]
    assert found.discarded == ("mapping_tool",)
    blank = parse_sssom(f"{HEADER}#mapping_tool: one\n{COLUMNS}\tmapping_tool\n{ROW}\t\n")
    assert blank.mappings[0].mapping_tool == "one"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"\ufeff{HEADER}{COLUMNS}\n", "byte order mark"),
        (f"#a: [\n{COLUMNS}\n", "not YAML"),
        (f"#a: &x b\n#c: *x\n{COLUMNS}\n", "anchors"),
        (f"#a: !!python/name:os.system x\n{COLUMNS}\n", "tags"),
        (f"#license: a\n#license: b\n{COLUMNS}\n", "occurs twice"),
        (f"#just words\n{COLUMNS}\n", "not a list of slots"),
        (f"#curie_map: x\n{COLUMNS}\n", "one IRI for each prefix"),
        (f"#curie_map:\n#  ex: [a]\n{COLUMNS}\n", "one IRI for each prefix"),
        (f"#license: [a, b]\n{COLUMNS}\n", "several values"),
        (f"{HEADER}#mapping_tool: [a, b]\n{COLUMNS}\n{ROW}\n", "several values"),
        (HEADER, "are missing"),
        (f"{HEADER}subject_id\tobject_id\n", "predicate_id, mapping_justification are missing"),
        (f"{HEADER}{COLUMNS}\tsubject_id\n", "column occurs twice"),
        (f"{HEADER}{COLUMNS}\n{ROW}\textra\n", "does not have 4 cells"),
        (f'{HEADER}{COLUMNS}\n"ex:a', "not tab-separated"),
        (f"{HEADER}{COLUMNS}\n\tskos:exactMatch\tex:1\tsemapv:L\n", "row 1 has no subject_id"),
        (f"{HEADER}{COLUMNS}\nhttps://e.org/a\tskos:exactMatch\tex:1\tsemapv:L\n", "not a CURIE"),
        (f"{HEADER}{COLUMNS}\nyy:a\tskos:exactMatch\tex:1\tsemapv:L\n", "yy are not declared"),
        (f"{HEADER}{COLUMNS}\tmapping_date\n{ROW}\t1 April\n", "mapping_date in row 1"),
        (f"{HEADER}{COLUMNS}\tconfidence\n{ROW}\tsure\n", "confidence in row 1"),
        (f"{HEADER}{COLUMNS}\tconfidence\n{ROW}\tnan\n", r"not in \[0, 1\]"),
    ],
)
def test_a_broken_file_is_refused_with_its_reason(text, why):
    """One fault each."""
    with pytest.raises(UnreadableData, match=why):
        parse_sssom(text)


def test_what_could_not_be_read_is_not_written():
    """An IRI as id, or an undeclared prefix."""
    with pytest.raises(ParameterError, match="No CURIE"):
        format_sssom(_set(_mapping(object_id="https://example.org/1")))
    with pytest.raises(ParameterError, match="not declared"):
        format_sssom(_set(_mapping(object_id="yy:1")))


def test_files(tmp_path):
    """A file is read; one that is not there or not UTF-8 is refused; an empty set has its header only."""
    path = tmp_path / "a.sssom.tsv"
    path.write_text(format_sssom(_set(_mapping())), encoding="utf-8")
    assert load_sssom(path).mappings == (_mapping(),)
    with pytest.raises(MissingFile):
        load_sssom(tmp_path / "b.sssom.tsv")
    path.write_bytes(b"\xff")
    with pytest.raises(UnreadableData, match="not UTF-8"):
        load_sssom(path)
    assert parse_sssom(f"{COLUMNS}\n").mappings == ()
