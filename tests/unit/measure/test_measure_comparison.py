"""The language of comparisons: what it says, and where it stops."""

import pytest

from roadworthy.measure.comparison import (
    Clause,
    Comparison,
    NotAComparison,
    Reading,
    Relation,
    Term,
    is_numeric,
    parse_clauses,
)

X, Y = (Term(column=name) for name in "xy")


@pytest.mark.parametrize(
    ("source", "left", "relation", "right"),
    [
        ("x < y", (X,), Relation.LESS, (Y,)),
        ("x!=y", (X,), Relation.NOT_EQUAL, (Y,)),
        ("x >= -2.5e1", (X,), Relation.AT_LEAST, (Term(factor=-25.0),)),
        ("-x + y*2 - .5 = 3 * x", (Term(column="x", factor=-1.0), Term(column="y", factor=2.0), Term(factor=-0.5)), Relation.EQUAL, (Term(column="x", factor=3.0),)),
        ('"a ""b""" <> \'it\'\'s\'', (Term(column='a "b"'),), Relation.NOT_EQUAL, (Term(text="it's"),)),
        ("größe > y", (Term(column="größe"),), Relation.GREATER, (Y,)),
    ],
)  # fmt: skip
def test_one_clause(source, left, relation, right):
    """Columns, numbers, products, sums, texts and every way to write them."""
    assert parse_clauses(source) == (Clause(left=left, relation=relation, right=right),)


def test_between_is_two_clauses():
    """Both ends are inside; the middle stands on the left of both."""
    low, high = parse_clauses("x between 6 * y AND 9 * y")
    assert (low.relation, high.relation) == (Relation.AT_LEAST, Relation.AT_MOST)
    assert low.left == high.left == (X,)
    comparison = Comparison(clauses=(low, high), reading=Reading.NUMBER)
    assert comparison.columns == ("x", "y")


@pytest.mark.parametrize(
    "source",
    ["", "x", "x y", "x <", "< x", "x < y z", "x == y", "x < NULL", "x < y and y < x", "x between 1", "x between 1 or 2", "1 < 2",
     "'a' + x < 1", "x * y < 1", "f(x) < 1", "x < 'a", "x; drop table data", "x < 2 * 3", "x < 1 AND 1 = 1", "x in (1)"],
)  # fmt: skip
def test_everything_else_is_refused(source):
    """Anything that only SQL can say, and anything broken."""
    with pytest.raises(NotAComparison):
        parse_clauses(source)


def test_numbers_decide_that_numbers_are_compared():
    """A number, a product, a sum or a sign; two bare columns and texts do not."""
    sources = ("x < 1", "2 * x = y", "x = y + y", "-x < y", "x < y", "x = 'a'")
    assert [is_numeric(parse_clauses(source)) for source in sources] == [True, True, True, True, False, False]
