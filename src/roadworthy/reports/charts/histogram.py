"""A histogram as small bars. Owns the drawing; the table beside it holds the same counts."""

from roadworthy.reports.charts.svg import coordinate, picture, text_node
from roadworthy.reports.fact_tables import Bars
from roadworthy.reports.words import grouped, number

_WIDTH, _HEIGHT = 360.0, 96.0
_FLOOR = 76.0
_TOP = 6.0
_LABEL_Y = 91.0
_GAP = 1.0


def histogram_chart(bars: Bars) -> str:
    """Bars of equal width, one for each bucket, with the first and last edge named.

    Buckets of unequal width are drawn alike, as is usual for latencies on a logarithmic scale; the edges are in the table.
    """
    most = max(bars.counts)
    step = _WIDTH / len(bars.counts)
    drawn = []
    for place, count in enumerate(bars.counts):
        height = (_FLOOR - _TOP) * count / most if most > 0 else 0.0
        drawn.append(
            f'<rect class="bar" x="{coordinate(place * step)}" y="{coordinate(_FLOOR - height)}" '
            f'width="{coordinate(max(step - _GAP, 0.5))}" height="{coordinate(height)}"/>'
        )
    low, high = (f"{number(edge)} {bars.unit}".strip() for edge in (bars.edges[0], bars.edges[-1]))
    floor = f'<line class="floor" x1="0" x2="{_WIDTH:g}" y1="{_FLOOR:g}" y2="{_FLOOR:g}"/>'
    labels = (
        f'<text class="bar-label" x="0" y="{_LABEL_Y:g}">{text_node(low)}</text>'
        f'<text class="bar-label end" x="{_WIDTH:g}" y="{_LABEL_Y:g}">{text_node(high)}</text>'
    )
    fullest = bars.counts.index(most)
    peak = f"{number(bars.edges[fullest])} to {number(bars.edges[fullest + 1])} {bars.unit}".strip()
    title = f"{bars.title}: {grouped(sum(bars.counts))} values from {low} to {high}, most from {peak}"
    return picture(_WIDTH, _HEIGHT, kind="histogram", title=title, body="".join(drawn) + floor + labels)
