"""The picture of the gap register: which gap waits for which. Owns the drawing; the table beside it says the same.

Left comes first. The critical path has heavier frames and lines and says so in words, so that it can be told in print.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from roadworthy.reports.charts.layers import Placed, Sizes, place
from roadworthy.reports.charts.svg import coordinate, fitted, picture, text_node, text_width, wrapped
from roadworthy.reports.words import listed

_ROOMY = Sizes(node_width=216, node_height=98, layer_gap=56, node_gap=16, lane_height=10)
_DENSE = Sizes(node_width=180, node_height=113, layer_gap=32, node_gap=14, lane_height=10)
_MOST_ROOMY_PX = 1360.0
"""What a usual screen shows without scrolling; a longer chain gets narrower boxes."""

_EDGE_PX = 4.0
_PAD = 12.0
_LINE_PX = 12.5
_SMALL_PX = 11.5
_ID_SHARE, _SPACE_PX = 0.45, 6.0
_ID_Y, _TITLE_Y, _LEADING, _OWNER_FROM_BOTTOM = 19.0, 36.0, 15.0, 10.0
_ARROW_PX = 7.0
_PORTRAIT_PX = 900.0
"""Wider than this, paper has to lie on its side for the text to stay readable."""
_CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class GapNode:
    """One gap: its id, title, owner, effort in words, and whether it is on the critical path."""

    id: str
    title: str
    owner: str
    effort: str
    critical: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GapEdge:
    """``after`` waits for ``before``: because it depends on it, or only because one owner does one thing at a time."""

    before: str
    after: str
    same_owner: bool
    critical: bool


def dependency_chart(nodes: Sequence[GapNode], edges: Sequence[GapEdge]) -> str:
    """The picture; the edges are acyclic and join nodes that are given."""
    ids, pairs = [node.id for node in nodes], [(edge.before, edge.after) for edge in edges]
    sizes = _ROOMY
    placed = place(ids, pairs, sizes)
    if placed.width > _MOST_ROOMY_PX:
        sizes = _DENSE
        placed = place(ids, pairs, sizes)
    lines = [_line(edge, placed) for edge in sorted(edges, key=lambda edge: edge.critical)]
    boxes = [_box(node, sizes, *placed.nodes[node.id]) for node in nodes]
    wide = placed.width > _PORTRAIT_PX
    return picture(
        placed.width + 2 * _EDGE_PX,
        placed.height + 2 * _EDGE_PX,
        kind="dependencies wide" if wide else "dependencies",
        title=_words(nodes, edges),
        body=f'<g transform="translate({_EDGE_PX:g} {_EDGE_PX:g})">{"".join(lines)}{"".join(boxes)}</g>',
    )


def _words(nodes: Sequence[GapNode], edges: Sequence[GapEdge]) -> str:
    critical = [node.id for node in nodes if node.critical]
    waits = "; ".join(f"{edge.after} after {edge.before}" for edge in edges)
    path = f" On the critical path: {listed(critical)}." if critical else ""
    return f"Which gap waits for which: {waits or 'none waits for another'}.{path} The table above says the same."


def _line(edge: GapEdge, placed: Placed) -> str:
    """A curve from box to box, level where it meets them, with an arrow head."""
    points = placed.routes[edge.before, edge.after]
    end_x, end_y = points[-1]
    stops = (*points[:-1], (end_x - _ARROW_PX, end_y))
    path = f"M{coordinate(stops[0][0])} {coordinate(stops[0][1])}"
    for (x0, y0), (x1, y1) in pairwise(stops):
        bend = (x0 + x1) / 2
        path += f"C{coordinate(bend)} {coordinate(y0)} {coordinate(bend)} {coordinate(y1)} {coordinate(x1)} {coordinate(y1)}"
    names = ["edge", *(["critical"] if edge.critical else []), *(["same-owner"] if edge.same_owner else [])]
    head = f"{coordinate(end_x)},{coordinate(end_y)}" + "".join(
        f" {coordinate(end_x - _ARROW_PX)},{coordinate(end_y + side)}" for side in (-_ARROW_PX / 2, _ARROW_PX / 2)
    )
    return f'<g class="{" ".join(names)}"><path d="{path}"/><polygon points="{head}"/></g>'


def _box(node: GapNode, sizes: Sizes, left: float, top: float) -> str:
    inner, right = sizes.node_width - 2 * _PAD, sizes.node_width - _PAD
    owner_y = sizes.node_height - _OWNER_FROM_BOTTOM
    taken = text_width(_CRITICAL, _SMALL_PX, bold=True) + _SPACE_PX if node.critical else 0.0
    texts = [
        _text("gap-id", _PAD, _ID_Y, fitted(node.id, inner * _ID_SHARE, _LINE_PX, bold=True)),
        _text("gap-effort end", right, _ID_Y, fitted(node.effort, inner * (1 - _ID_SHARE), _LINE_PX)),
    ]
    room = int((owner_y - _SMALL_PX - _TITLE_Y) // _LEADING) + 1
    title = wrapped(node.title, inner, _LINE_PX, room)
    texts += [
        _text("gap-title", _PAD, _TITLE_Y + _LEADING * line_number, line) for line_number, line in enumerate(title)
    ]
    texts.append(_text("gap-owner", _PAD, owner_y, fitted(node.owner, inner - taken, _SMALL_PX)))
    if node.critical:
        texts.append(_text("gap-critical end", right, owner_y, _CRITICAL))
    kind = "gap critical" if node.critical else "gap"
    size = f'width="{sizes.node_width:g}" height="{sizes.node_height:g}"'
    return (
        f'<g class="{kind}" transform="translate({coordinate(left)} {coordinate(top)})">'
        f'<rect {size} rx="5"/>{"".join(texts)}</g>'
    )


def _text(kind: str, x: float, y: float, value: str) -> str:
    return f'<text class="{kind}" x="{coordinate(x)}" y="{coordinate(y)}">{text_node(value)}</text>'
