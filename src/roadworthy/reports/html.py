"""The report: one HTML file that needs nothing else. Owns templates, style and content policy; what is said is the scorecard's.

Rules kept here:
1. No script, no request: the content policy of the page forbids both, and admits exactly the one style sheet inside it.
2. Every text is escaped by the template engine; only pictures that ``charts`` drew and escaped pass as markup.
3. An unknown name in a template is an error, never an empty string.
4. Equal scorecards give equal bytes.
"""

import base64
import hashlib
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from roadworthy.base.clock import format_instant
from roadworthy.reports import words
from roadworthy.reports.charts.dependencies import GapEdge, GapNode, dependency_chart
from roadworthy.reports.charts.histogram import histogram_chart
from roadworthy.reports.charts.interval import interval_chart
from roadworthy.reports.charts.life import life_bar
from roadworthy.reports.drilldown import anchor_of
from roadworthy.reports.fact_tables import Bars, cell
from roadworthy.reports.figure import Figure
from roadworthy.reports.register import GapRow
from roadworthy.reports.scorecard import Scorecard

_PACKAGE = "roadworthy.reports"
_PAGE = "report.html.j2"
_STYLE = "report.css"


def render_report(scorecard: Scorecard) -> str:
    """The whole page, UTF-8, light and dark, for screen and paper."""
    environment = _environment()
    style = _style()
    joined = joined_gaps(scorecard.gaps)
    page = environment.get_template(_PAGE).render(
        card=scorecard,
        style=Markup(style),  # noqa: S704 - our own file, not anybody's input
        policy=content_policy(style),
        shown={entry.digest for entry in scorecard.evidence if entry.deciding},
        picture=_picture(scorecard, joined),
        joined={row.criterion_id for row in joined},
        state_meanings=words.STATE_MEANINGS,
    )
    return page.rstrip() + "\n"


def content_policy(style: str) -> str:
    """The content security policy of the page: nothing but this exact style sheet and pictures inside the page."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def joined_gaps(gaps: tuple[GapRow, ...]) -> tuple[GapRow, ...]:
    """The gaps that belong into the picture: those that wait for another, are waited for, or are on the critical path."""
    return tuple(row for row in gaps if row.depends_on or row.unblocks or row.on_critical_path)


def _picture(scorecard: Scorecard, joined: tuple[GapRow, ...]) -> Markup | None:
    """The dependency picture; None when there is nothing to join."""
    path = scorecard.plan.critical_path if scorecard.plan is not None else ()
    edges = _edges(joined, set(pairwise(path)))
    if not edges:
        return None
    nodes = [
        GapNode(
            id=row.criterion_id,
            title=row.title,
            owner=row.owner,
            effort=row.effort_words,
            critical=row.on_critical_path,
        )
        for row in joined
    ]
    return Markup(dependency_chart(nodes, edges))  # noqa: S704 - charts escape every text themselves


def _edges(joined: tuple[GapRow, ...], path: set[tuple[str, str]]) -> list[GapEdge]:
    """Dependencies, and where the critical path runs through one owner's queue, that queue."""
    edges: list[GapEdge] = []
    for row in joined:
        after = row.criterion_id
        edges.extend(
            GapEdge(before=before, after=after, same_owner=False, critical=(before, after) in path)
            for before in row.depends_on
        )
        edges.extend(
            GapEdge(before=before, after=after, same_owner=True, critical=True)
            for before in row.after_same_owner
            if (before, after) in path
        )
    return edges


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "instant": words.instant_words,
        "machine": format_instant,
        "day": _day,
        "short": words.short_digest,
        "grouped": words.grouped,
        "enum_words": words.enum_words,
        "plain": cell,
        "listed": words.listed,
        "anchor": anchor_of,
    }
    environment.globals |= {
        "interval": _interval,
        "life": _life,
        "histogram": _histogram,
        "look": words.state_look,
        "run_words": words.run_words,
        "verdict_word": words.verdict_word,
        "outcome_word": words.outcome_word,
        "counted": words.counted,
        "plural": words.plural,
        "sentence": words.sentence,
        "span": _span,
        "percent": _percent,
    }
    return environment


@cache
def _style() -> str:
    loader = _environment().loader
    assert loader is not None
    source, _, _ = loader.get_source(_environment(), _STYLE)
    return source.strip()


def _interval(figure: Figure) -> Markup:
    return Markup(interval_chart(figure))  # noqa: S704 - charts escape every text themselves


def _life(used_share: float) -> Markup:
    return Markup(life_bar(used_share))  # noqa: S704 - charts escape every text themselves


def _histogram(bars: Bars) -> Markup:
    return Markup(histogram_chart(bars))  # noqa: S704 - charts escape every text themselves


def _span(from_at: datetime, until_at: datetime) -> str:
    return words.span_words((until_at - from_at).total_seconds())


def _day(at: datetime) -> str:
    return words.day_words(at.date(), at.date())


def _percent(share: Any) -> str:
    return f"{words.number(round(float(share) * 100))} %"
