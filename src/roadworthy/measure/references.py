"""The keys of other tables, loaded from their files. Owns the loading; ``known_keys`` says how a key is compared.

A key is compared as the other table stores it: as a number where it holds numbers, as an instant where it holds
instants, otherwise as text.

A contract may come from somebody else, so it names files of its own project only: those below the nearest folder above
the contract that holds ``roadworthy.yaml``, or below the contract's own folder where none does. Links are followed
first. Files that the caller names for a relationship are the caller's choice and lie anywhere.
"""

from pathlib import Path

from roadworthy.base.errors import ContractError, MissingFile
from roadworthy.measure.comparison import Reading
from roadworthy.measure.known_keys import KnownKeys
from roadworthy.measure.odcs import KeyPath, Odcs
from roadworthy.measure.rule import Contract, Kind, Reference, Rule
from roadworthy.measure.stored import is_numeric
from roadworthy.measure.table import Table, data_files, open_table, quote

_PROJECT_FILE = "roadworthy.yaml"


def project_file(document: Odcs, file: str, at: KeyPath) -> Path:
    """The path of a file that a contract names, relative to the contract's folder.

    Raises:
        ContractError: it lies outside the project (RW-106).
    """
    folder = document.path.parent
    path = folder / file
    try:
        home = folder.resolve()
        root = next((above for above in (home, *home.parents) if (above / _PROJECT_FILE).is_file()), home)
        inside = all(each.resolve().is_relative_to(root) for each in (path, *_matched(path)))
    except (OSError, ValueError, RuntimeError):
        # A name that no file can have, or links in a circle.
        inside = False
    if not inside:
        raise document.error(
            at,
            f"The contract names {file!r}, which lies outside its project.",
            f"Name a file below the contract's folder, or below the folder that holds {_PROJECT_FILE}.",
        )
    return path


def _matched(path: Path) -> tuple[Path, ...]:
    try:
        return data_files(path)
    except MissingFile:
        return ()


def load_references(contract: Contract) -> dict[str, KnownKeys]:
    """The known keys of every reference of a contract, by rule id; for the inline filter.

    Raises:
        MissingFile: a referenced file is not there (RW-102).
        ContractError: it has no such column (RW-106).
    """
    return {rule.rule_id: read_reference(rule) for rule in contract.rules if rule.kind is Kind.REFERENCE}


def read_reference(rule: Rule) -> KnownKeys:
    """The known keys of one reference.

    Raises:
        MissingFile: the referenced file is not there (RW-102).
        ContractError: the rule has no reference, or the file no such column (RW-106).
    """
    reference = reference_of(rule)
    table = open_table(reference.path)
    readings = tuple(_reading(table.type_of(column)) for column in reference.columns)
    selected = ", ".join(_selected(table, column) for column in reference.columns)
    present = " AND ".join(f"{quote(column)} IS NOT NULL" for column in reference.columns)
    rows = table.query(f"SELECT DISTINCT {selected} FROM data WHERE {present}")
    return KnownKeys(readings=readings, keys=frozenset(rows))


def rows_of_reference(rule: Rule) -> int:
    """How many rows the other table of a reconciliation has.

    Raises:
        MissingFile: its file is not there (RW-102).
        ContractError: the rule names no other table (RW-106).
    """
    return open_table(reference_of(rule).path).row_count


def reference_of(rule: Rule) -> Reference:
    """The other table of a rule.

    Raises:
        ContractError: it has none (RW-106).
    """
    if rule.reference is None:
        raise ContractError(f"The rule {rule.rule_id} names no other table.", remedy="Write references: file#column.")
    return rule.reference


def _reading(stored: str) -> Reading:
    if is_numeric(stored):
        return Reading.NUMBER
    return Reading.INSTANT if stored.startswith(("TIMESTAMP", "DATE")) else Reading.TEXT


def _selected(table: Table, column: str) -> str:
    reading = _reading(table.type_of(column))
    if reading is Reading.INSTANT:
        return f"epoch_us(CAST({quote(column)} AS TIMESTAMPTZ))"
    return f"CAST({quote(column)} AS {'DOUBLE' if reading is Reading.NUMBER else 'VARCHAR'})"
