"""Accumulators, plans and states: what joins, what does not, and what the bytes say."""

import json
import math

import pytest

from roadworthy.base.errors import MalformedEvidence, ParameterError
from roadworthy.measure.volume.accumulators import Cells, Extremes, Lengths, Moments, Rows, Special, Values
from roadworthy.measure.volume.ordered import from_ordered, to_ordered
from roadworthy.measure.volume.plan import ALL, ColumnKind, Kind, Split, make_plan
from roadworthy.measure.volume.state import State, join_all, no_rows, read_state, state_of

X = ColumnKind(name="x", kind=Kind.NUMBER)
PLAN = make_plan([X], [Rows(), Special(column="x"), Cells(column="x", edges=(0.0, 1.0))])


def counted(rows: int, *cells: int) -> State:
    """A state of PLAN."""
    return state_of(PLAN, {ALL: ((rows,), (rows - sum(cells), 0, 0, 0), cells)})


def test_a_plan_counts_everything_once() -> None:
    """Asking twice for the same accumulator changes neither the plan nor its digest."""
    twice = make_plan([X], [*PLAN.accumulators, Special(column="x"), Rows()])
    assert twice.accumulators == PLAN.accumulators
    assert twice.digest == PLAN.digest


def test_a_plan_refuses_columns_that_the_table_lacks() -> None:
    """A misspelt column is an error at planning, not a zero later."""
    with pytest.raises(ParameterError, match="reads y"):
        make_plan([X], [Rows(), Special(column="y")])


@pytest.mark.parametrize("edges", [(), (1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (math.nan,)])
def test_edges_rise(edges: tuple[float, ...]) -> None:
    """Cells need finite, strictly rising edges."""
    with pytest.raises(ParameterError, match="edges of x"):
        Cells(column="x", edges=edges)


def test_edges_that_differ_in_the_last_bit_are_another_plan() -> None:
    """The digest loses no bit of an edge."""
    other = make_plan([X], [*PLAN.accumulators[:2], Cells(column="x", edges=(0.0, math.nextafter(1.0, 2.0)))])
    assert other.digest != PLAN.digest


def test_states_add() -> None:
    """Joining adds counts, and nothing is neutral."""
    assert counted(6, 1, 2, 3).join(counted(3, 0, 1, 1)).result(Cells(column="x", edges=(0.0, 1.0))) == (1, 3, 4)
    assert no_rows(PLAN).join(counted(6, 1, 2, 3)).to_bytes() == counted(6, 1, 2, 3).to_bytes()
    assert join_all(PLAN, []).rows == 0


def test_states_of_other_plans_do_not_join() -> None:
    """Counts over other edges are other things."""
    other = make_plan([X], [Rows(), Cells(column="x", edges=(0.5,))])
    with pytest.raises(ParameterError, match="different plans"):
        counted(6, 1, 2, 3).join(no_rows(other))


def test_extremes_join_with_nothing() -> None:
    """A batch without a value leaves the extremes alone."""
    item = Extremes(column="x")
    assert item.join((None, None), (3, 5)) == (3, 5)
    assert item.join((1, 4), (3, 5)) == (1, 5)
    assert Lengths(column="x").join((1, 0, 4), (0, None, None)) == (1, 0, 4)


def test_bytes_read_back() -> None:
    """A state survives its bytes, numbers beyond 53 bits and absent ones included."""
    plan = make_plan(
        [X],
        [Rows(), Extremes(column="x"), Moments(column="x", centre=0.5, unit_exponent=-3)],
        Split(column="x", values=("1",)),
    )
    state = state_of(plan, {"1": ((2,), (None, None), (2, 2**70 + 1, -(2**80), 0))})
    again = read_state(state.to_bytes(), plan)
    assert again.groups == state.groups
    assert again.digest == state.digest


def test_a_state_without_a_row_count_is_refused() -> None:
    """Nobody could tell an empty group from a missing one."""
    plan = make_plan([X], [Special(column="x")])
    with pytest.raises(ParameterError, match="count rows"):
        state_of(plan, {})


def test_groups_without_rows_leave_no_trace() -> None:
    """A site without rows today does not change the bytes."""
    assert state_of(PLAN, {ALL: ((0,), (0, 0, 0, 0), (0, 0, 0))}).to_bytes() == no_rows(PLAN).to_bytes()


def test_asking_for_what_was_not_counted_is_an_error() -> None:
    """A missing count never reads as zero."""
    with pytest.raises(ParameterError, match="does not count"):
        counted(6, 1, 2, 3).result(Values(column="x", known=("a",)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace('"format":1', '"format":9'), "known format"),
        (lambda text: text.replace("sha256:", "sha256:0"), "another plan"),
        (lambda text: text.replace('"":', '"north":'), "no group north"),
        (lambda text: text.replace('"6"', '"six"'), "no whole number"),
        (lambda text: text.replace('["6"]', '["6","6"]'), "has not 1 numbers"),
        (lambda text: text.replace('[["6"],', "["), "one result for each"),
        (lambda text: text.replace('"6"', '"' + "9" * 5_000 + '"'), "40 digits"),
        (lambda text: text.replace('"6"', '"1' + "0" * 30 + '"'), "no rows give"),
        (lambda text: text.replace('"6"', '"-6"'), "no rows give"),
        (lambda text: text.replace('"6"', '""'), "no rows give"),
        (lambda text: text.replace('"6"', '"0"'), "without rows"),
        (lambda text: json.dumps(json.loads(text) | {"groups": []}), "groups are no object"),
    ],
)
def test_damaged_bytes_are_refused(change, why: str) -> None:
    """Every kind of damage is named."""
    text = change(counted(6, 1, 2, 3).to_bytes().decode())
    with pytest.raises(MalformedEvidence, match=why):
        read_state(text.encode(), PLAN)


@pytest.mark.parametrize("value", [0.0, -0.0, 5e-324, -5e-324, 1.0, -1.5, 1e308, -1e308, math.inf, -math.inf])
def test_ordered_numbers_read_back(value: float) -> None:
    """Every double that is not NaN has one whole number; both zeros share one."""
    assert from_ordered(to_ordered(value)) == value
    assert to_ordered(-0.0) == to_ordered(0.0) == 0


def test_ordered_numbers_keep_the_order() -> None:
    """Whole numbers compare as the doubles do."""
    values = [-math.inf, -1e308, -1.5, -5e-324, 0.0, 5e-324, 1.0, 1e308, math.inf]
    assert [to_ordered(value) for value in values] == sorted(to_ordered(value) for value in values)
