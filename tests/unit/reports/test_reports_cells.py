"""Cells as bars: areas that are exact, names where there are few, and a drawing of both."""

import math

import numpy as np
import pyarrow as pa
import pytest

from roadworthy.measure.profile.columns import NumberSummary, ValueSummary
from roadworthy.measure.profile.profile import profile_table
from roadworthy.measure.table import from_arrow
from roadworthy.reports.cell_bars import number_bars, spread, value_bars
from roadworthy.reports.charts.cells import cells_chart, cells_words


def summary(values: list[float], reference: list[float] | None = None) -> NumberSummary:
    frozen = None if reference is None else profile_table(from_arrow(pa.table({"x": reference}), "r")).reference
    numbers = profile_table(from_arrow(pa.table({"x": values}), "t"), reference=frozen).columns[0].numbers
    assert numbers is not None
    return numbers


NORMAL = np.random.default_rng(1).normal(100, 15, 20_000).tolist()


def test_spreading_keeps_the_rows_and_the_areas() -> None:
    """Cells of widths 1, 3 and 4 on four bars of width 2; a cell without width is a point."""
    assert spread((0.0, 1.0, 4.0, 8.0), (2, 3, 5), 4) == pytest.approx((0.3, 0.2, 0.25, 0.25))
    assert spread((0.0, 0.0, 8.0), (1, 0), 4) == (1.0, 0.0, 0.0, 0.0)
    assert spread((0.0, 8.0, 8.0), (0, 1), 4) == (0.0, 0.0, 0.0, 1.0)
    assert spread((0.0, 8.0), (0,), 2) == (0.0, 0.0)


def test_bars_of_a_number_follow_its_density() -> None:
    """Quantile cells drawn as they are would be a wall; the bars are the histogram, to a hundredth of the rows."""
    bars = number_bars("x", summary(NORMAL))
    assert bars is not None and bars.names == () and len(bars.current) == 24
    low = float(bars.low.removesuffix(" or less"))
    high = float(bars.high.removesuffix(" or more"))
    assert bars.low.endswith("or less") or low == pytest.approx(min(NORMAL), abs=0.5)
    expected = np.histogram(np.clip(NORMAL, low, high), 24, (low, high))[0] / len(NORMAL)
    # The outermost cells are open, so what is known of them is their rows, not their shape.
    assert np.abs(np.array(bars.current) - expected)[4:-4].max() < 0.01
    assert sum(bars.current) == pytest.approx(1.0)


def test_what_lies_beyond_is_in_the_outermost_bars_and_said() -> None:
    """A window far above the reference stands at the right end."""
    bars = number_bars("x", summary([v + 500 for v in NORMAL], NORMAL), summary(NORMAL))
    assert bars is not None and bars.reference is not None
    assert bars.high.endswith(" or more") and sum(bars.current[-6:]) == pytest.approx(1.0)
    assert sum(bars.reference) == pytest.approx(1.0)


def test_few_codes_get_their_names() -> None:
    """Also those that lie below and above what the reference had."""
    before = [0.0, 1.0, 2.0] * 40
    bars = number_bars("x", summary([-1.0, 0.0, 9.0, 9.0], before), summary(before))
    assert bars is not None and bars.names == ("below 0", "0", "1", "2", "above 2")
    assert bars.current == (0.25, 0.25, 0.0, 0.0, 0.5)
    assert bars.reference == pytest.approx((0, 1 / 3, 1 / 3, 1 / 3, 0))
    alone = number_bars("x", summary(before))
    assert alone is not None and alone.names == ("0", "1", "2") and alone.reference is None


def test_texts_name_the_rest_and_the_unseen() -> None:
    """Eight names, all others, what the reference did not know."""
    known = tuple((f"v{i}", 10) for i in range(10))
    values = ValueSummary(counts=known, unseen=20, empty=0, shortest=1, longest=2)
    bars = value_bars("w", values, ValueSummary(counts=known, unseen=0, empty=0, shortest=1, longest=2))
    assert bars is not None and bars.names == (*(f"v{i}" for i in range(8)), "all others", "not known before")
    assert bars.current[-2:] == pytest.approx((20 / 120, 20 / 120)) and bars.reference is not None
    assert value_bars("w", ValueSummary(counts=(), unseen=0, empty=0, shortest=None, longest=None)) is None


def test_nothing_to_draw() -> None:
    """No value, or a scale without a width."""
    assert number_bars("x", summary([math.inf, -math.inf])) is None
    none = summary([math.nan] * 3, NORMAL)
    assert number_bars("x", none) is None
    assert number_bars("x", none, summary(NORMAL)) is not None
    huge = summary([i * 1e306 for i in range(-170, 170)])
    assert number_bars("x", huge) is None


def test_the_drawings() -> None:
    """Standing bars with an outline and two ends; lying bars with names and shares; both say what they show."""
    bars = number_bars("x", summary(NORMAL), summary(NORMAL))
    assert bars is not None
    drawn = cells_chart(bars)
    assert drawn.count('class="bar"') == 24 and drawn.count("<polyline") == 1 and "style=" not in drawn
    assert "reference as outline" in drawn and "fullest in bar" in cells_words(bars)
    coded = number_bars("<b>", summary([0.0, 1.0, 1.0, 1.0]))
    assert coded is not None
    drawn = cells_chart(coded)
    assert drawn.count('class="bar"') == 2 and "outline" not in drawn and "&lt;b&gt;" in drawn
    assert cells_words(coded) == "<b>, window in bars: 1 75 % and 0 25 %"
    thin = value_bars("w", ValueSummary(counts=(("a", 9_999), ("b", 1)), unseen=0, empty=0, shortest=1, longest=1))
    assert thin is not None and "&lt; 0.1 %" in cells_chart(thin)
