"""How much of a validity is left, as a bar. Owns the drawing; the words beside it say the same, so it hides from readers."""

from roadworthy.reports.charts.svg import coordinate

_WIDTH, _HEIGHT = 64.0, 6.0
SOON_SHARE = 0.75
"""From this share of the validity on, the bar warns."""


def life_bar(used_share: float) -> str:
    """The bar of what is left.

    Args:
        used_share: of the validity, in [0, 1].
    """
    left = _WIDTH * (1 - min(max(used_share, 0.0), 1.0))
    tone = "life-bar soon" if used_share > SOON_SHARE else "life-bar"
    size = f'width="{_WIDTH:g}" height="{_HEIGHT:g}"'
    rest = f'<rect class="left" width="{coordinate(left)}" height="{_HEIGHT:g}" rx="3"/>' if left else ""
    return (
        f'<svg class="{tone}" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" {size} aria-hidden="true">'
        f'<rect class="whole" {size} rx="3"/>{rest}</svg>'
    )
