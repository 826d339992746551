"""Rules about single rows over an Arrow batch. Owns counting the bad rows, without a database.

``predicates`` says the same in SQL, ``record_tests`` for a single record. What a value is read as is fixed by
``reading``: numbers and instants of their own type are read all at once, everything else (text, decimals) value by
value, each distinct one once.

Rules kept here:
1. Every reading is an array of values and one that says where there is a value; nothing is signalled by a special value.
2. Patterns are searched for by Arrow's RE2, which is DuckDB's too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roadworthy.base.errors import EngineRefused
from roadworthy.measure.comparison import Clause, Comparison, Reading, Relation, Term
from roadworthy.measure.reading import DAY_US, MOJIBAKE, clock_of, instant_of, number_of, text_of, truth_of
from roadworthy.measure.rule import Kind, Limits, Rule
from roadworthy.measure.volume.accumulators import Broken

BoolArray: TypeAlias = Any
"""Conditions, shape (rows,)."""
_SECOND_US = 1_000_000


class Read(NamedTuple):
    """Values and where they are known, both of shape (rows,); what stands at an unknown place means nothing."""

    values: Any
    known: BoolArray


class BatchReader:
    """The columns of a batch, read as the rules read them; each reading is made once.

    Args:
        batch: at least one row.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._made: dict[tuple[str, str], Read] = {}

    def stored(self, name: str) -> pa.Array:
        """As it is stored."""
        return self._batch.column(name)

    def missing(self, name: str) -> BoolArray:
        """Null, or NaN in a floating column."""
        array = self.stored(name)
        return _flags(pc.is_null(array, nan_is_null=pa.types.is_floating(array.type)))

    def number(self, name: str) -> Read:
        """As doubles, NaN and the infinities included."""
        return self._once("number", name, _numbers)

    def instant(self, name: str) -> Read:
        """As microseconds since 1970."""
        return self._once("instant", name, _instants)

    def clock(self, name: str) -> Read:
        """As microseconds since midnight."""
        return self._once("clock", name, _clocks)

    def text(self, name: str) -> Read:
        """As an Arrow array of texts."""
        return self._once("text", name, _texts)

    def _once(self, form: str, name: str, make: Callable[[pa.Array], Read]) -> Read:
        if (form, name) not in self._made:
            try:
                self._made[form, name] = make(self.stored(name))
            except (pa.ArrowException, ValueError, OverflowError) as error:
                raise EngineRefused(
                    f"numpy does not read {name}, a {self.stored(name).type}, as {form}.", remedy="Measure with duckdb."
                ) from error
        return self._made[form, name]


def bad_rows(item: Broken, reader: BatchReader) -> int:
    """How many rows of the batch break the rule.

    Raises:
        EngineRefused: a value that Python cannot hold, such as a date before the year 1 (RW-117).
    """
    return int(np.count_nonzero(_BUILDERS[item.rule.kind](_Ask(item.rule, reader, item.at_us))))


class _Ask(NamedTuple):
    """What a builder may need."""

    rule: Rule
    reader: BatchReader
    at_us: int

    @property
    def column(self) -> str:
        return self.rule.columns[0]

    @property
    def present(self) -> BoolArray:
        return ~self.reader.missing(self.column)


def _numbers(array: pa.Array) -> Read:
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.int8())
    if pa.types.is_floating(array.type) or pa.types.is_integer(array.type):
        return Read(_dense(array).astype(np.float64, copy=False), _valid(array))
    return _each(array, number_of, np.float64)


def _instants(array: pa.Array) -> Read:
    if pa.types.is_date(array.type):
        array = pc.cast(array, pa.timestamp("us"))
    if pa.types.is_timestamp(array.type):
        whole = pc.cast(pc.cast(array, pa.timestamp("us", tz=array.type.tz), safe=False), pa.int64())
        return Read(_dense(whole), _valid(array))
    return _each(array, instant_of, np.int64) if _is_text(array) else _nothing(array)


def _clocks(array: pa.Array) -> Read:
    if pa.types.is_timestamp(array.type):
        at = _instants(array)
        return Read(at.values % DAY_US, at.known)
    if pa.types.is_time(array.type):
        return Read(_dense(pc.cast(pc.cast(array, pa.time64("us"), safe=False), pa.int64())), _valid(array))
    return _each(array, clock_of, np.int64) if _is_text(array) else _nothing(array)


def _texts(array: pa.Array) -> Read:
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        return Read(pa.nulls(len(array), pa.string()), np.zeros(len(array), np.bool_))
    if _is_text(array) or pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        return Read(pc.cast(array, pa.string()), _valid(array))
    # Python holds microseconds, and so does DuckDB's text.
    coded = _coded(array)
    texts = pa.array([text_of(value) for value in coded.dictionary.to_pylist()], pa.string())
    found = texts.take(coded.indices)
    return Read(found, _valid(found))


def _is_text(array: pa.Array) -> bool:
    stored = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    return bool(pa.types.is_string(stored) or pa.types.is_large_string(stored))


def _coded(array: pa.Array) -> pa.DictionaryArray:
    if pa.types.is_dictionary(array.type):
        return array
    if pa.types.is_timestamp(array.type):
        array = pc.cast(array, pa.timestamp("us", tz=None if array.type.tz is None else "UTC"), safe=False)
    if pa.types.is_time(array.type):
        array = pc.cast(array, pa.time64("us"), safe=False)
    return array.dictionary_encode()


def _each(array: pa.Array, read: Callable[[object], float | None], dtype: type[np.generic]) -> Read:
    """Each distinct value by its own."""
    if pa.types.is_nested(array.type):
        return _nothing(array)
    coded = _coded(array)
    found = [read(value) for value in coded.dictionary.to_pylist()]
    values = np.array([0 if value is None else value for value in found] or [0], dtype)
    known = np.array([value is not None for value in found] or [False], np.bool_)
    places = pc.fill_null(coded.indices, 0).to_numpy(zero_copy_only=False)
    return Read(values[places], known[places] & _valid(array))


def _nothing(array: pa.Array) -> Read:
    return Read(np.zeros(len(array), np.int64), np.zeros(len(array), np.bool_))


def _dense(array: pa.Array) -> NDArray[Any]:
    return np.asarray(pc.fill_null(array, 0).to_numpy(zero_copy_only=False))


def _valid(array: pa.Array) -> BoolArray:
    return _flags(pc.is_valid(array))


def _flags(array: pa.Array) -> BoolArray:
    """A condition as numpy; null is false."""
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), np.bool_)


def _null(ask: _Ask) -> BoolArray:
    return ask.reader.missing(ask.column)


def _missing_text(ask: _Ask) -> BoolArray:
    return ask.reader.missing(ask.column) | _listed(ask)


def _listed(ask: _Ask) -> BoolArray:
    """Listed numbers are looked for among numbers, listed words among texts."""
    numbers = [value for value in ask.rule.values if isinstance(value, float)]
    texts = [value for value in ask.rule.values if isinstance(value, str)]
    found = np.zeros(len(ask.reader.stored(ask.column)), np.bool_)
    if numbers:
        read = ask.reader.number(ask.column)
        found |= read.known & np.isin(read.values, numbers)
    if texts:
        found |= _flags(pc.is_in(ask.reader.text(ask.column).values, pa.array(texts, pa.string())))
    return found & ~ask.reader.missing(ask.column)


def _set(ask: _Ask) -> BoolArray:
    return ask.present & ~_listed(ask)


def _type(ask: _Ask) -> BoolArray:
    name, reader, wanted = ask.column, ask.reader, ask.rule.text
    if wanted in {"number", "integer"}:
        values, known = reader.number(name)
        bad = ~known | np.isinf(values)
        return ask.present & (bad | (values != np.floor(values)) if wanted == "integer" else bad)
    if wanted == "boolean":
        return ask.present & ~_truths(reader, name)
    return ask.present & ~(reader.clock(name) if wanted == "time" else reader.instant(name)).known


def _truths(reader: BatchReader, name: str) -> BoolArray:
    array = reader.stored(name)
    if _is_text(array):
        read = _each(array, lambda value: 1 if truth_of(value) else None, np.int64)
        return read.known
    values, known = reader.number(name)
    return known & ((values == 0) | (values == 1))


def _range(ask: _Ask) -> BoolArray:
    name, limits = ask.column, ask.rule.limits or Limits()
    if ask.rule.text in {"date", "timestamp"}:
        return ask.present & _outside(ask.reader.instant(name), limits, instant_of)
    if ask.rule.text == "time":
        return ask.present & _outside(ask.reader.clock(name), limits, clock_of)
    return ask.present & _outside(ask.reader.number(name), limits, number_of)


def _length(ask: _Ask) -> BoolArray:
    texts, known = ask.reader.text(ask.column)
    return ask.present & _outside(Read(_dense(pc.utf8_length(texts)), known), ask.rule.limits or Limits(), number_of)


def _outside(read: Read, limits: Limits, end: Callable[[object], float | None]) -> BoolArray:
    low, high = end(limits.lower), end(limits.upper)
    bad = np.zeros(read.known.size, np.bool_)
    if low is not None:
        bad |= read.values < low if limits.lower_inclusive else read.values <= low
    if high is not None:
        bad |= read.values > high if limits.upper_inclusive else read.values >= high
    return bad & read.known


def _pattern(ask: _Ask) -> BoolArray:
    return ask.present & ~_search(ask, ask.rule.text)


def _encoding(ask: _Ask) -> BoolArray:
    if not _is_text(ask.reader.stored(ask.column)):
        return np.zeros(len(ask.reader.stored(ask.column)), np.bool_)
    return _search(ask, MOJIBAKE)


def _search(ask: _Ask, pattern: str) -> BoolArray:
    try:
        return _flags(pc.match_substring_regex(ask.reader.text(ask.column).values, pattern))
    except pa.ArrowInvalid as error:
        raise EngineRefused(f"{pattern!r} is no pattern of RE2.", remedy="Correct it in the contract.") from error


def _unit(ask: _Ask) -> BoolArray:
    (unit,) = ask.rule.values
    return ask.present & ~_flags(pc.equal(ask.reader.text(ask.rule.columns[1]).values, pa.scalar(unit, pa.string())))


def _age(ask: _Ask) -> BoolArray:
    when, known = ask.reader.instant(ask.column)
    return ~known | (when < ask.at_us - _span_us(ask.rule)) | (when > ask.at_us)


def _lateness(ask: _Ask) -> BoolArray:
    (event, known), (arrived, also_known) = (ask.reader.instant(name) for name in ask.rule.columns)
    return ~(known & also_known) | (arrived - event > _span_us(ask.rule)) | (arrived < event)


def _span_us(rule: Rule) -> int:
    return round((rule.max_age_s or 0.0) * _SECOND_US)


def _comparison(ask: _Ask) -> BoolArray:
    comparison = ask.rule.comparison
    assert comparison is not None
    bad = np.zeros(len(ask.reader.stored(ask.column)), np.bool_)
    for clause in comparison.clauses:
        bad |= _breaks(clause, comparison, ask.reader)
    return bad


def _breaks(clause: Clause, comparison: Comparison, reader: BatchReader) -> BoolArray:
    rows = len(reader.stored(comparison.columns[0]))
    left, right = (_side(side, comparison.reading, reader, rows) for side in (clause.left, clause.right))
    if comparison.tolerance and clause.relation is Relation.EQUAL:
        with np.errstate(over="ignore", invalid="ignore"):
            holds = np.abs(left.values - right.values) <= comparison.tolerance
    elif comparison.reading is Reading.TEXT:
        holds = _flags(_TEXT_RELATIONS[clause.relation](left.values, right.values))
    else:
        holds = _RELATIONS[clause.relation](left.values, right.values)
    return left.known & right.known & ~holds


def _side(terms: tuple[Term, ...], reading: Reading, reader: BatchReader, rows: int) -> Read:
    if reading is Reading.NUMBER:
        return _total(terms, reader)
    (term,) = terms
    if term.column is not None:
        reads = {Reading.INSTANT: reader.instant, Reading.CLOCK: reader.clock, Reading.TEXT: reader.text}
        return reads[reading](term.column)
    if reading is Reading.TEXT:
        return Read(pa.repeat(pa.scalar(term.text, pa.string()), rows), np.ones(rows, np.bool_))
    value = instant_of(term.text) if reading is Reading.INSTANT else clock_of(term.text)
    return Read(np.full(rows, value or 0, np.int64), np.full(rows, value is not None))


def _total(terms: tuple[Term, ...], reader: BatchReader) -> Read:
    # From left to right, and the first term not added to 0: the order of additions decides the last bit.
    parts = [_product(term, reader) for term in terms]
    total, known = parts[0]
    with np.errstate(over="ignore", invalid="ignore"):
        for part in parts[1:]:
            total, known = total + part.values, known & part.known
    return Read(total, known & np.isfinite(total))


def _product(term: Term, reader: BatchReader) -> Read:
    if term.column is None:
        # One value stands for all rows; numpy repeats it where it meets a column.
        value = term.factor if term.text is None else number_of(term.text)
        return Read(np.full(1, 0.0 if value is None else value), np.full(1, value is not None))
    values, known = reader.number(term.column)
    if term.factor == 1.0:
        return Read(values, known)
    with np.errstate(over="ignore", invalid="ignore"):
        return Read(term.factor * values, known)


_RELATIONS: dict[Relation, Callable[[Any, Any], Any]] = {
    Relation.LESS: np.less,
    Relation.AT_MOST: np.less_equal,
    Relation.EQUAL: np.equal,
    Relation.AT_LEAST: np.greater_equal,
    Relation.GREATER: np.greater,
    Relation.NOT_EQUAL: np.not_equal,
}
_TEXT_RELATIONS: dict[Relation, Callable[[Any, Any], Any]] = {
    Relation.LESS: pc.less,
    Relation.AT_MOST: pc.less_equal,
    Relation.EQUAL: pc.equal,
    Relation.AT_LEAST: pc.greater_equal,
    Relation.GREATER: pc.greater,
    Relation.NOT_EQUAL: pc.not_equal,
}
_BUILDERS: dict[Kind, Callable[[_Ask], BoolArray]] = {
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
