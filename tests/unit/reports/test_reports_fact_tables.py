"""Plain JSON as small tables."""

import pytest

from roadworthy.reports.fact_tables import MOST_ROWS, bars_of, cell, tables_of


def test_records_become_a_table_with_its_subject_first():
    """The name of the rows, then texts, then numbers."""
    (table,) = tables_of({"parts": [{"changed": False, "part": "model", "n": 3}, {"part": "config", "why": "edited"}]})
    assert table.columns == ("part", "why", "changed", "n")
    assert table.rows == (("model", "", "no", "3"), ("config", "edited", "", ""))


def test_single_values_share_a_table_before_the_others():
    """Named only when it is not alone."""
    assert [table.title for table in tables_of({"rows": 369})] == [""]
    tables = tables_of({"rules": [{"rule": "a"}], "rows": 369, "generator": {"cpu_share": 0.25}})
    assert [table.title for table in tables] == ["Also noted", "rules", "generator"]
    assert tables[2].rows == (("cpu share", "0.25"),)


def test_rows_left_out_are_counted():
    """Nothing vanishes in silence."""
    (many,) = tables_of({"rules": [{"rule": str(index)} for index in range(MOST_ROWS + 3)]})
    assert (len(many.rows), many.omitted) == (MOST_ROWS, 3)
    (wide,) = tables_of({"columns": {str(index): index for index in range(MOST_ROWS + 2)}})
    assert (len(wide.rows), wide.omitted) == (MOST_ROWS, 2)


def test_no_facts_no_tables():
    """An empty check has none."""
    assert tables_of({}) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (None, "not known"),
        (0.12345, "0.123"),
        ("not_met", "not met"),
        ([], "none"),
        ({}, "none"),
        (["a", 2], "a, 2"),
        ({"a_b": 1}, "a b: 1"),
        ("x" * 200, "x" * 120 + "…"),
        ("two words " * 20, "two words " * 20),
    ],
)
def test_cell(value, text):
    """Any JSON value in words."""
    assert cell(value) == text


def test_a_histogram_is_both_bars_and_a_table():
    """The picture has its numbers beside it."""
    facts = {"latency": {"edges": [1, 2, 4], "counts": [3, 0], "unit": "ms"}}
    (bars,), (table,) = bars_of(facts), tables_of(facts)
    assert (bars.edges, bars.counts, bars.unit) == ((1.0, 2.0, 4.0), (3.0, 0.0), "ms")
    assert (table.columns, table.rows) == (("from ms", "to ms", "count"), (("1", "2", "3"),))


@pytest.mark.parametrize(
    "value",
    [
        {"edges": [1, 2], "counts": [3, 4]},
        {"edges": [2, 1], "counts": [3]},
        {"edges": [1, "2"], "counts": [3]},
        {"edges": [1], "counts": []},
        {"edges": 1, "counts": [3]},
        [1, 2],
    ],
)
def test_what_is_no_histogram(value):
    """Malformed ones are shown as they are."""
    assert bars_of({"latency": value}) == ()
    assert len(tables_of({"latency": value})) == 1
