"""Assessment: each kind of rule, the three verdicts, flagged rows, and all planted damage."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from roadworthy.base.errors import ContractError, MissingFile, ParameterError
from roadworthy.base.interval import exact
from roadworthy.measure.contract import load_contract
from roadworthy.measure.corrupt import Corruption, corrupt
from roadworthy.measure.predicates import row_predicate
from roadworthy.measure.quality import QualityReport, RuleResult, Verdict, assess, flagged_rows
from roadworthy.measure.rule import NONE_ALLOWED, Contract, Dimension, Kind, Rule
from roadworthy.measure.table import from_arrow

AT = datetime(2026, 6, 1, tzinfo=UTC)
HEAD = "version: 1.2.0\nkind: DataContract\napiVersion: v3.1.0\nid: c1\nstatus: active\n"
FEED = (
    HEAD
    + """\
schema:
  - name: feed
    quality:
      - {id: rows, metric: rowCount, mustBeGreaterOrEqualTo: 100}
      - {type: custom, engine: roadworthy, id: order, implementation: {expression: seen_at <= arrived_at}}
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: site, logicalType: string, required: true, customProperties: [{property: roadworthy, value: {references: "sites.csv#name"}}]}
      - {name: note, logicalType: string, required: true}
      - {name: radius, logicalType: number, required: true, logicalTypeOptions: {minimum: 5, maximum: 30},
         customProperties: [{property: roadworthy, value: {unit: mm, medianRange: [10, 20]}}]}
      - {name: seen_at, logicalType: timestamp, required: true}
      - {name: arrived_at, logicalType: timestamp, required: true}
slaProperties:
  - {property: latency, value: 30, unit: d, element: "seen_at, arrived_at"}
  - {property: freshness, value: 2, unit: d, element: arrived_at}
"""
)
N = 400


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    (tmp_path / "sites.csv").write_text("name\nnorth\nsouth\n")
    return _contract(tmp_path, FEED)


def _contract(folder: Path, text: str) -> Contract:
    (folder / "feed.odcs.yaml").write_text(text, encoding="utf-8")
    return load_contract(folder / "feed.odcs.yaml")


def _feed() -> pa.Table:
    seen = [AT - timedelta(hours=30 + k % 50) for k in range(N)]
    return pa.table(
        {
            "id": list(range(N)),
            "site": ["north" if k % 2 else "south" for k in range(N)],
            "note": ["Grüße" if k % 3 else "plain" for k in range(N)],
            "radius": [10.0 + (k % 97) / 10 for k in range(N)],
            "seen_at": seen,
            "arrived_at": [at + timedelta(hours=1) for at in seen],
        }
    )


def _one(folder: Path, column: str, values: pa.Array, rule: str) -> tuple[int | None, Verdict]:
    contract = _contract(folder, HEAD + f"schema: [{{name: t, properties: [{{name: x, {column}}}]}}]")
    result = assess(from_arrow(pa.table({"x": values}), "t"), contract, at=AT).result(rule)
    assert result is not None
    return result.bad_rows, result.verdict


def test_good_data_meets_everything(contract: Contract) -> None:
    """No finding, no flagged row: the negative control of all tests below."""
    report = assess(from_arrow(_feed(), "feed"), contract, at=AT, cohort="site")
    assert [result.what for result in report.results if result.verdict is not Verdict.MET] == []
    assert report.met
    assert flagged_rows(from_arrow(_feed(), "feed"), contract, at=AT) == ()


DAMAGE = [
    (Corruption.NULL, "note", "completeness.note.null"),
    (Corruption.UNIT_SWAP, "radius", "validity.radius.range"),
    (Corruption.STALE, "seen_at", "freshness.seen_at+arrived_at.latency"),
    (Corruption.DUPLICATE, "id", "uniqueness.id.key"),
    (Corruption.ENCODING, "note", "validity.note.encoding"),
    (Corruption.RANGE, "radius", "validity.radius.range"),
    (Corruption.REFERENTIAL, "site", "consistency.site.reference"),
]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("kind", "column", "rule_id"), DAMAGE, ids=[kind.value for kind, _, _ in DAMAGE])
def test_planted_damage_is_found_row_by_row(
    contract: Contract, kind: Corruption, column: str, rule_id: str, seed: int
) -> None:
    """The rule that should fail fails, and exactly the planted rows are flagged for it."""
    damaged = corrupt(_feed(), kind, column, seed=seed, share=0.05)
    table = from_arrow(damaged.table, "feed")
    result = assess(table, contract, at=AT).result(rule_id)
    assert result is not None
    assert result.verdict is Verdict.NOT_MET
    assert result.bad_rows == len(damaged.truth.rows) == 20
    assert result.bad_share == exact(20 / table.row_count, table.row_count)
    assert result.examples[0].row == damaged.truth.rows[0]
    flagged = flagged_rows(table, contract, at=AT)
    assert tuple(row.row for row in flagged) == damaged.truth.rows
    assert all(rule_id in row.rules for row in flagged)
    assert len(flagged_rows(table, contract, at=AT, limit=3)) == 3


def test_renamed_and_retyped_columns_are_found(contract: Contract) -> None:
    """A renamed column fails its schema rule and makes its other rules unknown; a retyped one fails too."""
    renamed = assess(
        from_arrow(corrupt(_feed(), Corruption.SCHEMA, "radius", seed=1, share=1).table, "feed"), contract, at=AT
    )
    verdicts = {result.rule.rule_id: result.verdict for result in renamed.results}
    assert verdicts["schema.radius.column"] is Verdict.NOT_MET
    assert verdicts["validity.radius.range"] is Verdict.UNKNOWN
    assert renamed.undeclared == ("radius_v2",)
    assert not renamed.met
    retyped = assess(
        from_arrow(corrupt(_feed(), Corruption.RETYPE, "radius", seed=1, share=1).table, "feed"), contract, at=AT
    )
    failed = [result.rule.rule_id for result in retyped.results if result.verdict is Verdict.NOT_MET]
    assert failed == ["schema.radius.column"]


def test_freshness_looks_both_ways(contract: Contract) -> None:
    """Ten days later the newest value is too old; a day before it came, the clock is wrong."""
    table = from_arrow(_feed(), "feed")
    for at in (AT + timedelta(days=10), AT - timedelta(days=10)):
        result = assess(table, contract, at=at).result("freshness.arrived_at.freshness")
        assert result is not None and result.verdict is Verdict.NOT_MET


F64 = pa.float64()
SINGLE = [
    ("required: true", pa.array([1.0, None, float("nan")]), "completeness.x.null", 2),
    ("logicalType: integer", pa.array([1.0, 1.5, None, float("inf"), float("nan")]), "validity.x.type", 2),
    ("logicalType: number", pa.array(["1", "1e3", "one", None]), "validity.x.type", 1),
    ("logicalType: date", pa.array(["2026-02-28", "2026-02-30", None]), "validity.x.type", 1),
    ("logicalType: boolean", pa.array(["true", "maybe"]), "validity.x.type", 1),
    ("logicalType: time", pa.array(["10:20:30", "25:00:00"]), "validity.x.type", 1),
    (
        "logicalType: number, logicalTypeOptions: {exclusiveMinimum: 0}",
        pa.array([0.0, 0.1, -1.0, float("nan")]),
        "validity.x.range",
        2,
    ),
    (
        "logicalType: number, logicalTypeOptions: {maximum: 0.1}",
        pa.array([0.1, 0.10000000000000002]),
        "validity.x.range",
        1,
    ),
    (
        "logicalType: date, logicalTypeOptions: {minimum: '2026-01-01'}",
        pa.array(["2025-12-31", "2026-01-01"]),
        "validity.x.range",
        1,
    ),
    (
        "logicalType: time, logicalTypeOptions: {exclusiveMaximum: '12:00:00'}",
        pa.array(["11:59:59", "12:00:00"]),
        "validity.x.range",
        1,
    ),
    (
        "logicalType: string, logicalTypeOptions: {minLength: 2, maxLength: 3}",
        pa.array(["a", "äö", "abcd", None]),
        "validity.x.length",
        2,
    ),
    (
        "logicalType: string, logicalTypeOptions: {pattern: '^[A-Z]+$'}",
        pa.array(["A", "a", None]),
        "validity.x.pattern",
        1,
    ),
    (
        "logicalType: string, logicalTypeOptions: {format: uuid}",
        pa.array(["0", "01234567-89ab-cdef-0123-456789abcdef"]),
        "validity.x.format",
        1,
    ),
    (
        "logicalType: string",
        pa.array(["SÃO PAULO", "café", "naïve", "cafÃ©", "donâ€™t", "bad \ufffd", "\u0085"]),
        "validity.x.encoding",
        4,
    ),
    (
        "quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [1, 2]}}]",
        pa.array([1.0, 2.0, 3.0, None]),
        "validity.x.invalidValues",
        1,
    ),
    (
        "quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [a, 1]}}]",
        pa.array(["a", "1", "b"]),
        "validity.x.invalidValues",
        1,
    ),
    (
        "quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [true]}}]",
        pa.array([True, False]),
        "validity.x.invalidValues",
        1,
    ),
    (
        "quality: [{metric: missingValues, mustBe: 0, arguments: {missingValues: [n/a]}}]",
        pa.array(["n/a", None, "x"]),
        "completeness.x.missingValues",
        2,
    ),
    (
        "quality: [{metric: missingValues, mustBe: 0, arguments: {missingValues: [0]}}]",
        pa.array([0.0, None, 1.0]),
        "completeness.x.missingValues",
        2,
    ),
    ("unique: true", pa.array([1, 1, 1, 2, None, None]), "uniqueness.x.duplicate", 2),
    (
        "customProperties: [{property: roadworthy, value: {sentinels: [-9]}}]",
        pa.array([-9, 1, None]),
        "completeness.x.sentinel",
        1,
    ),
    (
        "customProperties: [{property: roadworthy, value: {maxAge: 1 d}}]",
        pa.array(["2026-05-31T12:00:00Z", "2026-05-30T23:59:59Z", "2026-06-01T00:00:01Z", "never"]),
        "freshness.x.age",
        3,
    ),
]


@pytest.mark.parametrize(
    ("column", "values", "rule", "bad"), SINGLE, ids=[f"{r}-{k}" for k, (_, _, r, _) in enumerate(SINGLE)]
)
def test_each_kind_counts_its_bad_rows(tmp_path: Path, column: str, values: pa.Array, rule: str, bad: int) -> None:
    """Counts on values chosen at the edges of each kind."""
    assert _one(tmp_path, column, values, rule) == (bad, Verdict.NOT_MET)


def test_tolerance_is_applied_to_exact_counts(tmp_path: Path) -> None:
    """One null of twenty rows is five percent: allowed by 5, refused by less than 5."""
    values = pa.array([None] + [1] * 19)
    for operator, verdict in (("mustBeLessOrEqualTo", Verdict.MET), ("mustBeLessThan", Verdict.NOT_MET)):
        column = f"quality: [{{metric: nullValues, {operator}: 5, unit: percent}}]"
        assert _one(tmp_path, column, values, "completeness.x.nullValues") == (1, verdict)


def test_all_null_column_is_never_valid(tmp_path: Path) -> None:
    """Without any value the range cannot be told, while completeness fails."""
    contract = _contract(
        tmp_path,
        HEAD + "schema: [{name: t, properties: [{name: x, required: true, logicalType: number, "
        "logicalTypeOptions: {minimum: 0}}]}]",
    )
    report = assess(from_arrow(pa.table({"x": pa.array([None, None], type=F64)}), "t"), contract, at=AT)
    verdicts = {result.rule.rule_id: result.verdict for result in report.results}
    assert verdicts["completeness.x.null"] is Verdict.NOT_MET
    assert verdicts["validity.x.range"] is Verdict.UNKNOWN
    assert report.empty_columns == ("x",)
    assert len(report.of(Dimension.VALIDITY)) == 2


def _table_quality(folder: Path, item: str) -> QualityReport:
    text = HEAD + f"schema: [{{name: my feed, properties: [{{name: x}}], quality: [{item}]}}]"
    return assess(from_arrow(pa.table({"x": [1, 2, 3, 4]}), "t"), _contract(folder, text), at=AT)


def test_queries_and_expressions(tmp_path: Path) -> None:
    """Scalar queries by variable or table name, null answers, and row conditions with an allowance."""
    cases = {
        '{id: q, type: sql, query: "SELECT COUNT(*) FROM ${table} WHERE x > 2", mustBe: 2}': Verdict.MET,
        '{id: q, type: sql, query: "SELECT AVG(x) FROM \\"my feed\\"", mustBe: 2.5}': Verdict.MET,
        '{id: q, type: sql, query: "SELECT MAX(x) FROM data;", mustBeLessThan: 4}': Verdict.NOT_MET,
        '{id: q, type: sql, query: "SELECT NULL", mustBe: 0}': Verdict.UNKNOWN,
        "{id: q, type: custom, engine: roadworthy, implementation: {expression: x < 4, allowedPercent: 25}}": Verdict.MET,
        "{id: q, type: custom, engine: roadworthy, implementation: {expression: x < 4, allowedPercent: 24}}": Verdict.NOT_MET,
        "{id: q, type: custom, engine: roadworthy, implementation: {expression: x < 1 + x}}": Verdict.MET,
    }
    for item, verdict in cases.items():
        result = _table_quality(tmp_path, item).result("q")
        assert result is not None
        assert result.verdict is verdict, item
    for broken in (
        '{type: sql, query: "SELECT x FROM data", mustBe: 0}',
        '{type: sql, query: "DROP VIEW data", mustBe: 0}',
        "{type: custom, engine: roadworthy, implementation: {expression: y < 4}}",
        "{type: custom, engine: roadworthy, implementation: {expression: x < NULL}}",
    ):
        with pytest.raises(ContractError):
            _table_quality(tmp_path, broken)


def test_query_below_a_property_names_its_column(tmp_path: Path) -> None:
    """``${column}`` stands for the property."""
    column = 'quality: [{id: q, type: sql, query: "SELECT SUM(${column}) FROM ${object}", mustBe: 6}]'
    assert _one(tmp_path, column, pa.array([1, 2, 3]), "q") == (None, Verdict.MET)


def test_missing_reference_and_unknown_cohort(contract: Contract, tmp_path: Path) -> None:
    """RW-102 for the reference, RW-106 for the cohort."""
    table = from_arrow(_feed(), "feed")
    with pytest.raises(ContractError):
        assess(table, contract, at=AT, cohort="hospital")
    (tmp_path / "sites.csv").unlink()
    with pytest.raises(MissingFile):
        assess(table, contract, at=AT)


def test_numeric_references_compare_numbers(tmp_path: Path) -> None:
    """1.0 refers to 1."""
    (tmp_path / "keys.csv").write_text("k\n1\n2\n")
    column = 'customProperties: [{property: roadworthy, value: {references: "keys.csv#k"}}]'
    assert _one(tmp_path, column, pa.array([1.0, 3.0, None]), "consistency.x.reference") == (1, Verdict.NOT_MET)


def test_a_contract_without_rows_to_judge_flags_nothing(tmp_path: Path) -> None:
    """Only a row count: no row can be flagged; and no rules at all are never met."""
    contract = _contract(tmp_path, HEAD + "schema: [{name: t, quality: [{metric: rowCount, mustBe: 1}]}]")
    table = from_arrow(pa.table({"x": [1]}), "t")
    assert flagged_rows(table, contract, at=AT) == ()
    assert assess(table, contract, at=AT).met
    hollow = _contract(tmp_path, HEAD + "schema: [{name: t}]")
    assert not assess(table, hollow, at=AT).met


def test_newest_of_no_instants_cannot_be_told(tmp_path: Path) -> None:
    """A column of words has no newest instant."""
    text = HEAD + "schema: [{name: t, properties: [{name: x}]}]\n"
    text += "slaProperties: [{property: freshness, value: 1, unit: d, element: x}]"
    report = assess(from_arrow(pa.table({"x": ["soon"]}), "t"), _contract(tmp_path, text), at=AT)
    assert report.results[-1].verdict is Verdict.UNKNOWN


STORED = [
    ("string", pa.array(["a"]), True),
    ("string", pa.array([1]), False),
    ("timestamp", pa.array([AT]), True),
    ("time", pa.array([AT]), False),
    ("date", pa.array([AT.date()]), True),
    ("boolean", pa.array([True]), True),
    ("integer", pa.array([1.0]), True),
    ("array", pa.array([[1]]), True),
    ("object", pa.array([{"a": 1}]), True),
    ("array", pa.array([1]), False),
]


@pytest.mark.parametrize(("wanted", "values", "good"), STORED)
def test_stored_types_against_declared(tmp_path: Path, wanted: str, values: pa.Array, good: bool) -> None:
    """A typed source is held to the declared logical type."""
    verdict = Verdict.MET if good else Verdict.NOT_MET
    assert _one(tmp_path, f"logicalType: {wanted}", values, "schema.x.column") == (None, verdict)


def test_damage_is_repeatable_and_refuses_nonsense() -> None:
    """Same seed, same rows; the input stays; wrong columns, shares and types raise."""
    feed = _feed()
    first, again = (corrupt(feed, Corruption.NULL, "note", seed=7, share=0.1) for _ in range(2))
    assert first.truth == again.truth
    assert first.truth != corrupt(feed, Corruption.NULL, "note", seed=8, share=0.1).truth
    assert feed.equals(_feed())
    whole = corrupt(feed, Corruption.UNIT_SWAP, "id", seed=1, share=0.01, factor=0.5)
    assert whole.table.schema.field("id").type == pa.float64()
    dangling = corrupt(feed, Corruption.REFERENTIAL, "id", seed=1, share=0.01)
    assert min(dangling.table.column("id").to_pylist()[row] for row in dangling.truth.rows) >= N
    with pytest.raises(ContractError):
        corrupt(feed, Corruption.NULL, "nothing", seed=1, share=0.1)
    with pytest.raises(ParameterError):
        corrupt(feed, Corruption.NULL, "note", seed=1, share=0.0)
    with pytest.raises(ParameterError):
        corrupt(feed, Corruption.STALE, "note", seed=1, share=0.1)


def _custom(folder: Path, implementation: str, values: pa.Table) -> RuleResult:
    item = f"{{id: q, type: custom, engine: roadworthy, implementation: {implementation}}}"
    columns = "[{name: a}, {name: b}, {name: seen, logicalType: timestamp}, {name: got, logicalType: timestamp}]"
    contract = _contract(folder, HEAD + f"schema: [{{name: t, properties: {columns}, quality: [{item}]}}]")
    result = assess(from_arrow(values, "t"), contract, at=AT).result("q")
    assert result is not None
    return result


def test_composite_references(tmp_path: Path) -> None:
    """A pair must occur together; a pair with a missing part points nowhere."""
    (tmp_path / "wards.csv").write_text("site,code\nn,1\ns,2\n")
    pairs = pa.table(
        {"a": ["n", "n", "s", None, "s"], "b": [1.0, 2.0, 2.0, 1.0, float("nan")], "seen": [AT] * 5, "got": [AT] * 5}
    )
    result = _custom(tmp_path, "{references: {file: wards.csv, columns: {a: site, b: code}}}", pairs)
    assert (result.bad_rows, [example.row for example in result.examples]) == (1, [1])


@pytest.mark.parametrize(("allowed", "verdict"), [(0, Verdict.NOT_MET), (24, Verdict.NOT_MET), (25, Verdict.MET)])
def test_row_counts_of_two_tables_are_reconciled(tmp_path: Path, allowed: int, verdict: Verdict) -> None:
    """Three rows against four: a quarter of the other table is missing."""
    (tmp_path / "ledger.csv").write_text("k\n1\n2\n3\n4\n")
    rows = pa.table({"a": [1] * 3, "b": [1] * 3, "seen": [AT] * 3, "got": [AT] * 3})
    result = _custom(tmp_path, f"{{rowsOf: ledger.csv, allowedPercent: {allowed}}}", rows)
    assert result.verdict is verdict
    assert result.bad_rows is None and result.what.startswith("3 rows against 4 in ledger.csv")


def test_lateness_with_an_allowance(tmp_path: Path) -> None:
    """On time, late, before it happened, never: three of four are bad."""
    got = [AT, AT + timedelta(minutes=31), AT - timedelta(seconds=1), None]
    rows = pa.table({"a": [1] * 4, "b": [1] * 4, "seen": [AT] * 4, "got": got})
    implementation = "{lateness: {event: seen, arrived: got, within: 30 min}, allowedPercent: %s}"
    assert _custom(tmp_path, implementation % 74, rows).verdict is Verdict.NOT_MET
    assert _custom(tmp_path, implementation % 75, rows).bad_rows == 3


def test_sums_across_columns(tmp_path: Path) -> None:
    """0.1 + 0.2 is 0.3 within a tolerance only; a missing part cannot be told."""
    rows = pa.table({"a": [0.1, 0.1, None], "b": [0.3, 0.4, 1.0], "seen": [AT] * 3, "got": [AT] * 3})
    assert _custom(tmp_path, "{expression: b = a + 0.2}", rows).bad_rows == 2
    assert _custom(tmp_path, "{expression: b = a + 0.2, tolerance: 1.0e-9}", rows).bad_rows == 1


def test_a_unit_column_must_say_the_declared_unit(tmp_path: Path) -> None:
    """Another unit and no unit are bad where there is a value."""
    text = HEAD + "schema: [{name: t, properties: [{name: u}, {name: x, customProperties: "
    text += "[{property: roadworthy, value: {unit: mm, unitColumn: u}}]}]}]"
    table = from_arrow(pa.table({"x": [1.0, 2.0, 3.0, None], "u": ["mm", "cm", None, "cm"]}), "t")
    result = assess(table, _contract(tmp_path, text), at=AT).result("validity.x.unit")
    assert result is not None and [example.row for example in result.examples] == [1, 2]


def test_a_window_does_not_change_what_other_rules_see(tmp_path: Path) -> None:
    """Minus zero keeps its sign beside a rule about duplicates, though the engine's window would lose it."""
    text = HEAD + "schema: [{name: t, properties: [{name: x, unique: true, quality: "
    text += '[{metric: invalidValues, id: sign, mustBe: 0, arguments: {pattern: "^-"}}]}]}]'
    table = from_arrow(pa.table({"x": [-0.0, -1.0]}), "t")
    assert flagged_rows(table, _contract(tmp_path, text), at=AT) == ()


def test_a_rule_without_what_it_needs_is_refused() -> None:
    """Made-up rules: no reference, no comparison, no rows to look at."""
    table = from_arrow(pa.table({"x": [1]}), "t")
    for kind in (Kind.REFERENCE, Kind.COMPARISON, Kind.ROW_COUNT):
        rule = Rule(rule_id="r", dimension=Dimension.VALIDITY, kind=kind, columns=("x",), bound=NONE_ALLOWED, line=1)
        with pytest.raises(ContractError):
            row_predicate(rule, table, AT)


def test_narrow_types_have_the_text_of_wide_ones(tmp_path: Path) -> None:
    """A 32-bit number is written as the double that it is; an instant in seconds like any other."""
    values = "quality: [{metric: invalidValues, id: q, mustBe: 0, arguments: {validValues: ['%s']}}]"
    for text, column in (
        ("0.5", pa.array([0.5], pa.float32())),
        ("2026-06-01 00:00:00", pa.array([AT], pa.timestamp("s"))),
    ):
        assert _one(tmp_path, values % text, column, "q") == (0, Verdict.MET)
