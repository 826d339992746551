import pytest

from roadworthy.base.errors import DependencyCycle
from roadworthy.gates.order import cheapest_order, find_circle, require_acyclic


def test_cheap_comes_first_and_dependencies_before_dependents():
    """C is cheapest but waits for A; ties go to the smaller id."""
    assert cheapest_order({"A": 5, "B": 3, "C": 1, "D": 3}, {"C": ["A"]}) == ("A", "C", "B", "D")
    assert cheapest_order({"A": 9, "B": 3, "C": 1, "D": 3}, {"C": ["A"]}) == ("B", "D", "A", "C")


def test_what_unblocks_more_is_worth_more():
    """Two days for three criteria beat one day for one."""
    assert cheapest_order({"A": 2, "B": 1, "C": 9, "D": 9}, {"C": ["A"], "D": ["A"]})[0] == "A"


def test_only_the_last_dependency_unblocks():
    """C waits for A and B, so A alone frees nothing."""
    assert cheapest_order({"A": 2, "B": 50, "C": 1, "D": 1.5}, {"C": ["A", "B"]}) == ("D", "A", "B", "C")


def test_closed_dependencies_are_no_dependencies():
    """Only gaps that are open can hold one back."""
    assert cheapest_order({"A": 1}, {"A": ["Z"]}) == ("A",)


def test_a_circle_still_has_an_order():
    """Deciding never fails for a slip in a pack."""
    assert cheapest_order({"A": 2, "B": 1, "C": 0.5}, {"A": ["B"], "B": ["A"]}) == ("C", "B", "A")


def test_nothing_has_no_order():
    """No gaps."""
    assert cheapest_order({}, {}) == ()


@pytest.mark.parametrize(
    ("depends_on", "circle"),
    [
        ({}, ()),
        ({"A": ["B"], "B": []}, ()),
        ({"A": ["Z"]}, ()),
        ({"A": ["A"]}, ("A",)),
        ({"A": ["C"], "C": ["B"], "B": ["C"], "D": ["A"]}, ("B", "C")),
        ({"B": ["C"], "C": ["A"], "A": ["B"]}, ("A", "B", "C")),
    ],
)
def test_a_circle_is_found_from_its_smallest_member(depends_on, circle):
    """Gaps that merely wait for a circle are not part of it."""
    assert find_circle(depends_on) == circle


def test_a_circle_is_named():
    """The error shows the way round, and its code."""
    with pytest.raises(DependencyCycle, match="A waits for B waits for A") as caught:
        require_acyclic({"A": ["B"], "B": ["A"]})
    assert caught.value.code == "RW-112"
    require_acyclic({"A": ["B"]})
