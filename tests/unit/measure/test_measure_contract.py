"""ODCS into rules, and the refusal of everything that could not be run."""

from fractions import Fraction
from pathlib import Path

import pytest

from roadworthy.base.errors import ContractError, MissingFile, UnitError
from roadworthy.measure.comparison import Reading
from roadworthy.measure.contract import load_contract
from roadworthy.measure.rule import Bound, Comparator, Dimension, Kind, Reference, Rule

HEAD = "version: 1.2.0\nkind: DataContract\napiVersion: v3.1.0\nid: c1\nstatus: active\n"
FULL = (
    HEAD
    + """\
contractCreatedTs: 2026-01-01T00:00:00Z
description: {purpose: To triage., usage: Research., limitations: Small.}
team:
  members:
    - {username: ada, role: data owner, dateIn: 2020-01-01}
servers:
  - {server: s, type: local, path: raw/data.csv}
customProperties:
  - property: roadworthy
    value:
      sources: [{origin: registry, path: raw.csv, sha256: "%s"}]
      transformations: none
      suitableFor: [heart-triage]
      limitations: [{text: Old., rule: rows}]
schema:
  - name: visits
    quality:
      - {id: rows, metric: rowCount, mustBeBetween: [10, 1000]}
      - {metric: duplicateValues, arguments: {properties: [site, day]}, mustBeLessThan: 1, unit: percent}
      - {type: text, description: Ask the ward.}
      - {type: custom, engine: soda, implementation: "checks"}
      - {type: custom, engine: roadworthy, id: order, implementation: {expression: left_at >= day, allowedPercent: 2}}
      - {type: sql, name: mean age, query: "SELECT AVG(age) FROM visits", mustBeGreaterThan: 20}
    properties:
      - {name: id, logicalType: string, primaryKey: true, logicalTypeOptions: {pattern: "^P", minLength: 2}}
      - name: age
        logicalType: integer
        required: true
        logicalTypeOptions: {minimum: 0, exclusiveMaximum: 120, multipleOf: 1}
        customProperties:
          - {property: other, value: 1}
          - {property: roadworthy, value: {unit: a, sentinels: [-9], medianRange: [30, 80], knownAt: admission}}
      - name: site
        logicalType: string
        unique: false
        logicalTypeOptions: {format: email}
        relationships: [{to: sites.name}]
        quality:
          - {metric: missingValues, arguments: {missingValues: [null, "n/a"]}, mustBeLessOrEqualTo: 5, unit: percent}
          - {metric: invalidValues, arguments: {validValues: [a, b]}, mustBe: 0}
          - {metric: invalidValues, id: shape, arguments: {pattern: "^[ab]$"}, mustBe: 0}
      - {name: ward, customProperties: [{property: roadworthy, value: {references: "wards.csv#name"}}]}
      - {name: day, logicalType: timestamp, customProperties: [{property: roadworthy, value: {maxAge: 2 w}}]}
      - {name: left_at, logicalType: timestamp, physicalName: left_at, unique: true, transformLogic: "a + b"}
slaProperties:
  - {property: freshness, value: 4, unit: d, element: visits.day}
  - {property: latency, value: 90, unit: min, element: "day, left_at"}
  - {property: retention, value: 3, unit: y}
"""
    % ("0" * 64)
)


def _write(folder: Path, text: str) -> Path:
    path = folder / "c.odcs.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _column(extra: str) -> str:
    return HEAD + f"schema:\n  - name: t\n    properties:\n      - {{name: x, {extra}}}\n"


def _own(implementation: str) -> str:
    return _column(f"quality: [{{type: custom, engine: roadworthy, implementation: {implementation}}}]")


def _rules(folder: Path) -> dict[str, Rule]:
    return {rule.rule_id: rule for rule in load_contract(_write(folder, FULL)).rules}


def test_every_part_becomes_its_rule(tmp_path: Path) -> None:
    """The ids of all rules, in the order of the file."""
    assert list(_rules(tmp_path)) == [
        "schema.id.column",
        "completeness.id.null",
        "validity.id.encoding",
        "validity.id.pattern",
        "validity.id.length",
        "schema.age.column",
        "completeness.age.null",
        "validity.age.type",
        "validity.age.range",
        "completeness.age.sentinel",
        "schema.site.column",
        "validity.site.encoding",
        "validity.site.format",
        "completeness.site.missingValues",
        "validity.site.invalidValues",
        "shape",
        "schema.ward.column",
        "consistency.ward.reference",
        "schema.day.column",
        "validity.day.type",
        "freshness.day.age",
        "schema.left_at.column",
        "uniqueness.left_at.duplicate",
        "validity.left_at.type",
        "uniqueness.id.key",
        "rows",
        "uniqueness.table.duplicateValues",
        "order",
        "mean age",
        "freshness.day.freshness",
        "freshness.day+left_at.latency",
    ]


def test_rules_carry_what_the_contract_says(tmp_path: Path) -> None:
    """Bounds, limits, spans, references and lines of a sample of rules."""
    rules = _rules(tmp_path)
    limits = rules["validity.age.range"].limits
    assert limits is not None
    assert (limits.lower, limits.lower_inclusive, limits.upper, limits.upper_inclusive) == (0, True, 120, False)
    assert rules["rows"].bound == Bound(comparator=Comparator.BETWEEN, value=10, upper=1000)
    assert rules["completeness.site.missingValues"].bound.percent
    assert rules["completeness.site.missingValues"].values == ("n/a",)
    assert rules["uniqueness.table.duplicateValues"].columns == ("site", "day")
    assert rules["freshness.day.freshness"].max_age_s == 4 * 86_400
    assert rules["freshness.day+left_at.latency"].max_age_s == 5_400
    assert rules["freshness.day+left_at.latency"].kind is Kind.LATENESS
    assert rules["consistency.ward.reference"].reference == Reference(path=tmp_path / "wards.csv", columns=("name",))
    assert rules["rows"].line == 1 + FULL[: FULL.index("- {id: rows")].count("\n")
    assert rules["order"].dimension is Dimension.CONSISTENCY


def test_fields_notes_and_provenance(tmp_path: Path) -> None:
    """What is no rule is kept: units, prose, people, sources; what is not run is said."""
    contract = load_contract(_write(tmp_path, FULL), "visits")
    age, site = contract.field("age"), contract.field("site")
    assert age is not None and site is not None
    assert (age.unit, age.sentinels, age.median_range, age.known_at) == ("a", (-9.0,), (30.0, 80.0), "admission")
    assert age.numeric and not site.numeric and site.valid_values == ("a", "b")
    assert contract.key == ("id",)
    assert contract.field("nothing") is None
    assert len(contract.notes) == 5
    assert contract.provenance.team[0].name == "ada"
    assert contract.provenance.created == "2026-01-01T00:00:00Z"
    assert [source.origin for source in contract.provenance.sources] == ["registry", "raw/data.csv"]
    assert contract.provenance.suitable_for == ("heart-triage",)


def test_a_service_level_of_another_table_is_noted(tmp_path: Path) -> None:
    """Of two tables, only the one that the element names gets the rule."""
    text = HEAD + "schema: [{name: a, properties: [{name: x}]}, {name: b, properties: [{name: y}]}]\n"
    text += "slaProperties: [{property: freshness, value: 1, unit: d, element: a.x}]"
    path = _write(tmp_path, text)
    assert load_contract(path, "a").rules[-1].kind is Kind.NEWEST_AGE
    other = load_contract(path, "b")
    assert other.rules[-1].kind is Kind.COLUMN
    assert other.notes == ("table: the service level freshness is about another table.",)


def test_a_team_as_a_plain_list_and_an_enum(tmp_path: Path) -> None:
    """The older form of a team, and allowed values by enum."""
    text = _column("logicalType: string, enum: [{value: a}, {value: b}]") + "team: [{username: bo, role: owner}]\n"
    contract = load_contract(_write(tmp_path, text))
    assert contract.provenance.team[0].name == "bo"
    assert next(r for r in contract.rules if r.kind is Kind.SET).values == ("a", "b")


REFUSED = [
    ("[1, 2]", "not a mapping"),
    ("a: [", "not YAML"),
    ("a: 1\na: 2", "twice"),
    (HEAD.replace("v3.1.0", "v2.2.2") + "schema: []", "not supported"),
    (HEAD.replace("DataContract", "Thing"), "not a data contract"),
    (HEAD.replace("id: c1\n", ""), "requires 'id'"),
    (HEAD + "colour: red", "Extra inputs"),
    (HEAD, "describes no table"),
    (HEAD + "schema: [{name: a}, {name: b}]", "which table"),
    (_column("requird: true"), "no key 'requird'"),
    (_column("quality: [{metric: nullValues, mustBeAtMost: 3}]"), "no key 'mustBeAtMost'"),
    (_column("quality: [{metric: nulls, mustBe: 0}]"), "no metric 'nulls'"),
    (_column("quality: [{type: library, mustBe: 0}]"), "no metric"),
    (_column("quality: [{type: magic}]"), "no quality type"),
    (_column("quality: [{metric: nullValues}]"), "0 operators"),
    (_column("quality: [{metric: nullValues, mustBe: 0, mustBeLessThan: 2}]"), "2 operators"),
    (_column("quality: [{metric: nullValues, mustBe: zero}]"), "not a number"),
    (_column("quality: [{metric: nullValues, mustBe: true}]"), "not a number"),
    (_column("quality: [{metric: nullValues, mustBeBetween: [5, 1]}]"), "not in order"),
    (_column("quality: [{metric: nullValues, mustBeLessThan: 200, unit: percent}]"), "not a percentage"),
    (_column("quality: [{metric: nullValues, mustBe: 0, unit: furlongs}]"), "unit 'furlongs'"),
    (_column("quality: [{metric: nullValues, mustBe: 0, arguments: {a: 1}}]"), "no argument"),
    (_column("quality: [{metric: missingValues, mustBe: 0, arguments: {missing: []}}]"), "no argument 'missing'"),
    (_column("quality: [{metric: missingValues, mustBe: 0}]"), "not a list"),
    (_column("quality: [{metric: invalidValues, mustBe: 0}]"), "needs validValues or pattern"),
    (_column("quality: [{metric: rowCount, mustBe: 5, unit: percent}]"), "no percentage"),
    (_column("quality: [{type: sql, mustBe: 0}]"), "no query"),
    (_column("quality: [{type: custom, engine: roadworthy, implementation: {expresion: a}}]"), "expresion"),
    (_column("quality: [{type: custom, engine: roadworthy, implementation: text}]"), "dictionary"),
    (_column("quality: [{id: a, metric: nullValues, mustBe: 0}, {id: a, metric: nullValues, mustBe: 1}]"), "Two rules"),
    (_column("logicalType: number, logicalTypeOptions: {minimun: 3}"), "no type option"),
    (_column("logicalType: number, logicalTypeOptions: {minimum: low}"), "does not bound"),
    (_column("logicalType: date, logicalTypeOptions: {minimum: 3}"), "does not bound"),
    (_column("logicalType: number, logicalTypeOptions: {minimum: 3, exclusiveMinimum: 3}"), "Both"),
    (_column("customProperties: [{property: roadworthy, value: {unitt: mm}}]"), "knows no 'unitt'"),
    (_column("customProperties: [{property: roadworthy, value: {references: nowhere}}]"), "pattern"),
    (_column("customProperties: [{property: roadworthy, value: {maxAge: 2 months}}]"), "not a span"),
    (_column("customProperties: [{property: roadworthy, value: {maxAge: soon}}]"), "not a span"),
    (_column("customProperties: [{property: roadworthy, value: {}}, {property: roadworthy, value: {}}]"), "twice"),
    (HEAD + "schema: [{name: t, properties: [{name: x}, {name: x}]}]", "declared twice"),
    (HEAD + "schema: [{name: t, properties: [{logicalType: date}]}]", "no name"),
    (HEAD + "schema: [{name: t, quality: [{metric: nullValues, mustBe: 0}]}]", "names no column"),
    (_column("a: 1").replace("a: 1", "required: maybe"), "do not follow ODCS"),
    (_column("required: true") + "slaProperties: [{property: freshness, value: 1, unit: d, element: y}]", "element"),
    (_column("required: true") + "slaProperties: [{property: freshness, value: 1, unit: d}]", "element"),
    (_column("quality: [{metric: nullValues, mustBe: 0, severity: fatal}]"), "severity 'fatal'"),
    (_column("quality: [{metric: duplicateValues, mustBe: 0, arguments: {properties: [x, y]}}]"), "no declared column"),
    (_column("customProperties: [{property: roadworthy, value: {unit: mm, unitColumn: u}}]"), "no declared column"),
    (_column("logicalType: date, logicalTypeOptions: {minimum: '2026-13-01'}"), "does not bound"),
    (_column("logicalType: time, logicalTypeOptions: {minimum: noon}"), "does not bound"),
    (_column("logicalType: number, logicalTypeOptions: {minimum: .nan}"), "does not bound"),
    (_own("{}"), "0 things"),
    (_own("{expression: x < 1, rowsOf: a.csv}"), "2 things"),
    (_own("{expression: x < 1 OR x > 2}"), "cannot be read: 'OR'"),
    (_own("{expression: x < 1, tolerance: 1}"), "tolerance"),
    (_own("{expression: x <= 1, tolerance: 1}"), "belongs to an ="),
    (_own("{expression: y < 4}"), "no declared column"),
    (_own("{expression: x < x}"), "compared as"),
    (_own("{expression: x < 'a'}"), "compared as"),
    (_own("{lateness: {event: x, arrived: x, within: '5'}}"), "not a span"),
    (_own("{references: {file: a.csv, columns: {}}}"), "at least 1"),
    (_own("{expression: x < 1, allowedPercent: 101}"), "less than or equal to 100"),
    (HEAD + "schema: [{name: t, properties: [{name: x, logicalType: date}, {name: y, logicalType: number}], quality: "
     "[{type: custom, engine: roadworthy, implementation: {expression: x < y}}]}]", "compared as"),
    (HEAD + "schema: [{name: t, properties: [{name: x, logicalType: date}], quality: "
     "[{type: custom, engine: roadworthy, implementation: {expression: x < 'soon'}}]}]", "compared as"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_could_not_be_run_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    """RW-106; the file is always named, and the sentence names the culprit."""
    with pytest.raises(ContractError, match=said) as caught:
        load_contract(_write(tmp_path, text))
    assert caught.value.where is not None and caught.value.where.startswith(str(tmp_path / "c.odcs.yaml"))
    assert caught.value.remedy


def test_what_a_comparison_compares_follows_from_the_types(tmp_path: Path) -> None:
    """Numbers when a number takes part, else the logical types; the same columns in another type are another promise."""
    readings = {
        "number": Reading.NUMBER, "integer": Reading.NUMBER, "date": Reading.INSTANT, "timestamp": Reading.INSTANT,
        "time": Reading.CLOCK, "string": Reading.TEXT, "boolean": Reading.TEXT,
    }  # fmt: skip
    for logical, reading in readings.items():
        text = _own("{expression: x = x}").replace("{name: x,", f"{{name: x, logicalType: {logical},")
        comparison = load_contract(_write(tmp_path, text)).rules[-1].comparison
        assert comparison is not None and comparison.reading is reading
    comparison = load_contract(_write(tmp_path, _own("{expression: x = 1, tolerance: 0.5}"))).rules[-1].comparison
    assert comparison is not None and (comparison.reading, comparison.tolerance) == (Reading.NUMBER, 0.5)


def test_severity_of_items_columns_and_essentials(tmp_path: Path) -> None:
    """An item's word is its own; a column's is for what it declares; required, types and presence are errors."""
    text = _column(
        "logicalType: number, required: true, unique: true, logicalTypeOptions: {minimum: 0}, "
        "customProperties: [{property: roadworthy, value: {severity: info, sentinels: [9]}}], "
        "quality: [{metric: nullValues, mustBe: 0, severity: ERROR}, {metric: invalidValues, mustBe: 0, arguments: {validValues: [1]}}]"
    )
    severities = {rule.rule_id: rule.severity.value for rule in load_contract(_write(tmp_path, text)).rules}
    assert severities == {
        "schema.x.column": "error", "completeness.x.null": "error", "validity.x.type": "error",
        "uniqueness.x.duplicate": "info", "validity.x.range": "info", "completeness.x.sentinel": "info",
        "completeness.x.nullValues": "error", "validity.x.invalidValues": "warning",
    }  # fmt: skip


def test_the_same_promise_twice_is_one_wherever_it_stands(tmp_path: Path) -> None:
    """Two equal items on different lines make one rule."""
    item = "{id: a, metric: nullValues, mustBe: 0}"
    rules = load_contract(_write(tmp_path, _column(f"quality: [{item},\n          {item}]"))).rules
    assert [rule.rule_id for rule in rules] == ["schema.x.column", "a"]


def test_line_path_and_nearest_word(tmp_path: Path) -> None:
    """A misspelt operator: line 9, its key path, and what was probably meant."""
    text = (
        HEAD
        + "schema:\n  - name: t\n    properties:\n      - name: x\n        quality:\n          - metric: nullValues\n            mustBee: 0\n"
    )
    with pytest.raises(ContractError) as caught:
        load_contract(_write(tmp_path, text))
    assert caught.value.where == f"{tmp_path / 'c.odcs.yaml'}:12 schema[0].properties[0].quality[0].mustBee"
    assert caught.value.remedy == "Did you mean 'mustBe'?"


def test_missing_file_wrong_bytes_and_missing_unit(tmp_path: Path) -> None:
    """RW-102, RW-106 and RW-105."""
    with pytest.raises(MissingFile):
        load_contract(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ContractError, match="UTF-8"):
        load_contract(tmp_path / "latin.yaml")
    with pytest.raises(UnitError):
        load_contract(
            _write(tmp_path, _column("customProperties: [{property: roadworthy, value: {medianRange: [1, 2]}}]"))
        )


BOUNDS = {
    Comparator.EQUAL: "010",
    Comparator.NOT_EQUAL: "101",
    Comparator.GREATER: "001",
    Comparator.AT_LEAST: "011",
    Comparator.LESS: "100",
    Comparator.AT_MOST: "110",
}


@pytest.mark.parametrize(("comparator", "holds"), BOUNDS.items())
def test_bounds_at_below_and_above(comparator: Comparator, holds: str) -> None:
    """Each operator at 4, 5 and 6 against 5, in rows and in percent of 100 rows."""
    for percent in (False, True):
        bound = Bound(comparator=comparator, value=5.0, percent=percent)
        assert "".join(str(int(bound.holds(count, 100))) for count in (4, 5, 6)) == holds
    assert bound.text().endswith("5 % of rows")


def test_between_counts_its_ends_and_percentages_are_exact() -> None:
    """0 and 5 lie between 0 and 5; 1 of 1,000 rows is exactly 0.1 percent; no rows hold no percentage."""
    between = Bound(comparator=Comparator.BETWEEN, value=0, upper=5)
    outside = Bound(comparator=Comparator.NOT_BETWEEN, value=0, upper=5)
    assert [between.holds(k, 9) for k in (0, 5, 6)] == [True, True, False]
    assert [outside.holds(k, 9) for k in (0, 5, 6)] == [False, False, True]
    assert between.text() == "between 0 and 5"
    tenth = Bound(comparator=Comparator.EQUAL, value=0.1, percent=True)
    assert tenth.holds(1, 1_000)
    assert not tenth.holds(0, 0)
    assert tenth.accepts(Fraction(1, 10))


_NAMING = """apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
status: active
schema:
  - name: t
    properties:
      - {name: a, logicalType: string, customProperties: [{property: roadworthy, value: {references: "%s#v"}}]}
"""
_ROWS_OF = """apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
status: active
schema:
  - name: t
    properties: [{name: a, logicalType: string}]
    quality:
      - {type: custom, engine: roadworthy, name: q, implementation: %s}
"""


@pytest.mark.parametrize(
    "text",
    [
        _NAMING % "../keys.csv",
        _NAMING % "/etc/passwd",
        _NAMING % "link.csv",
        _NAMING % "link*.csv",
        _NAMING % "a/../../keys.csv",
        _ROWS_OF % "{rowsOf: ../keys.csv}",
        _ROWS_OF % "{references: {file: ../keys.csv, columns: {a: v}}}",
    ],
)
def test_a_contract_names_files_of_its_project_only(tmp_path: Path, text: str) -> None:
    """Above it only as far as the project reaches, links followed; roadworthy.yaml says how far that is."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    (tmp_path / "keys.csv").write_text("v\n1\n")
    (folder / "link.csv").symlink_to(tmp_path / "keys.csv")
    (folder / "c.yaml").write_text(text)
    with pytest.raises(ContractError, match="outside its project"):
        load_contract(folder / "c.yaml")
    (tmp_path / "roadworthy.yaml").touch()
    if "/etc" not in text:
        assert load_contract(folder / "c.yaml").rules
