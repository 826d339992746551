"""SVG as text."""

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.reports.charts.svg import coordinate, fitted, picture, text_node, text_width, wrapped


def test_markup_in_a_text_is_escaped():
    """Text stays text, in tags and in attributes."""
    assert text_node('<b title="x">&') == "&lt;b title=&quot;x&quot;&gt;&amp;"
    drawn = picture(10, 5.25, kind="life", title="a < b", body="")
    assert "<title>a &lt; b</title>" in drawn
    assert 'viewBox="0 0 10 5.2"' in drawn
    assert 'role="img"' in drawn


def test_coordinates_are_short():
    """At most one decimal."""
    assert (coordinate(3.0), coordinate(3.14159)) == ("3", "3.1")


@given(st.text(max_size=60), st.floats(20, 300))
def test_a_fitted_text_fits(value, width_px):
    """By the same upper estimate by which it is drawn."""
    assert text_width(fitted(value, width_px, 12), 12) <= width_px


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=30), max_size=12), st.integers(1, 4))
def test_wrapped_lines_fit_and_are_few(words, lines):
    """And nothing is lost while there is room."""
    value = " ".join(words)
    found = wrapped(value, 150, 12, lines)
    assert len(found) <= lines
    assert all(text_width(line, 12) <= 150 for line in found)
    if all(not line.endswith("…") for line in found):
        assert " ".join(found) == value


def test_capitals_and_bold_are_wider():
    """The estimate errs on the wide side."""
    assert text_width("AAAA", 12) > text_width("aaaa", 12) > text_width("iiii", 12)
    assert text_width("mmmm", 12) > text_width("aaaa", 12)
    assert text_width("aa", 12, bold=True) > text_width("aa", 12)
