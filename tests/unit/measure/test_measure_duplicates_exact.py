"""Equal rows at both levels, the normal form behind them, and the clusters that every level ends in."""

import csv
import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.errors import ContractError, ParameterError
from roadworthy.measure.duplicates.clusters import Clusters, clusters_of, distinct, scored_pairs
from roadworthy.measure.duplicates.exact import Level, exact_duplicates
from roadworthy.measure.duplicates.normalise import normal_text, normal_value

_TRICKY = st.sampled_from("0123.,-+'´`’ \u00ad\u0301\u200baAßﬁ−%()#_½")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "MU\u0308LLER "),
        ("Straße", "STRASSE"),
        ("ﬁle", "file"),
        ("O'Brien", "O’Brien"),
        ("O´Brien", "obrien"),
        ("St. Mary-Hospital", "st mary hospital"),
        ("co\u00adop", "coop"),
        ("12", "12.0"),
        ("+12.50", "(12.500)"),
        ("-0.0", "0"),
        ("−5 °C", "-5 °C"),
    ],
)
def test_what_typing_adds_does_not_count(one, other):
    """Both texts have one normal form."""
    assert normal_text(one) == normal_text(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5 mg", "15 mg"),
        ("1.5 mg", "1 5 mg"),
        ("-5", "5"),
        ("<5", ">5"),
        ("5 %", "5"),
        ("C++", "C"),
        ("01234", "1234"),
        ("1e5", "100000"),
        ("v1.10", "v1.1"),
        ("x", "y"),
    ],
)
def test_what_carries_meaning_stays(one, other):
    """Two texts that say different things keep different forms."""
    assert normal_text(one) != normal_text(other)


def test_a_dash_joins_or_signs_by_what_stands_before_it():
    """Between digits it separates; after a bracket or a symbol it is a sign."""
    assert normal_text("2024-01-02") == "2024 01 02"
    assert normal_text("(-5)") == "-5"
    assert normal_text("<-5") == "<-5"
    assert normal_text("- 5 -") == "5"
    assert normal_text("-") == ""
    assert normal_text("a-") == "a"


@given(st.text(alphabet=st.one_of(st.characters(), _TRICKY), max_size=20))
def test_the_form_of_a_form_is_itself(text):
    """Normalising twice changes nothing, and case never matters."""
    form = normal_text(text)
    assert normal_text(form) == form
    assert normal_text(text.casefold()) == form


@given(st.integers(), st.integers(0, 6))
def test_numbers_meet_across_types(number, zeros):
    """An integer, its decimal and its texts are one value, beyond 2**53 too."""
    text = str(number) + ("." + "0" * zeros if zeros else "")
    assert normal_value(number) == normal_value(text) == normal_value(Decimal(text)) == str(number)


def test_values_of_every_plain_type_have_a_form():
    """Nulls and empty texts have none; a nested value is a caller's mistake."""
    assert normal_value(None) is None
    assert normal_value(" .. ") is None
    assert normal_value(b"") is None
    assert normal_value(b"\x01") == "01"
    assert normal_value(value=True) == "true"
    assert normal_value(0.1) == "0.1"
    assert normal_value(1e22) == "1" + "0" * 22
    assert normal_value(-0.0) == "0"
    assert [normal_value(x) for x in (math.nan, math.inf, -math.inf)] == ["nan", "inf", "-inf"]
    assert normal_value(dt.date(2024, 1, 2)) == "2024-01-02"
    assert normal_value(dt.timedelta(days=1)) == "1 day, 0:00:00"
    with pytest.raises(TypeError):
        normal_value([1])


def test_levels_differ_where_they_should():
    """Byte-equal rows are few; normalised ones join case, form of number and empty with null."""
    table = pa.table(
        {
            "name": ["Ann", "Ann", "ann ", "Bob", None, "", "Ann"],
            "size": ["12", "12", "12.0", "12", None, None, None],
            "row": range(7),
        }
    )
    strict = exact_duplicates(table, level=Level.BYTES, columns=["name", "size"])
    loose = exact_duplicates(table, level=Level.NORMALISED, columns=["name", "size"])
    assert strict.clusters.members() == ((0, 1),)
    assert strict.rows_without_content == 1
    assert loose.clusters.members() == ((0, 1, 2),)
    assert loose.rows_without_content == 2
    assert exact_duplicates(table, level=Level.BYTES).clusters.redundant_rows == 0


def test_bytes_mean_as_stored():
    """-0.0 is not 0.0, NaN is NaN, null is null; a null column alone gives no content."""
    table = pa.table({"x": pa.array([0.0, -0.0, math.nan, math.nan, None, None]), "y": pa.array([1] * 6)})
    assert exact_duplicates(table, level=Level.BYTES).clusters.members() == ((2, 3), (4, 5))
    assert exact_duplicates(table, level=Level.NORMALISED).clusters.members() == ((0, 1), (2, 3), (4, 5))
    empty = exact_duplicates(pa.table({"z": pa.nulls(3)}), level=Level.BYTES)
    assert (empty.rows_without_content, empty.clusters.redundant_rows) == (3, 0)


def test_dictionary_columns_and_chunks_are_the_same_rows():
    """How Arrow holds a column does not matter."""
    plain = pa.table({"x": ["a", "b", "a", None]})
    coded = pa.table({"x": pa.chunked_array([["a", "b"], ["a", None]]).dictionary_encode()})
    for level in Level:
        one, two = (exact_duplicates(table, level=level).clusters.labels for table in (plain, coded))
        assert one.tolist() == two.tolist() == [0, 1, 0, 3]


@given(st.lists(st.tuples(st.sampled_from(["a", "A ", "b", None]), st.sampled_from([1.0, 2.0, None])), max_size=30))
def test_clusters_are_those_of_a_dictionary(rows):
    """Against the plain way: group rows by the tuple of their values."""
    table = pa.table(
        {"x": pa.array([r[0] for r in rows], pa.string()), "y": pa.array([r[1] for r in rows], pa.float64())}
    )
    groups = {}
    for number, row in enumerate(rows):
        if row != (None, None):
            groups.setdefault(row, []).append(number)
    expected = tuple(sorted(tuple(group) for group in groups.values() if len(group) > 1))
    assert exact_duplicates(table, level=Level.BYTES).clusters.members() == expected


def test_unusable_columns_are_refused():
    """Unknown, nested or no columns."""
    table = pa.table({"x": [[1]]})
    with pytest.raises(ContractError, match="no column"):
        exact_duplicates(table, level=Level.BYTES, columns=["y"])
    with pytest.raises(ContractError, match="nested"):
        exact_duplicates(table, level=Level.BYTES)
    with pytest.raises(ParameterError):
        exact_duplicates(table, level=Level.BYTES, columns=[])


def test_clusters_chain_and_are_named_by_their_first_row():
    """Pairs in any order give the same clusters; the table lists only rows with company."""
    clusters = clusters_of(6, [5, 3, 1], [3, 1, 4])
    assert clusters.labels.tolist() == [0, 1, 2, 1, 1, 1]
    assert clusters.members() == ((1, 3, 4, 5),)
    assert (clusters.redundant_rows, clusters.largest, clusters.redundant_share) == (3, 4, 0.5)
    assert clusters.to_arrow().to_pydict() == {"cluster": [1] * 4, "row": [1, 3, 4, 5], "size": [4] * 4}
    nobody = clusters_of(0, [], [])
    assert (nobody.row_count, nobody.largest, nobody.redundant_share, nobody.members()) == (0, 0, 0.0, ())
    assert clusters_of(2, [], []).to_arrow().num_rows == 0
    assert Clusters(labels=np.arange(2)).largest == 1
    with pytest.raises(ParameterError):
        clusters_of(2, [0], [2])


def test_pairs_have_one_form():
    """Smaller row first, ordered; bad scores and self-pairs are refused."""
    pairs = scored_pairs([4, 1], [2, 3], [0.5, 1.0])
    assert pairs.to_arrow().to_pydict() == {"left": [1, 2], "right": [3, 4], "score": [1.0, 0.5]}
    assert len(pairs.at_least(0.6)) == 1
    for left, right, score in ([1], [1], [0.5]), ([1], [2, 3], [0.5]), ([1], [2], [math.nan]), ([1], [2], [1.1]):
        with pytest.raises(ParameterError):
            scored_pairs(left, right, score)


def test_real_site_list(shared_data):
    """Early-childhood sites: normalising finds more copies than bytes do, nearly all of one true entity."""
    path = shared_data / "dedupe_csv_example" / "csv_example_input_with_true_ids.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = ["Site name", "Address", "Zip", "Phone"]
    table = pa.table({name: [row[name] for row in rows] for name in names})
    strict, loose = (exact_duplicates(table, level=level).clusters for level in Level)
    assert (strict.row_count, strict.redundant_rows, loose.redundant_rows) == (3337, 448, 753)
    mixed = [group for group in loose.members() if len({rows[row]["True Id"] for row in group}) > 1]
    assert (len(mixed), len(loose.members())) == (2, 512)


@given(st.lists(st.integers(-9, 9), max_size=30))
def test_distinct_is_the_sorted_set(codes):
    """Against Python, the empty list included."""
    assert distinct(np.array(codes, dtype=np.int64)).tolist() == sorted(set(codes))
