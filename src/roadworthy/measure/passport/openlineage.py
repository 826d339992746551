"""OpenLineage events, in and out. Owns the format (specification 2-0-2); the graph over events belongs to ``lineage``.

A run event says which job read and wrote which data sets, in which versions, and what was found in them. We write what
our own checks know (schema, version, assertions, metrics, column lineage), and read what other producers send.

Rules kept here:
1. Out: exactly the members of the published schemas, each facet with the address of its own schema version.
2. In: unknown facets and members are left alone, as the specification asks, but what we use must have its type; an event
   that breaks is an error with its place, never half an event.
3. Names are compared as they are sent: namespace and name together identify a data set or job.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.base.digest import sha256_hex
from roadworthy.base.errors import InstantError, MissingFile, UnreadableData
from roadworthy.measure.passport.fingerprint import Fingerprint, LogicalType

_SPEC = "https://openlineage.io/spec"
_EVENT_SCHEMA = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACET_SCHEMAS = {
    "schema": f"{_SPEC}/facets/1-2-0/SchemaDatasetFacet.json",
    "version": f"{_SPEC}/facets/1-0-1/DatasetVersionDatasetFacet.json",
    "columnLineage": f"{_SPEC}/facets/1-2-0/ColumnLineageDatasetFacet.json",
    "dataQualityMetrics": f"{_SPEC}/facets/1-0-0/DataQualityMetricsDatasetFacet.json",
    "dataQualityAssertions": f"{_SPEC}/facets/1-1-0/DataQualityAssertionsDatasetFacet.json",
}


class EventType(Enum):
    """The transition of a run that an event reports."""

    START = "START"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    ABORT = "ABORT"
    FAIL = "FAIL"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Name:
    """What identifies a data set or a job."""

    namespace: str
    name: str

    @property
    def text(self) -> str:
        """Both parts in one, for a person."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A test that was run on a data set: its kind, whether it found no fault, and the column ("" for the whole)."""

    assertion: str
    success: bool
    column: str = ""
    expected: str = ""
    actual: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSource:
    """A column of an output and one column of an input that it was made from."""

    column: str
    dataset: Name
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetUse:
    """A data set as one run read or wrote it.

    Attributes:
        dataset: which.
        version: the producer's version, for example a digest; "" when the event names none.
        columns: name and type, in order; empty when the event names none.
        assertions: tests that were run on it.
        sources: column lineage of an output.
        fingerprint: whose figures are sent as metrics; None when there is none, and after reading.
        row_count: from the metrics facet; None without.
    """

    dataset: Name
    version: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    assertions: tuple[Assertion, ...] = ()
    sources: tuple[ColumnSource, ...] = ()
    fingerprint: Fingerprint | None = None
    row_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """One event about one run.

    Attributes:
        type: the transition.
        at: when it happened, aware.
        run_id: a UUID.
        job: what ran.
        inputs: what was read.
        outputs: what was written.
        producer: address of the program that says so.
    """

    type: EventType
    at: datetime
    run_id: str
    job: Name
    inputs: tuple[DatasetUse, ...]
    outputs: tuple[DatasetUse, ...]
    producer: str


def run_id_of(content: bytes) -> str:
    """A UUID (RFC 9562, version 8) made of the content's SHA-256: the same run always has the same name."""
    digits = list(sha256_hex(content)[:32])
    digits[12] = "8"
    digits[16] = "89ab"[int(digits[16], 16) % 4]
    text = "".join(digits)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def to_openlineage(event: RunEvent) -> dict[str, Any]:
    """The event as plain JSON that the published schema accepts."""
    return {
        "eventType": event.type.value,
        "eventTime": format_instant(event.at),
        "run": {"runId": event.run_id, "facets": {}},
        "job": {"namespace": event.job.namespace, "name": event.job.name, "facets": {}},
        "inputs": [_dataset(use, event.producer, read=True) for use in event.inputs],
        "outputs": [_dataset(use, event.producer, read=False) for use in event.outputs],
        "producer": event.producer,
        "schemaURL": _EVENT_SCHEMA,
    }


def read_events(path: Path) -> tuple[RunEvent, ...]:
    """Events from a file: one object, an array, or one object a line (as file transports write them).

    Events about a data set or job alone (without a run) say nothing about a run and are left out.

    Raises:
        MissingFile: the file cannot be opened (RW-102).
        UnreadableData: not JSON, or an event lacks what makes it one (RW-103).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingFile(f"Cannot read {path}.", remedy="Check the path and its rights.", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise _bad("it is not UTF-8", str(path)) from error
    documents = list(_documents(text, str(path)))
    return tuple(from_openlineage(document, where) for document, where in documents if _has_run(document))


def from_openlineage(document: object, where: str = "event") -> RunEvent:
    """Read one run event.

    Args:
        document: plain JSON.
        where: for messages.

    Raises:
        UnreadableData: it is no run event, or a member that we use has another type (RW-103).
    """
    event = _object(document, where)
    kind = _text(event, "eventType", where, default="OTHER")
    if kind not in EventType.__members__:
        raise _bad(f"the eventType {kind!r} is unknown", where)
    try:
        at = parse_instant(_text(event, "eventTime", where))
    except InstantError as error:
        raise _bad(error.what.rstrip("."), where) from error
    return RunEvent(
        type=EventType(kind),
        at=at,
        run_id=_text(_object(event.get("run"), f"{where}.run"), "runId", f"{where}.run"),
        job=_name(event.get("job"), f"{where}.job"),
        inputs=_uses(event, "inputs", where),
        outputs=_uses(event, "outputs", where),
        producer=_text(event, "producer", where, default=""),
    )


def _dataset(use: DatasetUse, producer: str, *, read: bool) -> dict[str, Any]:
    facets: dict[str, Any] = {}
    if use.version:
        facets["version"] = {"datasetVersion": use.version}
    columns = use.columns or tuple((c.name, c.type.value) for c in (use.fingerprint.columns if use.fingerprint else ()))
    if columns:
        facets["schema"] = {"fields": [{"name": name, "type": kind} for name, kind in columns]}
    if use.sources:
        facets["columnLineage"] = {"fields": _column_lineage(use.sources)}
    if use.fingerprint is not None:
        facets["dataQualityMetrics"] = _metrics(use.fingerprint)
    dataset: dict[str, Any] = {"namespace": use.dataset.namespace, "name": use.dataset.name}
    assertions = {"dataQualityAssertions": {"assertions": [_assertion(item) for item in use.assertions]}}
    # The published facet is an input facet; producers put it among the facets of an output too.
    if use.assertions and read:
        dataset["inputFacets"] = _signed(assertions, producer)
    elif use.assertions:
        facets |= assertions
    dataset["facets"] = _signed(facets, producer)
    return dataset


def _signed(facets: Mapping[str, dict[str, Any]], producer: str) -> dict[str, Any]:
    return {
        name: {"_producer": producer, "_schemaURL": _FACET_SCHEMAS[name], **facet} for name, facet in facets.items()
    }


def _assertion(item: Assertion) -> dict[str, Any]:
    optional = {
        "column": item.column,
        "expected": item.expected,
        "actual": item.actual,
        "description": item.description,
    }
    filled = {name: text for name, text in optional.items() if text}
    return {"assertion": item.assertion, "success": item.success, **filled}


def _column_lineage(sources: Sequence[ColumnSource]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for source in sources:
        inputs = fields.setdefault(source.column, {"inputFields": []})["inputFields"]
        inputs.append({"namespace": source.dataset.namespace, "name": source.dataset.name, "field": source.source})
    return fields


def _metrics(print_: Fingerprint) -> dict[str, Any]:
    columns = {}
    for column in print_.columns:
        metrics: dict[str, Any] = {
            "nullCount": column.nulls,
            "distinctCount": column.distinct,
            "count": print_.rows - column.nulls,
        }
        if column.type is LogicalType.NUMBER and column.smallest:
            ends = {"min": float(column.smallest), "max": float(column.largest)}
            # JSON has no word for infinities.
            metrics |= {end: value for end, value in ends.items() if abs(value) < float("inf")}
        columns[column.name] = metrics
    return {"rowCount": print_.rows, "columnMetrics": columns}


def _documents(text: str, where: str) -> Iterator[tuple[object, str]]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                try:
                    yield json.loads(line), f"{where}:{number}"
                except json.JSONDecodeError as error:
                    raise _bad(f"this line is not JSON ({error.msg})", f"{where}:{number}") from error
        return
    if isinstance(whole, list):
        yield from ((item, f"{where}[{number}]") for number, item in enumerate(whole))
    else:
        yield whole, where


def _has_run(document: object) -> bool:
    return not isinstance(document, dict) or "run" in document or not ({"dataset", "job"} & document.keys())


def _uses(event: Mapping[str, Any], member: str, where: str) -> tuple[DatasetUse, ...]:
    found = event.get(member) or []
    if not isinstance(found, list):
        raise _bad(f"{member} is not an array", where)
    return tuple(_use(item, f"{where}.{member}[{number}]") for number, item in enumerate(found))


def _use(document: object, where: str) -> DatasetUse:
    dataset = _object(document, where)
    facets: dict[str, Any] = {}
    for group in ("facets", "inputFacets", "outputFacets"):
        facets |= _object(dataset.get(group) or {}, f"{where}.{group}")
    kept = {name: _object(facets[name], f"{where}.{name}") for name in _FACET_SCHEMAS if facets.get(name)}
    metrics = kept.get("dataQualityMetrics", {})
    rows = metrics.get("rowCount")
    return DatasetUse(
        dataset=_name(dataset, where),
        version=_text(kept["version"], "datasetVersion", where) if "version" in kept else "",
        columns=tuple(
            (_text(field, "name", where), _text(field, "type", where, default=""))
            for field in _objects(kept.get("schema", {}), "fields", where)
        ),
        assertions=tuple(
            _read_assertion(item, where)
            for item in _objects(kept.get("dataQualityAssertions", {}), "assertions", where)
        ),
        sources=tuple(_sources(kept.get("columnLineage", {}), where)),
        row_count=rows if isinstance(rows, int) and not isinstance(rows, bool) else None,
    )


def _read_assertion(item: Mapping[str, Any], where: str) -> Assertion:
    if not isinstance(item.get("success"), bool):
        raise _bad("an assertion does not say whether it succeeded", where)
    return Assertion(
        assertion=_text(item, "assertion", where),
        success=item["success"],
        column=_text(item, "column", where, default=""),
        expected=_text(item, "expected", where, default=""),
        actual=_text(item, "actual", where, default=""),
        description=_text(item, "description", where, default=""),
    )


def _sources(facet: Mapping[str, Any], where: str) -> Iterator[ColumnSource]:
    for column, field in _object(facet.get("fields") or {}, where).items():
        for item in _objects(_object(field, where), "inputFields", where):
            yield ColumnSource(column=column, dataset=_name(item, where), source=_text(item, "field", where))


def _name(document: object, where: str) -> Name:
    item = _object(document, where)
    return Name(namespace=_text(item, "namespace", where), name=_text(item, "name", where))


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad("an object is expected here", where)
    return value


def _objects(document: Mapping[str, Any], member: str, where: str) -> list[dict[str, Any]]:
    found = document.get(member) or []
    if not isinstance(found, list):
        raise _bad(f"{member} is not an array", where)
    return [_object(item, where) for item in found]


def _text(document: Mapping[str, Any], member: str, where: str, *, default: str | None = None) -> str:
    value = document.get(member)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise _bad(f"{member} is not text", where)
    return value


def _bad(why: str, where: str) -> UnreadableData:
    return UnreadableData(
        f"This is no OpenLineage run event: {why}.", remedy="Send events of the OpenLineage specification.", where=where
    )
