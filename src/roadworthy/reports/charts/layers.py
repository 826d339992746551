"""A directed acyclic graph in layers from left to right. Owns places only; drawing them belongs to ``dependencies``.

The classic layered method (Sugiyama, Tagawa and Toda, IEEE Trans. SMC 11, 1981), in its plainest form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Measures of the picture, in pixels."""

    node_width: float
    node_height: float
    layer_gap: float
    node_gap: float
    lane_height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where everything goes.

    Attributes:
        width, height: of the whole.
        nodes: left and top of each node.
        routes: for each edge the points between which it runs, from right side to left side.
    """

    width: float
    height: float
    nodes: Mapping[str, tuple[float, float]]
    routes: Mapping[tuple[str, str], tuple[tuple[float, float], ...]]


Vertex = str | tuple[str, str, int]
"""A node, or the lane of an edge through one layer."""


def place(nodes: Sequence[str], edges: Sequence[tuple[str, str]], sizes: Sizes) -> Placed:
    """Place an acyclic graph.

    1. a node's layer is the longest path that leads to it; 2. an edge over several layers gets a lane in each between;
    3. sweeping to and fro, each layer is ordered by the mean place of its neighbours; 4. each vertex is put as near to the
    middle of its predecessors as its layer allows.

    Args:
        nodes: ids, in the order that breaks ties.
        edges: from what comes first to what comes after; both ends are nodes.
        sizes: in pixels.
    """
    # 1
    depth = _depths(nodes, edges)
    # 2
    chains = {edge: _chain(edge, depth) for edge in edges}
    links = [pair for chain in chains.values() for pair in pairwise(chain)]
    layers: list[list[Vertex]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        layers[depth[node]].append(node)
    for (source, _), chain in chains.items():
        for step, vertex in enumerate(chain[1:-1], start=1):
            layers[depth[source] + step].append(vertex)
    # 3
    _order(layers, links)
    # 4
    centres = _centres(layers, links, sizes)
    step_px = sizes.node_width + sizes.layer_gap
    left = {vertex: index * step_px for index, layer in enumerate(layers) for vertex in layer}
    bottoms = [centres[v] + _height(v, sizes) / 2 for layer in layers for v in layer]
    return Placed(
        width=len(layers) * step_px - sizes.layer_gap if layers else 0.0,
        height=max(bottoms, default=0.0),
        nodes={node: (left[node], centres[node] - sizes.node_height / 2) for node in nodes},
        routes={edge: _route(chain, left, centres, sizes) for edge, chain in chains.items()},
    )


def _depths(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for source, target in edges:
            depth[target] = max(depth[target], depth[source] + 1)
    return depth


def _chain(edge: tuple[str, str], depth: Mapping[str, int]) -> tuple[Vertex, ...]:
    source, target = edge
    lanes = ((source, target, layer) for layer in range(depth[source] + 1, depth[target]))
    return (source, *lanes, target)


def _order(layers: list[list[Vertex]], links: Sequence[tuple[Vertex, Vertex]]) -> None:
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers[1:] if forward else layers[-2::-1]:
            places = {vertex: index for each in layers for index, vertex in enumerate(each)}
            means = {vertex: _mean(_neighbours(vertex, links, forward), places, places[vertex]) for vertex in layer}
            layer.sort(key=lambda vertex: means[vertex])


def _neighbours(vertex: Vertex, links: Sequence[tuple[Vertex, Vertex]], forward: bool) -> list[Vertex]:  # noqa: FBT001 - private
    if forward:
        return [source for source, target in links if target == vertex]
    return [target for source, target in links if source == vertex]


def _mean(vertices: Sequence[Vertex], places: Mapping[Vertex, float], otherwise: float) -> float:
    return sum(places[vertex] for vertex in vertices) / len(vertices) if vertices else otherwise


def _height(vertex: Vertex, sizes: Sizes) -> float:
    return sizes.node_height if isinstance(vertex, str) else sizes.lane_height


def _centres(
    layers: Sequence[Sequence[Vertex]], links: Sequence[tuple[Vertex, Vertex]], sizes: Sizes
) -> dict[Vertex, float]:
    """The middle of each vertex: wished for at its predecessors' mean, pushed apart, then moved back together."""
    centres: dict[Vertex, float] = {}
    for layer in layers:
        wishes, tops = [], []
        floor = 0.0
        for vertex in layer:
            height = _height(vertex, sizes)
            wish = _mean(_neighbours(vertex, links, forward=True), centres, floor + height / 2) - height / 2
            wishes.append(wish)
            tops.append(max(wish, floor))
            floor = tops[-1] + height + sizes.node_gap
        spare = min((top for top in tops), default=0.0)
        excess = sum(top - wish for top, wish in zip(tops, wishes, strict=True)) / max(len(tops), 1)
        shift = min(max(excess, 0.0), spare)
        for vertex, top in zip(layer, tops, strict=True):
            centres[vertex] = top - shift + _height(vertex, sizes) / 2
    return centres


def _route(
    chain: Sequence[Vertex], left: Mapping[Vertex, float], centres: Mapping[Vertex, float], sizes: Sizes
) -> tuple[tuple[float, float], ...]:
    points: list[tuple[float, float]] = []
    for place_in_chain, vertex in enumerate(chain):
        if place_in_chain > 0:
            points.append((left[vertex], centres[vertex]))
        if place_in_chain < len(chain) - 1:
            points.append((left[vertex] + sizes.node_width, centres[vertex]))
    return tuple(points)
