"""What Ibis' dialects do differently. Owns the choice of an exact form for each of them; builds no query.

Most of Ibis means the same everywhere. What is collected here does not, or is missing: rounding, sums that cannot
overflow, the cell of a value, the microseconds of an instant, the language of patterns.

Rules kept here:
1. A dialect that is not listed is refused: that it compiles does not mean that it counts the same.
2. A double is written as the shortest text that reads back to it, and cast by the engine. As a decimal literal it would
   lose its last bit on DuckDB, and its range on Spark.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import ibis

from roadworthy.base.errors import EngineRefused
from roadworthy.measure.volume.compile.near import LARGEST
from roadworthy.measure.volume.compile.portable_patterns import Flavour

Expression: TypeAlias = Any
"""An Ibis value or table; Ibis ships no types."""

_MINUTE_US = 1_000_000
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One engine's own forms.

    Attributes:
        name: Ibis' name of the backend.
        columns: how many columns a result may have.
        cells: how many cells a statement searches for.
        whole: a double as a 64-bit whole number, rounded half to even.
        exact_sum: the sum of whole numbers, each below 2**63, of any number of rows.
        cell: the number of edges that are not above a finite double, plus an offset.
        microseconds: of an instant since 1970, UTC, as a 64-bit whole number.
        text_order: a text as something that is ordered code point by code point.
        flavour: of its regular expressions.
    """

    name: str
    columns: int
    cells: int
    whole: Callable[[Expression], Expression]
    exact_sum: Callable[[Expression], Expression]
    cell: Callable[[Expression, Sequence[float], int], Expression]
    microseconds: Callable[[Expression], Expression]
    text_order: Callable[[Expression], Expression]
    flavour: Flavour


def dialect_of(table: Expression) -> Dialect:
    """The dialect of a table's backend.

    Raises:
        EngineRefused: no exact forms are known for it (RW-117).
    """
    name = table.get_backend().name
    if name not in _DIALECTS:
        raise EngineRefused(
            f"{name} is not known to count exactly.", remedy=f"Measure on one of {', '.join(sorted(_DIALECTS))}."
        )
    return _DIALECTS[name]


def double(value: float) -> Expression:
    """A double that arrives with every bit."""
    return ibis.literal(repr(value)).cast("float64")


def finite(value: Expression) -> Expression:
    """Whether a double is neither null nor NaN nor infinite; NaN is above every number or equal to none."""
    return value.between(double(-LARGEST), double(LARGEST))


def _function(name: str, takes: tuple[str, ...], gives: str) -> Callable[..., Expression]:
    parameters = {1: lambda a: a, 2: lambda a, b: (a, b)}
    made: Callable[..., Expression] = ibis.udf.scalar.builtin(
        parameters[len(takes)], name=name, signature=(takes, gives)
    )
    return made


_epoch_us = _function("epoch_us", ("timestamp",), "int64")
_date_part = _function("date_part", ("string", "timestamp"), "float64")
_date_trunc = _function("date_trunc", ("string", "timestamp"), "timestamp")
_timezone = _function("timezone", ("string", "timestamp"), "timestamp")
_width_bucket = _function("width_bucket", ("float64", "array<float64>"), "int32")
_convert_to = _function("convert_to", ("string", "string"), "binary")
_rint = _function("rint", ("float64",), "float64")
_unix_micros = _function("unix_micros", ("timestamp('UTC')",), "int64")
_unix_date = _function("unix_date", ("date",), "int64")


def _cast_rounds(value: Expression) -> Expression:
    # DuckDB and PostgreSQL round half to even in this cast; Spark would cut.
    return value.cast("int64")


def _rint_first(value: Expression) -> Expression:
    return _rint(value).cast("int64")


def _plain_sum(value: Expression) -> Expression:
    # DuckDB sums in 128 bits, PostgreSQL in as many as it takes.
    return value.sum()


def _decimal_sum(value: Expression) -> Expression:
    # Spark sums 64-bit numbers in 64 bits and wraps; decimals of 28 digits are summed in 38.
    return value.cast("decimal(28, 0)").sum()


def _halving(value: Expression, edges: Sequence[float], offset: int) -> Expression:
    """A tree of comparisons: as many as the edges' number has binary digits."""

    def tree(low: int, high: int) -> Expression:
        if low == high:
            return ibis.literal(offset + low, "int32")
        middle = (low + high) // 2
        return ibis.cases((value < double(edges[middle]), tree(low, middle)), else_=tree(middle + 1, high))

    return ibis.cases((finite(value), tree(0, len(edges))))


def _bucket(value: Expression, edges: Sequence[float], offset: int) -> Expression:
    """PostgreSQL's own search in sorted thresholds."""
    thresholds = ibis.literal("{" + ",".join(map(repr, edges)) + "}").cast("array<float64>")
    return ibis.cases((finite(value), _width_bucket(value, thresholds) + offset))


def _as_it_is(value: Expression) -> Expression:
    return value


def _bytes(value: Expression) -> Expression:
    # The database's collation orders texts as a person of some country would.
    return _convert_to(value, "UTF8")


def _duckdb_us(value: Expression) -> Expression:
    return _epoch_us(value)


def _postgres_us(value: Expression) -> Expression:
    # The parts are whole numbers below 2**53, so the doubles that they come as are exact; the epoch of the whole instant
    # would not be. Dates are their first instant.
    kind = value.type()
    plain = _timezone("UTC", value) if kind.is_timestamp() and kind.timezone else value.cast("timestamp")
    minutes = _date_part("epoch", _date_trunc("minute", plain)).cast("int64")
    return minutes * _MINUTE_US + _date_part("microseconds", plain).cast("int64")


def _spark_us(value: Expression) -> Expression:
    kind = value.type()
    if kind.is_date():
        return _unix_date(value) * _DAY_US
    # Ibis sets the session's zone to UTC, so an instant without a zone is read as UTC by this cast.
    return _unix_micros(value if kind.timezone else value.cast("timestamp('UTC')"))


_DIALECTS = {
    each.name: each
    for each in (
        Dialect(
            name="duckdb",
            columns=1_000,
            cells=4_000,
            whole=_cast_rounds,
            exact_sum=_plain_sum,
            cell=_halving,
            microseconds=_duckdb_us,
            text_order=_as_it_is,
            flavour=Flavour.RE2,
        ),
        Dialect(
            name="postgres",
            columns=1_664,
            cells=4_000,
            whole=_cast_rounds,
            exact_sum=_plain_sum,
            cell=_bucket,
            microseconds=_postgres_us,
            text_order=_bytes,
            flavour=Flavour.POSIX,
        ),
        Dialect(
            name="pyspark",
            # Not limits of Spark: with more, its queries outgrow what it compiles to machine code.
            columns=100,
            cells=400,
            whole=_rint_first,
            exact_sum=_decimal_sum,
            cell=_halving,
            microseconds=_spark_us,
            text_order=_as_it_is,
            flavour=Flavour.JAVA,
        ),
    )
}
