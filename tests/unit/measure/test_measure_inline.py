"""The inline filter: actions, what stays with the batch, memory, and text records. The agreement is a law."""

import gc
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path

import pytest

from roadworthy.measure.contract import load_contract
from roadworthy.measure.inline import Action, Admission, BatchOnly, TextSource, compile_inline
from roadworthy.measure.references import load_references
from roadworthy.measure.rule import Contract, Severity

AT = datetime(2026, 6, 1, tzinfo=UTC)
HEAD = "version: 1.2.0\nkind: DataContract\napiVersion: v3.1.0\nid: c1\nstatus: active\n"
TEXT = (
    HEAD
    + """\
schema:
  - name: feed
    quality:
      - {metric: rowCount, mustBeGreaterThan: 0}
      - {id: asked, type: sql, query: SELECT 1, mustBe: 1}
      - {id: rows, type: custom, engine: roadworthy, implementation: {rowsOf: sites.csv}}
      - {id: order, type: custom, engine: roadworthy, severity: info, implementation: {expression: seen_at <= arrived_at}}
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - name: site
        logicalType: string
        customProperties: [{property: roadworthy, value: {references: "sites.csv#name", severity: error}}]
      - {name: code, logicalType: string, logicalTypeOptions: {pattern: "(?i)a"}}
      - {name: radius, logicalType: number, required: true, logicalTypeOptions: {minimum: 5, maximum: 30}}
      - {name: seen_at, logicalType: timestamp, customProperties: [{property: roadworthy, value: {maxAge: 2 d}}]}
      - {name: arrived_at, logicalType: timestamp}
slaProperties:
  - {property: freshness, value: 2, unit: d, element: arrived_at}
"""
)
GOOD = {"id": 1, "site": "north", "code": "a", "radius": 7.5, "seen_at": AT, "arrived_at": AT}


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    (tmp_path / "sites.csv").write_text("name\nnorth\nsouth\n")
    (tmp_path / "feed.odcs.yaml").write_text(TEXT, encoding="utf-8")
    return load_contract(tmp_path / "feed.odcs.yaml")


@pytest.mark.parametrize(
    ("change", "action", "reasons"),
    [
        ({}, Action.ADMIT, ()),
        ({"radius": 31}, Action.FLAG, ("validity.radius.range",)),
        ({"radius": None}, Action.QUARANTINE, ("completeness.radius.null",)),
        ({"radius": "wide"}, Action.QUARANTINE, ("schema.radius.column", "validity.radius.type")),
        ({"radius": True}, Action.QUARANTINE, ("schema.radius.column", "validity.radius.range")),
        ({"site": "west"}, Action.QUARANTINE, ("consistency.site.reference",)),
        ({"site": "nÃ¼rth"}, Action.QUARANTINE, ("validity.site.encoding", "consistency.site.reference")),
        ({"code": "\ud800"}, Action.FLAG, ("validity.code.encoding",)),
        ({"arrived_at": AT - timedelta(hours=1)}, Action.FLAG, ("order",)),
        ({"seen_at": "2026-06-01T00:00:00Z"}, Action.ADMIT, ()),
        ({"seen_at": AT - timedelta(days=3)}, Action.FLAG, ("freshness.seen_at.age",)),
    ],
)
def test_actions_and_reasons(contract: Contract, change, action: Action, reasons):
    """Errors quarantine, anything else flags; reasons come in the contract's order."""
    inline = compile_inline(contract, references=load_references(contract))
    assert inline.decide(GOOD | change, at=AT) == Admission(action, reasons)


def test_a_record_without_the_column_misses_it_and_its_value(contract: Contract):
    """A missing name breaks the schema rule, and ``required``."""
    record = {name: value for name, value in GOOD.items() if name != "radius"}
    decided = compile_inline(contract).decide(record, at=AT)
    assert decided.reasons == ("schema.radius.column", "completeness.radius.null")


def test_what_one_record_cannot_answer_is_listed_with_its_reason(contract: Contract):
    """Counts, SQL, the newest row, and whatever memory or keys were not given; never passed in silence."""
    lean = compile_inline(contract)
    assert {each.rule_id for each in lean.batch_only} == {
        "volume.table.rowCount", "asked", "rows", "uniqueness.id.key", "consistency.site.reference",
        "validity.code.pattern", "freshness.arrived_at.freshness",
    }  # fmt: skip
    assert BatchOnly(rule_id="asked", why="it is SQL") in lean.batch_only
    assert any("flags" in each.why for each in lean.batch_only)
    full = compile_inline(contract, references=load_references(contract), remember=True)
    assert len(lean.batch_only) - len(full.batch_only) == 2
    assert set(full.rule_ids) | {each.rule_id for each in full.batch_only} == {rule.rule_id for rule in contract.rules}


def test_keys_are_remembered_until_they_are_forgotten(contract: Contract):
    """The second of two equal keys is bad; a missing key is not remembered; nothing else is held."""
    inline = compile_inline(contract, remember=True)
    assert [inline.decide(GOOD | {"id": key}, at=AT).reasons for key in (1, 2, 1, None, None)] == [
        (), (), ("uniqueness.id.key",), ("completeness.id.null",), ("completeness.id.null",),
    ]  # fmt: skip
    assert inline.remembered == 2
    inline.forget()
    assert inline.decide(GOOD, at=AT).action is Action.ADMIT


def test_text_is_read_as_the_batch_stored_it(contract: Contract):
    """Every stored type; null texts; what does not fit stays text; what is no text stays as it is."""
    types = {
        "id": "BIGINT",
        "radius": "DOUBLE",
        "seen_at": "TIMESTAMP",
        "arrived_at": "DATE",
        "site": "TIME",
        "code": "BOOLEAN",
    }
    inline = compile_inline(contract, text=TextSource(types=types, null_texts=("", "?")), remember=True)
    record = {
        "id": "0x1F",
        "radius": " 7.5 ",
        "seen_at": "2026-06-01 00:00",
        "arrived_at": "2026-06-01",
        "site": "10:20",
        "code": "no",
    }
    read = {name: read(record[name]) for name, read in (inline._readers or {}).items()}
    assert read == {
        "id": 31, "radius": 7.5, "seen_at": datetime(2026, 6, 1), "arrived_at": date(2026, 6, 1), "site": clock(10, 20), "code": False,
    }  # fmt: skip
    assert inline.decide(record, at=AT).reasons == ()
    assert inline.decide(record | {"id": "?", "radius": "x"}, at=AT).reasons == (
        "completeness.id.null",
        "validity.radius.type",
    )
    assert inline.decide(record | {"id": 5, "radius": 6}, at=AT).reasons == ()


def test_no_engine_is_loaded():
    """A gateway that imports the filter gets neither DuckDB nor Arrow."""
    code = "import sys, roadworthy.measure.inline; print(sorted({'duckdb', 'pyarrow', 'numpy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_crafted_text_costs_no_time(tmp_path: Path):
    """An e-mail pattern on a text made to be backtracked over: milliseconds, not minutes."""
    (tmp_path / "c.yaml").write_text(
        HEAD + "schema: [{name: t, properties: [{name: x, logicalType: string, logicalTypeOptions: {format: email}}]}]"
    )
    inline = compile_inline(load_contract(tmp_path / "c.yaml"))
    gc.collect()
    start = time.process_time()
    assert inline.decide({"x": "a@" + "a." * 300 + " "}, at=AT).action is Action.FLAG
    assert time.process_time() - start < 1.0


def test_a_made_up_rule_without_a_comparison_is_not_passed(contract: Contract):
    """Built by hand and incomplete: listed, not asked."""
    (rule,) = (rule for rule in contract.rules if rule.rule_id == "order")
    inline = compile_inline(replace(contract, rules=(replace(rule, comparison=None),)))
    assert inline.batch_only == (BatchOnly(rule_id="order", why="it compares nothing"),)


def test_severity_has_three_words():
    """The standard's own."""
    assert [each.value for each in Severity] == ["error", "warning", "info"]
