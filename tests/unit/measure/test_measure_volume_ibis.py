"""The parts of the Ibis compiler that need no server: literals, ranges, patterns, splits and refusals."""

import math
import re

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.errors import EngineRefused, ParameterError
from roadworthy.measure.patterns import NotCarriedOver
from roadworthy.measure.rule import NONE_ALLOWED, Dimension, Kind, Rule
from roadworthy.measure.volume.accumulators import FAR, Broken, Cells, Extremes, Moments, Rows, Values
from roadworthy.measure.volume.compile import dialect
from roadworthy.measure.volume.compile.fragment import Fragment, chunks, whole
from roadworthy.measure.volume.compile.grouped import repeated_ibis, unreferenced_ibis
from roadworthy.measure.volume.compile.ibis import kinds_of, measure_ibis
from roadworthy.measure.volume.compile.near import near_of
from roadworthy.measure.volume.compile.portable_patterns import Flavour, portable
from roadworthy.measure.volume.plan import ColumnKind, Split, make_plan
from roadworthy.measure.volume.plan import Kind as Reads

FINITE = st.floats(allow_nan=False, allow_infinity=False)
EDGES = (-1e300, 5e-324, 0.1, 0.30000000000000004, 1e16, 1.7976931348623157e308)


def memory(**columns):
    """An Ibis table on DuckDB."""
    connection = ibis.duckdb.connect()
    connection.con.register("arriving", pa.table(columns))
    connection.con.execute("CREATE TABLE t AS SELECT * FROM arriving")
    return connection.table("t")


def rule_about(column: str, kind: Kind, **more) -> Rule:
    """A rule about one column."""
    return Rule(
        rule_id="r", dimension=Dimension.VALIDITY, kind=kind, columns=(column,), bound=NONE_ALLOWED, line=1, **more
    )


@given(centre=FINITE, exponent=st.integers(-1000, 1000), value=FINITE)
def test_near_and_zero_are_ranges(centre, exponent, value) -> None:
    """The ends found once decide as the definition does for every value, and for the neighbours of the ends."""
    item = Moments(column="x", centre=centre, unit_exponent=exponent)
    near = near_of(item)
    ends = (near.lowest, near.highest, near.zero_from, near.zero_to, centre)
    beside = [math.nextafter(end, way) for end in ends for way in (-math.inf, math.inf)]
    for each in (value, *ends, *(end for end in beside if math.isfinite(end))):
        with np.errstate(over="ignore"):
            units = np.rint((np.float64(each) - centre) * math.ldexp(1.0, -exponent))
        assert (near.lowest <= each <= near.highest) == (abs(units) <= FAR)
        assert (near.zero_from <= each <= near.zero_to) == (units == 0)


def test_sparks_own_forms_have_the_widths_that_they_need() -> None:
    """Sums of decimals, rounding before the cast, instants with and without a zone as 64-bit numbers; no session."""
    table = ibis.table({"x": "float64", "i": "int64", "n": "timestamp", "z": "timestamp('UTC')", "d": "date"}, name="t")
    spark = dialect._DIALECTS["pyspark"]
    assert spark.exact_sum(table.i).type().is_decimal()
    assert spark.whole(table.x).type().is_int64()
    assert {str(spark.microseconds(table[name]).type()) for name in "nzd"} == {"int64"}


@pytest.mark.parametrize("name", ["duckdb", "postgres"])
def test_edges_are_texts_that_read_back_to_the_same_double(name) -> None:
    """No decimal literal stands in the SQL of a cell; what stands there in quotes is the edge, bit by bit."""
    table = ibis.table({"x": "float64"}, name="t")
    query = table.select(cell=dialect._DIALECTS[name].cell(table.x, EDGES, 70))
    sql = ibis.to_sql(query, dialect=name)
    quoted = [part for text in re.findall(r"'([^']*)'", sql) for part in text.strip("{}").split(",")]
    assert {float(text) for text in quoted} >= set(EDGES)
    assert re.findall(r"[0-9]\.[0-9]|[0-9]e[+-]?[0-9]", re.sub(r"'[^']*'", "", sql)) == []


def test_other_backends_are_refused() -> None:
    """A dialect that nobody held to the suite counts nothing, whatever it compiles to."""

    class Elsewhere:
        def get_backend(self):
            return self

        name = "sqlite"

    with pytest.raises(EngineRefused, match="sqlite is not known to count exactly"):
        dialect.dialect_of(Elsewhere())


def test_kinds_follow_the_stored_types() -> None:
    """A plan can be made for a table that no file holds."""
    table = memory(
        a=pa.array([1], pa.int8()),
        b=[True],
        c=["x"],
        d=pa.array([0], pa.timestamp("us")),
        e=pa.array([0], pa.date32()),
        f=[[1]],
        g=[0.5],
    )
    kinds = [item.kind for item in kinds_of(table)]
    assert kinds == [Reads.NUMBER, Reads.FLAG, Reads.TEXT, Reads.INSTANT, Reads.INSTANT, Reads.OTHER, Reads.NUMBER]


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        (Reads.NUMBER, Extremes(column="t")),
        (Reads.INSTANT, Extremes(column="t")),
        (Reads.INSTANT, Moments(column="t", centre=0.0, unit_exponent=0)),
        (Reads.TEXT, Values(column="x", known=("1.0",))),
    ],
)
def test_a_column_of_another_type_is_refused_by_name(kind, item) -> None:
    """A text is no number and no instant, and the text of a double is nobody's."""
    plan = make_plan([ColumnKind(name=item.column, kind=kind)], [Rows(), item])
    with pytest.raises(EngineRefused, match=f"does not read {item.column}, a "):
        measure_ibis(plan, memory(t=["a"], x=[1.0]))


def test_a_plan_that_reads_no_column_counts_rows() -> None:
    """And a split by a double is refused: no engine writes it as another does."""
    table = memory(x=[1.0, 2.0])
    assert measure_ibis(make_plan([], [Rows()]), table).rows == 2
    with pytest.raises(EngineRefused, match="does not read x, a float64, as a text"):
        measure_ibis(make_plan([], [Rows()], Split(column="x", values=("1.0",))), table)


@pytest.mark.parametrize(
    ("name", "text", "bad"), [("at", "number", 1), ("many", "number", 1), ("many", "time", 1), ("at", "time", 0)]
)
def test_what_is_of_another_type_altogether_is_no_number_and_no_time(name, text, bad) -> None:
    """An instant is no number; a list is neither a number nor a time of day."""
    table = memory(at=pa.array([5], pa.timestamp("us")), many=[[1]])
    item = Broken(rule=rule_about(name, Kind.TYPE, text=text))
    assert measure_ibis(make_plan(kinds_of(table), [Rows(), item]), table).result(item) == (bad,)


def test_times_of_day_and_texts_of_times_are_refused() -> None:
    """Their columns have other names, other ranges or no existence elsewhere."""
    table = memory(clock=pa.array([5], pa.time64("us")), many=[[1]])
    for rule in (rule_about("clock", Kind.TYPE, text="time"), rule_about("clock", Kind.SET, values=("a",))):
        with pytest.raises(EngineRefused, match=r"duckdb does not read .* \(clock\)"):
            measure_ibis(make_plan(kinds_of(table), [Rows(), Broken(rule=rule)]), table)
    item = Broken(rule=rule_about("many", Kind.SET, values=("a",)))
    assert measure_ibis(make_plan(kinds_of(table), [Rows(), item]), table).result(item) == (1,)


def test_what_the_engine_says_leaves_as_a_refusal() -> None:
    """The table went away between planning and counting."""
    table = memory(x=[1.0])
    table.get_backend().con.execute("DROP TABLE t")
    with pytest.raises(EngineRefused, match="duckdb could not run the count: "):
        measure_ibis(make_plan([ColumnKind(name="x", kind=Reads.NUMBER)], [Rows(), Extremes(column="x")]), table)


def test_cells_are_split_at_the_limit_too() -> None:
    """Three columns of cells, two to a statement."""
    table = memory(**{name: [0.5, 1.5, None] for name in "abc"})
    items = [Cells(column=name, edges=(1.0,)) for name in "abc"]
    plan = make_plan(kinds_of(table), [Rows(), *items])
    state = measure_ibis(plan, table, limit=2)
    assert [state.result(item) for item in items] == [(1, 1)] * 3


def test_grouping_queries_ask_for_their_own_kind_of_rule() -> None:
    """A rule about nulls has no groups."""
    rule = rule_about("x", Kind.NULL)
    table = memory(x=[1.0])
    with pytest.raises(ParameterError, match="r is about null, not duplicate"):
        repeated_ibis(rule, table)
    with pytest.raises(ParameterError, match="r is about null, not reference"):
        unreferenced_ibis(rule, table, table)


def test_chunks_keep_order_and_never_cut_a_fragment() -> None:
    """A fragment wider than the limit goes alone; no fragment, no statement."""
    parts = [
        Fragment(accumulator=Extremes(column=str(size)), columns=("c",) * size, parameters=(), read=whole)
        for size in (2, 1, 5, 1)
    ]
    assert [[len(part.columns) for part in chunk] for chunk in chunks(parts, 3)] == [[2, 1], [5], [1]]
    assert list(chunks([], 3)) == []


@pytest.mark.parametrize("flavour", Flavour)
def test_patterns_are_written_anew(flavour) -> None:
    """Anchors, classes and dots in words of one meaning; laziness left out."""
    end = r"\Z" if flavour is Flavour.POSIX else r"\z"
    assert portable(r"^a.\d+?$", flavour) == rf"\Aa[^\n][0-9]+{end}"
    assert portable(r"([\w-]\W){2,3}?", flavour) == r"(?:[0-9A-Za-z_-][^0-9A-Za-z_]){2,3}"
    assert portable(r"[a&&\]]\t\.", flavour) == r"[a\&\&\]]\t\."


@given(st.sampled_from([r"^a.c$", r"\Aa|b\z", r"[^\s-]+?", r"\d{2,3}x*", r"\.\$\[&~#", "[a&&b]", r"\D\W\S", "é_ ", "a$", "[+-]"]),
       st.text(st.sampled_from("abcx&#~$.[-_ é\n\r\u2028\u0085129"), max_size=6))  # fmt: skip
def test_a_rewritten_pattern_finds_what_the_contracts_does(pattern, text) -> None:
    """In RE2 itself, before and after."""
    before, after = (
        pc.match_substring_regex(pa.array([text]), each)[0].as_py()
        for each in (pattern, portable(pattern, Flavour.RE2))
    )
    assert before == after


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\bmm", "word boundary"),
        ("a{256}", "255"),
        ("a{1,300}", "255"),
        ("(?i)a", "flags"),
        ("(a+)+", "more than one way"),
    ],
)
def test_what_differs_between_matchers_is_not_carried_over(pattern, why) -> None:
    """Named, so that the refusal can say it."""
    with pytest.raises(NotCarriedOver, match=why):
        portable(pattern, Flavour.JAVA)
