"""The numpy engine against counting by hand, and the laws of states: any cut, any order, the same bytes."""

import math
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.measure.volume.accumulators import (
    FAR,
    SQUARE_SHIFT,
    Cells,
    Extremes,
    LabelledCells,
    Lengths,
    Moments,
    Rows,
    Special,
    Values,
)
from roadworthy.measure.volume.compile.numpy import measure_batches
from roadworthy.measure.volume.grid import CellFinder
from roadworthy.measure.volume.ordered import to_ordered
from roadworthy.measure.volume.plan import OTHER_GROUP, ColumnKind, Kind, Split, make_plan
from roadworthy.measure.volume.reference import edges_at_quantiles

DOUBLES = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [0.0, -0.0, 1.0, 2.0**53 + 2, -(2.0**53), 5e-324, -5e-324, 1e308, -1e308, 0.1, 0.3]
)
TEXTS = st.none() | st.text(max_size=4) | st.sampled_from(["a", "b", "\u00e9", "e\u0301", ""])
EDGES = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=12, unique=True).map(
    lambda items: tuple(sorted({item + 0.0 for item in items}))
)
ROWS = st.lists(st.tuples(st.none() | DOUBLES, TEXTS, st.none() | st.booleans()), max_size=40)
MOMENTS = Moments(column="x", centre=0.25, unit_exponent=-20)


def plan_of(edges: tuple[float, ...], *, split: bool = False):
    """A plan with every accumulator."""
    kinds = [
        ColumnKind(name="x", kind=Kind.NUMBER),
        ColumnKind(name="t", kind=Kind.TEXT),
        ColumnKind(name="y", kind=Kind.FLAG),
    ]
    return make_plan(
        kinds,
        [
            Rows(),
            Special(column="x"),
            Extremes(column="x"),
            MOMENTS,
            Cells(column="x", edges=edges),
            LabelledCells(score="x", label="y", edges=edges),
            Special(column="t"),
            Values(column="t", known=("a", "\u00e9")),
            Lengths(column="t"),
            Values(column="y", known=("true", "false")),
        ],
        Split(column="t", values=("a", "b")) if split else None,
    )


def batch_of(rows) -> pa.RecordBatch:
    """Rows as Arrow."""
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.record_batch(
        {
            "x": pa.array(columns[0], pa.float64()),
            "t": pa.array(columns[1], pa.string()),
            "y": pa.array(columns[2], pa.bool_()),
        }
    )


def by_hand(rows, edges: tuple[float, ...]):
    """Every result by plain Python, a row at a time."""
    xs = [row[0] for row in rows if row[0] is not None]
    finite = [x for x in xs if math.isfinite(x)]
    cell = [sum(edge <= x for edge in edges) for x in finite]
    units = [float(np.rint((x - MOMENTS.centre) * 2.0**-MOMENTS.unit_exponent)) for x in finite]
    near = [unit for unit in units if abs(unit) <= FAR]
    squares = [int(np.rint(unit * unit * 2.0**-SQUARE_SHIFT)) for unit in near]
    labelled = Counter(
        (2 if y is None else int(y), sum(edge <= x for edge in edges))
        for x, _, y in rows
        if x is not None and math.isfinite(x)
    )
    texts = [row[1] for row in rows if row[1] is not None]
    flags = [row[2] for row in rows if row[2] is not None]
    return (
        (len(rows),),
        (len(rows) - len(xs), sum(map(math.isnan, xs)), xs.count(-math.inf), xs.count(math.inf)),
        (min(map(to_ordered, finite), default=None), max(map(to_ordered, finite), default=None)),
        (len(near), sum(map(int, near)), sum(squares), len(units) - len(near)),
        tuple(cell.count(index) for index in range(len(edges) + 1)),
        tuple(labelled[label, index] for label in range(3) for index in range(len(edges) + 1)),
        (len(rows) - len(texts), 0, 0, 0),
        (texts.count("a"), texts.count("\u00e9"), len(texts) - texts.count("a") - texts.count("\u00e9")),
        (texts.count(""), min(map(len, texts), default=None), max(map(len, texts), default=None)),
        (flags.count(True), flags.count(False), 0),
    )


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, edges=EDGES)
def test_numpy_counts_as_a_person_would(rows, edges) -> None:
    """Every accumulator equals its definition, row by row."""
    plan = plan_of(edges)
    state = measure_batches(plan, [batch_of(rows)])
    expected = by_hand(rows, edges)
    assert tuple(state.result(item) for item in plan.accumulators) == expected


@settings(max_examples=60, deadline=None)
@given(
    rows=ROWS, edges=EDGES, cuts=st.lists(st.integers(0, 40), max_size=5), seed=st.integers(0, 99), split=st.booleans()
)
def test_any_cut_and_order_gives_the_same_bytes(rows, edges, cuts, seed, split) -> None:
    """Rows in any order, cut anywhere, measured apart and joined, are the rows at once."""
    plan = plan_of(edges, split=split)
    whole = measure_batches(plan, [batch_of(rows)])
    mixed = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [batch_of(mixed[low:high]) for low, high in pairwise(ends)]
    assert measure_batches(plan, parts).to_bytes() == whole.to_bytes()
    apart = [measure_batches(plan, [part]) for part in reversed(parts)]
    joined = apart[0]
    for state in apart[1:]:
        joined = state.join(joined)
    assert joined.to_bytes() == whole.to_bytes()


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, edges=EDGES)
def test_groups_add_up_to_the_whole(rows, edges) -> None:
    """Split and unsplit plans count the same in all."""
    plain, split = plan_of(edges), plan_of(edges, split=True)
    whole, apart = measure_batches(plain, [batch_of(rows)]), measure_batches(split, [batch_of(rows)])
    for item in plain.accumulators:
        assert whole.result(item) == apart.result(item)
    others = [row for row in rows if row[1] not in ("a", "b")]
    assert apart.result(Rows(), OTHER_GROUP) == (len(others),)


@settings(max_examples=200, deadline=None)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60), edges=EDGES)
def test_the_grid_finds_the_cell_of_a_binary_search(values, edges) -> None:
    """The two-level search is exact for far, close and equal values and edges."""
    beside = [math.nextafter(edge, end) for edge in edges for end in (-math.inf, math.inf)]
    numbers = np.array([number for number in (*values, *edges, *beside) if math.isfinite(number)])
    assert CellFinder(edges).find(numbers).tolist() == np.searchsorted(edges, numbers, side="right").tolist()


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200), cells=st.integers(2, 70))
def test_fitted_edges_keep_ties_together(values, cells) -> None:
    """Never too many, always rising, and equal values share a cell by themselves when there are few of them."""
    numbers = np.array(values)
    edges = edges_at_quantiles(numbers, cells)
    distinct = set((numbers + 0.0).tolist())
    assert 1 <= len(edges) <= max(cells - 1, 2)
    assert list(edges) == sorted(set(edges))
    assert set(edges[:-1]) <= distinct
    if len(distinct) <= max(cells - 2, 1):
        found = CellFinder(edges).find(np.array(sorted(distinct)))
        assert found.tolist() == list(range(1, len(distinct) + 1))
        beyond = np.array([math.nextafter(min(distinct), -math.inf), math.nextafter(max(distinct), math.inf)])
        assert CellFinder(edges).find(beyond).tolist() == [0, len(distinct) + 1]


def test_moments_are_the_exact_sums_of_rounded_values() -> None:
    """The mean differs from the exact one by less than half a unit, and the variance by its stated share."""
    values = np.random.default_rng(3).normal(100.0, 7.0, 50_000)
    item = Moments(column="x", centre=99.0, unit_exponent=-21)
    plan = make_plan([ColumnKind(name="x", kind=Kind.NUMBER)], [Rows(), item])
    n, total, squares, far = measure_batches(plan, [pa.record_batch({"x": values})]).result(item)
    assert n == 50_000
    assert far == 0
    mean = Fraction(total, n) * Fraction(2) ** item.unit_exponent + 99
    assert abs(mean - sum(map(Fraction, values.tolist())) / n) < Fraction(2) ** (item.unit_exponent - 1)
    variance = (squares / n * 2.0**SQUARE_SHIFT - (total / n) ** 2) * 4.0**item.unit_exponent
    assert math.isclose(variance, values.var(), rel_tol=2.0**-24)


def test_large_sums_do_not_wrap() -> None:
    """Values near the limit of the unit are summed in whole numbers, beyond it they are counted as far."""
    item = Moments(column="x", centre=0.0, unit_exponent=0)
    plan = make_plan([ColumnKind(name="x", kind=Kind.NUMBER)], [Rows(), item])
    values = np.full(70_000, float(FAR))
    values[-1] = FAR + 1
    state = measure_batches(plan, [pa.record_batch({"x": values})])
    assert state.result(item) == (69_999, 69_999 * FAR, 69_999 * (FAR * FAR >> SQUARE_SHIFT), 1)
