"""Deterministic scorers: an item and an answer to one of three outcomes. Owns the comparison, nothing about shares.

They come before any judging model: where the right answer is a word, a number, a structure or a reference, a rule finds it
out at no cost and gives the same outcome every time.

Rules kept here:
1. Every scorer first asks its declared refusal rule; only an answer that is no refusal is compared.
2. Nothing is guessed from an answer: two numbers where one is wanted, or JSON with words around it, are incorrect.
3. What is wrong with the item or the scorer is an error at once; what is wrong with the answer is an outcome.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]  # it ships no types
from referencing import Registry
from referencing.exceptions import Unresolvable

from roadworthy.base.canonical import parse_json
from roadworthy.base.errors import ContractError, NotCanonical, ParameterError
from roadworthy.measure.answers.outcome import Answer, Citation, Item, RefusalRule, compiled
from roadworthy.stats.outcomes import Outcome

_SPACE = re.compile(r"\s+")
_OUTER = ".,;:!?\"'`*()[]{}«»„“”‘’ "
_TYPOGRAPHIC = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-"})
_NUMBER = re.compile(r"(?<![\w.,])[-+−]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?")


class Scorer(Protocol):
    """What turns an answer into an outcome."""

    @property
    def refusal(self) -> RefusalRule:
        """How a refusal is recognised."""

    def score(self, item: Item, answer: Answer) -> Outcome:
        """The outcome of an answer to an item.

        Raises:
            ContractError: the item does not carry what this scorer compares with (RW-106).
        """


def normalised(text: str) -> str:
    """The text in Unicode NFKC, case folded, white space collapsed, without punctuation at its two ends."""
    # Folding can leave what is not in normal form any more, so it stands between two normalisations.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _SPACE.sub(" ", folded).strip(_OUTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """Correct when the normalised answer is the item's one expected text.

    Attributes:
        refusal: how a refusal is recognised.
    """

    refusal: RefusalRule

    def score(self, item: Item, answer: Answer) -> Outcome:
        """Compare the whole answer.

        Raises:
            ContractError: the item expects none or several (RW-106).
        """
        expected = _the_one(item)
        if self.refusal.refused(answer):
            return Outcome.REFUSED
        return _outcome(normalised(answer.text) == normalised(expected))


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """Correct when the normalised answer is any of the item's expected texts.

    Attributes:
        refusal: how a refusal is recognised.
    """

    refusal: RefusalRule

    def score(self, item: Item, answer: Answer) -> Outcome:
        """Compare the whole answer with each.

        Raises:
            ContractError: the item expects nothing (RW-106).
        """
        expected = {normalised(text) for text in _some(item)}
        if self.refusal.refused(answer):
            return Outcome.REFUSED
        return _outcome(normalised(answer.text) in expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex:
    """Correct when one of the item's expected patterns is found; anchor it to speak about the whole answer.

    Attributes:
        refusal: how a refusal is recognised.
    """

    refusal: RefusalRule

    def score(self, item: Item, answer: Answer) -> Outcome:
        """Search each pattern, with regard to case.

        Raises:
            ContractError: the item expects nothing (RW-106).
            ParameterError: an expected text is no regular expression (RW-114).
        """
        patterns = [compiled(pattern) for pattern in _some(item)]
        if self.refusal.refused(answer):
            return Outcome.REFUSED
        return _outcome(any(pattern.search(answer.text) for pattern in patterns))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberWithin:
    """Correct when the answer holds exactly one number and it is near enough to the item's expected one.

    Near enough: within ``absolute``, or within ``relative`` times the expected number, whichever allows more. Numbers are
    compared as decimals, so 0.3 is within 0.1 of 0.2.

    Attributes:
        refusal: how a refusal is recognised.
        absolute: in the unit of the number, 0 or more.
        relative: as a share of the expected number, 0 or more.
        pattern: finds the number in its first group, for answers that hold several; None when there is one only.
        decimal_mark: ``.`` or ``,``; the other one groups digits by three.
    """

    refusal: RefusalRule
    absolute: float = 0.0
    relative: float = 0.0
    pattern: str | None = None
    decimal_mark: str = "."

    def __post_init__(self) -> None:
        if not (self.absolute >= 0 and self.relative >= 0) or self.decimal_mark not in {".", ","}:
            raise ParameterError(
                "The tolerance of a number or its decimal mark makes no sense.",
                remedy="Give tolerances of 0 or more and '.' or ',' as the mark.",
            )
        if self.pattern is not None and compiled(self.pattern).groups < 1:
            raise ParameterError(
                f"{self.pattern!r} has no group.", remedy="Put the number into parentheses.", where=self.pattern
            )

    def score(self, item: Item, answer: Answer) -> Outcome:
        """Compare the one number.

        Raises:
            ContractError: the item does not expect one number (RW-106).
        """
        wanted = _decimal(_the_one(item), ".")
        if wanted is None:
            raise ContractError(
                f"Item {item.id!r} expects {item.expected[0]!r}, which is no number.",
                remedy="Write the expected number with '.' as decimal mark, without digit groups.",
                where=f"item {item.id}",
            )
        if self.refusal.refused(answer):
            return Outcome.REFUSED
        found = {_decimal(text, self.decimal_mark) for text in self._texts(answer.text)}
        if len(found) != 1:
            return Outcome.INCORRECT
        value = found.pop()
        margin = max(Decimal(str(self.absolute)), Decimal(str(self.relative)) * abs(wanted))
        return _outcome(value is not None and abs(value - wanted) <= margin)

    def _texts(self, text: str) -> list[str]:
        if self.pattern is None:
            return _NUMBER.findall(text)
        return [match.group(1) or "" for match in re.finditer(self.pattern, text)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contains:
    """Correct when all of the item's expected texts occur and none of the forbidden ones, without regard to case.

    Attributes:
        refusal: how a refusal is recognised.
        forbidden: texts that no answer may hold.
    """

    refusal: RefusalRule
    forbidden: tuple[str, ...] = ()

    def score(self, item: Item, answer: Answer) -> Outcome:
        """Look for the texts.

        Raises:
            ContractError: the item expects nothing and nothing is forbidden (RW-106).
        """
        expected = item.expected if self.forbidden else _some(item)
        if self.refusal.refused(answer):
            return Outcome.REFUSED
        text = normalised(answer.text)
        lacking = any(normalised(part) not in text for part in expected)
        return _outcome(not lacking and not any(normalised(part) in text for part in self.forbidden))


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSchema:
    """Correct when the whole answer is one JSON value that the schema admits (JSON Schema, draft 2020-12).

    ``format`` is an annotation there and is not asserted. References outside the schema are never fetched.

    Attributes:
        refusal: how a refusal is recognised.
        schema: as plain JSON.
    """

    refusal: RefusalRule
    schema: Mapping[str, Any]

    def __post_init__(self) -> None:
        try:
            Draft202012Validator.check_schema(self.schema)
        except SchemaError as error:
            raise ParameterError(f"This is not a JSON Schema: {error.message}.", remedy="Correct it.") from error

    def score(self, item: Item, answer: Answer) -> Outcome:
        """Parse strictly and validate.

        Raises:
            ParameterError: the schema refers to something outside itself (RW-114).
        """
        del item  # the structure is the same for all
        if self.refusal.refused(answer):
            return Outcome.REFUSED
        try:
            value = parse_json(answer.text.encode("utf-8", "surrogatepass"))
        except NotCanonical:
            return Outcome.INCORRECT
        validator = Draft202012Validator(self.schema, registry=Registry())
        try:
            return _outcome(validator.is_valid(value))
        except Unresolvable as error:
            raise ParameterError(
                f"The schema refers to {error.ref!r}, which it does not hold.", remedy="Put it under $defs."
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class CitationsResolve:
    """Correct when every reference points into the item's documents and every quote stands there word for word.

    It says nothing about whether the cited text supports the answer. White space and typographic quotes and dashes are
    made alike before a quote is looked for; letters, case and order must agree.

    Attributes:
        refusal: how a refusal is recognised.
        at_least: fewest references that an answer must make.
        marker: finds references in the text, document id in its first group; None when ``Answer.citations`` has them.
    """

    refusal: RefusalRule
    at_least: int = 1
    marker: str | None = None

    def __post_init__(self) -> None:
        if self.marker is not None and compiled(self.marker).groups < 1:
            raise ParameterError(
                f"{self.marker!r} has no group.", remedy="Put the document id into parentheses.", where=self.marker
            )

    def score(self, item: Item, answer: Answer) -> Outcome:
        """Resolve each reference."""
        if self.refusal.refused(answer):
            return Outcome.REFUSED
        cited = list(answer.citations)
        if self.marker is not None:
            found = re.finditer(self.marker, answer.text)
            cited += [Citation(document_id=match.group(1) or "") for match in found]
        return _outcome(len(cited) >= self.at_least and all(_resolves(citation, item) for citation in cited))


def _resolves(citation: Citation, item: Item) -> bool:
    if citation.document_id not in item.documents:
        return False
    if citation.quote is None:
        return True
    quote = _verbatim(citation.quote)
    # An empty quote would occur anywhere.
    return quote != "" and quote in _verbatim(item.documents[citation.document_id])


def _verbatim(text: str) -> str:
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text).translate(_TYPOGRAPHIC)).strip()


def _decimal(text: str, mark: str) -> Decimal | None:
    """The number, or None where digit groups are not groups of three."""
    group = "," if mark == "." else "."
    whole, _, rest = text.replace("−", "-").partition(mark)
    if group in rest or (group in whole and not re.fullmatch(rf"[-+]?\d{{1,3}}(?:{re.escape(group)}\d{{3}})+", whole)):
        return None
    plain = whole.replace(group, "") + ("." + rest if rest else "")
    return Decimal(plain) if re.fullmatch(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?", plain) else None


def _the_one(item: Item) -> str:
    if len(item.expected) != 1:
        raise ContractError(
            f"Item {item.id!r} expects {len(item.expected)} answers where one is compared.",
            remedy="Give one expected answer, or score with OneOf.",
            where=f"item {item.id}",
        )
    return item.expected[0]


def _some(item: Item) -> tuple[str, ...]:
    if not item.expected:
        raise ContractError(
            f"Item {item.id!r} expects nothing.", remedy="Give its expected answers.", where=f"item {item.id}"
        )
    return item.expected


def _outcome(right: bool) -> Outcome:  # noqa: FBT001 - the one argument is the fact itself
    return Outcome.CORRECT if right else Outcome.INCORRECT
