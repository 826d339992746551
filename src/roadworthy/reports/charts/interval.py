"""An estimate with its interval against a bound: one dot, one line, the passing side tinted. Owns the axis and the words."""

from roadworthy.domain.criterion import Comparator
from roadworthy.reports.charts.svg import coordinate, picture, text_node, text_width
from roadworthy.reports.figure import Figure
from roadworthy.reports.words import grouped, number, verdict_word

_WIDTH, _HEIGHT = 168.0, 36.0
_LEFT, _RIGHT = 4.0, 164.0
_TOP, _BOTTOM = 3.0, 21.0
_MIDDLE = (_TOP + _BOTTOM) / 2
_CAP = 4.0
_DOT = 4.0
_LABEL_Y, _LABEL_PX = 33.0, 10.5
_MARGIN_SHARE = 0.4
_HUNDREDTHS = 100


def interval_chart(figure: Figure) -> str:
    """The picture of a figure that is ``drawable``.

    1. the axis spans interval and bound with a margin, and never leaves [0, 1] for shares or falls below 0 for what
    cannot be negative; 2. the passing side of the bound is tinted; 3. the bound is a dashed line with its value; 4. the
    interval is a line with caps, the estimate a dot.
    """
    bound = figure.bound if figure.bound is not None else figure.estimate
    # 1
    low, high = axis(figure.lower, figure.upper, bound, figure.unit)

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_RIGHT - _LEFT)

    # 2
    at = x(bound)
    start, end = (at, _RIGHT) if figure.comparator is Comparator.AT_LEAST else (_LEFT, at)
    height = coordinate(_BOTTOM - _TOP)
    body = [
        f'<rect class="track" x="{coordinate(_LEFT)}" y="{_TOP:g}" width="{coordinate(_RIGHT - _LEFT)}" height="{height}"/>',
        f'<rect class="pass" x="{coordinate(start)}" y="{_TOP:g}" width="{coordinate(max(end - start, 0))}" height="{height}"/>',
    ]
    # 3
    label = _bound_label(figure, bound)
    half = text_width(label, _LABEL_PX) / 2
    label_x = min(max(at, _LEFT + half), _RIGHT - half)
    body.append(f'<line class="bound" x1="{coordinate(at)}" x2="{coordinate(at)}" y1="0" y2="{_BOTTOM + 3:g}"/>')
    body.append(f'<text class="bound-label" x="{coordinate(label_x)}" y="{_LABEL_Y:g}">{text_node(label)}</text>')
    # 4
    left, right = x(figure.lower), x(figure.upper)
    body.append(
        f'<line class="ci" x1="{coordinate(left)}" x2="{coordinate(right)}" y1="{_MIDDLE:g}" y2="{_MIDDLE:g}"/>'
    )
    body.extend(
        f'<line class="ci" x1="{coordinate(each)}" x2="{coordinate(each)}" y1="{_MIDDLE - _CAP:g}" y2="{_MIDDLE + _CAP:g}"/>'
        for each in ((left, right) if right > left else ())
    )
    body.append(f'<circle class="est" cx="{coordinate(x(figure.estimate))}" cy="{_MIDDLE:g}" r="{_DOT:g}"/>')
    return picture(_WIDTH, _HEIGHT, kind="interval", title=interval_words(figure), body="".join(body))


def interval_words(figure: Figure) -> str:
    """The content of the picture as a sentence."""
    parts = [f"{figure.name} {figure.text}"]
    if figure.confidence < 1:
        parts.append(f"{number(figure.confidence * _HUNDREDTHS)} % interval in brackets")
    parts.append(f"from {grouped(figure.n)}")
    if figure.bound_text:
        parts.append(f"bound {figure.bound_text}")
    verdict = f": {verdict_word(figure.verdict)}" if figure.verdict is not None else ""
    return f"{', '.join(parts)}{verdict}"


def axis(lower: float, upper: float, bound: float, unit: str) -> tuple[float, float]:
    """Both ends of the axis, in ``unit``; all arguments are finite."""
    low, high = min(lower, bound), max(upper, bound)
    margin = (high - low) * _MARGIN_SHARE or abs(bound) * _MARGIN_SHARE or 1.0
    start, end = low - margin, high + margin
    if low >= 0:
        start = max(start, 0.0)
    if unit == "1" and low >= 0 and high <= 1:
        end = min(end, 1.0)
    return start, end


def _bound_label(figure: Figure, bound: float) -> str:
    """The bound's number as the sentence beside the picture writes it."""
    words = figure.bound_text.removeprefix("at least ").removeprefix("at most ")
    sign = "≥" if figure.comparator is Comparator.AT_LEAST else "≤"
    return f"{sign} {words or number(bound)}"
