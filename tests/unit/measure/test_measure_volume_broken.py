"""Rules as accumulators: what makes two of them one, and which rows they count where the suite of engines does not look."""

from dataclasses import replace
from datetime import UTC, date, datetime, time

import numpy as np
import pyarrow as pa
import pytest

from roadworthy.base.errors import EngineRefused, ParameterError
from roadworthy.measure.comparison import Comparison, Reading, parse_clauses
from roadworthy.measure.rule import NONE_ALLOWED, Bound, Comparator, Dimension, Kind, Limits, Rule, Severity
from roadworthy.measure.table import from_arrow
from roadworthy.measure.volume.accumulators import ROW_KINDS, Broken, Extremes, Rows
from roadworthy.measure.volume.compile.duckdb import measure_duckdb
from roadworthy.measure.volume.compile.numpy import measure_batches
from roadworthy.measure.volume.plan import ColumnKind, make_plan
from roadworthy.measure.volume.plan import Kind as Reads
from roadworthy.measure.volume.reference import column_kinds
from roadworthy.measure.volume.state import State

SET = Rule(
    rule_id="validity.x.set",
    dimension=Dimension.VALIDITY,
    kind=Kind.SET,
    columns=("x",),
    bound=NONE_ALLOWED,
    line=4,
    values=(1, 2),
)


def plan_for(*items: Broken):
    """A plan over a text column."""
    return make_plan([ColumnKind(name="x", kind=Reads.TEXT)], [Rows(), *items])


def test_wording_and_bounds_make_no_other_accumulator() -> None:
    """Id, line, bound, severity, dimension and description say nothing about a row."""
    other = replace(
        SET,
        rule_id="other",
        line=9,
        bound=Bound(comparator=Comparator.AT_MOST, value=5),
        severity=Severity.ERROR,
        dimension=Dimension.CONSISTENCY,
        description="said otherwise",
        values=(1.0, 2.0),
    )
    assert Broken(rule=SET) == Broken(rule=other)
    assert plan_for(Broken(rule=SET)).digest == plan_for(Broken(rule=other)).digest
    assert plan_for(Broken(rule=SET), Broken(rule=other)).accumulators == (Rows(), Broken(rule=SET))


def test_a_flag_is_not_the_number_one() -> None:
    """Python holds 1 and True for equal; as a value of a set they are a number and a word."""
    flag, number = Broken(rule=replace(SET, values=(True,))), Broken(rule=replace(SET, values=(1,)))
    assert flag != number
    table = from_arrow(pa.table({"x": ["true", "1"]}), "t")
    state = measure_duckdb(plan_for(flag, number), table)
    assert (state.result(flag), state.result(number)) == ((1,), (1,))


def test_ends_of_a_range_are_numbers_however_written() -> None:
    """0 and 0.0 mean the same; texts stay texts."""
    whole = replace(SET, kind=Kind.RANGE, values=(), limits=Limits(lower=0, upper="2026-01-01"))
    same = replace(whole, limits=Limits(lower=0.0, upper="2026-01-01"))
    assert plan_for(Broken(rule=whole)).digest == plan_for(Broken(rule=same)).digest


def test_only_an_age_depends_on_the_instant() -> None:
    """States of two days join, unless something was counted that depends on the day."""
    assert Broken(rule=SET, at_us=1) == Broken(rule=SET, at_us=2)
    aged = replace(SET, kind=Kind.AGE, values=(), max_age_s=60.0)
    assert Broken(rule=aged, at_us=1) != Broken(rule=aged, at_us=2)


@pytest.mark.parametrize("kind", sorted(set(Kind) - ROW_KINDS, key=str))
def test_rules_beyond_the_row_are_refused(kind) -> None:
    """Duplicates, references, single figures and SQL."""
    with pytest.raises(ParameterError, match=f"validity.x.set \\({kind.value}\\)"):
        Broken(rule=replace(SET, kind=kind))


ODD = pa.table(
    {
        "time": pa.array([time(0), time(10, 20, 30, 5), None, time(23, 59, 59)], pa.time64("us")),
        "second": pa.array([time(0), time(10, 20), None, time(23)], pa.time32("s")),
        "code": pa.array(["1", "é", None, "2026-01-01"]).dictionary_encode(),
        "large": pa.array(["a", "2", None, ""], pa.large_string()),
        "bytes": pa.array([b"a", b"", None, b"2"], pa.binary()),
        "nano": pa.array([-1, 1_999, None, -1_500], pa.timestamp("ns")),
        "milli": pa.array([-1, 1_999, None, 0], pa.timestamp("ms")),
        "unsigned": pa.array([2**64 - 1, 0, None, 5], pa.uint64()),
        "float": pa.array([0.1, np.nan, None, 16_777_216.0], pa.float32()),
        "day": pa.array([date(2026, 1, 1), date(1, 1, 1), None, date(9999, 12, 31)], pa.date64()),
    }
)


def ruled(name: str, kind: Kind, **more) -> Rule:
    """A rule about one column of the odd ones, and for two columns the time after it."""
    columns = (name, "time") if kind in {Kind.LATENESS, Kind.UNIT} else (name,)
    return replace(SET, kind=kind, columns=columns, values=more.pop("values", ()), **more)


ODD_RULES = [
    each
    for name in ODD.column_names
    for each in (
        *(ruled(name, Kind.TYPE, text=text) for text in ("number", "integer", "boolean", "date", "time")),
        *(ruled(name, kind, values=("a", 5, "é", "10:20:30.000005", "0.10000000149011612")) for kind in (Kind.SET, Kind.SENTINEL)),
        *(ruled(name, Kind.RANGE, text=text, limits=Limits(lower=low)) for text, low in (("time", "10:20"), ("date", "2026-01-01"))),
        *(ruled(name, Kind.LENGTH, limits=Limits(lower=2)), ruled(name, Kind.PATTERN, text="[0-9]"), ruled(name, Kind.NULL)),
        *(ruled(name, Kind.ENCODING), ruled(name, Kind.AGE, max_age_s=1e9), ruled(name, Kind.LATENESS, max_age_s=1.0)),
        ruled(name, Kind.UNIT, values=("00:00:00",)),
    )
]  # fmt: skip


def both(*items, table: pa.Table = ODD) -> tuple[State, State]:
    """The states of numpy and of DuckDB."""
    opened = from_arrow(table, "odd")
    plan = make_plan(column_kinds(opened), [Rows(), *items])
    return measure_batches(plan, table.to_batches()), measure_duckdb(plan, opened)


@pytest.mark.parametrize("name", ODD.column_names)
def test_rules_on_types_that_only_files_have(name) -> None:
    """Times of day, dictionaries, bytes, nanoseconds, unsigned numbers: numpy counts what the contract's SQL counts."""
    at_us = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
    items = [Broken(rule=each, at_us=at_us) for each in ODD_RULES if each.columns[0] == name]
    numpy, duckdb = both(*items)
    assert [(item.rule.kind, item.rule.text, numpy.result(item)) for item in items] == [
        (item.rule.kind, item.rule.text, duckdb.result(item)) for item in items
    ]


@pytest.mark.parametrize("name", ["nano", "milli", "day", "unsigned", "float"])
def test_extremes_of_types_that_only_files_have(name) -> None:
    """Instants finer than a microsecond are cut to it, before 1970 too."""
    numpy, duckdb = both(Extremes(column=name))
    assert numpy.to_bytes() == duckdb.to_bytes()


def test_comparisons_of_constants_and_of_what_cannot_be_read() -> None:
    """A text that is no number, a product beyond all doubles, an instant that does not exist: not told, hence not bad."""
    table = pa.table({"x": ["1e200", "a", "-3", None], "y": [1e200, 1.0, 2.0, 3.0]})
    items = []
    for source, reading in (
        ("x * 1e200 < y", Reading.NUMBER),
        ("2 * x > y - 1", Reading.NUMBER),
        ("x < '2026-02-29'", Reading.INSTANT),
        ("x < 'b'", Reading.TEXT),
    ):
        comparison = Comparison(clauses=parse_clauses(source), reading=reading, source=source)
        rule = replace(SET, kind=Kind.COMPARISON, columns=comparison.columns, values=(), comparison=comparison)
        items.append(Broken(rule=rule))
    numpy, duckdb = both(*items, table=table)
    assert [numpy.result(item) for item in items] == [duckdb.result(item) for item in items] == [(0,), (1,), (0,), (0,)]


def test_what_python_cannot_hold_is_refused() -> None:
    """A date of the year 10,000 has no text here, and a broken pattern finds nothing."""
    far = pa.table({"x": pa.array([10**6 * 5], pa.date32())})
    plan = make_plan(
        [ColumnKind(name="x", kind=Reads.INSTANT)], [Rows(), Broken(rule=ruled("x", Kind.SET, values=("a",)))]
    )
    with pytest.raises(EngineRefused, match="x, a date32"):
        measure_batches(plan, far.to_batches())
    broken = plan_for(Broken(rule=ruled("x", Kind.PATTERN, text="(")))
    with pytest.raises(EngineRefused, match="no pattern of RE2"):
        measure_batches(broken, pa.table({"x": ["a"]}).to_batches())
