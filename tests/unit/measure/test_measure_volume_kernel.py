"""The counting kernel beyond small tables: blocks, pairs, both grids, gaps at any offset, and rules told by extremes."""

import math

import numpy as np
import pyarrow as pa
import pytest

from roadworthy.base.errors import EngineRefused
from roadworthy.measure.rule import NONE_ALLOWED, Dimension, Limits, Rule
from roadworthy.measure.rule import Kind as RuleKind
from roadworthy.measure.volume.accumulators import Broken, Cells, Extremes, LabelledCells, Lengths, Moments, Special
from roadworthy.measure.volume.compile import numpy_numbers as module
from roadworthy.measure.volume.compile.numpy_numbers import LabelledTally, NumberTally, doubles_with_gaps
from roadworthy.measure.volume.compile.numpy_rules import BatchReader, bad_rows
from roadworthy.measure.volume.grid import CellFinder, _ByBits, _Even
from roadworthy.measure.volume.plan import Kind
from roadworthy.measure.volume.scratch import BLOCK

RNG = np.random.default_rng(11)
LAWS = {
    "normal": RNG.normal(size=BLOCK + 4_321),
    "skewed": np.exp(RNG.normal(0, 4, size=BLOCK + 4_321)),
    "both sides": np.exp(RNG.normal(0, 6, size=BLOCK + 4_321)) * RNG.choice([-1.0, 1.0], BLOCK + 4_321),
    "far": RNG.normal(size=BLOCK + 4_321) * 1e300,
    "tiny": RNG.normal(size=BLOCK + 4_321) * 1e-310,
    "codes": RNG.integers(-3, 3, BLOCK + 4_321).astype(float),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("count", [1, 2, 63, 127, 128, 255, 256, 300])
def test_cells_are_those_of_a_binary_search(law, count) -> None:
    """For every width of a cell's number, with values on edges, one ulp beside them and far outside."""
    values = LAWS[law]
    edges = np.unique(np.quantile(values, np.arange(1, count + 1) / (count + 1), method="inverted_cdf") + 0.0)
    beside = np.concatenate(
        [edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf), [1.7e308, -1.7e308, -0.0]]
    )
    values = np.concatenate([values, beside])
    finder = CellFinder(tuple(edges.tolist()))
    expected = np.searchsorted(edges, values, side="right")
    assert finder.find(values).tolist() == expected.tolist()
    total = np.zeros(finder.cells, np.int64)
    for start in range(0, values.size, BLOCK - 1):
        block = values[start : start + BLOCK - 1]
        total += finder.count(block, float(block.min()), float(block.max()))
    assert total.tolist() == np.bincount(expected, minlength=finder.cells).tolist()


def test_the_grid_follows_the_edges() -> None:
    """Evenly spaced where that parts the edges, by leading bits where it would heap them up."""
    even = CellFinder(tuple(np.quantile(LAWS["normal"], np.arange(1, 64) / 64).tolist()))
    bits = CellFinder(tuple(np.quantile(LAWS["skewed"], np.arange(1, 64) / 64).tolist()))
    assert isinstance(even._grid, _Even)
    assert isinstance(bits._grid, _ByBits)
    assert not bits._crowded_any


def test_edges_a_hair_apart_are_searched() -> None:
    """No grid parts them; few values there, then nearly all."""
    near = [1.0]
    for _ in range(5):
        near.append(math.nextafter(near[-1], 2.0))
    edges = (-1e9, *near, 1e9)
    few = np.concatenate([RNG.normal(0, 1e6, 5_000), near])
    for values in (few, np.array(near * 10)):
        assert CellFinder(edges).find(values).tolist() == np.searchsorted(edges, values, side="right").tolist()


@pytest.mark.parametrize("offset", [0, 1, 7, 8, 13])
@pytest.mark.parametrize("stored", [pa.float64(), pa.float32(), pa.int32(), pa.decimal128(20, 3), pa.timestamp("ms")])
def test_gaps_at_any_offset_are_left_out(offset, stored) -> None:
    """What stands under a null is never counted, wherever the slice begins."""
    whole = RNG.integers(-50, 50, BLOCK + 999)
    gaps = RNG.random(whole.size) < 0.4
    plain = pa.array(whole, pa.int64()).cast(pa.int32()) if pa.types.is_decimal(stored) else pa.array(whole)
    full = pa.array(plain.cast(stored).to_pylist(), stored, mask=gaps) if pa.types.is_decimal(stored) else None
    array = full if full is not None else pa.array(whole, mask=gaps).cast(stored)
    kind = Kind.INSTANT if pa.types.is_timestamp(stored) else Kind.NUMBER
    scale = 1_000 if kind is Kind.INSTANT else 1
    item = Cells(column="x", edges=(-10.0 * scale, 0.0, 20.0 * scale))
    found = NumberTally([item, Special(column="x"), Extremes(column="x")]).count(array.slice(offset), kind)
    kept = whole[offset:][~gaps[offset:]] * scale
    assert list(found[item]) == np.bincount(np.searchsorted(item.edges, kept, side="right"), minlength=4).tolist()
    assert found[Special(column="x")] == (int(gaps[offset:].sum()), 0, 0, 0)


def test_nothing_but_nulls_or_infinities_is_counted_as_such() -> None:
    """Blocks without a single finite value."""
    wanted = [Special(column="x"), Extremes(column="x"), Moments(column="x", centre=0.0, unit_exponent=0)]
    for array, special in (
        (pa.nulls(BLOCK + 5, pa.float64()), (BLOCK + 5, 0, 0, 0)),
        (pa.array([np.inf, -np.inf, np.nan, np.inf]), (0, 1, 1, 2)),
        (pa.array([], pa.float64()), (0, 0, 0, 0)),
    ):
        found = NumberTally(wanted).count(array, Kind.NUMBER)
        assert found[wanted[0]] == special
        assert found[wanted[1]] == (None, None)
        assert found[wanted[2]] == (0, 0, 0, 0)


def test_sums_over_many_blocks_are_exact() -> None:
    """Beside Python's whole numbers, for values small, large and too far."""
    values = np.concatenate([RNG.normal(0, 1, BLOCK), RNG.normal(0, 2.0**40, BLOCK), np.full(100, 2.0**44)])
    item = Moments(column="x", centre=0.5, unit_exponent=0)
    units = [int(unit) for unit in np.rint(values - 0.5).tolist()]
    near = [unit for unit in units if abs(unit) <= 2**43]
    squares = [int(np.rint(float(unit) * float(unit) * 2.0**-24)) for unit in near]
    found = NumberTally([item]).count(pa.array(values), Kind.NUMBER)[item]
    assert found == (len(near), sum(near), sum(squares), len(units) - len(near))


def rule(kind: RuleKind, **more) -> Broken:
    """A rule about the column x."""
    return Broken(
        rule=Rule(
            rule_id="r", dimension=Dimension.VALIDITY, kind=kind, columns=("x",), bound=NONE_ALLOWED, line=1, **more
        )
    )


LIMITS = [
    Limits(),
    Limits(lower=-1.0, upper=1.0),
    Limits(lower=-1.0, upper=1.0, lower_inclusive=False, upper_inclusive=False),
    Limits(lower=2.0, upper=-2.0),
    Limits(upper=float("inf")),
    Limits(lower=float("-inf"), lower_inclusive=False),
    Limits(lower="-1", upper="1e3"),
]
COLUMNS = [
    pa.array([*RNG.normal(size=BLOCK), np.nan, np.inf, -np.inf, 1.0, -1.0, None]),
    pa.array([0.0, 0.5, None]),
    pa.array([None, -1, 0, 1, 2], pa.int8()),
    pa.array([2**53 + 1, 1], pa.int64()),
    pa.nulls(3, pa.float64()),
]


@pytest.mark.parametrize("item", [rule(RuleKind.NULL), *(rule(RuleKind.RANGE, limits=limits) for limits in LIMITS)])
@pytest.mark.parametrize("array", COLUMNS)
def test_rules_told_by_extremes_count_what_the_row_by_row_way_counts(item, array) -> None:
    """Null and range, on numbers with and without gaps, NaN and infinities."""
    assert module.is_counted_here(item, array.type, Kind.NUMBER)
    slow = bad_rows(item, BatchReader(pa.record_batch({"x": array})))
    assert NumberTally([item]).count(array, Kind.NUMBER)[item] == (slow,)


def test_other_rules_and_types_keep_the_row_by_row_way() -> None:
    """Dates, texts, decimals, and rules that are no interval."""
    assert not module.is_counted_here(rule(RuleKind.RANGE, text="date"), pa.float64(), Kind.NUMBER)
    assert not module.is_counted_here(rule(RuleKind.SET, values=(1,)), pa.float64(), Kind.NUMBER)
    assert not module.is_counted_here(rule(RuleKind.NULL), pa.decimal128(9, 2), Kind.NUMBER)
    assert not module.is_counted_here(rule(RuleKind.NULL), pa.timestamp("us"), Kind.INSTANT)


def test_what_is_no_number_is_refused() -> None:
    """A text column read as a number, and an accumulator of texts on numbers."""
    with pytest.raises(EngineRefused, match="not a number"):
        NumberTally([Extremes(column="x")]).count(pa.array(["a"]), Kind.NUMBER)
    with pytest.raises(EngineRefused, match="lengths"):
        NumberTally([Lengths(column="x")]).count(pa.array([1.0]), Kind.NUMBER)


def test_scores_by_cell_and_label() -> None:
    """More cells than a byte holds, labels with gaps."""
    edges = tuple((np.arange(1, 400) / 400).tolist())
    scores, labels = RNG.random(3_000), RNG.integers(0, 3, 3_000)
    given = doubles_with_gaps(pa.array(np.where(labels == 2, 0, labels), mask=labels == 2), Kind.NUMBER)
    found = LabelledTally(LabelledCells(score="s", label="y", edges=edges)).count(scores, given)
    cells = np.searchsorted(edges, scores, side="right")
    expected = [int(np.sum((labels == label) & (cells == cell))) for label in range(3) for cell in range(400)]
    assert list(found) == expected
