"""Hostile tables, plans over them, and rules of every kind. Owns the cases; ``engine_suite`` asks them of each engine."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from roadworthy.measure.comparison import Comparison, Reading, parse_clauses
from roadworthy.measure.rule import NONE_ALLOWED, Dimension, Kind, Limits, Rule
from roadworthy.measure.volume.accumulators import (
    Accumulator,
    Cells,
    Extremes,
    LabelledCells,
    Lengths,
    Moments,
    Rows,
    Special,
    Values,
)
from roadworthy.measure.volume.plan import ColumnKind, Plan, Split, make_plan
from roadworthy.measure.volume.plan import Kind as Reads

AT = datetime(2026, 3, 29, 12, tzinfo=UTC)
AT_US = int(AT.timestamp()) * 1_000_000
BERLIN = ZoneInfo("Europe/Berlin")
LARGEST = math.nextafter(math.inf, 0)
TENTH = math.nextafter(0.1, 1)
# Scaled down after a first rounding, these lose their last bit; read as text they do not.
TWICE_ROUNDED = ("10154417247894273.4366653014", "40525711900095108.5366816003", "-13894440415274617.7892866006")
ODD = 2**53 + 1

DOUBLES = [
    *[math.nan, math.inf, -math.inf, None, 0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, LARGEST, -LARGEST],
    *[0.1, TENTH, 0.1 + 0.2, 0.3, 1.0, 1.5, 2.5, -0.5, -1.5, float(ODD - 1), 1e16, -1e300, 1e-300, 4.35, 1e22, 7.0],
    # Squares of the first three fill 62 bits each: a sum in 64 bits would wrap.
    *[2.0**43, -(2.0**43), 2.0**43 + 0.5, 2.0**43 + 1.0],
]
EDGES = tuple(
    sorted(
        {
            *(
                -LARGEST,
                -1e300,
                -0.5,
                0.0,
                5e-324,
                0.1,
                TENTH,
                0.3,
                0.1 + 0.2,
                1.0,
                4.35,
                float(ODD - 1),
                1e16,
                1e22,
                LARGEST,
            ),
            *(end for text in TWICE_ROUNDED for end in (float(text), math.nextafter(float(text), math.inf))),
        }
    )
)
NAIVE = [
    *[
        datetime(1, 1, 1),
        datetime(1969, 12, 31, 23, 59, 59, 999_999),
        datetime(1970, 1, 1),
        datetime(9999, 12, 31, 23, 59),
    ],
    *[
        datetime(2026, 3, 29, 2, 30),
        datetime(2026, 10, 25, 2, 30, 0, 1),
        datetime(1893, 3, 31, 23, 53, 28, 500_001),
        None,
    ],
]
AWARE = [
    *[datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN), datetime(2026, 10, 25, 2, 30, fold=0, tzinfo=BERLIN), AT],
    *[datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN), AT - timedelta(days=1), AT + timedelta(microseconds=1)],
    *[
        datetime(1890, 5, 5, 12, 0, 0, 7, tzinfo=BERLIN),
        datetime(2026, 3, 29, tzinfo=timezone(timedelta(hours=9))),
        None,
    ],
]
TEXTS = [
    "",
    "a",
    "A",
    " a ",
    "é",
    "e\u0301",
    "ß",
    "😀é",
    "it's",
    'q"\\n',
    "\\",
    "line\nfeed",
    "tab\t",
    "%s {} ?",
    "a1",
    None,
]
TEXTS += ["cafÃ©", "\ufffd", "wdbc-001", "wdbc-0012", "mm", "Mm", "n/a", "$1", "z\u2028", "\n", "a1\n"]


def turned(values: list[Any], rows: int, step: int = 1) -> list[Any]:
    """As many values as rows, in an order of its own for each step, so that columns meet in many pairs."""
    return [values[(place * step) % len(values)] for place in range(rows)]


def hostile() -> pa.Table:
    """One table with a column for each kind of trouble, 81 rows."""
    rows = 81
    return pa.table(
        {
            "d": pa.array(turned(DOUBLES, rows), pa.float64()),
            "e": pa.array(turned(DOUBLES, rows, 2), pa.float64()),
            "f": pa.array([0.1, None, 1e38, -0.0, 16_777_217.0, math.nan, 1e-45, 2.5, -math.inf] * 9, pa.float32()),
            "i": pa.array(turned([ODD, -ODD, 2**63 - 1, -(2**63), 0, 1, 5, -5, None], rows), pa.int64()),
            "s": pa.array(turned([0, 1, 2, 3, 32_767, None, 1, 1], rows), pa.int16()),
            "m": pa.array(
                turned(
                    [*map(Decimal, ("12345678901234567890.1234567891", "0.1", "-1E-10", *TWICE_ROUNDED)), None], rows
                ),
                pa.decimal128(38, 10),
            ),
            "p": pa.array(
                turned([Decimal("5.000"), Decimal("0.100"), Decimal("-7.125"), None], rows), pa.decimal128(18, 3)
            ),
            "same": pa.array([7.25] * rows, pa.float64()),
            "nothing": pa.array([None] * rows, pa.float64()),
            "silent": pa.array([None] * rows, pa.string()),
            "t": pa.array(turned(TEXTS, rows), pa.string()),
            "u": pa.array(turned(TEXTS, rows, 3), pa.string()),
            "b": pa.array(turned([True, False, None, True], rows), pa.bool_()),
            "y": pa.array(turned([0.0, 1.0, None, 2.0, math.nan], rows), pa.float64()),
            "n": pa.array(turned(NAIVE, rows), pa.timestamp("us")),
            "o": pa.array(turned(NAIVE, rows, 3), pa.timestamp("us")),
            "z": pa.array(turned(AWARE, rows), pa.timestamp("us", tz="UTC")),
            "w": pa.array(turned(AWARE, rows, 2), pa.timestamp("us", tz="UTC")),
            "day": pa.array(turned([date(1, 1, 1), date(1969, 12, 31), date(2024, 2, 29), None], rows), pa.date32()),
            "l": pa.array(turned([[1], [], None, [None]], rows), pa.list_(pa.int64())),
        }
    )


NUMBERS = ("d", "f", "i", "s", "m", "p", "same", "nothing", "y")
INSTANTS = ("n", "z", "day")
WORDS = ("t", "u", "silent")
KINDS = (
    *(ColumnKind(name=name, kind=Reads.NUMBER) for name in (*NUMBERS, "e")),
    *(ColumnKind(name=name, kind=Reads.INSTANT) for name in (*INSTANTS, "o", "w")),
    *(ColumnKind(name=name, kind=Reads.TEXT) for name in WORDS),
    ColumnKind(name="b", kind=Reads.FLAG),
    ColumnKind(name="l", kind=Reads.OTHER),
)
INSTANT_EDGES = (-6.2135596800e16, -1.0, 0.0, 1_774_744_200_000_000.0, float(AT_US), float(AT_US + 1), 2e17)


def _everything() -> Iterator[Accumulator]:
    yield Rows()
    for name in NUMBERS:
        yield Special(column=name)
        yield Extremes(column=name)
        yield Cells(column=name, edges=EDGES)
        for centre, exponent in ((0.1, -20), (0.0, 0), (0.0, 30), (-3.5, 30), (1e300, 970)):
            yield Moments(column=name, centre=centre, unit_exponent=exponent)
    for name in INSTANTS:
        yield Special(column=name)
        yield Extremes(column=name)
        yield Cells(column=name, edges=INSTANT_EDGES)
    for name in WORDS:
        yield Special(column=name)
        yield Values(column=name, known=("", "a", "é", "it's", 'q"\\n', "\\", "line\nfeed", "%s {} ?", "never"))
        yield Lengths(column=name)
    yield Values(column="b", known=("true", "never"))
    yield Values(column="b", known=("false", "true"))
    yield Special(column="b")
    yield Special(column="l")
    yield LabelledCells(score="d", label="b", edges=EDGES)
    yield LabelledCells(score="f", label="y", edges=(0.5,))


def plan_of(*items: Accumulator, split: Split | None = None) -> Plan:
    """A plan over the columns of ``hostile``."""
    return make_plan(KINDS, (Rows(), *items), split)


EVERYTHING = plan_of(*_everything())


def rule(kind: Kind, *columns: str, **more) -> Rule:
    """A rule that allows no bad row."""
    return Rule(
        rule_id=f"{kind.value} of {', '.join(columns)} {sorted(more.items(), key=str)}",
        dimension=Dimension.VALIDITY,
        kind=kind,
        columns=columns,
        bound=NONE_ALLOWED,
        line=1,
        **more,
    )


def compared(source: str, reading: Reading, tolerance: float = 0.0) -> Rule:
    """A comparison of columns."""
    comparison = Comparison(clauses=parse_clauses(source), reading=reading, tolerance=tolerance, source=source)
    return rule(Kind.COMPARISON, *comparison.columns, comparison=comparison, text=f"{source} as {reading.value}")


def _rules_about_values() -> Iterator[Rule]:
    for name in ("d", "f", "i", "t", "b", "z", "l", "m"):
        yield rule(Kind.NULL, name)
    for name, logical in product(("d", "f", "i", "m", "p", "b"), ("number", "integer", "boolean")):
        yield rule(Kind.TYPE, name, text=logical)
    for name, logical in product(("d", "n", "z", "day", "b"), ("date", "time")):
        yield rule(Kind.TYPE, name, text=logical)
    ends = ((0, 5, True), (0, 5, False), (0.1, None, False), (None, float(ODD), True))
    for name, (low, high, inclusive) in product(("d", "f", "i", "m", "p", "b", "s"), ends):
        limits = Limits(lower=low, upper=high, lower_inclusive=inclusive, upper_inclusive=inclusive)
        yield rule(Kind.RANGE, name, limits=limits, text="number")
    listing = (Kind.SET, Kind.SENTINEL, Kind.MISSING_TEXT)
    for name, kind in product(("d", "f", "i", "m", "p", "b", "s"), listing):
        yield rule(kind, name, values=(0, 1, 0.1, float(ODD), -7.125))
    for name, kind in product(("t", "b", "i", "s"), listing):
        yield rule(kind, name, values=("a", "é", "it's", "\\", "true", "1", "", True))
    for name in ("t", "b", "i", "s"):
        yield rule(Kind.LENGTH, name, limits=Limits(lower=1, upper=2))
    for pattern in PORTABLE:
        yield rule(Kind.PATTERN, "t", text=pattern)
    yield rule(Kind.PATTERN, "s", text="^[01]$")
    yield rule(Kind.ENCODING, "t")
    yield rule(Kind.ENCODING, "d")


def _rules_about_instants_and_columns() -> Iterator[Rule]:
    edge = Limits(lower="2026-01-01", upper="2026-03-29T02:30:00+01:00", upper_inclusive=False)
    for name in ("n", "z", "day", "i"):
        yield rule(Kind.RANGE, name, limits=edge, text="timestamp")
        yield rule(Kind.AGE, name, max_age_s=86_400.0)
    for name in ("n", "z"):
        yield rule(Kind.RANGE, name, limits=Limits(lower="00:00:01", upper="12:00"), text="time")
    yield rule(Kind.UNIT, "d", "u", values=("mm",))
    yield rule(Kind.LATENESS, "z", "w", max_age_s=3_600.0)
    yield rule(Kind.LATENESS, "n", "z", max_age_s=3_600.0)
    for relation in ("<", "<=", "=", "<>", ">=", ">"):
        yield compared(f"d {relation} e", Reading.NUMBER)
        yield compared(f"i {relation} s", Reading.NUMBER)
        yield compared(f"n {relation} o", Reading.INSTANT)
        yield compared(f"t {relation} u", Reading.TEXT)
    yield compared("n < z", Reading.CLOCK)
    yield compared("z >= '2026-03-29T02:30:00+01:00'", Reading.INSTANT)
    yield compared("t <> 'mm'", Reading.TEXT)
    yield compared("s BETWEEN 0.1 * y AND 3 * y + 1", Reading.NUMBER)
    yield compared("p - y = 0.3 - 0.1 * y", Reading.NUMBER, 0.5)


PORTABLE = (
    *(
        r"^wdbc-[0-9]{3}$",
        r"^\w+$",
        r"\d",
        r"a$",
        r"^[^a\d]\s?",
        r"^.$",
        r"(?:é|e)?$",
        r"[+\-.$]",
        r"^a|1$",
        r"\\",
        "'",
    ),
    *(r"[à-ü]", r"^\S{1,2}$", r"\A(a|A)\z", r"^[\w-]*?1$", "^$", r"\.|\?", "[&a]", "z.", "^l.*d$", "[^a]$"),
)
PORTABLE_RULES = (*_rules_about_values(), *_rules_about_instants_and_columns())
FOREIGN_RULES = (
    rule(Kind.TYPE, "t", text="number"),
    rule(Kind.TYPE, "t", text="timestamp"),
    rule(Kind.TYPE, "t", text="time"),
    rule(Kind.TYPE, "t", text="boolean"),
    rule(Kind.RANGE, "t", limits=Limits(lower=0), text="number"),
    rule(Kind.SET, "t", values=(0, 1)),
    rule(Kind.SET, "d", values=("0.1", "1.0")),
    rule(Kind.SET, "p", values=("5.000",)),
    rule(Kind.SET, "day", values=("2024-02-29",)),
    rule(Kind.LENGTH, "n", limits=Limits(upper=19)),
    rule(Kind.PATTERN, "t", text=r"\bmm\b"),
    rule(Kind.AGE, "t", max_age_s=1.0),
    rule(Kind.UNIT, "d", "e", values=("mm",)),
)
"""What only DuckDB and numpy tell exactly."""
