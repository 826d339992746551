"""DuckDB's names of stored types, sorted into numbers and texts. Owns the names; what is declared belongs to ``schema``."""

_NUMBERS = (
    *(
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
    ),
    *("FLOAT", "DOUBLE", "DECIMAL"),
)
_TEXTS = ("VARCHAR", "ENUM", "UUID")


def is_numeric(type_name: str) -> bool:
    """Whether a DuckDB type holds numbers; a list of numbers does not."""
    return type_name.startswith(_NUMBERS) and not type_name.endswith("]")


def is_text(type_name: str) -> bool:
    """Whether a DuckDB type holds texts."""
    return type_name.startswith(_TEXTS) and not type_name.endswith("]")
