"""Croissant: what we write keeps to the 1.1 context, what others write is read, and what they get wrong is listed."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roadworthy.base.errors import MissingFile, UnreadableData
from roadworthy.measure.contract import load_contract
from roadworthy.measure.passport.claims import Claim, ClaimKind, run_claims
from roadworthy.measure.passport.croissant import CONFORMS_TO, CONTEXT, from_croissant, read_croissant, to_croissant
from roadworthy.measure.passport.declared import read_declarations
from roadworthy.measure.passport.fingerprint import fingerprint
from roadworthy.measure.quality import Verdict
from roadworthy.measure.table import file_digest, open_table

SHEET = """\
version: 1.2.0
kind: DataContract
apiVersion: v3.1.0
id: c1
status: active
contractCreatedTs: "2026-01-01T00:00:00Z"
description: {purpose: Routine care., usage: Triage research., limitations: Few rows.}
team: {members: [{name: Ada, role: data owner}]}
customProperties:
  - property: roadworthy
    value:
      sources: [{origin: ward register}]
      transformations: Units unified.
      suitableFor: [heart-triage]
      limitations: [{text: Few old patients., slice: sex=M}]
  - property: roadworthyPassport
    value: {licence: CC-BY-4.0}
schema:
  - name: ward
    properties:
      - {name: id, logicalType: integer, primaryKey: true, primaryKeyPosition: 1}
      - name: sex
        logicalType: string
        customProperties:
          - {property: roadworthyPassport, value: {codes: {M: male, F: female}}}
      - name: bp
        customProperties:
          - {property: roadworthy, value: {unit: mmHg, knownAt: admission}}
          - {property: roadworthyPassport, value: {higherIs: worse}}
"""
# Terms of schema.org that a description may use besides the context, and JSON-LD's own words.
_SCHEMA_ORG = {
    "name", "description", "url", "license", "version", "creator", "dateCreated",
    "contentUrl", "contentSize", "encodingFormat", "sha256", "distribution",
}  # fmt: skip
_KEYWORDS = {"@context", "@type", "@id"}


@pytest.fixture
def written(tmp_path: Path) -> dict[str, Any]:
    """Our own description of three rows in one file."""
    pq.write_table(pa.table({"id": [1, 2, 3], "sex": ["M", "F", "F"], "bp": [1.5, 2, 3]}), tmp_path / "ward.parquet")
    (tmp_path / "c.yaml").write_text(SHEET)
    return _describe(tmp_path, "ward.parquet")


def _describe(folder: Path, pattern: str) -> dict[str, Any]:
    table = open_table(folder / pattern)
    contract, declared = load_contract(folder / "c.yaml"), read_declarations(folder / "c.yaml")
    return to_croissant(table, contract, declared, fingerprint(table), url="https://example.org/ward")


def _metadata(shared_data: Path) -> dict[str, Any]:
    with tarfile.open(shared_data / "conformance" / "croissant_metadata.tar.gz") as archive:
        return {item.name: json.load(archive.extractfile(item)) for item in archive if item.name.endswith(".json")}


def _terms(node: object) -> set[str]:
    if isinstance(node, list):
        return set().union(*(_terms(item) for item in node))
    if not isinstance(node, dict):
        return set()
    inner = (value for name, value in node.items() if name not in {"data", "@context"})
    return set(node).union(*(_terms(value) for value in inner))


def test_ours_keeps_to_the_published_context(written: dict[str, Any], shared_data: Path) -> None:
    """Every term is of the 1.1 context, of schema.org or of a declared prefix, and means what theirs means."""
    theirs = [item["@context"] for name, item in _metadata(shared_data).items() if "/1.1/" in name]
    merged = {term: meaning for context in theirs for term, meaning in context.items()}
    assert {term: meaning for term, meaning in CONTEXT.items() if term not in {"rw", "rai"}} == {
        term: meaning for term, meaning in merged.items() if term in CONTEXT and term not in {"rw", "rai"}
    }
    plain = {term for term in _terms(written) if ":" not in term}
    assert plain <= set(merged) | _SCHEMA_ORG | _KEYWORDS
    assert {term.split(":")[0] for term in _terms(written) if ":" in term} == {"prov", "rai", "rw"} <= set(CONTEXT)
    assert (
        written["conformsTo"]
        == CONFORMS_TO
        == _metadata(shared_data)["datasets/1.1/image_test/metadata.json"]["conformsTo"]
    )


def test_ours_says_what_is_declared_and_found(written: dict[str, Any]) -> None:
    """Licence, people, provenance, limits, types, keys, codes and figures."""
    assert (written["license"], written["version"], written["url"]) == (
        "CC-BY-4.0",
        "1.2.0",
        "https://example.org/ward",
    )
    assert written["creator"] == [{"@type": "sc:Person", "name": "Ada"}]
    assert written["prov:wasDerivedFrom"] == [{"@type": "prov:Entity", "name": "ward register"}]
    assert written["rai:dataUseCases"] == ["Triage research.", "heart-triage"]
    assert written["rai:dataLimitations"] == ["Few old patients."]
    records, codes = written["recordSet"]
    fields = {field["name"]: field for field in records["field"]}
    assert {name: field["dataType"] for name, field in fields.items()} == {
        "id": "sc:Integer", "sex": "sc:Text", "bp": "sc:Float",
    }  # fmt: skip
    assert (fields["bp"]["rw:unit"], fields["bp"]["rw:knownAt"]) == ("mmHg", "admission")
    assert fields["bp"]["rw:direction"] == "higher is worse"
    assert fields["sex"]["references"] == {"field": {"@id": "codes/sex/code"}}
    assert fields["id"]["source"] == {"fileObject": {"@id": "ward.parquet"}, "extract": {"column": "id"}}
    assert (records["key"], records["rw:recordCount"]) == ({"@id": "ward/id"}, 3)
    assert codes["data"][1] == {"codes/sex/code": "F", "codes/sex/meaning": "female"}


def test_ours_is_read_without_problems_and_its_claims_hold(written: dict[str, Any], tmp_path: Path) -> None:
    """Out and in again; after a change of the file the claims break."""
    path = tmp_path / "croissant.json"
    path.write_text(json.dumps(written))
    read = read_croissant(path)
    assert (read.problems, read.name, read.licence, read.conforms_to) == ((), "ward", "CC-BY-4.0", CONFORMS_TO)
    assert [claim.kind for claim in read.claims()] == [ClaimKind.SHA256, ClaimKind.ROWS, ClaimKind.FINGERPRINT]
    data = tmp_path / "ward.parquet"
    assert {result.verdict for result in run_claims(open_table(data), read.claims())} == {Verdict.MET}
    pq.write_table(pa.table({"id": [1, 2], "sex": ["M", "F"], "bp": [1.5, 2]}), data)
    assert {result.verdict for result in run_claims(open_table(data), read.claims())} == {Verdict.NOT_MET}


def test_several_files_are_one_set(written: dict[str, Any], tmp_path: Path) -> None:
    """Each file keeps its digest; fields come from the set; a composite key is a list."""
    (tmp_path / "b.csv").write_text("id,sex,bp\n1,M,2\n")
    (tmp_path / "a.csv").write_text("id,sex,bp\n2,F,2\n")
    contract = tmp_path / "c.yaml"
    contract.write_text(SHEET.replace("{name: id,", "{name: bp2, primaryKey: true}\n      - {name: id,"))
    document = _describe(tmp_path, "?.csv")
    read = from_croissant(document)
    assert read.problems == ("Nothing is called ward/bp2, but something refers to it.",)
    assert [(file.id, file.sha256) for file in read.files] == [
        (name, file_digest(tmp_path / name)) for name in ("a.csv", "b.csv")
    ]
    assert document["recordSet"][0]["field"][0]["source"]["fileSet"] == {"@id": "files"}
    assert len(document["recordSet"][0]["key"]) == 2


def test_all_published_descriptions_are_read(shared_data: Path) -> None:
    """60 of 60; known digests are claims, the placeholders in their place are problems."""
    read = {name.removeprefix("datasets/").removesuffix("/metadata.json"): from_croissant(item) for name, item in _metadata(shared_data).items()}  # fmt: skip
    assert len(read) == 60
    assert all(entry.record_sets for entry in read.values())
    assert [name for name, entry in read.items() if "It has no name." in entry.problems] == ["1.0/huggingface-squad"]
    claim = Claim(
        kind=ClaimKind.SHA256,
        column="titanic.csv",
        expected="c617db2c7470716250f6f001be51304c76bcc8815527ab8bae734bdca0735737",
    )
    assert claim in read["1.0/titanic"].claims()
    assert len(read["1.1/commoncrawl-CC-MAIN-2025-43-draft"].claims()) == 8
    placeholder = "The file repo has a sha256 that is none: https://github.com/mlcommons/croissant/issues/80."
    assert sum(placeholder in entry.problems for entry in read.values()) > 20
    assert "The record set new-record-set has no fields." in read["1.0/dices-350"].problems
    assert [entry.rows for entry in read["1.0/simple-join"].record_sets] == [4, None]
    assert ("squad_v2/answers/text", "sc:Text") in read["1.1/huggingface-squad_v2"].record_sets[1].fields
    clean = [name for name, entry in read.items() if not entry.problems]
    assert len(clean) >= 12


def test_claims_of_a_chosen_record_set() -> None:
    """By name, or the only one; among several without a fingerprint none is guessed."""
    sets = [
        {"@id": name, "@type": "cr:RecordSet", "field": {"@id": f"{name}/x", "dataType": "sc:Text"}, "data": [1, 2]}
        for name in "ab"
    ]
    both = from_croissant({"@type": "sc:Dataset", "name": "d", "conformsTo": CONFORMS_TO, "recordSet": sets})
    assert both.claims() == ()
    assert both.claims("b") == (Claim(kind=ClaimKind.ROWS, expected="2"),)
    one = from_croissant({"@type": "sc:Dataset", "name": "d", "recordSet": sets[0]})
    assert one.claims() == (Claim(kind=ClaimKind.ROWS, expected="2"),)
    assert one.problems == ("It does not say to which version of Croissant it conforms.",)


def test_problems_are_listed() -> None:
    """No digest, no address, twice the same name, references to nothing."""
    files = [
        {"@type": "cr:FileObject", "@id": "a", "contentUrl": "a.csv"},
        {"@type": "cr:FileObject", "@id": "a", "md5": "x"},
        {"@type": "cr:FileObject", "@id": "c", "containedIn": {"@id": "zip"}},
    ]
    read = from_croissant({"@type": "sc:Dataset", "name": "d", "conformsTo": CONFORMS_TO, "distribution": files})
    assert read.problems == (
        "The file a has no digest.",
        "The file a has no contentUrl.",
        "The name a is given to 2 things.",
        "Nothing is called zip, but something refers to it.",
    )


def test_what_is_no_description_is_refused(tmp_path: Path) -> None:
    """Another type, no object, no JSON, no UTF-8, no file."""
    for document in ({"@type": "sc:Person"}, [], "text", {}):
        with pytest.raises(UnreadableData, match="no Dataset"):
            from_croissant(document)
    path = tmp_path / "x.json"
    for data, words in ((b"{", "not JSON"), (b"\xff", "UTF-8")):
        path.write_bytes(data)
        with pytest.raises(UnreadableData, match=words):
            read_croissant(path)
    with pytest.raises(MissingFile):
        read_croissant(tmp_path / "none.json")
