r"""RE2 patterns for Python's matcher. Owns the part of the language that means the same to both; runs nothing.

The batch engine searches with RE2: linear in time, ASCII classes, ``$`` only at the very end. Python's matcher differs
in all three, and backtracks. So a pattern is rewritten construct by construct, and one that cannot be carried over
exactly, or whose repetitions could be made to take exponential time by a crafted text, is not carried over at all.
Neither is one with more than two open repetitions, or three where it begins with ``^``: of six, 300 signs already take
minutes.

Carried over: literals, ``.``, ``^ $``, ``\A \z \b \B``, ``\d \w \s`` and their opposites, classes with ranges, groups
``(...)`` and ``(?:...)``, alternatives, and the repetitions ``* + ? {n} {n,} {n,m}``, also lazy.
"""

import re
from collections.abc import Callable

_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": "\\t\\n\\f\\r "}
_ANCHORS = {"A": r"\A", "z": r"\Z", "b": r"\b", "B": r"\B"}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_REPEAT = re.compile(r"(?:([*+?])|\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\})(\??)")
_MOST = 1_000
_FACTORS_AT_MOST = 3
"""Each open repetition can multiply the time by the length of the text, and so does a search that may begin anywhere."""


class NotCarriedOver(ValueError):
    """The pattern has a construct that only the batch engine runs; the message names it."""


def searcher(pattern: str) -> Callable[[str], object]:
    """A function that finds the pattern in a text exactly when RE2 does; gives None when it does not.

    Raises:
        NotCarriedOver: only the batch engine can run it.
    """
    return re.compile(_Rewriter(pattern).run(), re.ASCII).search


class _Rewriter:
    """One pass over the pattern.

    ``_frames`` has an entry for each open group: whether it holds something that can match in more than one way, which
    must then not be repeated itself.
    """

    def __init__(self, pattern: str) -> None:
        self._rest = pattern
        self._out: list[str] = []
        self._frames = [False]
        self._variable = 0
        self._anywhere = not pattern.startswith(("^", r"\A"))

    def run(self) -> str:
        while self._rest:
            self._step()
        if len(self._frames) != 1:
            raise NotCarriedOver("a group is not closed")
        if self._variable + self._anywhere > _FACTORS_AT_MOST:
            raise NotCarriedOver(f"{self._variable} open repetitions, which can take long together")
        return "".join(self._out)

    def _step(self) -> None:
        sign = self._take()
        if sign == "(":
            self._open()
        elif sign == ")":
            self._close()
        elif sign == "|":
            self._frames[-1] = True
            # Only the first of two alternatives begins with what the pattern begins with.
            self._anywhere = self._anywhere or len(self._frames) == 1
            self._out.append("|")
        elif sign in "^$":
            self._out.append(r"\A" if sign == "^" else r"\Z")
            self._refuse_repeat()
        elif sign == "\\" and self._rest[:1] in _ANCHORS and self._rest:
            self._out.append(_ANCHORS[self._take()])
            self._refuse_repeat()
        else:
            self._out.append(self._atom(sign))
            self._repeat(ambiguous=False)

    def _open(self) -> None:
        if self._rest.startswith("?"):
            if not self._rest.startswith("?:"):
                raise NotCarriedOver("a group with flags or a name")
            self._rest = self._rest[2:]
        self._out.append("(?:")
        self._frames.append(False)
        self._refuse_repeat()

    def _close(self) -> None:
        if len(self._frames) == 1:
            raise NotCarriedOver("a group is closed that was not opened")
        self._out.append(")")
        ambiguous = self._frames.pop()
        self._frames[-1] = self._frames[-1] or ambiguous
        self._repeat(ambiguous=ambiguous)

    def _atom(self, sign: str) -> str:
        if sign == ".":
            return "."
        if sign == "[":
            return self._class()
        if sign == "\\":
            return self._escape()
        if sign in "*+?{}]":
            raise NotCarriedOver(f"{sign!r} where nothing can be repeated")
        return re.escape(sign)

    def _escape(self) -> str:
        sign = self._take()
        if sign.lower() in _CLASSES:
            return f"[{'^' if sign.isupper() else ''}{_CLASSES[sign.lower()]}]"
        return re.escape(self._literal(sign))

    def _literal(self, sign: str) -> str:
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign.isalnum() or not sign.isascii():
            raise NotCarriedOver(f"the escape \\{sign}")
        return sign

    def _class(self) -> str:
        out = "[^" if self._rest.startswith("^") else "["
        if out == "[^":
            self._take()
        if self._rest.startswith("]"):
            raise NotCarriedOver("an empty class")
        while (sign := self._take()) != "]":
            if sign == "[":
                raise NotCarriedOver("a named class")
            if sign == "\\" and self._rest[:1] in _CLASSES and self._rest:
                out += _CLASSES[self._take()]
            elif sign == "-":
                out += self._dash(first=out in {"[", "[^"})
            else:
                out += re.escape(self._literal(self._take()) if sign == "\\" else sign)
        return out + "]"

    def _dash(self, *, first: bool) -> str:
        # At an end it is itself, in between it makes a range; both engines agree on these.
        return r"\-" if first or self._rest.startswith("]") else "-"

    def _repeat(self, *, ambiguous: bool) -> None:
        found = _REPEAT.match(self._rest)
        if found is None:
            if self._rest.startswith("{"):
                raise NotCarriedOver("a brace that repeats nothing")
            return
        sign, least, comma, most, _ = found.groups()
        fixed = least is not None and (not comma or least == most)
        if any(int(bound) > _MOST for bound in (least, most) if bound):
            raise NotCarriedOver(f"more than {_MOST} repetitions")
        if ambiguous and sign != "?":
            raise NotCarriedOver("a repetition of something that matches in more than one way")
        if not fixed:
            self._frames[-1] = True
            self._variable += 1
        self._out.append(found.group())
        self._rest = self._rest[found.end() :]
        self._refuse_repeat()

    def _refuse_repeat(self) -> None:
        if self._rest[:1] in {"*", "+", "?", "{"}:
            raise NotCarriedOver("a repetition of nothing, or of a repetition")

    def _take(self) -> str:
        if not self._rest:
            raise NotCarriedOver("it ends too early")
        sign, self._rest = self._rest[0], self._rest[1:]
        return sign
