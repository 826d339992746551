"""A contract as ODCS 3.1. Owns the way back from rules to the standard's model; reading is ``contract``'s.

Rules kept here:
1. What is exported loads again as an equal contract: the same rules with the same ids, in the same order. It may stand
   in another file; references and sources are written relative to the contract's folder.
2. Each rule goes where its author would have put it: ``required``, ``unique``, ``logicalTypeOptions`` where these say
   it, a quality item otherwise.
3. Only what is run is exported, and the notes on what is not, as prose. What else the original file said (servers,
   prices, support) stays there.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from roadworthy.base.errors import ContractError
from roadworthy.measure.comparison import Comparison
from roadworthy.measure.extension import ENGINE, NAMESPACE
from roadworthy.measure.options import FORMATS
from roadworthy.measure.references import reference_of
from roadworthy.measure.rule import (
    NONE_ALLOWED,
    Bound,
    Contract,
    Dimension,
    Field,
    Kind,
    Limits,
    Provenance,
    Rule,
    Severity,
)

_METRICS = {
    Kind.NULL: "nullValues",
    Kind.MISSING_TEXT: "missingValues",
    Kind.SET: "invalidValues",
    Kind.PATTERN: "invalidValues",
    Kind.DUPLICATE: "duplicateValues",
    Kind.ROW_COUNT: "rowCount",
}
_WORDS = {
    Dimension.COMPLETENESS: "completeness",
    Dimension.VALIDITY: "conformity",
    Dimension.CONSISTENCY: "consistency",
    Dimension.VOLUME: "coverage",
    Dimension.FRESHNESS: "timeliness",
    Dimension.UNIQUENESS: "uniqueness",
}
_USUAL = {
    Kind.NULL: Dimension.COMPLETENESS,
    Kind.MISSING_TEXT: Dimension.COMPLETENESS,
    Kind.SET: Dimension.VALIDITY,
    Kind.PATTERN: Dimension.VALIDITY,
    Kind.DUPLICATE: Dimension.UNIQUENESS,
    Kind.ROW_COUNT: Dimension.VOLUME,
    Kind.QUERY: Dimension.CONSISTENCY,
    Kind.COMPARISON: Dimension.CONSISTENCY,
    Kind.REFERENCE: Dimension.CONSISTENCY,
    Kind.LATENESS: Dimension.FRESHNESS,
    Kind.RECONCILED: Dimension.VOLUME,
}
_SUFFIXES = {Kind.COMPARISON: "expression", Kind.REFERENCE: "references", Kind.LATENESS: "lateness"}
_SUFFIXES |= {Kind.RECONCILED: "rowsOf", Kind.QUERY: "query"}
_BASIC = frozenset({Kind.COLUMN, Kind.TYPE, Kind.ENCODING})
# A listed value may be false or empty and must stay.
_VERBATIM = frozenset({"arguments"})
_LEVELS = frozenset({"freshness", "latency"})


def to_odcs(contract: Contract) -> dict[str, Any]:
    """The contract as a document of plain values, valid under the JSON schema of ODCS 3.1.

    Raises:
        ContractError: a rule that the standard has no place for: of a kind that only a column can declare, but with
            another bound or id than the declaration gives (RW-106).
    """
    placed = _Placed(contract)
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": contract.contract_id,
        "version": contract.version,
        "status": contract.status,
        **_about(contract.provenance),
        "schema": [
            {
                "name": contract.table,
                "properties": [_property(placed, item) for item in contract.fields],
                "relationships": placed.relationships(""),
                "quality": placed.items(""),
            }
        ],
        "slaProperties": placed.levels(),
        "customProperties": _custom(_provenance(contract.provenance, contract.path.parent)),
    }
    placed.refuse_rest()
    model = OpenDataContractStandard.model_validate(_slim(document))
    exported: dict[str, Any] = model.model_dump(exclude_none=True, by_alias=True)
    return exported


def to_odcs_yaml(contract: Contract) -> str:
    """The same as YAML text, which ``load_contract`` reads.

    Raises:
        ContractError: as ``to_odcs`` (RW-106).
    """
    return yaml.safe_dump(to_odcs(contract), sort_keys=False, allow_unicode=True, width=120)


class _Placed:
    """The rules of a contract, each taken once by the part of the document that says it."""

    def __init__(self, contract: Contract) -> None:
        self._folder = contract.path.parent
        self._table = contract.table
        self._left = {rule.rule_id: rule for rule in contract.rules}
        self._notes: dict[str, list[str]] = {}
        columns = {item.name for item in contract.fields}
        for note in contract.notes:
            place, _, sentence = note.partition(": ")
            self._notes.setdefault(place if place in columns else "", []).append(sentence)
        self._keys = tuple(item.name for item in contract.fields if item.key)
        self.take(f"uniqueness.{'+'.join(self._keys)}.key")

    def take(self, rule_id: str, severity: Severity | None = None) -> Rule | None:
        """A rule that a declaration stands for; None when there is none, or it says more than the declaration could."""
        rule = self._left.get(rule_id)
        if rule is None or not _declared(rule) or (severity is not None and rule.severity is not severity):
            return None
        return self._left.pop(rule_id)

    def severity_of(self, column: str) -> Severity:
        """What the declared rules of a column share, apart from those that are always errors."""
        return next(
            (
                rule.severity
                for rule in self._left.values()
                if rule.under == column
                and rule.rule_id.endswith((f".{column}.{rule.kind.value}", ".format", ".age"))
                and rule.kind not in _BASIC | {Kind.NULL, Kind.SET}
                and rule.severity is not Severity.WARNING
            ),
            Severity.WARNING,
        )

    def relationships(self, under: str) -> list[dict[str, Any]]:
        found = [
            rule for rule in self._left.values() if rule.under == under and rule.reference and rule.reference.table
        ]
        return [self._relationship(self._left.pop(rule.rule_id), under) for rule in found]

    def _relationship(self, rule: Rule, under: str) -> dict[str, Any]:
        reference = reference_of(rule)
        targets = [f"{reference.table}.{column}" for column in reference.columns]
        if under:
            return {"to": targets[0]}
        return {"from": [f"{self._table}.{column}" for column in rule.columns], "to": targets}

    def file_of(self, rule: Rule) -> str:
        """A reference as ``file#column``."""
        reference = reference_of(rule)
        return f"{_relative(reference.path, self._folder)}#{reference.columns[0]}"

    def items(self, under: str) -> list[dict[str, Any]]:
        """The quality items below a column, or below the table: rules first, then notes."""
        found = [rule for rule in self._left.values() if rule.under == under and not _is_level(rule)]
        items = [_item(self._left.pop(rule.rule_id), self._folder) for rule in found]
        return [*items, *({"type": "text", "description": text} for text in self._notes.get(under, []))]

    def levels(self) -> list[dict[str, Any]]:
        found = [rule for rule in self._left.values() if _is_level(rule)]
        return [_level(self._left.pop(rule.rule_id)) for rule in found]

    def refuse_rest(self) -> None:
        """Raise when a rule found no place."""
        if self._left:
            raise ContractError(
                f"ODCS has no place for {', '.join(self._left)}.",
                remedy="Put the rule under a declared column, or write it as a quality item of the contract.",
            )


def _declared(rule: Rule) -> bool:
    return rule.bound == NONE_ALLOWED and not rule.description


def _is_level(rule: Rule) -> bool:
    return rule.kind in {Kind.NEWEST_AGE, Kind.LATENESS} and rule.rule_id == _level_id(rule)


def _level_id(rule: Rule) -> str:
    word = rule.rule_id.rpartition(".")[2]
    return f"freshness.{'+'.join(rule.columns)}.{word}" if word in _LEVELS else ""


def _level(rule: Rule) -> dict[str, Any]:
    return {
        "property": rule.rule_id.rpartition(".")[2],
        "value": _plain(rule.max_age_s or 0.0),
        "unit": "s",
        "element": ", ".join(rule.columns),
        "description": rule.description,
    }


def _property(placed: _Placed, item: Field) -> dict[str, Any]:
    name = item.name
    severity = placed.severity_of(name)
    for kind, dimension in ((Kind.COLUMN, "schema"), (Kind.TYPE, "validity"), (Kind.ENCODING, "validity")):
        placed.take(f"{dimension}.{name}.{kind.value}")
    required = placed.take(f"completeness.{name}.null", Severity.ERROR) is not None
    unique = placed.take(f"uniqueness.{name}.duplicate", severity) is not None
    return {
        "name": name,
        "logicalType": item.logical_type,
        "primaryKey": item.key,
        "required": required,
        "unique": unique,
        "logicalTypeOptions": _options(placed, item, severity),
        "transformDescription": "Declared to be transformed." if item.transformed else "",
        "customProperties": _custom(_column_extension(placed, item, severity)),
        "relationships": placed.relationships(name),
        "quality": placed.items(name),
    }


def _options(placed: _Placed, item: Field, severity: Severity) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if item.limits is not None and placed.take(f"validity.{item.name}.range", severity):
        options |= _range(item.limits)
    if pattern := placed.take(f"validity.{item.name}.pattern", severity):
        options["pattern"] = pattern.text
    if (length := placed.take(f"validity.{item.name}.length", severity)) and length.limits:
        options |= {"minLength": length.limits.lower, "maxLength": length.limits.upper}
    if shape := placed.take(f"validity.{item.name}.format", severity):
        options["format"] = next(word for word, pattern in FORMATS.items() if pattern == shape.text)
    return options


def _range(limits: Limits) -> dict[str, Any]:
    lower = "minimum" if limits.lower_inclusive else "exclusiveMinimum"
    upper = "maximum" if limits.upper_inclusive else "exclusiveMaximum"
    return {lower: limits.lower, upper: limits.upper}


def _column_extension(placed: _Placed, item: Field, severity: Severity) -> dict[str, Any]:
    name = item.name
    placed.take(f"completeness.{name}.sentinel", severity)
    unit_rule = placed.take(f"validity.{name}.unit", severity)
    reference = placed.take(f"consistency.{name}.reference", severity)
    age = placed.take(f"freshness.{name}.age", severity)
    return {
        "unit": item.unit,
        "unitColumn": unit_rule.columns[1] if unit_rule else "",
        "sentinels": [_plain(value) for value in item.sentinels],
        "medianRange": [_plain(value) for value in item.median_range or ()],
        "references": placed.file_of(reference) if reference else "",
        "knownAt": item.known_at,
        "maxAge": f"{age.max_age_s!r} s" if age else "",
        "severity": "" if severity is Severity.WARNING else severity.value,
    }


def _item(rule: Rule, folder: Path) -> dict[str, Any]:
    place = rule.under or "table"
    usual = _USUAL.get(rule.kind)
    if usual is None:
        raise ContractError(
            f"ODCS has no quality item for {rule.rule_id} ({rule.kind.value}).",
            remedy="Declare it on its column, with no tolerance and its usual id.",
        )
    named = rule.rule_id != f"{usual.value}.{place}.{_METRICS.get(rule.kind) or _SUFFIXES[rule.kind]}"
    return {
        "name": rule.rule_id if named else "",
        "dimension": _WORDS[rule.dimension] if rule.dimension is not usual else "",
        "severity": "" if rule.severity is Severity.WARNING else rule.severity.value,
        "description": rule.description,
        **_asked(rule, folder),
    }


def _asked(rule: Rule, folder: Path) -> dict[str, Any]:
    if rule.kind is Kind.QUERY:
        return {"type": "sql", "query": rule.text, **_bound(rule.bound)}
    if rule.kind not in _METRICS:
        return {"type": "custom", "engine": ENGINE, "implementation": _slim(_implementation(rule, folder))}
    arguments: dict[str, Any] = {}
    if rule.kind is Kind.PATTERN:
        arguments["pattern"] = rule.text
    elif rule.kind in {Kind.SET, Kind.MISSING_TEXT}:
        arguments["validValues" if rule.kind is Kind.SET else "missingValues"] = list(rule.values)
    elif rule.kind is Kind.DUPLICATE and rule.columns != (rule.under,):
        arguments["properties"] = list(rule.columns)
    return {"metric": _METRICS[rule.kind], "arguments": arguments, **_bound(rule.bound)}


def _implementation(rule: Rule, folder: Path) -> dict[str, Any]:
    asked: dict[str, Any] = {"allowedPercent": _plain(rule.bound.value) if rule.bound.value else None}
    if isinstance(rule.comparison, Comparison):
        tolerance = rule.comparison.tolerance
        return {"expression": rule.comparison.source, "tolerance": tolerance or None, **asked}
    if rule.kind is Kind.LATENESS:
        event, arrived = rule.columns
        return {"lateness": {"event": event, "arrived": arrived, "within": f"{rule.max_age_s!r} s"}, **asked}
    reference = reference_of(rule)
    file = _relative(reference.path, folder)
    if rule.kind is Kind.RECONCILED:
        return {"rowsOf": file, **asked}
    return {"references": {"file": file, "columns": dict(zip(rule.columns, reference.columns, strict=True))}, **asked}


def _bound(bound: Bound) -> dict[str, Any]:
    value: Any = _plain(bound.value) if bound.upper is None else [_plain(bound.value), _plain(bound.upper)]
    return {bound.comparator.value: value, "unit": "percent" if bound.percent else ""}


def _about(provenance: Provenance) -> dict[str, Any]:
    return {
        "contractCreatedTs": provenance.created,
        "description": {
            "purpose": provenance.purpose,
            "usage": provenance.usage,
            "limitations": provenance.limitations_text,
        },
        "team": {
            "members": [
                {"username": member.name, "role": member.role, "dateIn": member.date_in, "dateOut": member.date_out}
                for member in provenance.team
            ]
        },
    }


def _provenance(provenance: Provenance, folder: Path) -> dict[str, Any]:
    return {
        "sources": [
            {
                "origin": source.origin,
                "path": _relative(source.path, folder) if source.path else "",
                "sha256": source.sha256,
            }
            for source in provenance.sources
        ],
        "transformations": provenance.transformations,
        "outputSha256": provenance.output_sha256,
        "suitableFor": list(provenance.suitable_for),
        "limitations": [
            {"text": item.text, "rule": item.rule_id, "slice": item.slice} for item in provenance.limitations
        ],
    }


def _custom(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    slim = _slim(value)
    return [{"property": NAMESPACE, "value": slim}] if slim else []


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _plain(value: float) -> float | int:
    return int(value) if math.isfinite(value) and value == int(value) else value


def _empty(value: Any) -> bool:
    return isinstance(value, str | list | dict) and not value


def _slim(value: Any) -> Any:
    """Without what is not said: None, False where it is the default, and empty texts and collections."""
    if isinstance(value, Mapping):
        kept = {key: each if key in _VERBATIM else _slim(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each is not None and each is not False and not _empty(each)}
    return [_slim(each) for each in value] if isinstance(value, list) else value
