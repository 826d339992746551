"""SVG as text. Owns escaping, coordinates and how wide a text will be; what is drawn belongs to the charts.

A picture takes every colour from classes of the page's style sheet, so one drawing serves light, dark and print, and it
needs no ``style`` attribute, which the page's content policy would refuse.
"""

from html import escape

_NARROW = frozenset("iljtfrI.,:;'’|!()[]·- ")
_WIDE = frozenset("mwMW%@—…")
_NARROW_EM, _COMMON_EM, _CAPITAL_EM, _WIDE_EM = 0.36, 0.58, 0.70, 0.95
_BOLD = 1.08
ELLIPSIS = "…"


def text_node(value: str) -> str:
    """Text, fit to stand between tags or inside a quoted attribute."""
    return escape(value, quote=True)


def coordinate(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def picture(width: float, height: float, *, kind: str, title: str, body: str) -> str:
    """A whole picture that says in words what it shows.

    Args:
        width: of the view box, in pixels of the screen.
        height: likewise.
        kind: class name.
        title: the same content as a sentence, for those who do not see it.
        body: markup, escaped already.
    """
    size = f"{coordinate(width)} {coordinate(height)}"
    return (
        f'<svg class="{kind}" viewBox="0 0 {size}" width="{coordinate(width)}" height="{coordinate(height)}" role="img">'
        f"<title>{text_node(title)}</title>{body}</svg>"
    )


def text_width(value: str, size_px: float, *, bold: bool = False) -> float:
    """An upper estimate of how wide a text is in the fonts of the report, in pixels."""
    em = 0.0
    for sign in value:
        if sign in _NARROW:
            em += _NARROW_EM
        elif sign in _WIDE:
            em += _WIDE_EM
        else:
            em += _CAPITAL_EM if sign.isupper() else _COMMON_EM
    return em * size_px * (_BOLD if bold else 1.0)


def fitted(value: str, width_px: float, size_px: float, *, bold: bool = False) -> str:
    """The text, cut with an ellipsis where it would be too wide."""
    if text_width(value, size_px, bold=bold) <= width_px:
        return value
    while value and text_width(value + ELLIPSIS, size_px, bold=bold) > width_px:
        value = value[:-1]
    return value.rstrip(" ,;:–-") + ELLIPSIS


def wrapped(value: str, width_px: float, size_px: float, lines: int) -> tuple[str, ...]:
    """The text in at most so many lines; the last is cut with an ellipsis when the rest does not fit."""
    done: list[str] = []
    words = value.split()
    while words and len(done) < lines - 1:
        count = 1
        while count < len(words) and text_width(" ".join(words[: count + 1]), size_px) <= width_px:
            count += 1
        done.append(fitted(" ".join(words[:count]), width_px, size_px))
        words = words[count:]
    if words:
        done.append(fitted(" ".join(words), width_px, size_px))
    return tuple(done)
