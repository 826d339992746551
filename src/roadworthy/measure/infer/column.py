"""One column as its distinct values and where they stand. Owns this form and the logical type; infers no rule.

Everything below works on distinct values and their counts, so a long table costs little more than its variety.

Rules kept here:
1. A type that the source declares is taken as it is. Text from a file without types is read by the shapes of
   ``reading``, the same that the contract is run with.
2. Whole numbers with a leading zero, or all with the same five or more digits, are codes (postal, telephone), not
   quantities: they stay text.
3. A type is only given when every value has it.
"""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roadworthy.measure.reading import CLOCK, INSTANT, MOJIBAKE, NUMBER, instant_of, is_missing, number_of, text_of
from roadworthy.measure.stored import is_numeric, is_text
from roadworthy.measure.table import Table

_CODE_DIGITS = 5
_EXACT_DIGITS = 15
_DAY = 10
_is_whole = re.compile(r"[+-]?[0-9]+").fullmatch
_is_number = re.compile(NUMBER).fullmatch
_is_instant = re.compile(INSTANT).fullmatch
_is_clock = re.compile(CLOCK).fullmatch
_is_broken = re.compile(MOJIBAKE).search
_TRUTHS = frozenset({"true", "false"})
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


@dataclass(frozen=True, kw_only=True)
class ColumnValues:
    """A column.

    Attributes:
        name: in the data.
        logical_type: ODCS' word; "" where none fits all values.
        codes: for each row the index of its value, -1 where it is missing; shape (rows,).
        values: the distinct values.
        texts: the same as the rules read them as text.
        counts: rows of each value; shape (len(values),).
    """

    name: str
    logical_type: str
    codes: NDArray[np.int64]
    values: tuple[object, ...]
    texts: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def filled(self) -> int:
        """Rows with a value."""
        return int(self.counts.sum())

    @property
    def quantity(self) -> bool:
        """Whether it holds numbers to measure with."""
        return self.logical_type in {"number", "integer"}

    @property
    def moment(self) -> bool:
        """Whether it holds dates or instants."""
        return self.logical_type in {"date", "timestamp"}

    @property
    def nameable(self) -> bool:
        """Whether equal values mean the same thing: names, codes, flags and whole numbers, but no measurements."""
        return self.logical_type != "number"

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """The distinct values as numbers, or as microseconds since 1970; NaN where neither."""
        read = instant_of if self.moment else number_of
        return np.array([np.nan if (x := read(value)) is None else x for value in self.values], dtype=np.float64)

    @cached_property
    def repeated(self) -> bool:
        """Whether a value occurs twice."""
        return bool((self.counts > 1).any())

    def rows_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows hold one of the chosen distinct values; shape (rows,)."""
        # The last element answers for -1, the missing value.
        return np.append(chosen, False)[self.codes]


def read_columns(table: Table) -> tuple[ColumnValues, ...]:
    """All columns of a table that hold plain values; lists, structures and bytes are left out.

    Raises:
        UnreadableData: the file broke while it was read (RW-103).
    """
    names = [column.name for column in table.columns if _is_plain(column.type)]
    rows = table.to_arrow(names)
    return tuple(_column(name, rows.column(name), table) for name in names)


def _is_plain(stored: str) -> bool:
    return not stored.endswith("]") and not stored.startswith(("STRUCT", "MAP", "UNION", "BLOB", "BIT", "INTERVAL"))


def _column(name: str, chunks: pa.ChunkedArray, table: Table) -> ColumnValues:
    if pa.types.is_timestamp(chunks.type):
        # Python has no nanoseconds, and neither have the rules.
        chunks = chunks.cast(pa.timestamp("us", tz=chunks.type.tz), safe=False)
    coded = chunks.combine_chunks()
    if not pa.types.is_dictionary(coded.type):
        coded = pc.dictionary_encode(coded)
    raw = coded.dictionary.to_pylist()
    kept = [index for index, value in enumerate(raw) if not is_missing(value)]
    # The last element answers for null.
    new = np.full(len(raw) + 1, -1, dtype=np.int64)
    new[kept] = np.arange(len(kept))
    codes = new[pc.fill_null(coded.indices, len(raw)).to_numpy(zero_copy_only=False)]
    counts = np.bincount(codes[codes >= 0], minlength=len(kept)).astype(np.int64)
    seen = [index for index in range(len(kept)) if counts[index]]
    back = np.full(len(kept) + 1, -1, dtype=np.int64)
    back[seen] = np.arange(len(seen))
    values = tuple(raw[kept[index]] for index in seen)
    texts = tuple(text_of(value) or "" for value in values)
    return ColumnValues(
        name=name,
        logical_type=_logical_type(table.type_of(name), texts, typed=table.typed),
        codes=back[codes],
        values=values,
        texts=texts,
        counts=counts[seen],
    )


def _logical_type(stored: str, texts: tuple[str, ...], *, typed: bool) -> str:
    if not texts:
        return ""
    if is_text(stored):
        return _stored_text(texts) if typed else _shape_of(texts)
    if is_numeric(stored):
        return "integer" if stored in _INTEGERS else "number"
    words = {"BOOLEAN": "boolean", "DATE": "date", "TIME": "time"}
    return "timestamp" if stored.startswith("TIMESTAMP") else words.get(stored, "")


def _shape_of(texts: tuple[str, ...]) -> str:
    if all(_is_number(text) for text in texts):
        return _number_or_code(texts)
    if all(_is_instant(text) and instant_of(text) is not None for text in texts):
        return "date" if all(len(text) == _DAY for text in texts) else "timestamp"
    if all(_is_clock(text) for text in texts):
        return "time"
    return "boolean" if all(text.lower() in _TRUTHS for text in texts) else _stored_text(texts)


def _number_or_code(texts: tuple[str, ...]) -> str:
    whole = [text for text in texts if _is_whole(text)]
    digits = {len(text.lstrip("+-")) for text in whole}
    led_by_zero = any(len(text.lstrip("+-")) > 1 and text.lstrip("+-").startswith("0") for text in whole)
    same = len(whole) == len(texts) and len(digits) == 1 and min(digits) >= _CODE_DIGITS
    if led_by_zero or same or (digits and max(digits) > _EXACT_DIGITS):
        return "string"
    return "integer" if all(float(text).is_integer() for text in texts) else "number"


def _stored_text(texts: tuple[str, ...]) -> str:
    # Declaring text promises sound encoding, without any tolerance: not where the clean table itself breaks it.
    return "" if any(not text.isascii() and _is_broken(text) for text in texts) else "string"
