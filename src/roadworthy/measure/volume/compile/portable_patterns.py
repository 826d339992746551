r"""Patterns for engines that do not run RE2. Owns the part of the language that they all mean alike; runs nothing.

A contract's pattern is searched for as RE2 does it: ASCII classes, ``$`` only at the very end, ``.`` for anything but a
line feed. Java's and PostgreSQL's matchers differ in each of these, so a pattern is written anew, construct by construct,
in words that have one meaning. Laziness is left out: it says which match is found, never whether there is one.

Carried over: what ``patterns`` carries over to Python, without ``\b`` and ``\B`` (which letters make a word differs), and
with repetitions of at most 255 (PostgreSQL's limit).
"""

import re
from enum import Enum

from roadworthy.measure.patterns import NotCarriedOver, searcher

_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_CONTROLS = frozenset("tnrf")
_TOKEN = re.compile(
    r"""
      \\(?P<escape>.)
    | (?P<set>\[\^?(?:\\.|[^\]\\])*\])
    | (?P<group>\((?:\?:)?)
    | (?P<repeat>(?:[*+?]|\{(?P<least>[0-9]+)(?P<comma>,)?(?P<most>[0-9]+)?\})\??)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_MOST = 255
# Signs that mean something to one of the matchers, inside a set (Java intersects sets by &&) or outside.
_SPECIAL = frozenset(r"\^$.|?*+()[]{}-&~#")


class Flavour(Enum):
    """A family of matchers."""

    RE2 = "re2"
    JAVA = "java"
    POSIX = "posix"


def portable(pattern: str, flavour: Flavour) -> str:
    """The pattern in an engine's words, to be searched for anywhere in a text.

    Raises:
        NotCarriedOver: a construct does not mean the same there; the message names it.
    """
    # What comes through here is known to be well formed, and never takes exponential time.
    searcher(pattern)
    end = r"\Z" if flavour is Flavour.POSIX else r"\z"
    return "".join(_written(token, end) for token in _TOKEN.finditer(pattern))


def _written(token: re.Match[str], end: str) -> str:
    text = token.group()
    if token["escape"] is not None:
        return _escape(token["escape"], end)
    if token["set"] is not None:
        return _set(text)
    if token["group"] is not None:
        return "(?:"
    if token["repeat"] is not None:
        return _repeat(token)
    return {".": r"[^\n]", "^": r"\A", "$": end, "|": "|", ")": ")"}.get(text) or _literal(text)


def _escape(sign: str, end: str) -> str:
    if sign in "bB":
        raise NotCarriedOver("a word boundary")
    if sign in "Az":
        return r"\A" if sign == "A" else end
    if sign.lower() in _CLASSES:
        return f"[{'^' if sign.isupper() else ''}{_CLASSES[sign.lower()]}]"
    return f"\\{sign}" if sign in _CONTROLS else _literal(sign)


def _set(text: str) -> str:
    start = 2 if text.startswith("[^") else 1
    inner = re.sub(r"\\(.)|(.)", _member, text[start:-1], flags=re.DOTALL)
    return f"{text[:start]}{inner}]"


def _member(found: re.Match[str]) -> str:
    sign, plain = found.groups()
    if plain is not None:
        return plain if plain == "-" else _literal(plain)
    if sign in _CLASSES:
        return _CLASSES[sign]
    return f"\\{sign}" if sign in _CONTROLS else _literal(sign)


def _literal(sign: str) -> str:
    return f"\\{sign}" if sign in _SPECIAL else sign


def _repeat(token: re.Match[str]) -> str:
    if any(int(bound) > _MOST for bound in (token["least"], token["most"]) if bound):
        raise NotCarriedOver(f"more than {_MOST} repetitions")
    text = token.group()
    return text[:-1] if len(text) > 1 and text.endswith("?") else text
