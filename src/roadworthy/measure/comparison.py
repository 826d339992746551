"""A promise between the columns of one row, as a typed expression. Owns its language; runs it in no engine.

The language is small on purpose, so that both the batch engine and the inline filter can be proven to mean the same::

    left_at >= admitted_at                                   total = part_a + part_b
    perimeter BETWEEN 6 * radius AND 9 * radius              "blood pressure" < 300

Grammar (words in any case)::

    comparison = sum ("<" | "<=" | "=" | ">=" | ">" | "<>") sum  |  sum BETWEEN sum AND sum
    sum        = ["-"] term (("+" | "-") term)*
    term       = number | number "*" column | column "*" number | column | "'" text "'"

A column is a word, or anything between double quotes (a double quote is written twice).

Rules kept here:
1. A text stands alone on its side; numbers and products make the comparison numeric.
2. Everything else is refused: what SQL can say beyond this belongs into a quality item of type ``sql``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
      | (?P<text>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")+")
      | (?P<sign><=|>=|<>|!=|[-+*<>=])
      | (?P<word>[^\W\d]\w*)
    )""",
    re.VERBOSE,
)


class Relation(Enum):
    """How the two sides must relate."""

    LESS = "<"
    AT_MOST = "<="
    EQUAL = "="
    AT_LEAST = ">="
    GREATER = ">"
    NOT_EQUAL = "<>"


class Reading(Enum):
    """What the sides are compared as."""

    NUMBER = "number"
    INSTANT = "instant"
    CLOCK = "time"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """``factor * column``, a plain number (no column), or a text (no column, no factor)."""

    column: str | None = None
    factor: float = 1.0
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One relation between two sums, which are added from left to right; each has at least one term."""

    left: tuple[Term, ...]
    relation: Relation
    right: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Clauses that a good row fulfils, all of them.

    Attributes:
        clauses: one, or two for BETWEEN.
        reading: what the sides are compared as.
        tolerance: by how much two sides may differ and still be equal; 0 unless numbers are compared with ``=``.
        source: the text that it was read from.
    """

    clauses: tuple[Clause, ...]
    reading: Reading
    tolerance: float = 0.0
    source: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads, each once, in the order of the text."""
        return _columns(self.clauses)


class NotAComparison(ValueError):
    """The text is outside the language; raised to the translator of the contract, which knows file and line."""


def parse_clauses(source: str) -> tuple[Clause, ...]:
    """Read a comparison.

    Raises:
        NotAComparison: it is not in the language; the message says where it stops making sense.
    """
    parser = _Parser(list(_tokens(source)))
    clauses = parser.comparison()
    if not _columns(clauses):
        raise NotAComparison("it names no column")
    return clauses


def is_numeric(clauses: tuple[Clause, ...]) -> bool:
    """Whether a number, a product or a sum decides that numbers are compared."""
    sides = [side for clause in clauses for side in (clause.left, clause.right)]
    return any(len(side) > 1 or _has_number(side[0]) for side in sides)


def _has_number(term: Term) -> bool:
    return term.text is None and (term.column is None or term.factor != 1.0)


def _columns(clauses: tuple[Clause, ...]) -> tuple[str, ...]:
    terms = (term for clause in clauses for term in (*clause.left, *clause.right))
    return tuple(dict.fromkeys(term.column for term in terms if term.column is not None))


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    position = 0
    while source[position:].strip():
        found = _TOKEN.match(source, position)
        if found is None or found.lastgroup is None:
            raise NotAComparison(f"{source[position:].strip()!r} is not understood")
        yield found.lastgroup, found.group(found.lastgroup)
        position = found.end()


class _Parser:
    """Recursive descent; each method takes what it names from the front of the tokens."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens

    def comparison(self) -> tuple[Clause, ...]:
        clauses: tuple[Clause, ...]
        left = self._sum()
        if self._word("between"):
            low = self._sum()
            if not self._word("and"):
                raise NotAComparison("BETWEEN needs AND")
            clauses = (
                Clause(left=left, relation=Relation.AT_LEAST, right=low),
                Clause(left=left, relation=Relation.AT_MOST, right=self._sum()),
            )
        else:
            kind, text = self._take()
            sign = "<>" if text == "!=" else text
            if kind != "sign" or sign not in {relation.value for relation in Relation}:
                raise NotAComparison(f"{text!r} stands where a comparison should")
            clauses = (Clause(left=left, relation=Relation(sign), right=self._sum()),)
        if self._tokens:
            raise NotAComparison(f"{self._tokens[0][1]!r} is too much")
        return clauses

    def _sum(self) -> tuple[Term, ...]:
        terms = [self._term(-1.0 if self._sign("-") else 1.0)]
        while self._tokens and self._tokens[0] in {("sign", "+"), ("sign", "-")}:
            terms.append(self._term(-1.0 if self._take()[1] == "-" else 1.0))
        if len(terms) > 1 and any(term.text is not None for term in terms):
            raise NotAComparison("texts cannot be added")
        return tuple(terms)

    def _term(self, sign: float) -> Term:
        kind, text = self._take()
        if kind == "text":
            return Term(text=text[1:-1].replace("''", "'"))
        if kind == "number":
            if not self._sign("*"):
                return Term(factor=sign * float(text))
            return Term(column=self._column(*self._take()), factor=sign * float(text))
        column = self._column(kind, text)
        if not self._sign("*"):
            return Term(column=column, factor=sign)
        kind, text = self._take()
        if kind != "number":
            raise NotAComparison(f"{column} is multiplied by {text!r}, which is no number")
        return Term(column=column, factor=sign * float(text))

    def _column(self, kind: str, text: str) -> str:
        if kind == "quoted":
            return text[1:-1].replace('""', '"')
        if kind != "word" or text.lower() in {"null", "and", "or", "not", "between", "is", "in", "like"}:
            raise NotAComparison(f"{text!r} stands where a column or number should")
        return text

    def _take(self) -> tuple[str, str]:
        if not self._tokens:
            raise NotAComparison("it ends too early")
        return self._tokens.pop(0)

    def _sign(self, text: str) -> bool:
        if self._tokens and self._tokens[0] == ("sign", text):
            self._tokens.pop(0)
            return True
        return False

    def _word(self, word: str) -> bool:
        if self._tokens and self._tokens[0][0] == "word" and self._tokens[0][1].lower() == word:
            self._tokens.pop(0)
            return True
        return False
