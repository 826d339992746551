"""Mapping sets as files in SSSOM/TSV 1.0: a YAML header behind ``#``, then one row a mapping. Owns reading and writing.

Follows "The SSSOM/TSV serialisation format" of the Simple Standard for Sharing Ontological Mappings.

Rules kept here:
1. What is written reads back as the same set, and writing that gives the same bytes: rows and prefixes are sorted.
2. Slots that are the same in every row stand in the header (condensation) and come back into the rows (propagation).
   A header value beside rows that have values of their own is void, and named in ``discarded``.
3. Every prefix in use is declared, when writing and when reading, except those that the standard builds in.
4. Slots that have no place in ``Mapping`` or ``MappingSet`` are dropped, as the standard asks, and named in
   ``MappingSet.discarded``. A mapping of a literal without an id is refused.
5. Header values are texts as they stand: edition ``1.10`` never becomes the number 1.1. Anchors, aliases and tags are
   refused, as the standard does.
"""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from roadworthy.base.errors import MissingFile, ParameterError, UnreadableData
from roadworthy.measure.terms.mapping import Mapping, MappingSet, is_curie

BUILT_IN = frozenset({"owl", "rdf", "rdfs", "semapv", "skos", "sssom", "xsd", "linkml"})
_SLOTS = (
    "subject_id",
    "subject_label",
    "predicate_id",
    "predicate_modifier",
    "object_id",
    "object_label",
    "mapping_justification",
    "author_id",
    "subject_source",
    "object_source",
    "object_source_version",
    "mapping_tool",
    "mapping_tool_version",
    "mapping_date",
    "confidence",
    "similarity_score",
    "similarity_measure",
    "comment",
)
"""The slots of a row in the order of the standard's table."""
_SHARED = (
    "subject_source",
    "object_source",
    "object_source_version",
    "mapping_tool",
    "mapping_tool_version",
    "mapping_date",
    "similarity_measure",
)
"""Those of them that may stand once in the header."""
_OF_THE_SET = ("mapping_set_id", "mapping_set_version", "license")
_REQUIRED = ("subject_id", "predicate_id", "object_id", "mapping_justification")
_REFERENCES = (*_REQUIRED, "subject_source", "object_source")
_SHARES = frozenset({"confidence", "similarity_score"})
_NEEDS_QUOTES = re.compile(r'["\t\r\n]')
_UNESCAPED_BAR = re.compile(r"((?:[^|\\]|\\.|\\$)*)(\||$)", re.DOTALL)


def load_sssom(path: Path) -> MappingSet:
    """Read a file.

    Raises:
        MissingFile: it cannot be opened (RW-102).
        UnreadableData: it is not SSSOM/TSV (RW-103).
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise MissingFile(f"Cannot read {path}.", remedy="Check the path and its rights.", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise _unreadable(f"it is not UTF-8 at byte {error.start}") from error
    return parse_sssom(text)


def parse_sssom(text: str) -> MappingSet:
    """Read a set with its header in the same text.

    Raises:
        UnreadableData: not SSSOM/TSV: header, columns, an id, a date or a share is malformed, or a prefix is not
            declared (RW-103).
    """
    if text.startswith("\ufeff"):
        raise _unreadable("it starts with a byte order mark")
    lines = text.split("\n")
    cut = next((place for place, line in enumerate(lines) if not line.startswith("#")), len(lines))
    header = _header("\n".join(line[1:] for line in lines[:cut]))
    names, rows = _rows("\n".join(lines[cut:]))
    own = {name for row in rows for name in _SHARED if row.get(name)}
    shared = {name: header[name] for name in _SHARED if name in header and name not in own}
    known = {"curie_map", *_OF_THE_SET, *shared}
    lost = {name for name in header if name not in known} | {name for name in names if name not in _SLOTS}
    result = MappingSet(
        mapping_set_id=_text_of(header, "mapping_set_id"),
        license=_text_of(header, "license"),
        mapping_set_version=_text_of(header, "mapping_set_version"),
        curie_map=header.get("curie_map", {}),
        mappings=tuple(_mapping({**row, **shared}, number) for number, row in enumerate(rows, 1)),
        discarded=tuple(sorted(lost)),
    )
    if undeclared := _undeclared(result):
        raise _unreadable(f"the prefixes {', '.join(undeclared)} are not declared in curie_map")
    return result


def format_sssom(mapping_set: MappingSet) -> str:
    """Write a set as text; lines end in a line feed.

    Raises:
        ParameterError: an id is no CURIE, or its prefix is not declared (RW-114).
    """
    wrong = [name for mapping in mapping_set.mappings for name in _references(mapping) if not is_curie(name)]
    undeclared = _undeclared(mapping_set)
    if wrong or undeclared:
        raise ParameterError(
            f"No CURIE: {wrong[:3]}; not declared: {undeclared}.",
            remedy="Write ids as prefix:local and declare each prefix in the curie_map.",
        )
    rows = sorted([_cell(mapping, name) for name in _SLOTS] for mapping in mapping_set.mappings)
    common = {name: rows[0][place] for place, name in enumerate(_SLOTS) if rows and name in _SHARED}
    common = {
        name: value for name, value in common.items() if value and all(row[_SLOTS.index(name)] == value for row in rows)
    }
    columns = [
        place
        for place, name in enumerate(_SLOTS)
        if name in _REQUIRED or (name not in common and any(row[place] for row in rows))
    ]
    table = [[_SLOTS[place] for place in columns], *([row[place] for place in columns] for row in rows)]
    body = "".join("\t".join(_quoted(cell) for cell in row) + "\n" for row in table)
    return _written_header(mapping_set, common) + body


def _written_header(mapping_set: MappingSet, common: dict[str, str]) -> str:
    used = _prefixes(mapping_set) - BUILT_IN
    prefixes = {name: iri for name, iri in sorted(mapping_set.curie_map.items()) if name in used}
    said = {name: getattr(mapping_set, name) for name in _OF_THE_SET if getattr(mapping_set, name)}
    content: dict[str, Any] = {"curie_map": prefixes} if prefixes else {}
    text = yaml.safe_dump({**content, **said, **common}, sort_keys=False, allow_unicode=True, width=1_000_000)
    return "".join(f"#{line}\n" for line in text.rstrip("\n").split("\n"))


def _header(text: str) -> dict[str, Any]:
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _unreadable(f"the header is not YAML ({str(error).splitlines()[0]})") from error
    if any(getattr(event, "anchor", None) or getattr(event, "tag", None) for event in events):
        raise _unreadable("the header uses anchors, aliases or tags")
    content = {} if node is None else _plain(node)
    if not isinstance(content, dict):
        raise _unreadable("the header is not a list of slots")
    prefixes = content.get("curie_map", {})
    if not isinstance(prefixes, dict) or not all(isinstance(iri, str) for iri in prefixes.values()):
        raise _unreadable("curie_map does not give one IRI for each prefix")
    return content


def _plain(node: yaml.Node) -> Any:
    """Texts, lists and mappings of them: no scalar is taken for a number or a date."""
    if isinstance(node, yaml.MappingNode):
        content = {str(_plain(key)): _plain(value) for key, value in node.value}
        if len(content) < len(node.value):
            raise _unreadable("a slot of the header occurs twice")
        return content
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return node.value


def _rows(text: str) -> tuple[list[str], list[dict[str, str]]]:
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True))
    except csv.Error as error:
        raise _unreadable(f"the rows are not tab-separated ({error})") from error
    names = lines[0] if lines else []
    if missing := [name for name in _REQUIRED if name not in names]:
        raise _unreadable(f"the columns {', '.join(missing)} are missing")
    if len(set(names)) < len(names):
        raise _unreadable("a column occurs twice")
    if ragged := [number for number, line in enumerate(lines) if len(line) != len(names)]:
        raise _unreadable(f"row {ragged[0]} does not have {len(names)} cells")
    return names, [dict(zip(names, line, strict=True)) for line in lines[1:]]


def _mapping(row: dict[str, str], number: int) -> Mapping:
    values = {name: _value(name, row[name], number) for name in _SLOTS if row.get(name)}
    if missing := [name for name in _REQUIRED if name not in values]:
        raise _unreadable(f"row {number} has no {missing[0]}")
    mapping = Mapping(**values)
    if wrong := [name for name in _references(mapping) if not is_curie(name)]:
        raise _unreadable(f"{wrong[0]!r} in row {number} is not a CURIE")
    return mapping


def _value(name: str, text: Any, number: int) -> Any:
    if not isinstance(text, str):
        raise _unreadable(f"{name} has several values")
    try:
        if name == "author_id":
            return tuple(_split(text))
        if name == "mapping_date":
            return date.fromisoformat(text)
        if name not in _SHARES:
            return text
        share = float(text)
    except ValueError as error:
        raise _unreadable(f"{name} in row {number} is {text!r}") from error
    if not 0.0 <= share <= 1.0:
        raise _unreadable(f"{name} in row {number} is {text!r}, not in [0, 1]")
    return share


def _cell(mapping: Mapping, name: str) -> str:
    value = getattr(mapping, name)
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "|".join(item.replace("\\", "\\\\").replace("|", "\\|") for item in value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return value.isoformat() if isinstance(value, date) else str(value)


def _split(text: str) -> Iterator[str]:
    """The values of a multi-valued slot: bars divide, a backslash keeps a bar or a backslash as it is."""
    for found in _UNESCAPED_BAR.finditer(text):
        yield re.sub(r"\\([|\\])", r"\1", found[1])
        if not found[2]:
            return


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell


def _references(mapping: Mapping) -> list[str]:
    """Every id of a mapping that must be a CURIE."""
    return [*(getattr(mapping, name) for name in _REFERENCES if getattr(mapping, name)), *mapping.author_id]


def _prefixes(mapping_set: MappingSet) -> set[str]:
    return {name.partition(":")[0] for mapping in mapping_set.mappings for name in _references(mapping)}


def _undeclared(mapping_set: MappingSet) -> list[str]:
    return sorted(_prefixes(mapping_set) - BUILT_IN - mapping_set.curie_map.keys())


def _text_of(header: dict[str, Any], name: str) -> str:
    value = header.get(name, "")
    if not isinstance(value, str):
        raise _unreadable(f"{name} has several values")
    return value


def _unreadable(why: str) -> UnreadableData:
    return UnreadableData(f"This is not SSSOM/TSV: {why}.", remedy="Correct the file, or write it with format_sssom.")
