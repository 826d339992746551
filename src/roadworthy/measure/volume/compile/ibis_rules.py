"""A rule about single rows as an Ibis expression. Owns what makes a row bad, in words that all dialects mean alike.

``predicates`` says the same in DuckDB's SQL, and ``numpy_rules`` over Arrow; the conformance suite holds them together.

Rules kept here:
1. An expression is true for a bad row and never null, so that it can be counted.
2. What only DuckDB and numpy read exactly is refused by name: numbers, instants and truth values in text (the casts of
   the engines differ), and numbers and instants as text (their formatting does).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ibis

from roadworthy.base.errors import EngineRefused
from roadworthy.measure.comparison import Clause, Comparison, Reading, Relation, Term
from roadworthy.measure.patterns import NotCarriedOver
from roadworthy.measure.reading import DAY_US, MOJIBAKE, clock_of, instant_of, number_of
from roadworthy.measure.rule import Kind, Limits, Rule, Value
from roadworthy.measure.volume.accumulators import Broken
from roadworthy.measure.volume.compile.dialect import Dialect, Expression, double, finite
from roadworthy.measure.volume.compile.portable_patterns import portable

_SECOND_US = 1_000_000
_ALL_WHOLE = 2.0**53
_EQUALITIES = frozenset({Relation.EQUAL, Relation.NOT_EQUAL})


@dataclass(frozen=True, slots=True)
class Reader:
    """The columns of a table, read as the rules read them.

    Attributes:
        table: an Ibis table.
        dialect: of its backend.
    """

    table: Expression
    dialect: Dialect

    def missing(self, name: str) -> Expression:
        """Null, or NaN in a floating column."""
        column = self.table[name]
        return column.isnull() | column.isnan().fill_null(False) if column.type().is_floating() else column.isnull()

    def number(self, name: str) -> Expression:
        """As a double, NaN and the infinities included; null where it is no number."""
        column = self.table[name]
        kind = column.type()
        if kind.is_decimal():
            # By way of text, which rounds once.
            return column.cast("string").cast("float64")
        if kind.is_boolean():
            return ibis.cases((column, double(1.0)), (~column, double(0.0)))
        if kind.is_numeric():
            return column.cast("float64")
        self._refuse_text(name, "numbers")
        return ibis.null("float64")

    def instant(self, name: str) -> Expression:
        """As microseconds since 1970; null where it is no instant."""
        column = self.table[name]
        if column.type().is_timestamp() or column.type().is_date():
            return self.dialect.microseconds(column)
        self._refuse_text(name, "instants")
        return ibis.null("int64")

    def clock(self, name: str) -> Expression:
        """As microseconds since midnight; null where it is no time of day."""
        column = self.table[name]
        if column.type().is_timestamp():
            return ((self.instant(name) % DAY_US) + DAY_US) % DAY_US
        if column.type().is_time():
            raise self._refused(name, "a time of day")
        self._refuse_text(name, "times of day")
        return ibis.null("int64")

    def text(self, name: str) -> Expression:
        """As text; null for lists, structures and bytes."""
        column = self.table[name]
        kind = column.type()
        if kind.is_string():
            return column
        if kind.is_boolean():
            return ibis.cases((column, "true"), (~column, "false"))
        if kind.is_integer():
            return column.cast("string")
        if kind.is_numeric() or kind.is_temporal() or kind.is_uuid():
            raise self._refused(name, f"the text of a {kind}")
        return ibis.null("string")

    def _refuse_text(self, name: str, what: str) -> None:
        if self.table[name].type().is_string() or self.table[name].type().is_uuid():
            raise self._refused(name, f"{what} in text")

    def _refused(self, name: str, what: str) -> EngineRefused:
        return EngineRefused(
            f"{self.dialect.name} does not read {what} as the others do ({name}).",
            remedy="Store the column with the type that the rule means, or measure with duckdb or numpy.",
        )


def bad_row(item: Broken, reader: Reader) -> Expression:
    """Whether a row breaks the rule; never null.

    Raises:
        EngineRefused: this dialect cannot tell it exactly; the kind of rule and the column are named (RW-117).
    """
    return _BUILDERS[item.rule.kind](_Ask(item.rule, reader, item.at_us))


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a builder may need."""

    rule: Rule
    reader: Reader
    at_us: int

    @property
    def column(self) -> str:
        return self.rule.columns[0]

    def present(self, bad: Expression) -> Expression:
        """Bad only where there is a value."""
        return ~self.reader.missing(self.column) & bad


def _never_null(condition: Expression, *, default: bool = False) -> Expression:
    return condition.fill_null(default)


def _null(ask: _Ask) -> Expression:
    return ask.reader.missing(ask.column)


def _missing_text(ask: _Ask) -> Expression:
    return ask.reader.missing(ask.column) | _listed(ask)


def _listed(ask: _Ask) -> Expression:
    """Listed numbers are looked for among numbers, listed words among texts."""
    numbers, texts = _sorted_values(ask.rule.values)
    found = ibis.literal(False)
    if numbers:
        found |= _never_null(ask.reader.number(ask.column).isin([double(value) for value in numbers]))
    if texts:
        found |= _never_null(ask.reader.text(ask.column).isin(list(texts)))
    return found


def _sorted_values(values: Sequence[Value]) -> tuple[list[float], list[str]]:
    return (
        [value for value in values if isinstance(value, float)],
        [value for value in values if isinstance(value, str)],
    )


def _set(ask: _Ask) -> Expression:
    return ask.present(~_listed(ask))


def _type(ask: _Ask) -> Expression:
    name, reader, wanted = ask.column, ask.reader, ask.rule.text
    if wanted in {"number", "integer"}:
        value = reader.number(name)
        bad = ~_never_null(finite(value))
        return ask.present(bad | _fractional(value) if wanted == "integer" else bad)
    if wanted == "boolean":
        return ask.present(~_never_null(reader.number(name).isin([double(0.0), double(1.0)])))
    return ask.present((reader.clock(name) if wanted == "time" else reader.instant(name)).isnull())


def _fractional(value: Expression) -> Expression:
    # Doubles from 2**53 are whole. Smaller ones survive a cast if they are, whichever way it rounds; floor gives a 64-bit
    # number on some engines, which the larger ones overflow.
    small = value.between(double(-_ALL_WHOLE), double(_ALL_WHOLE))
    return ibis.cases((small, value.cast("int64").cast("float64") != value), else_=False)


def _range(ask: _Ask) -> Expression:
    name, limits = ask.column, ask.rule.limits or Limits()
    if ask.rule.text in {"date", "timestamp"}:
        return ask.present(_outside(ask.reader.instant(name), limits, _whole_end(instant_of)))
    if ask.rule.text == "time":
        return ask.present(_outside(ask.reader.clock(name), limits, _whole_end(clock_of)))
    return ask.present(_outside(ask.reader.number(name), limits, _double_end))


def _length(ask: _Ask) -> Expression:
    size = ask.reader.text(ask.column).length().cast("float64")
    return ask.present(_outside(size, ask.rule.limits or Limits(), _double_end))


def _outside(value: Expression, limits: Limits, end: Callable[[object], Expression]) -> Expression:
    bad = ibis.literal(False)
    if limits.lower is not None:
        low = end(limits.lower)
        bad |= _never_null(value < low if limits.lower_inclusive else value <= low)
    if limits.upper is not None:
        high = end(limits.upper)
        bad |= _never_null(value > high if limits.upper_inclusive else value >= high)
    return bad


def _double_end(limit: object) -> Expression:
    value = number_of(limit)
    return ibis.null("float64") if value is None else double(value)


def _whole_end(read: Callable[[object], int | None]) -> Callable[[object], Expression]:
    def end(limit: object) -> Expression:
        value = read(limit)
        return ibis.null("int64") if value is None else ibis.literal(value, "int64")

    return end


def _pattern(ask: _Ask) -> Expression:
    try:
        pattern = portable(ask.rule.text, ask.reader.dialect.flavour)
    except NotCarriedOver as reason:
        raise EngineRefused(
            f"{ask.reader.dialect.name} does not search for {ask.rule.text!r} ({ask.column}) exactly: it has {reason}.",
            remedy="Write the pattern in the portable subset, or measure with duckdb or numpy.",
        ) from reason
    return ask.present(~_never_null(ask.reader.text(ask.column).re_search(pattern)))


def _encoding(ask: _Ask) -> Expression:
    if not ask.reader.table[ask.column].type().is_string():
        return ibis.literal(False)
    return _never_null(ask.reader.text(ask.column).re_search(MOJIBAKE))


def _unit(ask: _Ask) -> Expression:
    (unit,) = ask.rule.values
    return ask.present(_never_null(ask.reader.text(ask.rule.columns[1]) != unit, default=True))


def _age(ask: _Ask) -> Expression:
    when = ask.reader.instant(ask.column)
    oldest, newest = (ibis.literal(at_us, "int64") for at_us in (ask.at_us - _span_us(ask.rule), ask.at_us))
    return _never_null((when < oldest) | (when > newest), default=True)


def _lateness(ask: _Ask) -> Expression:
    event, arrived = (ask.reader.instant(name) for name in ask.rule.columns)
    span = ibis.literal(_span_us(ask.rule), "int64")
    return _never_null((arrived - event > span) | (arrived < event), default=True)


def _span_us(rule: Rule) -> int:
    return round((rule.max_age_s or 0.0) * _SECOND_US)


def _comparison(ask: _Ask) -> Expression:
    comparison = ask.rule.comparison
    assert comparison is not None
    bad = ibis.literal(False)
    for clause in comparison.clauses:
        bad |= _never_null(~_clause(clause, comparison, ask.reader))
    return bad


def _clause(clause: Clause, comparison: Comparison, reader: Reader) -> Expression:
    left, right = (_side(side, comparison.reading, reader) for side in (clause.left, clause.right))
    if comparison.tolerance and clause.relation is Relation.EQUAL:
        return (left - right).abs() <= double(comparison.tolerance)
    if comparison.reading is Reading.TEXT and clause.relation not in _EQUALITIES:
        left, right = reader.dialect.text_order(left), reader.dialect.text_order(right)
    return _RELATIONS[clause.relation](left, right)


def _side(terms: tuple[Term, ...], reading: Reading, reader: Reader) -> Expression:
    if reading is Reading.NUMBER:
        total = _product(terms[0], reader)
        for term in terms[1:]:
            total += _product(term, reader)
        return ibis.cases((finite(total), total))
    (term,) = terms
    if term.column is not None:
        reads = {Reading.INSTANT: reader.instant, Reading.CLOCK: reader.clock, Reading.TEXT: reader.text}
        return reads[reading](term.column)
    if reading is Reading.TEXT:
        return ibis.literal(term.text)
    return _whole_end(instant_of if reading is Reading.INSTANT else clock_of)(term.text)


def _product(term: Term, reader: Reader) -> Expression:
    if term.column is None:
        return _double_end(term.factor if term.text is None else term.text)
    return double(term.factor) * reader.number(term.column)


_RELATIONS: dict[Relation, Callable[[Expression, Expression], Expression]] = {
    Relation.LESS: lambda left, right: left < right,
    Relation.AT_MOST: lambda left, right: left <= right,
    Relation.EQUAL: lambda left, right: left == right,
    Relation.AT_LEAST: lambda left, right: left >= right,
    Relation.GREATER: lambda left, right: left > right,
    Relation.NOT_EQUAL: lambda left, right: left != right,
}
_BUILDERS: dict[Kind, Callable[[_Ask], Expression]] = {
    Kind.NULL: _null,
    Kind.MISSING_TEXT: _missing_text,
    Kind.TYPE: _type,
    Kind.RANGE: _range,
    Kind.SET: _set,
    Kind.PATTERN: _pattern,
    Kind.LENGTH: _length,
    Kind.ENCODING: _encoding,
    Kind.SENTINEL: _listed,
    Kind.UNIT: _unit,
    Kind.AGE: _age,
    Kind.LATENESS: _lateness,
    Kind.COMPARISON: _comparison,
}
