"""OpenLineage: what we write validates against the published schemas, what others write is read, damage has its place."""

import json
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from roadworthy.base.errors import MissingFile, UnreadableData
from roadworthy.measure.passport.fingerprint import fingerprint
from roadworthy.measure.passport.openlineage import (
    Assertion,
    ColumnSource,
    DatasetUse,
    EventType,
    Name,
    RunEvent,
    from_openlineage,
    read_events,
    run_id_of,
    to_openlineage,
)
from roadworthy.measure.table import from_arrow

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
RAW, CLEAN = Name(namespace="file://ward", name="raw"), Name(namespace="file://ward", name="clean")
TABLE = from_arrow(pa.table({"x": [1.5, None, float("inf")], "y": [2.0, 3.0, 4.0], "s": ["a", "b", None]}), "t")
EVENT = RunEvent(
    type=EventType.COMPLETE,
    at=AT,
    run_id=run_id_of(b"content"),
    job=Name(namespace="etl", name="clean"),
    inputs=(
        DatasetUse(
            dataset=RAW,
            version="sha256:" + "a" * 64,
            columns=(("x", "number"), ("free", "")),
            assertions=(
                Assertion(assertion="not_null", success=False, column="x", expected="0", actual="1"),
                Assertion(assertion="row_count", success=True, description="Three rows."),
            ),
        ),
    ),
    outputs=(
        DatasetUse(
            dataset=CLEAN,
            sources=(
                ColumnSource(column="x", dataset=RAW, source="x"),
                ColumnSource(column="x", dataset=RAW, source="free"),
            ),
            assertions=(Assertion(assertion="unique", success=True),),
            fingerprint=fingerprint(TABLE),
        ),
    ),
    producer="https://roadworthy.dev/0.1.0",
)


@pytest.fixture(scope="module")
def spec(shared_data: Path) -> dict[str, Any]:
    """Every JSON file of the specification by its path."""
    path = shared_data / "conformance" / "openlineage_spec.tar.gz"
    with tarfile.open(path) as archive:
        return {item.name: json.load(archive.extractfile(item)) for item in archive if item.name.endswith(".json")}


@pytest.fixture(scope="module")
def registry(spec: dict[str, Any]) -> Registry[Any]:
    """Local references only: an address that is not here cannot be resolved."""
    resources = [Resource.from_contents(schema) for schema in spec.values() if "$id" in schema]
    return Registry().with_resources([(str(item.id()), item) for item in resources])


def _validate(document: object, address: str, registry: Registry[Any]) -> None:
    Draft202012Validator(
        {"$ref": address}, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    ).validate(document)


def test_our_events_are_valid(registry: Registry[Any]) -> None:
    """The event against the core schema, and each facet against the schema whose address it names."""
    document = json.loads(json.dumps(to_openlineage(EVENT), allow_nan=False))
    _validate(document, document["schemaURL"].partition("#")[0], registry)
    seen = []
    for dataset in (*document["inputs"], *document["outputs"]):
        for name, facet in {**dataset["facets"], **dataset.get("inputFacets", {})}.items():
            _validate({name: facet}, facet["_schemaURL"], registry)
            seen.append(name)
    assert sorted(seen) == [
        "columnLineage", "dataQualityAssertions", "dataQualityAssertions", "dataQualityMetrics", "schema", "schema",
        "version",
    ]  # fmt: skip
    metrics = document["outputs"][0]["facets"]["dataQualityMetrics"]
    assert metrics["rowCount"] == 3
    assert metrics["columnMetrics"]["y"] == {"nullCount": 0, "distinctCount": 3, "count": 3, "min": 2.0, "max": 4.0}
    assert metrics["columnMetrics"]["x"] == {"nullCount": 1, "distinctCount": 2, "count": 2, "min": 1.5}
    assert metrics["columnMetrics"]["s"] == {"nullCount": 1, "distinctCount": 2, "count": 2}


def test_the_validation_can_fail(registry: Registry[Any]) -> None:
    """A run event without a run identifier breaks the published schema."""
    document = to_openlineage(EVENT)
    document["run"] = {}
    validator = Draft202012Validator({"$ref": document["schemaURL"].partition("#")[0]}, registry=registry)
    assert list(validator.iter_errors(document))


def test_out_and_in_again() -> None:
    """Reading gives what was written; the fingerprint comes back as its row count and schema."""
    read = from_openlineage(to_openlineage(EVENT))
    assert (read.inputs, read.job, read.run_id, read.at) == (EVENT.inputs, EVENT.job, EVENT.run_id, EVENT.at)
    (output,) = read.outputs
    assert (output.row_count, output.sources, output.columns) == (
        3, EVENT.outputs[0].sources, (("s", "text"), ("x", "number"), ("y", "number")),
    )  # fmt: skip
    assert from_openlineage(to_openlineage(replace(EVENT, inputs=(), outputs=()))).inputs == ()


def test_every_facet_of_the_specifications_tests_is_read(spec: dict[str, Any]) -> None:
    """Their dataset facets, put into an event, are read or left alone; the full example is read."""
    examples = {name: facets for name, facets in spec.items() if "/tests/" in name and "Dataset" in name}
    assert len(examples) > 15
    for facets in examples.values():
        dataset = {"namespace": "n", "name": "d", "facets": facets}
        event = from_openlineage({**to_openlineage(EVENT), "inputs": [dataset], "outputs": [dataset]})
        assert event.outputs[0].dataset == Name(namespace="n", name="d")
    lineage = spec["spec/tests/ColumnLineageDatasetFacet/2.json"]
    event = from_openlineage({**to_openlineage(EVENT), "outputs": [{"namespace": "n", "name": "d", "facets": lineage}]})
    assert [source.column for source in event.outputs[0].sources] == ["id", "firstName", "lastName", "ageNextYear"]
    full = from_openlineage(spec["spec/tests/example_full_event.json"])
    assert (full.type, full.job.name, full.at.year) == (EventType.COMPLETE, "dbt", 2023)


def test_files_of_events(tmp_path: Path) -> None:
    """One object, an array, one a line; events about a data set alone are left out; broken lines have their number."""
    one = to_openlineage(EVENT)
    static = {"eventTime": "2026-06-01T12:00:00Z", "producer": "p", "schemaURL": "s", "dataset": {}}
    path = tmp_path / "events.json"
    for text in (json.dumps(one), json.dumps([one, static]), f"{json.dumps(one)}\n\n{json.dumps(static)}\n"):
        path.write_text(text)
        assert [event.run_id for event in read_events(path)] == [EVENT.run_id]
    path.write_text(f"{json.dumps(one)}\n{{broken\n")
    with pytest.raises(UnreadableData, match="not JSON") as caught:
        read_events(path)
    assert caught.value.where.endswith("events.json:2")
    path.write_bytes(b"\xff")
    with pytest.raises(UnreadableData, match="UTF-8"):
        read_events(path)
    with pytest.raises(MissingFile):
        read_events(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eventType": "DONE"}, "DONE"),
        ({"eventTime": "yesterday"}, "yesterday"),
        ({"eventTime": None}, "eventTime is not text"),
        ({"run": None}, "object is expected"),
        ({"job": {"name": "x"}}, "namespace is not text"),
        ({"inputs": {}}, ""),
        ({"inputs": "raw"}, "inputs is not an array"),
        (
            {"inputs": [{"namespace": "n", "name": "d", "facets": {"schema": {"fields": "x"}}}]},
            "fields is not an array",
        ),
        (
            {"inputs": [{"namespace": "n", "name": "d", "facets": {"dataQualityAssertions": {"assertions": [{}]}}}]},
            "whether it succeeded",
        ),
    ],
)
def test_broken_events_are_refused(change: dict[str, Any], words: str) -> None:
    """Each names the member; an empty object for an array is no data set."""
    document = {**to_openlineage(EVENT), **change}
    if not words:
        assert from_openlineage(document).inputs == ()
        return
    with pytest.raises(UnreadableData, match=words):
        from_openlineage(document)
    with pytest.raises(UnreadableData, match="object is expected"):
        from_openlineage("text")


def test_run_ids_are_uuids_of_content() -> None:
    """Version 8, variant 10, the same for the same content."""
    run_id = run_id_of(b"content")
    assert run_id == run_id_of(b"content") != run_id_of(b"other")
    assert [len(part) for part in run_id.split("-")] == [8, 4, 4, 4, 12]
    assert run_id[14] == "8"
    assert run_id[19] in "89ab"
