"""Relationships of ODCS: run where a file is given, noted otherwise, and their keys as the file stores them."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.base.errors import ContractError, MissingFile
from roadworthy.measure.comparison import Reading
from roadworthy.measure.contract import load_contract
from roadworthy.measure.quality import assess
from roadworthy.measure.references import load_references
from roadworthy.measure.rule import Contract, Kind
from roadworthy.measure.table import from_arrow

AT = datetime(2026, 6, 1, tzinfo=UTC)
TEXT = """\
version: 1.2.0
kind: DataContract
apiVersion: v3.1.0
id: c1
status: active
schema:
  - name: visits
    relationships:
      - {from: [visits.site, visits.day], to: [shifts.site, shifts.day]}
      - {from: visits.site, to: "other.yaml#/schema/x"}
    properties:
      - {name: site, relationships: [{to: sites.code}, {to: sites.code.part}, {to: gone.code}]}
      - {name: day, logicalType: date}
  - {name: sites, physicalName: tbl_sites, id: s-1, properties: [{name: code}]}
  - {name: shifts, properties: [{name: site}, {name: day}]}
"""


def _load(folder: Path, text: str = TEXT, **sources: Path) -> Contract:
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    return load_contract(folder / "c.yaml", "visits", sources=sources)


@pytest.mark.parametrize("name", ["sites", "tbl_sites"])
def test_a_named_file_makes_a_relationship_run(tmp_path: Path, name: str) -> None:
    """By any of the table's names; keys are text, number or instant as the file has them."""
    pq.write_table(pa.table({"code": ["n", "s", None]}), tmp_path / "sites.parquet")
    pq.write_table(
        pa.table({"site": ["n", "s"], "day": pa.array([AT, AT]).cast(pa.date32())}), tmp_path / "shifts.parquet"
    )
    contract = _load(tmp_path, **{name: tmp_path / "sites.parquet", "shifts": tmp_path / "shifts.parquet"})
    rows = pa.table({"site": ["n", "w", "s", None], "day": ["2026-06-01", "2026-06-01", "2026-06-02", "soon"]})
    results = {
        r.rule.rule_id: r
        for r in assess(from_arrow(rows, "visits"), contract, at=AT).results
        if r.rule.kind is Kind.REFERENCE
    }
    assert {rule_id: result.bad_rows for rule_id, result in results.items()} == {
        "consistency.site.sites": 1,
        "consistency.site+day.shifts": 2,
    }
    known = load_references(contract)["consistency.site+day.shifts"]
    assert known.readings == (Reading.TEXT, Reading.INSTANT)
    assert known.has(["n", "2026-06-01T02:00:00+02:00"]) and not known.has(["n", None])


def test_without_a_file_a_relationship_is_a_note(tmp_path: Path) -> None:
    """Also one that leaves the contract, or is written by a path."""
    contract = _load(tmp_path)
    assert not any(rule.kind is Kind.REFERENCE for rule in contract.rules)
    assert [note.partition(" the relationship to ")[2] for note in contract.notes] == [
        "sites.code names no file, so it is not run.",
        "sites.code.part leaves this contract; it is not run.",
        "gone.code names no file, so it is not run.",
        "shifts.site, shifts.day names no file, so it is not run.",
        "other.yaml#/schema/x leaves this contract; it is not run.",
    ]


def test_a_relationship_of_unequal_length_is_refused(tmp_path: Path) -> None:
    """Two columns cannot point to one."""
    with pytest.raises(ContractError, match="joins 2 with 1"):
        _load(tmp_path, TEXT.replace("[shifts.site, shifts.day]", "[shifts.site]"), shifts=tmp_path / "x.csv")


def test_missing_files_and_columns(tmp_path: Path) -> None:
    """RW-102 and RW-106, when the rule is run."""
    with pytest.raises(MissingFile):
        load_references(_load(tmp_path, sites=tmp_path / "none.csv"))
    (tmp_path / "sites.csv").write_text("name\nn\n")
    with pytest.raises(ContractError, match="no column 'code'"):
        load_references(_load(tmp_path, sites=tmp_path / "sites.csv"))
