"""The cells of a column: the window as bars, the reference as an outline over them. Owns both drawings.

Named bars lie, so that their names can be read; bars on a scale stand, with both ends of the scale named.
"""

from roadworthy.reports.cell_bars import CellBars
from roadworthy.reports.charts.svg import coordinate, fitted, picture, text_node
from roadworthy.reports.words import listed, number

_WIDTH = 260.0
_TOP, _FLOOR, _HEIGHT = 4.0, 68.0, 86.0
_LABEL_Y, _LABEL_PX = 82.0, 11.0
_GAP = 1.0
_ROW, _BAR = 17.0, 11.0
_NAMES, _SHARES = 92.0, 48.0
_SAID = 3


def cells_chart(bars: CellBars) -> str:
    """The picture, which says in its title what it shows."""
    body = _lying(bars) if bars.names else _standing(bars)
    height = _ROW * len(bars.names) + 2 if bars.names else _HEIGHT
    return picture(_WIDTH, height, kind="cells", title=cells_words(bars), body=body)


def cells_words(bars: CellBars) -> str:
    """The content of the picture as a sentence."""
    kind = "window in bars" if bars.reference is None else "window in bars, reference as outline"
    if bars.names:
        most = sorted(zip(bars.current, bars.names, strict=True), key=lambda each: -each[0])[:_SAID]
        return f"{bars.title}, {kind}: {listed(f'{name} {_share(share)}' for share, name in most if share)}"
    fullest = bars.current.index(max(bars.current))
    return (
        f"{bars.title}, {kind}, from {bars.low} to {bars.high}: fullest in bar {fullest + 1} of {len(bars.current)}, "
        f"with {_share(bars.current[fullest])}"
    )


def _standing(bars: CellBars) -> str:
    most = max(*bars.current, *(bars.reference or ())) or 1.0
    step = _WIDTH / len(bars.current)

    def y(share: float) -> float:
        return _FLOOR - (_FLOOR - _TOP) * share / most

    drawn = [
        f'<rect class="bar" x="{coordinate(place * step)}" y="{coordinate(y(share))}" '
        f'width="{coordinate(step - _GAP)}" height="{coordinate(_FLOOR - y(share))}"/>'
        for place, share in enumerate(bars.current)
    ]
    if bars.reference is not None:
        corners = [(0.0, _FLOOR)]
        for place, share in enumerate(bars.reference):
            corners += [(place * step, y(share)), ((place + 1) * step, y(share))]
        corners.append((_WIDTH, _FLOOR))
        points = " ".join(f"{coordinate(x)},{coordinate(at)}" for x, at in corners)
        drawn.append(f'<polyline class="outline" points="{points}"/>')
    floor = f'<line class="floor" x1="0" x2="{_WIDTH:g}" y1="{_FLOOR:g}" y2="{_FLOOR:g}"/>'
    half = _WIDTH / 2 - 4
    low, high = (text_node(fitted(label, half, _LABEL_PX)) for label in (bars.low, bars.high))
    labels = (
        f'<text class="bar-label" x="0" y="{_LABEL_Y:g}">{low}</text>'
        f'<text class="bar-label end" x="{_WIDTH:g}" y="{_LABEL_Y:g}">{high}</text>'
    )
    return "".join(drawn) + floor + labels


def _lying(bars: CellBars) -> str:
    most = max(*bars.current, *(bars.reference or ())) or 1.0
    room = _WIDTH - _NAMES - _SHARES
    drawn = []
    for place, (name, share) in enumerate(zip(bars.names, bars.current, strict=True)):
        top = place * _ROW + (_ROW - _BAR) / 2
        line = coordinate(top + _BAR - 1.5)
        label = text_node(fitted(name, _NAMES - 6, _LABEL_PX))
        drawn.append(f'<text class="bar-label" x="0" y="{line}">{label}</text>')
        drawn.append(_box("bar", top, room * share / most))
        if bars.reference is not None:
            drawn.append(_box("outline", top, room * bars.reference[place] / most))
        drawn.append(f'<text class="bar-label end" x="{_WIDTH:g}" y="{line}">{text_node(_share(share))}</text>')
    return "".join(drawn)


def _box(kind: str, top: float, width: float) -> str:
    return f'<rect class="{kind}" x="{_NAMES:g}" y="{coordinate(top)}" width="{coordinate(width)}" height="{_BAR:g}"/>'


def _share(share: float) -> str:
    hundredths = share * 100
    return "< 0.1 %" if 0 < hundredths < 0.1 else f"{number(hundredths, 1 if hundredths % 1 else 0)} %"
