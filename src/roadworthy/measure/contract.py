"""ODCS into rules that can be run. Owns the translation of a contract; the file format belongs to ``odcs``.

How the standard is read, where it leaves room:

- ``mustBeBetween`` and ``mustNotBeBetween`` count both ends as inside.
- ``nullValues`` counts null and NaN; ``missingValues`` counts these and the listed values.
- ``invalidValues`` never counts null: that is completeness.
- ``duplicateValues`` counts the rows beyond the first of each value; rows with a null in the columns do not count.
- ``unit: percent`` means percent of all rows; without a unit it is rows.
- ``pattern`` is searched, not anchored, in RE2's dialect.
- ``freshness`` bounds the age of the newest value; ``latency`` with two elements ``event, arrived`` bounds the way
  between them in each row, with one element it is read like ``freshness``.
- A primary key means: no null in its columns and no repeated combination.
- A relationship is run when the caller names a data file for its table, and noted otherwise.
- ``severity`` decides what a single record deserves; ``required``, types and the presence of a column are errors.

Rules kept here:
1. What the standard calls executable is translated or refused; prose, other engines' checks and service levels that
   data cannot show become ``notes``, so that nobody believes them checked.
2. Every rule has an id that does not depend on the order of the file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from open_data_contract_standard.model import SchemaObject, SchemaProperty, Team, TeamMember

from roadworthy.base.errors import ContractError, UnitError
from roadworthy.measure.comparison import Comparison, Reading, Term, is_numeric
from roadworthy.measure.durations import seconds
from roadworthy.measure.extension import ColumnExtension, ContractExtension, read_extension
from roadworthy.measure.odcs import KeyPath, Odcs, nearest, read_odcs
from roadworthy.measure.options import option_rules, read_limits
from roadworthy.measure.quality_items import Translated, translate_item
from roadworthy.measure.reading import clock_of, instant_of, number_of, text_of
from roadworthy.measure.references import project_file
from roadworthy.measure.relationships import TableFiles, column_relationship, table_relationships
from roadworthy.measure.rule import (
    NONE_ALLOWED,
    Contract,
    Dimension,
    Field,
    Kind,
    Limitation,
    Member,
    Provenance,
    Reference,
    Rule,
    Severity,
    Source,
    Value,
)

_ESSENTIAL = frozenset({Kind.COLUMN, Kind.NULL, Kind.TYPE})
_READINGS = {
    "number": Reading.NUMBER,
    "integer": Reading.NUMBER,
    "date": Reading.INSTANT,
    "timestamp": Reading.INSTANT,
    "time": Reading.CLOCK,
    "string": Reading.TEXT,
    "boolean": Reading.TEXT,
}


def load_contract(path: Path, table: str | None = None, *, sources: Mapping[str, Path] | None = None) -> Contract:
    """Read an ODCS file for one table.

    Args:
        path: the YAML file.
        table: name of the schema object; needed when the contract has several.
        sources: data files of the contract's other tables by name, for its relationships.

    Raises:
        MissingFile: no such file (RW-102).
        ContractError: not ODCS, or something in it cannot be run (RW-106), with line and path.
        UnitError: a plausible range without a unit (RW-105).
    """
    document = read_odcs(path)
    index, schema = _choose(document, table)
    at: KeyPath = ("schema", index)
    files = TableFiles(document, sources or {})
    extension = read_extension(document, document.model.customProperties, ContractExtension, ())
    fields: list[Field] = []
    rules: list[Rule] = []
    notes: list[str] = []
    for position, item in enumerate(schema.properties or []):
        field, parts = _column(files, item, (*at, "properties", position))
        if any(known.name == field.name for known in fields):
            raise document.error(
                (*at, "properties", position), f"The column {field.name!r} is declared twice.", "Keep one."
            )
        fields.append(field)
        for part in parts:
            _add(part, rules, notes)
    rules.extend(_key_rules(fields, document.line(at)))
    for translated in table_relationships(files, schema, at):
        _add(translated, rules, notes)
    for position, quality in enumerate(schema.quality or []):
        _add(translate_item(document, quality, None, _table_name(schema), (*at, "quality", position)), rules, notes)
    for translated in _service_levels(document, schema, [item.name for item in fields]):
        _add(translated, rules, notes)
    return Contract(
        path=path,
        contract_id=str(document.model.id),
        version=str(document.model.version),
        status=str(document.model.status),
        table=_table_name(schema),
        fields=tuple(fields),
        rules=tuple(_settled(document, rule, fields) for rule in _with_unique_ids(document, rules)),
        notes=tuple(notes),
        provenance=_provenance(document, extension, path.parent),
    )


def _choose(document: Odcs, table: str | None) -> tuple[int, SchemaObject]:
    schemas = document.model.schema_ or []
    names = [_table_name(schema) for schema in schemas]
    if not schemas:
        raise document.error(("schema",), "The contract describes no table.", "Add a schema object with properties.")
    if table is None and len(schemas) == 1:
        return 0, schemas[0]
    if table not in names:
        raise document.error(
            ("schema",), f"The contract does not say which table is meant ({table!r}).", f"Name one of {names}."
        )
    return names.index(table), schemas[names.index(table)]


def _table_name(schema: SchemaObject) -> str:
    return schema.physicalName or schema.name or ""


def _column(files: TableFiles, item: SchemaProperty, at: KeyPath) -> tuple[Field, list[Translated]]:
    document = files.document
    name = item.physicalName or item.name
    if not name:
        raise document.error(at, "A property has no name.", "Add a name.")
    extension = read_extension(document, item.customProperties, ColumnExtension, at)
    for key, given in (("medianRange", extension.median_range), ("unitColumn", extension.unit_column)):
        if given and not extension.unit:
            raise UnitError(
                f"The {key} of {name!r} has no unit.",
                remedy=f"Add unit beside {key}.",
                where=f"{document.path}:{document.line(at)}",
            )
    limits = read_limits(document, item, at)
    field = Field(
        name=name,
        logical_type=item.logicalType or "",
        key=bool(item.primaryKey),
        unit=extension.unit,
        sentinels=extension.sentinels,
        median_range=extension.median_range,
        valid_values=_valid_values(item),
        limits=limits,
        known_at=extension.known_at,
        transformed=bool(item.transformLogic or item.transformDescription),
    )
    translated = [
        Translated(more=tuple(_declared(item, name, document.line(at)))),
        option_rules(document, item, name, limits, at),
        Translated(more=tuple(_extended(document, extension, name, at))),
    ]
    translated = [replace(part, more=_as_severe(part.more, extension.severity)) for part in translated]
    translated.extend(column_relationship(files, each, name, at) for each in item.relationships or [])
    if item.enum:
        # A key of the model that the JSON schema of 3.1 does not have: read, and written as the quality item it stands for.
        listed = Rule(
            rule_id=f"validity.{name}.set",
            dimension=Dimension.VALIDITY,
            kind=Kind.SET,
            columns=(name,),
            bound=NONE_ALLOWED,
            line=document.line((*at, "enum")),
            severity=extension.severity,
            under=name,
            values=_valid_values(item),
        )
        translated.append(Translated(rule=listed))
    translated.extend(
        translate_item(document, quality, name, "", (*at, "quality", position))
        for position, quality in enumerate(item.quality or [])
    )
    return field, translated


def _as_severe(rules: tuple[Rule, ...], severity: Severity) -> tuple[Rule, ...]:
    return tuple(rule if rule.severity is Severity.ERROR else replace(rule, severity=severity) for rule in rules)


def _valid_values(item: SchemaProperty) -> tuple[Value, ...]:
    if item.enum:
        return tuple(entry.value for entry in item.enum if entry.value is not None)
    for quality in item.quality or []:
        valid = (quality.arguments or {}).get("validValues")
        if quality.metric == "invalidValues" and isinstance(valid, list):
            return tuple(value for value in valid if value is not None)
    return ()


def _declared(item: SchemaProperty, name: str, line: int) -> Iterator[Rule]:
    def rule(dimension: Dimension, kind: Kind, text: str = "") -> Rule:
        return Rule(
            rule_id=f"{dimension.value}.{name}.{kind.value}",
            dimension=dimension,
            kind=kind,
            columns=(name,),
            bound=NONE_ALLOWED,
            line=line,
            severity=Severity.ERROR if kind in _ESSENTIAL else Severity.WARNING,
            under=name,
            text=text,
        )

    logical_type = item.logicalType or ""
    yield rule(Dimension.SCHEMA, Kind.COLUMN, logical_type)
    if item.required or item.primaryKey:
        yield rule(Dimension.COMPLETENESS, Kind.NULL)
    if item.unique:
        yield rule(Dimension.UNIQUENESS, Kind.DUPLICATE)
    if logical_type in {"number", "integer", "date", "timestamp", "time", "boolean"}:
        yield rule(Dimension.VALIDITY, Kind.TYPE, logical_type)
    if logical_type == "string":
        yield rule(Dimension.VALIDITY, Kind.ENCODING)


def _extended(document: Odcs, extension: ColumnExtension, name: str, at: KeyPath) -> Iterator[Rule]:
    line = document.line((*at, "customProperties"))
    base = Rule(
        rule_id=f"completeness.{name}.sentinel",
        dimension=Dimension.COMPLETENESS,
        kind=Kind.SENTINEL,
        columns=(name,),
        bound=NONE_ALLOWED,
        line=line,
        under=name,
        values=extension.sentinels,
    )
    if extension.sentinels:
        yield base
    if extension.unit_column:
        yield replace(
            base,
            rule_id=f"validity.{name}.unit",
            dimension=Dimension.VALIDITY,
            kind=Kind.UNIT,
            columns=(name, extension.unit_column),
            values=(extension.unit,),
        )
    if extension.references is not None:
        file, column = extension.references.split("#")
        yield replace(
            base,
            rule_id=f"consistency.{name}.reference",
            dimension=Dimension.CONSISTENCY,
            kind=Kind.REFERENCE,
            values=(),
            reference=Reference(path=project_file(document, file, (*at, "customProperties")), columns=(column,)),
        )
    if extension.max_age is not None:
        yield replace(
            base,
            rule_id=f"freshness.{name}.age",
            dimension=Dimension.FRESHNESS,
            kind=Kind.AGE,
            values=(),
            max_age_s=seconds(document, extension.max_age, (*at, "customProperties")),
        )


def _key_rules(fields: list[Field], line: int) -> Iterator[Rule]:
    key = tuple(item.name for item in fields if item.key)
    if key:
        yield Rule(
            rule_id=f"uniqueness.{'+'.join(key)}.key",
            dimension=Dimension.UNIQUENESS,
            kind=Kind.DUPLICATE,
            columns=key,
            bound=NONE_ALLOWED,
            line=line,
        )


def _service_levels(document: Odcs, schema: SchemaObject, columns: list[str]) -> Iterator[Translated]:
    own = {name for name in (schema.name, schema.physicalName, schema.id) if name}
    for position, level in enumerate(document.model.slaProperties or []):
        at: KeyPath = ("slaProperties", position)
        if level.property not in {"freshness", "latency"}:
            yield Translated(note=f"table: the service level {level.property} cannot be seen in a data file.")
            continue
        elements = [part.strip() for part in (level.element or document.model.slaDefaultElement or "").split(",")]
        found = [_split(part, columns) for part in elements if part]
        if any(table and table not in own for table, _ in found):
            yield Translated(note=f"table: the service level {level.property} is about another table.")
            continue
        names = [name for _, name in found]
        unknown = [name for name in names if name not in columns]
        if not names or unknown or len(names) > 2:
            raise document.error(
                at,
                f"The service level {level.property} cannot use the element {level.element!r}.",
                f"Set element to one time column, or to two (event, arrived), of: {', '.join(columns)}.",
            )
        yield Translated(
            rule=Rule(
                rule_id=f"freshness.{'+'.join(names)}.{level.property}",
                dimension=Dimension.FRESHNESS,
                kind=Kind.LATENESS if len(names) == 2 else Kind.NEWEST_AGE,
                columns=tuple(names),
                bound=NONE_ALLOWED,
                line=document.line(at),
                max_age_s=seconds(document, f"{level.value} {level.unit or ''}", at),
                description=level.description or "",
            )
        )


def _split(element: str, columns: list[str]) -> tuple[str, str]:
    """The table ("" for this one) and the column of an element."""
    table, _, name = element.rpartition(".")
    return ("", element) if element in columns else (table, name)


def _settled(document: Odcs, rule: Rule, fields: list[Field]) -> Rule:
    """Check that the columns of a rule are declared, and say what a comparison compares."""
    declared = {item.name: item for item in fields}
    unknown = [name for name in rule.columns if name not in declared]
    if unknown:
        raise ContractError(
            f"The rule {rule.rule_id} reads {unknown[0]!r}, which is no declared column.",
            remedy=nearest(unknown[0], list(declared)) if declared else "Declare the columns.",
            where=f"{document.path}:{rule.line}",
        )
    if rule.comparison is None:
        return rule
    comparison = rule.comparison
    readings = {_READINGS.get(declared[name].logical_type) for name in comparison.columns}
    if is_numeric(comparison.clauses):
        readings = {Reading.NUMBER}
    reading = readings.pop()
    if readings or reading is None or not _literals_fit(comparison, reading):
        raise ContractError(
            f"The rule {rule.rule_id} does not say what {', '.join(comparison.columns)} are compared as.",
            remedy="Declare the same kind of logicalType for all of them, and write texts that fit it.",
            where=f"{document.path}:{rule.line}",
        )
    return replace(rule, comparison=replace(comparison, reading=reading))


def _literals_fit(comparison: Comparison, reading: Reading) -> bool:
    terms: list[Term] = [term for clause in comparison.clauses for term in (*clause.left, *clause.right)]
    texts = [term.text for term in terms if term.text is not None]
    read = {Reading.INSTANT: instant_of, Reading.CLOCK: clock_of, Reading.NUMBER: number_of, Reading.TEXT: text_of}
    return all(read[reading](text) is not None for text in texts)


def _add(translated: Translated, rules: list[Rule], notes: list[str]) -> None:
    if translated.rule is not None:
        rules.append(translated.rule)
    rules.extend(translated.more)
    if translated.note:
        notes.append(translated.note)


def _with_unique_ids(document: Odcs, rules: list[Rule]) -> tuple[Rule, ...]:
    seen: dict[str, Rule] = {}
    for rule in rules:
        # "required" beside an equal nullValues item is one promise; two different promises need two names.
        known = seen.get(rule.rule_id)
        if known is not None and replace(known, line=0, description="") != replace(rule, line=0, description=""):
            raise document.error(
                (),
                f"Two rules are called {rule.rule_id!r} (lines {known.line} and {rule.line}).",
                "Give the quality items different ids or names.",
            )
        seen.setdefault(rule.rule_id, rule)
    return tuple(seen.values())


def _provenance(document: Odcs, extension: ContractExtension, folder: Path) -> Provenance:
    model = document.model
    description = model.description
    declared = [server.location or server.path or "" for server in model.servers or []]
    sources = [
        Source(
            origin=source.origin,
            path=folder / source.path if source.path is not None else None,
            sha256=source.sha256 or "",
        )
        for source in extension.sources
    ]
    sources.extend(Source(origin=origin, path=None, sha256="") for origin in declared if origin)
    return Provenance(
        created=model.contractCreatedTs or "",
        purpose=(description.purpose if description else None) or "",
        usage=(description.usage if description else None) or "",
        limitations_text=(description.limitations if description else None) or "",
        team=tuple(_member(member) for member in _members(model.team)),
        sources=tuple(sources),
        limitations=tuple(
            Limitation(text=item.text, rule_id=item.rule, slice=item.slice) for item in extension.limitations
        ),
        suitable_for=extension.suitable_for,
        transformations=extension.transformations,
        output_sha256=extension.output_sha256 or "",
    )


def _members(team: Team | list[TeamMember] | None) -> list[TeamMember]:
    if isinstance(team, Team):
        return team.members or []
    return team or []


def _member(member: TeamMember) -> Member:
    return Member(
        name=member.name or member.username or "",
        role=member.role or "",
        date_in=member.dateIn or "",
        date_out=member.dateOut or "",
    )
