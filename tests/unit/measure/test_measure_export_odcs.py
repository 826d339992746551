"""ODCS out: what is exported loads again as the same contract and keeps the standard's JSON schema."""

import json
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from roadworthy.base.errors import ContractError
from roadworthy.demo.documents import Digests, contract_text
from roadworthy.measure.contract import load_contract
from roadworthy.measure.export_odcs import to_odcs, to_odcs_yaml
from roadworthy.measure.rule import NONE_ALLOWED, Bound, Comparator, Contract, Dimension, Kind, Rule, Severity

HEAD = "version: 1.2.0\nkind: DataContract\napiVersion: v3.1.0\nid: c1\nstatus: active\n"
FULL = (
    HEAD
    + """\
contractCreatedTs: 2026-01-01T00:00:00Z
description: {purpose: To triage., usage: Research., limitations: Small.}
team: {members: [{username: ada, role: data owner, dateIn: 2020-01-01}]}
servers: [{server: s, type: local, path: raw/data.csv}]
customProperties:
  - property: roadworthy
    value:
      sources: [{origin: registry, path: ../raw.csv, sha256: "%s"}]
      transformations: none
      suitableFor: [heart-triage]
      limitations: [{text: Old., rule: rows}, {text: One site., slice: site=a}]
schema:
  - name: visits
    relationships: [{from: [visits.site, visits.ward], to: [places.site, places.ward]}]
    quality:
      - {id: rows, metric: rowCount, mustBeBetween: [10, 1000], severity: ERROR, description: Enough.}
      - {metric: duplicateValues, arguments: {properties: [site, day]}, mustBeLessThan: 1.5, unit: percent}
      - {type: text, description: "Ask the ward: they know."}
      - {type: custom, engine: soda, implementation: "checks"}
      - {type: custom, engine: roadworthy, name: outline, implementation: {expression: age = 1 + 2 * age, tolerance: 0.5, allowedPercent: 2}}
      - {type: custom, engine: roadworthy, id: place, implementation: {references: {file: p.csv, columns: {site: s, ward: w}}}}
      - {type: custom, engine: roadworthy, id: late, implementation: {lateness: {event: day, arrived: left_at, within: 30 min}, allowedPercent: 5}}
      - {type: custom, engine: roadworthy, dimension: completeness, implementation: {rowsOf: ledger.parquet}}
      - {type: sql, name: mean age, query: "SELECT AVG(age) FROM visits", mustBeGreaterThan: 20}
    properties:
      - {name: id, logicalType: string, primaryKey: true, unique: true, logicalTypeOptions: {pattern: "^P", minLength: 2}}
      - name: age
        logicalType: integer
        required: true
        logicalTypeOptions: {minimum: 0, exclusiveMaximum: 120.5, multipleOf: 1}
        quality: [{metric: nullValues, mustBeLessOrEqualTo: 5, unit: percent}]
        customProperties:
          - {property: roadworthy, value: {unit: a, unitColumn: ward, sentinels: [-9, 0.5], medianRange: [30, 80], knownAt: admission, severity: error}}
      - name: site
        logicalType: string
        logicalTypeOptions: {format: email}
        relationships: [{to: sites.name}]
        enum: [{value: ""}, {value: false}, {value: a}]
        quality:
          - {metric: missingValues, arguments: {missingValues: [null, "n/a"]}, mustBeLessOrEqualTo: 5, unit: percent}
          - {metric: invalidValues, arguments: {validValues: [a, false, ""]}, mustBe: 0, dimension: completeness}
          - {metric: invalidValues, id: shape, arguments: {pattern: "^[ab]$"}, mustNotBe: 1, severity: info}
          - {type: sql, id: below, query: "SELECT SUM(${column}) FROM ${object}", mustBe: 6}
      - {name: ward, customProperties: [{property: roadworthy, value: {references: "wards.csv#name"}}]}
      - {name: day, logicalType: timestamp, customProperties: [{property: roadworthy, value: {maxAge: 2 w}}]}
      - {name: left_at, logicalType: timestamp, unique: true, transformLogic: "a + b"}
slaProperties:
  - {property: freshness, value: 4, unit: d, element: visits.day}
  - {property: latency, value: 90.5, unit: min, element: "day, left_at", description: Soon.}
  - {property: retention, value: 3, unit: y}
"""
    % ("0" * 64)
)


@pytest.fixture(scope="module")
def published(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The standard's schema and examples, unpacked."""
    folder = tmp_path_factory.mktemp("odcs")
    with tarfile.open(shared_data / "conformance" / "odcs_schema_examples.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def standard(published: Path) -> jsonschema.protocols.Validator:
    """The JSON schema of ODCS 3.1.0."""
    schema = json.loads((published / "schema" / "odcs-json-schema-v3.1.0.json").read_text(encoding="utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def _full(folder: Path, **more: Any) -> Contract:
    path = folder / "c.odcs.yaml"
    path.write_text(FULL, encoding="utf-8")
    return load_contract(path, **more)


def _again(contract: Contract, folder: Path, **more: Any) -> Contract:
    path = folder / "again.odcs.yaml"
    path.write_text(to_odcs_yaml(contract), encoding="utf-8")
    return load_contract(path, **more)


@pytest.mark.parametrize("sources", [{}, {"sites": Path("s.csv"), "places": Path("p.parquet")}])
def test_everything_comes_back(tmp_path: Path, sources: dict[str, Path]) -> None:
    """Every kind of rule, with and without the files of the relationships; twice gives the same text."""
    contract = _full(tmp_path, sources=sources)
    again = _again(contract, tmp_path, sources=sources)
    assert again == contract
    assert {rule.kind for rule in again.rules} == set(Kind)
    assert to_odcs_yaml(again) == to_odcs_yaml(contract)


def test_a_changed_contract_does_not_come_back_as_the_old_one(tmp_path: Path) -> None:
    """Equality can fail: a looser bound and another severity are seen, a moved file is not."""
    contract = _full(tmp_path)
    for change in ({"bound": Bound(comparator=Comparator.LESS, value=3)}, {"severity": Severity.ERROR}):
        rules = tuple(replace(r, **change) if r.rule_id == "shape" else r for r in contract.rules)
        assert replace(contract, rules=rules) != contract
        assert _again(replace(contract, rules=rules), tmp_path).rules == rules
    assert replace(contract, path=tmp_path / "other.yaml") == contract


def test_full_export_is_valid(tmp_path: Path, standard) -> None:
    """Under the official schema, with and without relationships."""
    for sources in ({}, {"sites": Path("s.csv"), "places": Path("p.parquet")}):
        document = to_odcs(_full(tmp_path, sources=sources))
        assert [error.message for error in standard.iter_errors(document)] == []


def test_the_example_contract_is_valid_before_and_after(repo_root: Path, tmp_path: Path, standard) -> None:
    """The heart contract as it is written, and as it is exported."""
    path = repo_root / "examples" / "heart-four-hospitals" / "contracts" / "heart.odcs.yaml"
    assert list(standard.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))) == []
    contract = replace(load_contract(path), path=path)
    assert list(standard.iter_errors(to_odcs(contract))) == []
    assert _again(contract, tmp_path).rules == contract.rules


def test_the_contract_of_the_demonstration_comes_back_valid(tmp_path: Path, standard) -> None:
    """Its outline is a typed comparison; an id with a dot leaves as a name, since the standard's ids have none."""
    text = contract_text(datetime(2026, 6, 1, tzinfo=UTC), Digests(source_sha256="a" * 64, pilot_sha256="b" * 64))
    (tmp_path / "roadworthy.yaml").touch()
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "demo.odcs.yaml").write_text(text, encoding="utf-8")
    contract = load_contract(folder / "demo.odcs.yaml")
    assert list(standard.iter_errors(to_odcs(contract))) == []
    assert _again(contract, folder) == contract
    assert Kind.COMPARISON in {rule.kind for rule in contract.rules}


REFUSED = {"azure-server", "service-and-operational-roles", "basic-four-dpo", "database-table-sla"}


def test_every_published_table_comes_back(published: Path, tmp_path: Path, standard) -> None:
    """18 files: 14 load table by table and survive the round trip, 4 describe no table and say so."""
    refused, tables = set(), 0
    files = sorted((published / "docs" / "examples").rglob("*.yaml"))
    for file in files:
        described = yaml.safe_load(file.read_text(encoding="utf-8")).get("schema") or []
        if not described:
            with pytest.raises(ContractError, match="describes no table"):
                load_contract(file)
            refused.add(file.name.removesuffix(".odcs.yaml"))
        # The largest file has 68 tables that differ little; the first and the middle one will do.
        for each in described[:: 34 if len(described) > 9 else 1]:
            contract = load_contract(file, each.get("physicalName") or each["name"])
            assert _again(contract, tmp_path) == contract, file
            assert list(standard.iter_errors(to_odcs(contract))) == [], file
            tables += 1
    assert (len(files), refused, tables) == (18, REFUSED, 18)


def _lone(kind: Kind, rule_id: str, **more: Any) -> Rule:
    return Rule(rule_id=rule_id, dimension=Dimension.VALIDITY, kind=kind, columns=("age",), line=1, **more)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (_lone(Kind.SENTINEL, "mine", bound=NONE_ALLOWED, under="age"), "no quality item"),
        (_lone(Kind.NULL, "mine", bound=NONE_ALLOWED, under="gone"), "no place"),
    ],
)
def test_a_rule_without_a_place_is_refused(tmp_path: Path, rule: Rule, said: str) -> None:
    """A made-up rule that the standard cannot say is not dropped in silence."""
    contract = _full(tmp_path)
    with pytest.raises(ContractError, match=said):
        to_odcs(replace(contract, rules=(*contract.rules, rule)))
