"""The palette: every text and every drawing can be told from what it stands on, in light and in dark (WCAG 2.2 AA)."""

import re
from importlib.resources import files

import pytest

CSS = files("roadworthy.reports").joinpath("templates/report.css").read_text(encoding="utf-8")
TEXT, DRAWING = 4.5, 3.0
GROUNDS = ("paper", "card", "sunk")
INKS = ("ink", "soft", "road", "ok", "bad", "wait", "waive", "none")


def palette(block):
    """Colours by token, of the first ``:root`` in a block."""
    root = re.search(r":root\s*{(.*?)}", block, re.DOTALL)[1]
    return dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6});", root))


LIGHT = palette(CSS)
DARK = LIGHT | palette(CSS[CSS.index("prefers-color-scheme: dark") :])
PRINT = LIGHT | palette(CSS[CSS.index("@media print") :])
SCHEMES = {"light": LIGHT, "dark": DARK, "print": PRINT}


def luminance(colour):
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    """Contrast ratio of two colours, 1 to 21."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure_itself():
    """Black on white is 21, a colour on itself 1."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#123456", "#123456") == 1


def test_both_schemes_define_every_colour():
    """A token that only one scheme has would shine through from the other."""
    dark = palette(CSS[CSS.index("prefers-color-scheme: dark") :])
    assert set(dark) == set(LIGHT)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("ink", INKS)
def test_text(scheme, ground, ink):
    """4.5 : 1 at every size."""
    colours = SCHEMES[scheme]
    assert contrast(colours[ink], colours[ground]) >= TEXT


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("mark", "ground"),
    [
        *((mark, ground) for mark in ("road", "edge", "focus") for ground in GROUNDS),
        ("road", "pass"),
        ("ink", "pass"),
        ("road", "line"),
        ("wait", "line"),
    ],
)
def test_drawings(scheme, mark, ground):
    """3 : 1 for lines, dots, frames and the focus ring."""
    colours = SCHEMES[scheme]
    assert contrast(colours[mark], colours[ground]) >= DRAWING


def test_every_colour_is_a_token():
    """No colour outside the palette, but the page number that only paper has."""
    rules = re.sub(r":root\s*{.*?}", "", CSS, flags=re.DOTALL)
    assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b", rules)) == {LIGHT["soft"]}
    assert set(re.findall(r"var\(--([a-z]+[a-z-]*)\)", rules)) - set(LIGHT) == {"tone", "mono"}
