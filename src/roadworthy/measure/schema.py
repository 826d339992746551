"""Whether a column is there and of the declared kind. Owns the comparison of types; values belong to ``predicates``.

Text files have no types of their own: what was guessed there says something about values, which the rules about rows
already say. So only sources that declare types (Parquet, Arrow) are held to them.
"""

from roadworthy.measure.rule import Rule
from roadworthy.measure.stored import is_numeric
from roadworthy.measure.table import Table

_STORED = {
    "string": ("VARCHAR", "UUID", "ENUM"),
    "date": ("DATE", "TIMESTAMP"),
    "timestamp": ("TIMESTAMP",),
    "time": ("TIME",),
    "boolean": ("BOOLEAN",),
}


def fits(rule: Rule, table: Table) -> tuple[bool, str]:
    """Whether the rule's column exists and stores its logical type (``rule.text``), and what was found."""
    name, wanted = rule.columns[0], rule.text
    if name not in table.column_names:
        return False, f"The column {name!r} is not in the data."
    stored = table.type_of(name)
    if not table.typed or not wanted:
        return True, f"The column {name!r} is there."
    if wanted in {"number", "integer"}:
        good = is_numeric(stored)
    elif wanted in {"array", "object"}:
        good = stored.endswith("[]") if wanted == "array" else stored.startswith(("STRUCT", "MAP"))
    else:
        # TIME is a prefix of TIMESTAMP, so it is compared as a word.
        good = stored.split(" ")[0].split("(")[0].split("_")[0] in _STORED[wanted]
    return good, f"The column {name!r} is stored as {stored}; declared: {wanted}."
