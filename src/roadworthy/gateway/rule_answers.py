"""Answers without AI: rules on the question's JSON. Owns the file of rules and when one holds.

The file::

    rules: 1
    answers:
      - name: adult-dose
        when:
          - {pointer: /age, comparator: at_least, value: 18}
          - {pointer: /messages/*/content, comparator: contains, value: paracetamol}
        body: {...}                               # or text, which is sent as it stands
        content_type: application/json

Rules kept here:
1. A rule holds when all its conditions do, a condition when any value at its pointer satisfies it. The first rule that
   holds answers; when none holds, the next rung of the ladder does.
2. Nothing is converted: the text "18" is no number, and true is not 1. Text is compared without regard to case only by
   ``contains``.
3. Who asked for a stream gets an answer of server-sent events, and nobody else does.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from roadworthy.gateway.cached_answers import body_bytes, is_stream
from roadworthy.gateway.exchange import Question
from roadworthy.gateway.json_place import parse_body, parse_pointer, values_at
from roadworthy.kit.yaml_file import parse_model, read_text


class RuleComparator(Enum):
    """How a value in the question is compared with that of the condition."""

    EQUALS = "equals"
    DIFFERS = "differs"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    CONTAINS = "contains"
    """Text within text, or an item of a list."""
    ONE_OF = "one_of"
    """The condition's value is the list."""
    PRESENT = "present"
    """Takes no value."""


class _Condition(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    pointer: str
    comparator: RuleComparator
    value: Any = None

    @field_validator("pointer")
    @classmethod
    def _well_formed(cls, pointer: str) -> str:
        parse_pointer(pointer)
        return pointer


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    when: list[_Condition]
    body: str | dict[str, Any] | list[Any]
    content_type: Annotated[str, Field(pattern=r"^[\x20-\x7e]+$")] = "application/json"


class _RuleFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: Literal[1]
    answers: list[_Rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleAnswer:
    """What a rule says.

    Attributes:
        rule: its name.
        body: as it is sent.
        content_type: of the body.
    """

    rule: str
    body: bytes
    content_type: str


_Compiled = tuple[tuple[tuple[str, ...], RuleComparator, Any], ...]


class RuleAnswers:
    """All rules of one file, in its order.

    Args:
        path: of the file, in YAML.

    Raises:
        MissingFile: it cannot be read (RW-102).
        ManifestError: it breaks the schema; all problems are listed (RW-101).
    """

    def __init__(self, path: Path) -> None:
        model = parse_model(read_text(path), path.name, _RuleFile)
        self._rules: list[tuple[_Compiled, RuleAnswer, bool]] = [
            (
                tuple((parse_pointer(each.pointer), each.comparator, each.value) for each in rule.when),
                RuleAnswer(rule=rule.name, body=body_bytes(rule.body), content_type=rule.content_type),
                is_stream(rule.content_type),
            )
            for rule in model.answers
        ]

    def find(self, question: Question) -> RuleAnswer | None:
        """The answer of the first rule that holds; None when none does, or when the question is not JSON."""
        document = parse_body(question.body)
        if document is None:
            return None
        for conditions, answer, stream in self._rules:
            if stream is question.stream and all(_holds(document, *each) for each in conditions):
                return answer
        return None


def _holds(document: Any, path: tuple[str, ...], comparator: RuleComparator, value: Any) -> bool:
    found = values_at(document, path)
    if comparator is RuleComparator.PRESENT:
        return bool(found)
    return any(_compare(each, comparator, value) for each in found)


def _compare(found: Any, comparator: RuleComparator, value: Any) -> bool:
    match comparator:
        case RuleComparator.EQUALS:
            return _same(found, value)
        case RuleComparator.DIFFERS:
            return not _same(found, value)
        case RuleComparator.ONE_OF:
            return isinstance(value, list) and any(_same(found, each) for each in value)
        case RuleComparator.CONTAINS:
            return _contains(found, value)
        case RuleComparator.AT_LEAST:
            return _are_numbers(found, value) and bool(found >= value)
        case _:
            return _are_numbers(found, value) and bool(found <= value)


def _same(found: Any, value: Any) -> bool:
    return isinstance(found, bool) is isinstance(value, bool) and bool(found == value)


def _contains(found: Any, value: Any) -> bool:
    if isinstance(found, str) and isinstance(value, str):
        return value.casefold() in found.casefold()
    return isinstance(found, list) and any(_same(each, value) for each in found)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
