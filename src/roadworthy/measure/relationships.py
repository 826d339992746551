"""Relationships of ODCS into references. Owns their notations and which file a table's name means; runs nothing.

Rules kept here:
1. A relationship is run only when the caller says where the other table's rows are; otherwise it becomes a note.
2. Both the short notation (``table.column``) and lists of it (a composite key) are read; a relationship to another
   contract, or by the path of an element, becomes a note.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from open_data_contract_standard.model import Relationship, SchemaObject

from roadworthy.measure.odcs import KeyPath, Odcs
from roadworthy.measure.quality_items import Translated
from roadworthy.measure.rule import NONE_ALLOWED, Dimension, Kind, Reference, Rule


@dataclass(frozen=True, slots=True)
class TableFiles:
    """Where the rows of a contract's tables are.

    Attributes:
        document: the contract.
        sources: data file by any name that the contract has for a table.
    """

    document: Odcs
    sources: Mapping[str, Path]

    def of(self, table: str) -> Path | None:
        """The file of a table, under whichever of its names it was given."""
        names = {table}
        for schema in self.document.model.schema_ or []:
            known = {name for name in (schema.name, schema.physicalName, schema.id) if name}
            if table in known:
                names |= known
        return next((self.sources[name] for name in sorted(names) if name in self.sources), None)


def column_relationship(files: TableFiles, item: Relationship, column: str, at: KeyPath) -> Translated:
    """The reference of one column, or a note."""
    return _reference(files, item, (column,), column, (*at, "relationships"))


def table_relationships(files: TableFiles, schema: SchemaObject, at: KeyPath) -> Iterator[Translated]:
    """The references of a table, each over one or more columns, or notes."""
    for position, item in enumerate(schema.relationships or []):
        columns = tuple(name.rpartition(".")[2] for name in _listed(item.from_))
        yield _reference(files, item, columns, "", (*at, "relationships", position))


def _reference(files: TableFiles, item: Relationship, columns: tuple[str, ...], under: str, at: KeyPath) -> Translated:
    targets = _listed(item.to)
    shown = ", ".join(targets)
    place = under or "table"
    parts = [target.split(".") for target in targets]
    tables = {part[0] for part in parts}
    if not targets or len(tables) != 1 or any(len(part) != 2 or {"/", "#"} & set("".join(part)) for part in parts):
        return Translated(
            note=f"{place}: the relationship to {shown or 'nothing'} leaves this contract; it is not run."
        )
    if len(targets) != len(columns):
        raise files.document.error(
            at, f"The relationship joins {len(columns)} with {len(targets)} columns.", "List as many from as to."
        )
    table = tables.pop()
    path = files.of(table)
    if path is None:
        return Translated(note=f"{place}: the relationship to {shown} names no file, so it is not run.")
    reference = Reference(path=path, columns=tuple(part[1] for part in parts), table=table)
    return Translated(
        rule=Rule(
            rule_id=f"consistency.{'+'.join(columns)}.{table}",
            dimension=Dimension.CONSISTENCY,
            kind=Kind.REFERENCE,
            columns=columns,
            bound=NONE_ALLOWED,
            line=files.document.line(at),
            under=under,
            reference=reference,
        )
    )


def _listed(names: str | list[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or [])
