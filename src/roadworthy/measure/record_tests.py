"""What makes a single record bad, in Python. Owns one test for each kind of rule; deciding belongs to ``inline``.

``predicates`` says the same in SQL, rule by rule; a property test holds the two together on hostile values. Nothing
here knows an engine: this is the hot path of a gateway.

Rules kept here:
1. A column test sees only values that are there; what a missing value means stands beside it.
2. A test never raises on any JSON value or plain Python value.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from roadworthy.measure.comparison import Clause, Comparison, Reading, Relation, Term
from roadworthy.measure.known_keys import KnownKeys
from roadworthy.measure.patterns import searcher
from roadworthy.measure.reading import (
    MOJIBAKE,
    clock_of,
    instant_of,
    is_missing,
    number_of,
    text_of,
    truth_of,
)
from roadworthy.measure.rule import Kind, Limits, Rule

Record = Mapping[str, object]
ValueTest = Callable[[object], bool]
RecordTest = Callable[[Record, int], bool]

_ABSENT = object()
_SPAN_US = 1_000_000
# A lone half of a pair is no character: JSON can carry it, no table can.
_broken = re.compile(MOJIBAKE + "|[\ud800-\udfff]").search
_FITTING: dict[str, tuple[type, ...]] = {
    "number": (int, float, Decimal),
    "integer": (int, float, Decimal),
    "string": (str,),
    "boolean": (bool,),
    # JSON has no instants: they come as text, whose shape the rule about the type looks at.
    "date": (date, str),
    "timestamp": (datetime, str),
    "time": (time, str),
    "array": (list, tuple),
    "object": (dict,),
}
_RELATIONS: dict[Relation, Callable[[Any, Any], bool]] = {
    Relation.LESS: operator.lt,
    Relation.AT_MOST: operator.le,
    Relation.EQUAL: operator.eq,
    Relation.AT_LEAST: operator.ge,
    Relation.GREATER: operator.gt,
    Relation.NOT_EQUAL: operator.ne,
}


@dataclass(frozen=True, slots=True)
class ColumnTest:
    """A rule about one value.

    Attributes:
        when_missing: whether a record without the value is bad.
        bad: whether a value that is there is bad; None when it never is.
    """

    when_missing: bool
    bad: ValueTest | None


def column_test(rule: Rule) -> ColumnTest | None:
    """The test of a rule about one column that needs nothing but the value; None for other rules.

    Raises:
        NotCarriedOver: its pattern is one that only the batch engine runs.
    """
    if rule.kind is Kind.NULL:
        return ColumnTest(True, None)
    if rule.kind is Kind.MISSING_TEXT:
        return ColumnTest(True, _listed(rule))
    build = _VALUE_TESTS.get(rule.kind)
    return None if build is None else ColumnTest(False, build(rule))


def record_test(rule: Rule, *, typed: bool) -> RecordTest | None:
    """The test of a rule that needs the record or the instant (microseconds since 1970); None for other rules.

    Args:
        rule: of any kind.
        typed: whether the values have types of their own; text has none.
    """
    if rule.kind is Kind.COLUMN:
        return _presence(rule, typed=typed)
    build = _RECORD_TESTS.get(rule.kind)
    return None if build is None else build(rule)


def reference_test(rule: Rule, known: KnownKeys) -> RecordTest:
    """Whether the record points to nothing; a record with a missing part of the key points nowhere, which is not bad."""
    columns = rule.columns

    def bad(record: Record, now_us: int) -> bool:  # noqa: ARG001  # one shape for all tests
        values = [record.get(name) for name in columns]
        return not any(is_missing(value) for value in values) and not known.has(values)

    return bad


def repetition_test(rule: Rule, seen: set[tuple[object, ...]]) -> RecordTest:
    """Whether the record repeats a key that is in ``seen``; new keys are added to it."""
    columns = rule.columns

    def bad(record: Record, now_us: int) -> bool:  # noqa: ARG001  # one shape for all tests
        values = [record.get(name) for name in columns]
        if any(is_missing(value) for value in values):
            return False
        key = tuple(_identity(value) for value in values)
        if key in seen:
            return True
        seen.add(key)
        return False

    return bad


def _identity(value: object) -> object:
    if isinstance(value, datetime):
        return ("instant", instant_of(value))
    if isinstance(value, Decimal):
        return number_of(value)
    return value if isinstance(value, str | int | float | date | time) else repr(value)


def _type(rule: Rule) -> ValueTest:
    if rule.text == "number":
        return _no_number
    if rule.text == "integer":
        return _no_integer
    if rule.text == "boolean":
        return lambda value: not truth_of(value)
    if rule.text == "time":
        return lambda value: clock_of(value) is None
    return lambda value: not isinstance(value, date) and instant_of(value) is None


def _no_number(value: object) -> bool:
    number = number_of(value)
    return number is None or math.isinf(number)


def _no_integer(value: object) -> bool:
    number = number_of(value)
    return number is None or math.isinf(number) or not number.is_integer()


def _range(rule: Rule) -> ValueTest:
    reads: dict[str, Callable[[object], float | None]] = {
        "date": instant_of,
        "timestamp": instant_of,
        "time": clock_of,
    }
    return _outside(rule.limits or Limits(), reads.get(rule.text, number_of))


def _length(rule: Rule) -> ValueTest:
    def size(value: object) -> float | None:
        text = text_of(value)
        return None if text is None else len(text)

    limits = rule.limits or Limits()
    return _outside(limits, size)


def _outside(limits: Limits, read: Callable[[object], float | None]) -> ValueTest:
    # Lengths are read as what they are, so an end is a number already; dates are read like the values.
    low, high = (_end(end, read) for end in (limits.lower, limits.upper))
    below = operator.lt if limits.lower_inclusive else operator.le
    above = operator.gt if limits.upper_inclusive else operator.ge

    def bad(value: object) -> bool:
        found = read(value)
        if found is None:
            return False
        return (low is not None and below(found, low)) or (high is not None and above(found, high))

    return bad


def _end(end: float | str | None, read: Callable[[object], float | None]) -> float | None:
    if end is None or not isinstance(end, str):
        return end
    return read(end)


def _listed(rule: Rule) -> ValueTest:
    numbers = frozenset(float(value) for value in rule.values if not isinstance(value, bool | str | None))
    texts = frozenset(
        value if isinstance(value, str) else str(value).lower()
        for value in rule.values
        if isinstance(value, bool | str)
    )

    def listed(value: object) -> bool:
        return bool((numbers and number_of(value) in numbers) or (texts and text_of(value) in texts))

    return listed


def _unlisted(rule: Rule) -> ValueTest:
    listed = _listed(rule)
    return lambda value: not listed(value)


def _pattern(rule: Rule) -> ValueTest:
    search = searcher(rule.text)

    def bad(value: object) -> bool:
        text = text_of(value)
        return text is None or search(text) is None

    return bad


def _encoding(rule: Rule) -> ValueTest:  # noqa: ARG001  # one shape for all builders
    return lambda value: isinstance(value, str) and not value.isascii() and _broken(value) is not None


def _presence(rule: Rule, *, typed: bool) -> RecordTest:
    name = rule.columns[0]
    fitting = _FITTING.get(rule.text) if typed else None
    if fitting is None:
        return lambda record, _: name not in record
    kinds, quick = fitting, frozenset({*fitting, type(None)})

    def bad(record: Record, now_us: int) -> bool:  # noqa: ARG001  # one shape for all tests
        value = record.get(name, _ABSENT)
        if value.__class__ in quick:
            return False
        # A boolean is an int to Python, but no number to a contract.
        return value is _ABSENT or isinstance(value, bool) or not isinstance(value, kinds)

    return bad


def _unit(rule: Rule) -> RecordTest:
    (name, unit_column), (unit,) = rule.columns, rule.values
    return lambda record, _: not is_missing(record.get(name)) and text_of(record.get(unit_column)) != unit


def _age(rule: Rule) -> RecordTest:
    name, span_us = rule.columns[0], _span_us(rule)

    def bad(record: Record, now_us: int) -> bool:
        when = instant_of(record.get(name))
        return when is None or not now_us - span_us <= when <= now_us

    return bad


def _lateness(rule: Rule) -> RecordTest:
    (event_name, arrived_name), span_us = rule.columns, _span_us(rule)

    def bad(record: Record, now_us: int) -> bool:  # noqa: ARG001  # one shape for all tests
        event, arrived = instant_of(record.get(event_name)), instant_of(record.get(arrived_name))
        return event is None or arrived is None or not event <= arrived <= event + span_us

    return bad


def _span_us(rule: Rule) -> int:
    return round((rule.max_age_s or 0.0) * _SPAN_US)


def _comparison(rule: Rule) -> RecordTest | None:
    comparison = rule.comparison
    if comparison is None:
        return None
    first, *more = (_clause(clause, comparison) for clause in comparison.clauses)
    if not more:
        return lambda record, _: first(record)
    (second,) = more
    return lambda record, _: first(record) or second(record)


def _clause(clause: Clause, comparison: Comparison) -> Callable[[Record], bool]:
    left, right = _side(clause.left, comparison.reading), _side(clause.right, comparison.reading)
    holds, tolerance = _RELATIONS[clause.relation], comparison.tolerance
    close = tolerance > 0 and clause.relation is Relation.EQUAL

    def bad(record: Record) -> bool:
        one, other = left(record), right(record)
        if one is None or other is None:
            return False
        if close and not isinstance(one, str) and not isinstance(other, str):
            return not abs(one - other) <= tolerance
        return not holds(one, other)

    return bad


def _side(terms: tuple[Term, ...], reading: Reading) -> Callable[[Record], float | str | None]:
    if reading is Reading.NUMBER:
        return _total(terms)
    (term,) = terms
    read: dict[Reading, Callable[[object], float | str | None]] = {
        Reading.INSTANT: instant_of,
        Reading.CLOCK: clock_of,
        Reading.TEXT: text_of,
    }
    name, of = term.column, read[reading]
    if name is None:
        constant = of(term.text)
        return lambda record: constant  # noqa: ARG005  # one shape for both sides
    return lambda record: of(record.get(name))


def _total(terms: Collection[Term]) -> Callable[[Record], float | None]:
    parts = [(term.column, term.factor if term.text is None else number_of(term.text) or 0.0) for term in terms]
    if len(parts) == 1 and parts[0][0] is not None:
        return _product(parts[0][0], parts[0][1])

    def total(record: Record) -> float | None:
        found = None
        for name, factor in parts:
            number: float | None = 1.0 if name is None else number_of(record.get(name))
            if number is None:
                return None
            # The first term is not added to 0: that would lose the sign of a zero, and differ from the batch.
            found = factor * number if found is None else found + factor * number
        return found if found is not None and math.isfinite(found) else None

    return total


def _product(name: str, factor: float) -> Callable[[Record], float | None]:
    def product(record: Record) -> float | None:
        number = number_of(record.get(name))
        if number is None:
            return None
        number *= factor
        return number if math.isfinite(number) else None

    return product


_VALUE_TESTS: dict[Kind, Callable[[Rule], ValueTest]] = {
    Kind.TYPE: _type,
    Kind.RANGE: _range,
    Kind.SET: _unlisted,
    Kind.PATTERN: _pattern,
    Kind.LENGTH: _length,
    Kind.ENCODING: _encoding,
    Kind.SENTINEL: _listed,
}
_RECORD_TESTS: dict[Kind, Callable[[Rule], RecordTest | None]] = {
    Kind.UNIT: _unit,
    Kind.AGE: _age,
    Kind.LATENESS: _lateness,
    Kind.COMPARISON: _comparison,
}
