"""What a table says, apart from how it is stored. Owns canonical text and the fingerprint; compares no versions.

The digest of a file changes with its compression; this one does not. The same rows as CSV or Parquet, shuffled, or with
their columns in another order have the same fingerprint; one changed cell gives another.

Algorithm of ``fingerprint`` (named by ``ALGORITHM``, so that another engine can repeat it):
1. Every value becomes canonical text: whole numbers in digits without point or leading zeros, other numbers as the
   shortest digits that read back the same double, dates as ``YYYY-MM-DD``, instants in UTC as ``YYYY-MM-DDThh:mm:ss``
   with the fraction that they need, midnight as its date, truth as ``true`` and ``false``.
2. The hash of a value is the first 128 bits of SHA-256 over the UTF-8 of its text. The hash of a column is the sum, modulo
   2**128, over the values that are not null.
3. The hash of a row is the same over its cells in order of column name (by code point): ``n`` for null, else the length
   in bytes, a colon and the text. The hash of the rows is the sum modulo 2**128.
4. A column's type follows from its texts alone: ``number``, ``time``, ``boolean`` or ``text``, ``empty`` without values.
5. The digest is SHA-256 over the canonical JSON of rows, columns by name, and the two hashes.

Rules kept here:
1. Empty text counts as null: a text file cannot tell them apart.
2. Sums of hashes find accidents, not forgers: with enough freedom, rows can be invented that cancel out. Against forgery
   stands the digest of the bytes (``table_digest``).
3. Text files lose what they cannot say before we see it: leading zeros of codes, and digits beyond those of a double. Such
   columns have another fingerprint in a typed file, rightly.
4. Columns that are lists, structures, blobs or intervals are refused, not approximated.
"""

from dataclasses import dataclass
from enum import Enum

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_of
from roadworthy.base.errors import UnreadableData
from roadworthy.measure.table import Column, Table, from_arrow, quote

ALGORITHM = "table-1/sha256-sum128"
_BITS = 128
_WHOLE = frozenset(f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "", "BIG", "HUGE")) | {
    "INTEGER",
    "UINTEGER",
}
_TEXTS = frozenset({"VARCHAR", "UUID", "ENUM", "TIME"})
_INSTANTS = frozenset({"TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS"})


class LogicalType(Enum):
    """What the values of a column are, whatever type stores them."""

    NUMBER = "number"
    TIME = "time"
    BOOLEAN = "boolean"
    TEXT = "text"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPrint:
    """One column.

    Attributes:
        name: of the column; no part of ``hash``, so a renamed column is recognised.
        type: from the values.
        nulls: how many rows have no value.
        distinct: how many different values there are, exactly.
        smallest: canonical text of the least value (numbers by size without NaN, others by code point); "" without.
        largest: of the greatest.
        hash: 32 hex digits.
    """

    name: str
    type: LogicalType
    nulls: int
    distinct: int
    smallest: str
    largest: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A table's content.

    Attributes:
        rows: how many.
        columns: by name.
        rows_hash: 32 hex digits over whole rows.
        algorithm: ``ALGORITHM``.
    """

    rows: int
    columns: tuple[ColumnPrint, ...]
    rows_hash: str
    algorithm: str = ALGORITHM

    @property
    def digest(self) -> str:
        """``sha256:`` and 64 hex digits over the canonical JSON of everything above."""
        return digest_of(to_json(self))

    def column(self, name: str) -> ColumnPrint | None:
        """The column of that name, or None."""
        return next((item for item in self.columns if item.name == name), None)


def fingerprint(table: Table) -> Fingerprint:
    """Take the fingerprint: one grouping scan a column and one scan over whole rows.

    Parquet is scanned in place; a text file is parsed once and held in memory.

    Raises:
        UnreadableData: a column is nested, binary or an interval (RW-103).
    """
    if not table.typed:
        table = from_arrow(table.to_arrow(), table.name)
    columns = sorted(table.columns, key=lambda column: column.name)
    cells = ", ".join(f"coalesce(strlen(t{k}) || ':' || t{k}, 'n')" for k in range(len(columns)))
    texts = ", ".join(f"{canonical_text(column)} AS t{k}" for k, column in enumerate(columns))
    # 3. Rows.
    ((high, low),) = table.query(
        f"SELECT SUM({_limb('h', 1)}), SUM({_limb('h', 17)}) FROM "
        f"(SELECT sha256(concat({cells})) AS h FROM (SELECT {texts} FROM data))"
    )
    return Fingerprint(
        rows=table.row_count,
        columns=tuple(_column(table, column) for column in columns),
        rows_hash=_joined(high, low),
    )


def canonical_text(column: Column) -> str:
    """SQL for the canonical text of a column's values, null where there is none (step 1).

    Raises:
        UnreadableData: the type has no canonical text (RW-103).
    """
    name, kind = quote(column.name), column.type
    base = kind.split("(")[0]
    if base in _TEXTS:
        return f"NULLIF(CAST({name} AS VARCHAR), '')"
    if base in _WHOLE or base in {"BOOLEAN", "DATE"}:
        return f"CAST({name} AS VARCHAR)"
    if base == "DOUBLE":
        return _double_text(name)
    if base == "FLOAT":
        # Through its own shortest digits: 0.1 stored in 32 bits means one tenth, not 0.10000000149.
        return _double_text(f"CAST(CAST({name} AS VARCHAR) AS DOUBLE)")
    if base == "DECIMAL":
        exact_text = f"regexp_replace(CAST({name} AS VARCHAR), '(\\.[0-9]*?)0*$', '\\1')"
        double = f"CAST({name} AS DOUBLE)"
        return (
            f"CASE WHEN TRY_CAST({double} AS {kind}) = {name} THEN {_double_text(double)} "
            f"ELSE rtrim({exact_text}, '.') END"
        )
    if base in _INSTANTS:
        return _instant_text(f"make_timestamp(epoch_us({name}))")
    if base == "TIMESTAMP_NS":
        return _instant_text(name)
    if base == '"NULL"':
        return "CAST(NULL AS VARCHAR)"
    raise UnreadableData(
        f"The column {column.name!r} is stored as {kind}, which has no canonical text.",
        remedy="Take it apart into flat columns, or leave it out.",
        where=column.name,
    )


def differing_columns(one: Fingerprint, other: Fingerprint) -> tuple[str, ...]:
    """The columns that only one of the two has, or that hold other values; sorted.

    Two fingerprints can differ without one: the same values in other rows.
    """
    mine, theirs = set(one.columns), set(other.columns)
    return tuple(sorted({column.name for column in mine ^ theirs}))


def _double_text(value: str) -> str:
    # NaN is the greatest double here, so it takes the other branch, as infinities do; minus zero becomes 0.
    whole = f"{value} = trunc({value}) AND abs({value}) < 1e22"
    return f"CASE WHEN {whole} THEN CAST(CAST({value} AS HUGEINT) AS VARCHAR) ELSE CAST({value} AS VARCHAR) END"


def _instant_text(value: str) -> str:
    text = f"CAST({value} AS VARCHAR)"
    midnight = f"{value} = date_trunc('day', {value})"
    return f"CASE WHEN {midnight} THEN CAST(CAST({value} AS DATE) AS VARCHAR) ELSE replace({text}, ' ', 'T') END"


def _column(table: Table, column: Column) -> ColumnPrint:
    text = canonical_text(column)
    kind = _stored_type(column)
    # 2. Equal values are hashed once and counted; 0.0 and -0.0 are one group to the engine, as they are one text here.
    texts = (
        f"WITH g AS (SELECT {quote(column.name)}, COUNT(*) AS n FROM data GROUP BY 1), "
        f"v AS (SELECT {text} AS t, n FROM g), h AS (SELECT t, n, sha256(t) AS h FROM v)"
    )
    looks = ", ".join(f"COUNT(*) FILTER ({test})" for test in _LOOKS_LIKE.values()) if kind is None else "0"
    ((nulls, distinct, high, low, *like),) = table.query(
        f"{texts} SELECT coalesce(SUM(n) FILTER (t IS NULL), 0), COUNT(t), "
        f"SUM(n * {_limb('h', 1)}), SUM(n * {_limb('h', 17)}), {looks} FROM h"
    )
    # 4. Only text can turn out to be something else.
    if distinct == 0:
        kind = LogicalType.EMPTY
    if kind is None:
        kind = next((k for k, hits in zip(_LOOKS_LIKE, like, strict=True) if hits == distinct), LogicalType.TEXT)
    ((smallest, largest),) = table.query(_ends(column, text, kind))
    return ColumnPrint(
        name=column.name,
        type=kind,
        nulls=int(nulls),
        distinct=distinct,
        smallest=smallest or "",
        largest=largest or "",
        hash=_joined(high, low),
    )


def _ends(column: Column, text: str, kind: LogicalType) -> str:
    name = quote(column.name)
    if kind is LogicalType.NUMBER and _stored_type(column) is None:
        # Among texts, 10 comes before 9; the text itself decides between equal doubles.
        number = f"{{'d': CAST({text} AS DOUBLE), 't': {text}}}"
        return f"SELECT MIN({number}).t, MAX({number}).t FROM data WHERE {text} <> 'nan'"
    if _stored_type(column) is None:
        return f"SELECT MIN({text}), MAX({text}) FROM data"
    real = f"WHERE NOT isnan({name})" if column.type in {"DOUBLE", "FLOAT"} else ""
    least, most = (canonical_text(Column(name=end, type=column.type)) for end in ("least", "most"))
    return f"SELECT {least}, {most} FROM (SELECT MIN({name}) AS least, MAX({name}) AS most FROM data {real})"


def _stored_type(column: Column) -> LogicalType | None:
    base = column.type.split("(")[0]
    if base in _TEXTS:
        return None
    if base in _WHOLE or base in {"DOUBLE", "FLOAT", "DECIMAL"}:
        return LogicalType.NUMBER
    return LogicalType.BOOLEAN if base == "BOOLEAN" else LogicalType.TIME


_LOOKS_LIKE = {
    LogicalType.NUMBER: (
        "regexp_full_match(t, '0|-?[1-9][0-9]{0,37}') OR " + _double_text("TRY_CAST(t AS DOUBLE)") + " = t"
    ),
    LogicalType.TIME: (
        "regexp_matches(t, '^[0-9]{4}-[0-9]{2}-[0-9]{2}') AND " + _instant_text("TRY_CAST(t AS TIMESTAMP)") + " = t"
    ),
    LogicalType.BOOLEAN: "t IN ('true', 'false')",
}


def _limb(digest: str, start: int) -> str:
    # 64 of the digest's bits, wide enough to be summed over 2**63 rows.
    return f"CAST(CAST(CAST(unhex(substr({digest}, {start}, 16)) AS BIT) AS UBIGINT) AS HUGEINT)"


def _joined(high: int | None, low: int | None) -> str:
    total = ((int(high or 0) << 64) + int(low or 0)) % (1 << _BITS)
    return f"{total:032x}"
