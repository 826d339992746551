"""A profile or a comparison as one HTML file that needs nothing else. Owns both templates' frame; ``windows`` says what.

The pages keep the rules of the report: no script, no request, one style sheet admitted by its hash, every text escaped by
the template engine, and equal views give equal bytes.
"""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from roadworthy.reports.cell_bars import CellBars
from roadworthy.reports.charts.cells import cells_chart
from roadworthy.reports.charts.interval import interval_chart
from roadworthy.reports.figure import Figure
from roadworthy.reports.html import content_policy
from roadworthy.reports.windows import MOST_PICTURES, ComparisonView, ProfileView
from roadworthy.reports.words import grouped, plural, sentence

_PACKAGE = "roadworthy.reports"
_STYLES = ("report.css", "windows.css")


def render_profile(view: ProfileView) -> str:
    """The page of a profile, UTF-8, light and dark, for screen and paper."""
    fits = sum(len(part.columns) for part in view.parts) <= MOST_PICTURES
    alone = len(view.parts[0].columns) <= MOST_PICTURES
    return _rendered("profile.html.j2", view, drawn=view.parts if fits else view.parts[:1] if alone else ())


def render_comparison(view: ComparisonView) -> str:
    """The page of a comparison, likewise."""
    return _rendered("compare.html.j2", view)


def _rendered(template: str, view: ProfileView | ComparisonView, **more: Any) -> str:
    style = _style()
    page = (
        _environment()
        .get_template(template)
        .render(
            view=view,
            style=Markup(style),  # noqa: S704 - our own files, not anybody's input
            policy=content_policy(style),
            **more,
        )
    )
    return page.rstrip() + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"grouped": grouped}
    environment.globals |= {"cells": _cells, "interval": _interval, "plural": plural, "sentence": sentence}
    return environment


@cache
def _style() -> str:
    loader = _environment().loader
    assert loader is not None
    return "\n".join(loader.get_source(_environment(), name)[0].strip() for name in _STYLES)


def _cells(bars: CellBars) -> Markup:
    return Markup(cells_chart(bars))  # noqa: S704 - charts escape every text themselves


def _interval(figure: Figure) -> Markup:
    return Markup(interval_chart(figure))  # noqa: S704 - charts escape every text themselves
