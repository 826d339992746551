"""Batch counts are the sum of inline decisions: every rule kind, hostile values, typed and text sources."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.measure.comparison import Comparison, Reading, is_numeric, parse_clauses
from roadworthy.measure.inline import Action, TextSource, compile_inline
from roadworthy.measure.predicates import repeated_rows, row_predicate
from roadworthy.measure.references import load_references
from roadworthy.measure.rule import (
    NONE_ALLOWED,
    Contract,
    Dimension,
    Field,
    Kind,
    Limits,
    Provenance,
    Reference,
    Rule,
)
from roadworthy.measure.schema import fits
from roadworthy.measure.table import ROW, Table, from_arrow, open_table

AT = datetime(2026, 3, 29, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
LOGICAL = ("number", "integer", "string", "boolean", "date", "timestamp", "time")
BIG = 2**53 + 1

NASTY = [
    *[
        "",
        " ",
        "a",
        "mm",
        "Mm",
        "n/a",
        "é",
        "e\u0301",
        "cafÃ©",
        "donâ€™t",
        "\ufffd",
        "\u0085",
        "a\n",
        "\n",
        "\x00",
        "1\x00",
    ],
    *[
        "1",
        " 1 ",
        "\t1\n",
        "+1",
        "01",
        "1.",
        ".5",
        ".",
        "1.e3",
        "1e400",
        "-1e400",
        "1e-400",
        "nan",
        "NaN",
        "inf",
        "0x1F",
    ],
    *["1_000", "１", "٣", "1,5", "-0", "-0.0", str(BIG), "0.1", "0.30000000000000004", "true", "T", "No", "maybe", "2"],
    *["2026-01-01", "2026-1-1", "2026-02-29", "2024-02-29", "1900-02-29", "0000-01-01", "0001-01-01", "9999-12-31"],
    *["2026-03-29T02:30", "2026-03-29T02:30:00+01:00", "2026-03-29 02:30:00Z", "2026-03-29T02:30:00.1234567-00:30"],
    *["2026-10-25T02:30:00+0200", "2026-10-25T02:30:00+01", "2026-03-29T24:00:00", "2026-03-29T02:30Z", "2026-W01-1"],
    *[
        "2026-03-29T12:00:00.000001Z",
        "2026-03-28T12:00:00Z",
        "2026-03-28T11:59:59.999999999",
        " 2026-01-01",
        "20260101",
    ],
    *["10:20", "10:20:30.5", "24:00:00", "23:59:60", "10:20:30+02", "1:02", "infinity", "epoch", "now", "today"],
]
TEXTS = st.sampled_from(NASTY) | st.text(st.characters(codec="utf-8"), max_size=6)
FLOATS = st.floats() | st.sampled_from(
    [0.0, -0.0, 1.0, 5.0, 0.1 + 0.2, float(BIG), 1e16, 1e-5, math.nan, math.inf, -math.inf, 5e-324, 1.7e308]
)
WHOLE = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 2, 5, BIG, -BIG]) | st.integers(-3, 9)
NAIVE = st.datetimes() | st.sampled_from(
    [
        AT.replace(tzinfo=None),
        datetime(2026, 3, 29, 2, 30),
        datetime(1969, 12, 31, 23, 59, 59, 999999),
        datetime(1, 1, 1),
    ]
)
FOLDED = [datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=BERLIN) for fold in (0, 1)]
AWARE = (
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.sampled_from([UTC, BERLIN]))
    | st.sampled_from([*FOLDED, AT, AT - timedelta(days=1), AT + timedelta(microseconds=1)])
    | st.sampled_from(
        [datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN), datetime(2026, 3, 29, tzinfo=timezone(timedelta(hours=9)))]
    )
)
DECIMALS = st.decimals(-(10**14), 10**14, places=3, allow_nan=False) | st.sampled_from(
    [Decimal("5.000"), Decimal("0.100")]
)
TYPED: dict[str, tuple[pa.DataType, st.SearchStrategy]] = {
    "text": (pa.string(), TEXTS),
    "double": (pa.float64(), FLOATS),
    "bigint": (pa.int64(), WHOLE),
    "decimal": (pa.decimal128(18, 3), DECIMALS),
    "boolean": (pa.bool_(), st.booleans()),
    "float": (pa.float32(), st.floats(width=32) | st.sampled_from([0.5, -0.0])),
    "words": (pa.dictionary(pa.int32(), pa.string()), TEXTS),
    "seconds": (pa.timestamp("s"), NAIVE.map(lambda at: at.replace(microsecond=0))),
    "naive": (pa.timestamp("us"), NAIVE),
    "aware": (pa.timestamp("us", tz="UTC"), AWARE),
    "date": (pa.date32(), st.dates() | st.sampled_from([date(2026, 1, 1), date(1, 1, 1)])),
    "time": (pa.time64("us"), st.times() | st.sampled_from([time(10, 20), time(0), time(23, 59, 59, 999999)])),
    "list": (pa.list_(pa.int64()), st.lists(st.integers(0, 3), max_size=2)),
}


def _rule(name: str, kind: Kind, columns: Sequence[str] = ("x",), **more) -> Rule:
    return Rule(
        rule_id=name,
        dimension=Dimension.VALIDITY,
        kind=kind,
        columns=tuple(columns),
        bound=NONE_ALLOWED,
        line=1,
        **more,
    )


def _compared(source: str, reading: Reading, tolerance: float = 0.0) -> Rule:
    clauses = parse_clauses(source)
    comparison = Comparison(clauses=clauses, reading=reading, tolerance=tolerance, source=source)
    return _rule(f"{source} as {reading.value} {tolerance}", Kind.COMPARISON, comparison.columns, comparison=comparison)


def _value_rules() -> Iterator[Rule]:
    yield _rule("null", Kind.NULL)
    for logical in LOGICAL[:2] + LOGICAL[3:]:
        yield _rule(f"type {logical}", Kind.TYPE, text=logical)
    for low, high in ((0, 5), (0.1, None), (None, float(BIG))):
        for inclusive in (True, False):
            limits = Limits(lower=low, upper=high, lower_inclusive=inclusive, upper_inclusive=not inclusive)
            yield _rule(f"range {low} {high} {inclusive}", Kind.RANGE, limits=limits, text="number")
    edge = Limits(lower="2026-01-01", upper="2026-03-29T02:30:00+01:00", upper_inclusive=False)
    yield _rule("range instant", Kind.RANGE, limits=edge, text="timestamp")
    yield _rule("range date", Kind.RANGE, limits=Limits(lower="2026-01-01", lower_inclusive=False), text="date")
    yield _rule("range time", Kind.RANGE, limits=Limits(lower="00:00:01", upper="10:20"), text="time")
    listed = (
        0,
        1,
        float(BIG),
        0.1,
        "a",
        "é",
        "true",
        True,
        "1.0",
        "2026-01-01",
        "2026-01-01 00:00:00",
        "10:20:00",
        "5.000",
    )
    for kind in (Kind.SET, Kind.MISSING_TEXT, Kind.SENTINEL):
        yield _rule(f"{kind.value} mixed", kind, values=listed)
        yield _rule(f"{kind.value} numbers", kind, values=(0, 1, 5))
        yield _rule(f"{kind.value} texts", kind, values=("a", "n/a", ""))
    for number, pattern in enumerate((r"^\w+$", r"\d", r"a$", r"^[^a\d]\s?", r"^.$", r"(?:é|e)?$", r"\bm", r"[+\-.]")):
        yield _rule(f"pattern {number}", Kind.PATTERN, text=pattern)
    yield _rule("length", Kind.LENGTH, limits=Limits(lower=1, upper=2))
    yield _rule("encoding", Kind.ENCODING)
    yield _rule("age", Kind.AGE, max_age_s=86_400.0)


def _row_rules() -> Iterator[Rule]:
    yield _rule("lateness", Kind.LATENESS, ("x", "y"), max_age_s=3_600.0)
    yield _rule("unit", Kind.UNIT, ("x", "y"), values=("mm",))
    yield _rule("same x", Kind.DUPLICATE, ("x",))
    yield _rule("same x and y", Kind.DUPLICATE, ("x", "y"))
    for relation in ("<", "<=", "=", "<>", ">=", ">"):
        yield _compared(f"x {relation} y", Reading.NUMBER)
        yield _compared(f"x {relation} y", Reading.INSTANT)
        yield _compared(f"x {relation} y", Reading.TEXT)
    yield _compared("x < y", Reading.CLOCK)
    yield _compared("x >= '2026-03-29T02:30:00+01:00'", Reading.INSTANT)
    yield _compared("x < '10:20:30.5'", Reading.CLOCK)
    yield _compared("x <> 'mm'", Reading.TEXT)
    yield _compared("x BETWEEN 0.1 * y AND 3 * y + 1", Reading.NUMBER)
    yield _compared("x - y = 0.3 - 0.1 * x", Reading.NUMBER)
    yield _compared("x = y + y", Reading.NUMBER, 0.5)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> "Keys":
    """Reference rules to a text, a number and an instant column, alone and together."""
    folder = tmp_path_factory.mktemp("keys")
    path = folder / "keys.parquet"
    pq.write_table(
        pa.table(
            {
                "t": ["a", "1", "", None],
                "n": [1.0, 5.0, float(BIG), None],
                "i": pa.array([AT, FOLDED[0], FOLDED[1], None], pa.timestamp("us", tz="UTC")),
            }
        ),
        path,
    )
    rules = [_rule(f"to {name}", Kind.REFERENCE, reference=Reference(path=path, columns=(name,))) for name in "tni"]
    both = Reference(path=path, columns=("n", "t"))
    return Keys([*rules, _rule("to n and t", Kind.REFERENCE, ("x", "y"), reference=both)])


RULES = (*_value_rules(), *_row_rules())
_AT_ONCE = 14


class Keys(list[Rule]):
    """Reference rules; hypothesis need not print them."""

    def __repr__(self) -> str:
        return "keys"


def _some(data: st.DataObject, keys: Keys) -> list[Rule]:
    """A few rules at a time: planning a query with all of them is what takes the time."""
    every = [*RULES, *keys]
    start = data.draw(st.integers(0, len(every) - 1), label="first rule")
    step = data.draw(st.sampled_from([1, 7, 11]), label="step")
    return [every[place] for place in sorted({(start + step * turn) % len(every) for turn in range(_AT_ONCE)})]


def _contract(rules: Sequence[Rule]) -> Contract:
    return Contract(
        path=Path("c.yaml"),
        contract_id="c",
        version="1",
        status="active",
        table="t",
        fields=(Field(name="x"), Field(name="y")),
        rules=tuple(rules),
        notes=(),
        provenance=Provenance(),
    )


def _batch(table: Table, rules: Sequence[Rule]) -> list[tuple[str, ...]]:
    """The broken rules of each row, as the SQL finds them."""
    found = [repeated_rows(r, table) if r.kind is Kind.DUPLICATE else row_predicate(r, table, AT) for r in rules]
    flags = ", ".join(f"{each.sql} AS f{index}" for index, each in enumerate(found))
    rows = table.query(f"SELECT {flags} FROM data ORDER BY {ROW}", [v for each in found for v in each.parameters])
    assert all(flag is not None for row in rows for flag in row)
    return [tuple(rule.rule_id for rule, bad in zip(rules, row, strict=True) if bad) for row in rows]


def _inline(records: Sequence[Mapping[str, object]], rules: Sequence[Rule], text: TextSource | None):
    contract = _contract(rules)
    inline = compile_inline(contract, text=text, references=load_references(contract), remember=True)
    assert inline.batch_only == ()
    return [inline.decide(record, at=AT).reasons for record in records]


def _differences(inline: list[tuple[str, ...]], batch: list[tuple[str, ...]]) -> list[tuple[int, str, str]]:
    return [
        (row, rule_id, "inline only" if rule_id in ours else "batch only")
        for row, (ours, theirs) in enumerate(zip(inline, batch, strict=True))
        for rule_id in sorted(set(ours) ^ set(theirs))
    ]


def _nullable(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.none() | values


@settings(max_examples=45)
@given(data=st.data())
def test_typed_rows_are_judged_alike(keys: Keys, data: st.DataObject) -> None:
    """Row by row, rule by rule, over Arrow columns of thirteen types in pairs; hence also in sum."""
    columns: dict[str, list[object]] = {}
    arrays = {}
    size = data.draw(st.integers(1, 12), label="rows")
    for name in ("x", "y"):
        stored, values = TYPED[data.draw(st.sampled_from(sorted(TYPED)), label=name)]
        columns[name] = data.draw(st.lists(_nullable(values), min_size=size, max_size=size))
        arrays[name] = pa.array(columns[name], stored)
    table = from_arrow(pa.table(arrays), "t")
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    rules = _some(data, keys)
    assert _differences(_inline(records, rules, None), _batch(table, rules)) == []


FAMILIES = [
    st.sampled_from(["1", "2", "-5", "5", "0", str(BIG), " 3"]),
    st.sampled_from(["0.5", "1e3", "-0.0", "5.", "nan", "1e400", "0.1"]),
    st.sampled_from(["true", "false", "T", "no"]),
    st.sampled_from(["2026-01-01", "2024-02-29", "1969-12-31"]),
    st.sampled_from(["2026-03-29T02:30:00", "2026-03-29 11:00:00.000001", "1969-12-31 23:59:59.5"]),
    st.sampled_from(["2026-03-29T02:30:00Z", "2026-10-25T02:30:00+02:00", "2026-03-29 11:59:59.999999+00"]),
    st.sampled_from(["10:20:30", "00:00:00", "23:59:59.5"]),
    st.sampled_from(["a", "é", "cafÃ©", "mm", "n/a"]),
]


@settings(max_examples=30)
@given(data=st.data())
def test_text_rows_are_judged_alike(keys: Keys, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """The same over CSV: whatever type the batch found for a column, the filter reads the text as that type."""
    size = data.draw(st.integers(1, 8), label="rows")
    columns = []
    for _ in "xy":
        family = data.draw(st.sampled_from(FAMILIES) | st.just(st.one_of(FAMILIES)))
        columns.append(data.draw(st.lists(st.just("") | family, min_size=size, max_size=size)))
    path = tmp_path_factory.mktemp("text") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("row", "x", "y"), *zip(map(str, range(size)), *columns, strict=True)])
    table = open_table(path, header=True)
    with path.open(newline="", encoding="utf-8") as stream:
        records = list(csv.DictReader(stream))
    rules = _some(data, keys)
    source = TextSource(types={column.name: column.type for column in table.columns})
    assert _differences(_inline(records, rules, source), _batch(table, rules)) == []


@settings(max_examples=25)
@given(data=st.data(), wanted=st.sampled_from(["", "number", "integer", "string", "boolean", "array"]))
def test_a_stored_type_that_does_not_fit_is_every_values_fault(data: st.DataObject, wanted: str) -> None:
    """The batch judges a typed column once; inline, each value that is there bears the same verdict."""
    stored, values = TYPED[data.draw(st.sampled_from(sorted(TYPED)))]
    column = data.draw(st.lists(_nullable(values), min_size=1, max_size=5))
    rule = _rule("schema", Kind.COLUMN, text=wanted)
    good, _ = fits(rule, from_arrow(pa.table({"x": pa.array(column, stored)}), "t"))
    bad = [bool(reasons) for reasons in _inline([{"x": value} for value in column], [rule], None)]
    assert bad == [not good and value is not None for value in column]


@given(
    st.dictionaries(
        st.sampled_from("xyz"),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | FLOATS
            | st.text(max_size=4)
            | st.decimals()
            | st.binary(max_size=2)
            | AWARE,
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
            max_leaves=4,
        ),
    )
)
def test_no_record_makes_the_filter_raise(record: dict[str, object]) -> None:
    """Any JSON and more, missing columns, values far beyond any table: a decision, and reasons in the rules' order."""
    schema = [_rule(f"schema {logical}", Kind.COLUMN, text=logical) for logical in (*LOGICAL, "array", "object")]
    inline = compile_inline(_contract((*RULES, *schema)), remember=True)
    decided = inline.decide(record, at=AT)
    order = {rule_id: position for position, rule_id in enumerate(inline.rule_ids)}
    assert [order[reason] for reason in decided.reasons] == sorted(order[reason] for reason in decided.reasons)
    assert (decided.action is Action.ADMIT) == (not decided.reasons)


def test_numeric_readings_are_told_from_the_text() -> None:
    """A number, a product or a sum decides; two bare columns do not."""
    assert [is_numeric(parse_clauses(s)) for s in ("x < y", "x < 1", "2 * x = y", "x = y + y", "-x < y")] == [
        False, True, True, True, True,
    ]  # fmt: skip
