"""Croissant 1.1 descriptions of data sets, in and out. Owns the JSON-LD; fetches nothing and follows no address.

Croissant (MLCommons) is how data sets on the web describe themselves: files with digests, record sets with typed fields,
responsible-AI properties, provenance. We write one from what a contract declares and a fingerprint found, and read the
checkable part of anybody's as claims.

Rules kept here:
1. Out: only terms of the 1.1 context, of schema.org, RAI and PROV; what the standard lacks (row count, content fingerprint,
   unit, direction) stands under ``rw:``, so that other readers skip it.
2. In: versions 0.8 to 1.1. What could not be used is listed as a problem and never passes for a claim: a digest that is no
   digest, a reference to nothing, a name that occurs twice.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadworthy.base.errors import MissingFile, UnreadableData
from roadworthy.measure.passport.claims import Claim, ClaimKind, Coding
from roadworthy.measure.passport.declared import Declarations
from roadworthy.measure.passport.fingerprint import Fingerprint, LogicalType
from roadworthy.measure.rule import Contract, Field
from roadworthy.measure.table import Table, file_digest

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CR_TERMS = [
    "arrayShape",
    "citeAs",
    "column",
    "containedIn",
    "extract",
    "field",
    "fileProperty",
    "fileObject",
    "fileSet",
    "format",
    "includes",
    "isArray",
    "isLiveDataset",
    "jsonPath",
    "key",
    "md5",
    "parentField",
    "path",
    "recordSet",
    "references",
    "regex",
    "repeated",
    "replace",
    "separator",
    "source",
    "subField",
    "transform",
]
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{term: f"cr:{term}" for term in _CR_TERMS},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "rw": "https://roadworthy.dev/passport/v1#",
    "sc": "https://schema.org/",
}
_ENCODINGS = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".parquet": "application/x-parquet",
    ".pq": "application/x-parquet",
    ".xpt": "application/x-sas-xport",
}
_CONTRACT_TYPES = {"integer": "sc:Integer", "number": "sc:Float", "date": "sc:Date", "timestamp": "sc:DateTime"}
_FOUND_TYPES = {LogicalType.NUMBER: "sc:Float", LogicalType.BOOLEAN: "sc:Boolean", LogicalType.TIME: "sc:DateTime"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file that a description names; ``sha256`` is "" when it names no digest that could be one."""

    id: str
    url: str
    encoding: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSetEntry:
    """A record set.

    Attributes:
        id: in the description.
        fields: name and type of each field, nested ones too; the type is "" when none is given.
        rows: how many records it says, or spells out; None when it says nothing.
        fingerprint: of the content, when we described it; else "".
    """

    id: str
    fields: tuple[tuple[str, str], ...]
    rows: int | None
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The checkable part of a Croissant description, and what was wrong with the rest."""

    name: str
    version: str
    licence: str
    conforms_to: str
    files: tuple[FileEntry, ...]
    record_sets: tuple[RecordSetEntry, ...]
    problems: tuple[str, ...]

    def claims(self, record_set: str = "") -> tuple[Claim, ...]:
        """What can be tested: the digest of every file, and figures of one record set.

        Args:
            record_set: id of the one that describes the table; "" takes the only one that is no list of codes.
        """
        found = [
            Claim(kind=ClaimKind.SHA256, expected=file.sha256, column=file.url.rsplit("/", 1)[-1] or file.id)
            for file in self.files
            if file.sha256
        ]
        chosen = [
            entry for entry in self.record_sets if record_set == entry.id or (not record_set and entry.fingerprint)
        ]
        if not chosen and not record_set and len(self.record_sets) == 1:
            chosen = list(self.record_sets)
        for entry in chosen:
            if entry.rows is not None:
                found.append(Claim(kind=ClaimKind.ROWS, expected=str(entry.rows)))
            if entry.fingerprint:
                found.append(Claim(kind=ClaimKind.FINGERPRINT, expected=entry.fingerprint))
        return tuple(found)


def to_croissant(
    table: Table, contract: Contract, declared: Declarations, print_: Fingerprint, *, url: str = ""
) -> dict[str, Any]:
    """Describe a table as Croissant 1.1.

    Args:
        table: opened from files, whose digests are taken now.
        contract: names, types, people, provenance and limits.
        declared: licence, codes and directions.
        print_: fingerprint of the table.
        url: where the data set is published; "" when it is not.

    Raises:
        MissingFile: a file is gone (RW-102).
    """
    name = contract.table or contract.contract_id
    codings = {coding.column: coding for coding in declared.codings}
    files = [_file(path) for path in table.paths]
    source = {"fileObject": {"@id": files[0]["@id"]}} if len(files) == 1 else {"fileSet": {"@id": "files"}}
    if len(files) > 1:
        files.append(
            {
                "@type": "cr:FileSet",
                "@id": "files",
                "encodingFormat": files[0]["encodingFormat"],
                "includes": [file["@id"] for file in files],
            }
        )
    records: dict[str, Any] = {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [
            _field(f"{name}/{column.name}", column.name, contract.field(column.name), codings.get(column.name), print_)
            | ({"source": {**source, "extract": {"column": column.name}}} if files else {})
            for column in table.columns
        ],
        "rw:recordCount": print_.rows,
        "rw:fingerprint": print_.digest,
    }
    if contract.key:
        keys = [{"@id": f"{name}/{column}"} for column in contract.key]
        records["key"] = keys[0] if len(keys) == 1 else keys
    lists = [_code_list(coding) for coding in declared.codings if coding.codes]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": name,
        **_filled({"url": url, "license": declared.licence, "version": contract.version}),
        **_provenance(contract),
        "distribution": files,
        "recordSet": [records, *lists],
    }


def read_croissant(path: Path) -> Description:
    """Read a description from a file.

    Raises:
        MissingFile: the file cannot be opened (RW-102).
        UnreadableData: not JSON, or no description of a data set (RW-103).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingFile(f"Cannot read {path}.", remedy="Check the path and its rights.", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise _bad("it is not UTF-8", str(path)) from error
    try:
        return from_croissant(json.loads(text), str(path))
    except json.JSONDecodeError as error:
        raise _bad(f"it is not JSON ({error.msg})", f"{path}:{error.lineno}") from error


def from_croissant(document: object, where: str = "description") -> Description:
    """Read a description.

    Raises:
        UnreadableData: it is no object of type Dataset (RW-103).
    """
    if not isinstance(document, dict) or "Dataset" not in {_local(kind) for kind in _many(document.get("@type"))}:
        raise _bad("it is no Dataset", where)
    problems: list[str] = []
    if not document.get("conformsTo") and "dct:conformsTo" not in document:
        problems.append("It does not say to which version of Croissant it conforms.")
    if not document.get("name"):
        problems.append("It has no name.")
    files = tuple(_read_files(document, problems))
    record_sets = tuple(_read_record_set(item, problems) for item in _nodes(document.get("recordSet")))
    problems.extend(_reference_problems(document))
    return Description(
        name=_word(document.get("name")),
        version=_word(document.get("version")),
        licence=_word(document.get("license")),
        conforms_to=_word(document.get("conformsTo", document.get("dct:conformsTo"))),
        files=files,
        record_sets=record_sets,
        problems=tuple(problems),
    )


def _file(path: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _ENCODINGS.get(path.suffix.lower(), "text/plain"),
        "sha256": file_digest(path),
    }


def _field(
    identifier: str, name: str, field: Field | None, coding: Coding | None, print_: Fingerprint
) -> dict[str, Any]:
    column = print_.column(name)
    found = _FOUND_TYPES.get(column.type, "sc:Text") if column else "sc:Text"
    declared = _CONTRACT_TYPES.get(field.logical_type, "") if field else ""
    node: dict[str, Any] = {"@type": "cr:Field", "@id": identifier, "name": name, "dataType": declared or found}
    if field and field.unit:
        node["rw:unit"] = field.unit
    if field and field.known_at:
        node["rw:knownAt"] = field.known_at
    if coding and coding.direction:
        node["rw:direction"] = coding.direction.value
    if coding and coding.codes:
        node["references"] = {"field": {"@id": f"codes/{name}/code"}}
    return node


def _code_list(coding: Coding) -> dict[str, Any]:
    base = f"codes/{coding.column}"
    fields = [{"@type": "cr:Field", "@id": f"{base}/{part}", "dataType": "sc:Text"} for part in ("code", "meaning")]
    return {
        "@type": "cr:RecordSet",
        "@id": base,
        "name": base,
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{base}/code"},
        "field": fields,
        "data": [{f"{base}/code": code, f"{base}/meaning": meaning} for code, meaning in coding.codes],
    }


def _provenance(contract: Contract) -> dict[str, Any]:
    origin = contract.provenance
    uses = [text for text in (origin.usage, *origin.suitable_for) if text]
    limits = [item.text for item in origin.limitations] or _many(origin.limitations_text or None)
    entities = [
        {"@type": "prov:Entity", "name": source.origin, **_filled({"sha256": source.sha256})}
        for source in origin.sources
    ]
    return _filled(
        {
            "description": origin.purpose,
            "dateCreated": origin.created,
            "creator": [{"@type": "sc:Person", "name": member.name} for member in origin.team if member.name],
            "prov:wasDerivedFrom": entities,
            "rai:dataCollection": "; ".join(source.origin for source in origin.sources),
            "rai:dataPreprocessingProtocol": origin.transformations,
            "rai:dataUseCases": uses,
            "rai:dataLimitations": limits,
        }
    )


def _filled(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}


def _read_files(document: Mapping[str, Any], problems: list[str]) -> Iterator[FileEntry]:
    for node in _nodes(document.get("distribution")):
        if not any(_local(kind) == "FileObject" for kind in _many(node.get("@type"))):
            continue
        name = _word(node.get("@id")) or _word(node.get("name"))
        sha256 = _word(node.get("sha256")).lower()
        if sha256 and not _SHA256.fullmatch(sha256):
            problems.append(f"The file {name} has a sha256 that is none: {sha256[:60]}.")
            sha256 = ""
        elif not sha256 and not node.get("md5") and not node.get("containedIn"):
            problems.append(f"The file {name} has no digest.")
        if not node.get("contentUrl") and not node.get("containedIn"):
            problems.append(f"The file {name} has no contentUrl.")
        yield FileEntry(
            id=name,
            url=_word(node.get("contentUrl")),
            encoding=_word(node.get("encodingFormat")),
            sha256=sha256,
        )


def _read_record_set(node: Mapping[str, Any], problems: list[str]) -> RecordSetEntry:
    name = _word(node.get("@id")) or _word(node.get("name"))
    fields = tuple(_fields(node))
    if not fields:
        problems.append(f"The record set {name} has no fields.")
    rows = node.get("rw:recordCount")
    if not isinstance(rows, int) or isinstance(rows, bool):
        # Spelled-out records count themselves.
        rows = len(_many(node["data"])) if node.get("data") is not None else None
    return RecordSetEntry(id=name, fields=fields, rows=rows, fingerprint=_word(node.get("rw:fingerprint")))


def _fields(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for member in ("field", "subField"):
        for field in _nodes(node.get(member)):
            types = [_word(kind) for kind in _many(field.get("dataType"))]
            yield _word(field.get("@id")) or _word(field.get("name")), types[0] if types else ""
            yield from _fields(field)


def _reference_problems(document: Mapping[str, Any]) -> Iterator[str]:
    # A node that says more than its name defines it; a bare name refers to one.
    defined, referred = Counter[str](), set[str]()
    waiting: list[Any] = [document.get("distribution"), document.get("recordSet")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            name = value.get("@id")
            if isinstance(name, str):
                if len(value) > 1:
                    defined[name] += 1
                else:
                    referred.add(name)
            # Inline records are data; their members only look like terms.
            waiting.extend(item for member, item in value.items() if member not in {"data", "examples"})
    yield from (f"The name {name} is given to {count} things." for name, count in sorted(defined.items()) if count > 1)
    yield from (f"Nothing is called {name}, but something refers to it." for name in sorted(referred - set(defined)))


def _nodes(value: object) -> list[dict[str, Any]]:
    return [item for item in _many(value) if isinstance(item, dict)]


def _many(value: Any) -> Sequence[Any]:
    # JSON-LD writes one value without brackets.
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _word(value: object) -> str:
    found = _many(value)
    return str(found[0]) if found and isinstance(found[0], str | int | float) else ""


def _local(term: object) -> str:
    return str(term).rsplit(":", 1)[-1].rsplit("/", 1)[-1]


def _bad(why: str, where: str) -> UnreadableData:
    return UnreadableData(
        f"This is no Croissant description: {why}.", remedy="Give the JSON-LD of a data set.", where=where
    )
