"""The drawings: interval, life, histogram, dependencies."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports_world import count, measured, predicate

from roadworthy.reports.charts.dependencies import GapEdge, GapNode, dependency_chart
from roadworthy.reports.charts.histogram import histogram_chart
from roadworthy.reports.charts.interval import axis, interval_chart, interval_words
from roadworthy.reports.charts.layers import Sizes, place
from roadworthy.reports.charts.life import life_bar
from roadworthy.reports.fact_tables import Bars
from roadworthy.reports.figure import figure_of

SIZES = Sizes(node_width=100, node_height=50, layer_gap=40, node_gap=10, lane_height=10)
AUC = figure_of(measured("auc", 0.687, 0.611, 0.762, 123), predicate("auc", ">=", 0.8, "1"))
P99 = figure_of(measured("p99_ms", 431, 412, 455, 9000, "ms"), predicate("p99_ms", "<=", 500, "ms"))


def number_of(drawing, kind, name):
    """An attribute of the first element of a class."""
    for element in ET.fromstring(drawing).iter():
        if element.get("class") == kind:
            return float(element.get(name))
    raise AssertionError(kind)


def test_the_passing_side_is_right_of_a_minimum():
    """From the bound to the end of the track."""
    drawing = interval_chart(AUC)
    bound = number_of(drawing, "bound", "x1")
    assert number_of(drawing, "pass", "x") == bound
    assert number_of(drawing, "est", "cx") < bound


def test_the_passing_side_is_left_of_a_maximum():
    """From the start of the track to the bound."""
    drawing = interval_chart(P99)
    bound = number_of(drawing, "bound", "x1")
    assert number_of(drawing, "pass", "x") + number_of(drawing, "pass", "width") == pytest.approx(bound, abs=0.11)
    assert number_of(drawing, "est", "cx") < bound


def test_the_interval_spans_its_ends_in_order():
    """Lower, estimate, upper; with caps."""
    drawing = interval_chart(AUC)
    left, right = number_of(drawing, "ci", "x1"), number_of(drawing, "ci", "x2")
    assert left < number_of(drawing, "est", "cx") < right
    assert drawing.count('class="ci"') == 3


def test_an_exact_score_has_no_caps():
    """A dot on its own."""
    drawing = interval_chart(figure_of(count("found_share", 1.0, 8, "1"), predicate("found_share", ">=", 0.95, "1")))
    assert drawing.count('class="ci"') == 1
    assert "≥ 95 %" in drawing


def test_the_words_say_what_the_picture_shows():
    """Estimate, interval, n, bound and verdict."""
    assert interval_words(AUC) == (
        "AUC 0.687 [0.611, 0.762], 95 % interval in brackets, from 123, bound at least 0.80: not met"
    )
    assert interval_words(figure_of(count("auc", 0.9, 3, "1"), None)) == "AUC 0.90, from 3"


def test_a_name_cannot_become_markup():
    """Metrics come from anybody's check."""
    drawing = interval_chart(figure_of(measured("<script>", 1, 0, 2, 9), predicate("<script>", ">=", 1, "1")))
    assert "<script" not in drawing
    ET.fromstring(drawing)


finite = st.floats(-1e9, 1e9, allow_nan=False)


@given(finite, finite, finite)
def test_the_axis_holds_everything(first, second, bound):
    """Interval and bound lie inside, and it never has no length."""
    low, high = sorted((first, second))
    start, end = axis(low, high, bound, "ms")
    assert start <= min(low, bound) <= max(high, bound) <= end
    assert start < end


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_axis_of_a_share_stays_in_its_range(first, second, bound):
    """No picture of 120 %."""
    start, end = axis(*sorted((first, second)), bound, "1")
    assert 0 <= start < end <= 1


@pytest.mark.parametrize(("used", "left", "soon"), [(0.0, "64", False), (0.5, "32", False), (0.8, "12.8", True)])
def test_life(used, left, soon):
    """What is left, and a warning near the end."""
    drawing = life_bar(used)
    assert f'class="left" width="{left}"' in drawing
    assert ("soon" in drawing) is soon
    assert 'aria-hidden="true"' in drawing


def test_a_life_that_is_over_has_no_bar():
    """Only the empty track; and out of range is out of range."""
    assert 'class="left"' not in life_bar(1.0)
    assert 'class="left"' not in life_bar(7.0)
    assert 'width="64"' in life_bar(-1.0)


def test_histogram():
    """One bar a bucket, the tallest for the most, ends named."""
    bars = Bars(title="latency <x>", edges=(1.0, 2.0, 4.0, 8.0), counts=(5.0, 10.0, 0.0), unit="ms")
    root = ET.fromstring(histogram_chart(bars))
    heights = [float(each.get("height")) for each in root.iter("rect")]
    assert heights[1] == max(heights) == 2 * heights[0]
    assert heights[2] == 0
    assert root.find("title").text == "latency <x>: 15 values from 1 ms to 8 ms, most from 2 to 4 ms"


def test_an_empty_histogram_is_flat():
    """No division by nothing."""
    drawing = histogram_chart(Bars(title="t", edges=(0.0, 1.0), counts=(0.0,), unit=""))
    assert 'height="0"' in drawing


# ── layers ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def node(name, *, critical=False):
    return GapNode(id=name, title=f"Title of {name} & more", owner="<team>", effort="2–8 d", critical=critical)


def test_left_comes_first():
    """A node stands right of everything that it waits for."""
    placed = place(["a", "b", "c", "d"], [("a", "b"), ("b", "c"), ("a", "c")], SIZES)
    assert placed.nodes["a"][0] < placed.nodes["b"][0] < placed.nodes["c"][0]
    assert placed.nodes["d"][0] == 0
    assert placed.width == 3 * 100 + 2 * 40
    assert len(placed.routes["a", "c"]) == 4


def test_nothing_to_place():
    """No size, no error."""
    placed = place([], [], SIZES)
    assert (placed.width, placed.height) == (0.0, 0.0)


@st.composite
def graphs(draw):
    """Acyclic graphs of up to nine nodes."""
    names = [f"n{index}" for index in range(draw(st.integers(1, 9)))]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return names, draw(st.lists(st.sampled_from(pairs), unique=True, max_size=14)) if pairs else []


@given(graphs())
def test_boxes_never_overlap_and_stay_inside(graph):
    """Whatever the dependencies are."""
    names, edges = graph
    placed = place(names, edges, SIZES)
    boxes = list(placed.nodes.values())
    for index, (x, y) in enumerate(boxes):
        assert -1e-6 <= x <= placed.width - SIZES.node_width + 1e-6
        assert -1e-6 <= y <= placed.height - SIZES.node_height + 1e-6
        for other_x, other_y in boxes[index + 1 :]:
            assert x != other_x or abs(y - other_y) >= SIZES.node_height + SIZES.node_gap - 1e-6
    for source, target in edges:
        assert placed.nodes[source][0] < placed.nodes[target][0]
        first, last = placed.routes[source, target][0], placed.routes[source, target][-1]
        assert first[0] == placed.nodes[source][0] + SIZES.node_width
        assert last[0] == placed.nodes[target][0]


@given(graphs())
def test_a_long_line_never_runs_through_a_box(graph):
    """It has a lane of its own in every layer between."""
    names, edges = graph
    placed = place(names, edges, SIZES)
    for edge, points in placed.routes.items():
        for x, y in points[1:-1]:
            for name in set(names) - set(edge):
                left, top = placed.nodes[name]
                assert not (left < x < left + SIZES.node_width and top < y < top + SIZES.node_height)
                assert left != x or not top < y < top + SIZES.node_height


def test_the_critical_path_is_told_by_weight_and_by_word():
    """Colour alone would be lost on paper."""
    edge = GapEdge(before="a", after="b", same_owner=False, critical=True)
    queue = GapEdge(before="a", after="c", same_owner=True, critical=False)
    drawing = dependency_chart([node("a", critical=True), node("b", critical=True), node("c")], [edge, queue])
    assert drawing.count(">critical</text>") == 2
    assert drawing.count('class="gap critical"') == 2
    assert 'class="edge critical"' in drawing
    assert 'class="edge same-owner"' in drawing
    title = ET.fromstring(drawing).find("title").text
    assert (
        title
        == "Which gap waits for which: b after a; c after a. On the critical path: a and b. The table above says the same."
    )


def test_a_picture_without_lines_says_so():
    """And has no path to name."""
    assert "none waits for another. The table" in dependency_chart([node("a")], [])


def test_a_wide_picture_asks_for_wide_paper():
    """Four layers do not fit upright."""
    names = ["a", "b", "c", "d"]
    chain = [GapEdge(before=x, after=y, same_owner=False, critical=False) for x, y in pairwise(names)]
    assert 'class="dependencies wide"' in dependency_chart([node(name) for name in names], chain)
    assert 'class="dependencies"' in dependency_chart([node("a"), node("b")], chain[:1])


def test_texts_of_a_box_are_escaped_and_inside_it():
    """Owners are whatever people type."""
    long = GapNode(id="D" * 80, title="word " * 60, owner="team " * 40, effort="2–8 d", critical=True)
    drawing = dependency_chart([long, node("b")], [])
    assert "&lt;team&gt;" in drawing
    ET.fromstring(drawing)
    assert max(len(text) for text in re.findall(r">([^<]+)</text>", drawing)) < 60


def test_a_long_chain_gets_narrower_boxes():
    """So that more of it fits on one screen."""
    names = list("abcdefgh")
    chain = [GapEdge(before=x, after=y, same_owner=False, critical=False) for x, y in pairwise(names)]
    boxes = ET.fromstring(dependency_chart([node(name, critical=True) for name in names], chain)).iter("rect")
    assert {box.get("width") for box in boxes} == {"180"}
