"""Numbers that stand for "missing". Owns their detection and the comparison of two copies; corrects nothing.

A cholesterol of 0 is no measurement, and a model that never saw it will take it for one. Such numbers enter when a
missing value is written as 0, -9 or 999. Four signs give them away, from certain to suspicious; the first that applies
is reported.

1. DECLARED: the contract calls it a sentinel.
2. IMPOSSIBLE: a usual sentinel lies outside the declared set or range.
3. CONSTANT: a usual sentinel makes up at least 95 % of the values of a cohort of 20 or more.
4. ISOLATED: a usual sentinel makes up at least 2 % of a cohort's values and lies further from the nearest number
   that is no usual sentinel than the width of the middle half of those.

Rules kept here: only numeric columns; nulls are counted beside, never as values. A constant may be honest (a ward
without the condition): that is why it is a finding for a person, with its sign, and not a corrected value.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from roadworthy.base.errors import ContractError
from roadworthy.measure.rule import Contract, Field, Limits
from roadworthy.measure.stored import is_numeric
from roadworthy.measure.table import Table, quote

USUAL = (0.0, -1.0, -9.0, -99.0, -999.0, -9999.0, 9.0, 99.0, 999.0, 9999.0, 99999.0)
_CONSTANT_SHARE = 0.95
_CONSTANT_ROWS = 20
_ISOLATED_SHARE = 0.02
_ISOLATED_OTHERS = 10


class Sign(Enum):
    """Why a number is taken for a sentinel."""

    DECLARED = "declared as a sentinel"
    IMPOSSIBLE = "outside the declared values"
    CONSTANT = "nearly constant in a cohort"
    ISOLATED = "far from all other values"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelFinding:
    """A number that looks like "missing".

    Attributes:
        column: where it stands.
        value: the number.
        cohort: whose rows; "" for the whole table.
        rows: how many rows hold it.
        n: how many rows the cohort has.
        nulls: how many of these are null.
        sign: why it is suspected.
    """

    column: str
    value: float
    cohort: str
    rows: int
    n: int
    nulls: int
    sign: Sign

    @property
    def what(self) -> str:
        """One sentence for a person."""
        where = f" in {self.cohort}" if self.cohort else ""
        return f"{self.column} is {self.value:g} in {self.rows} of {self.n} rows{where}: {self.sign.value}."


@dataclass(frozen=True, slots=True, kw_only=True)
class RecodingFinding:
    """A column whose nulls became a number in a copy.

    Attributes:
        column: where.
        value: the number that most of them became.
        rows: how many nulls became that number.
        nulls: how many nulls the original has.
    """

    column: str
    value: float
    rows: int
    nulls: int


def find_sentinels(table: Table, contract: Contract, cohort: str | None = None) -> tuple[SentinelFinding, ...]:
    """Look at every numeric column, by cohort.

    Args:
        table: the data.
        contract: declared sentinels, sets and ranges.
        cohort: the column to split by; None looks at the whole table.

    Returns:
        Findings in order of column, cohort and value.

    Raises:
        ContractError: ``cohort`` is no column (RW-106).
    """
    groups = cohort_rows(table, cohort)
    found: list[SentinelFinding] = []
    for column in table.columns:
        if column.name == cohort or not is_numeric(column.type):
            continue
        declared = contract.field(column.name) or Field(name=column.name)
        values = numbers(table, column.name)
        for name, rows in groups:
            found.extend(_in_cohort(declared, values[rows], name))
    return tuple(found)


def compare_missing_coding(original: Table, copy: Table) -> tuple[RecodingFinding, ...]:
    """How the nulls of an original are written in an altered copy of it, row by row.

    Returns:
        One finding for each shared column in which nulls became numbers.

    Raises:
        ContractError: the tables have no shared column, or different numbers of rows (RW-106).
    """
    shared = [name for name in original.column_names if name in copy.column_names]
    if original.row_count != copy.row_count or not shared:
        raise ContractError(
            f"{copy.name} ({copy.row_count} rows) is no copy of {original.name} ({original.row_count} rows).",
            remedy="Compare files with the same rows and columns.",
        )
    found = []
    for name in shared:
        if not (is_numeric(original.type_of(name)) and is_numeric(copy.type_of(name))):
            continue
        before, after = numbers(original, name), numbers(copy, name)
        became = after[np.isnan(before) & ~np.isnan(after)]
        if became.size:
            values, counts = np.unique(became, return_counts=True)
            top = int(counts.argmax())
            nulls = int(np.isnan(before).sum())
            found.append(RecodingFinding(column=name, value=float(values[top]), rows=int(counts[top]), nulls=nulls))
    return tuple(found)


def cohort_rows(table: Table, cohort: str | None) -> list[tuple[str, NDArray[np.intp]]]:
    """The row numbers of each cohort, sorted by name; one nameless cohort of all rows when ``cohort`` is None.

    Raises:
        ContractError: no such column (RW-106).
    """
    if cohort is None:
        return [("", np.arange(table.row_count))]
    table.type_of(cohort)
    labels = [row[0] for row in table.query(f"SELECT CAST({quote(cohort)} AS VARCHAR) FROM data ORDER BY __row")]
    names = np.array(["" if label is None else label for label in labels])
    return [(str(name), np.flatnonzero(names == name)) for name in np.unique(names)]


def numbers(table: Table, name: str) -> NDArray[np.float64]:
    """A numeric column as float64, shape (row_count,), null as NaN."""
    column = table.query(f"SELECT TRY_CAST({quote(name)} AS DOUBLE) FROM data ORDER BY __row")
    return np.array([np.nan if row[0] is None else row[0] for row in column], dtype=np.float64)


def _in_cohort(declared: Field, values: NDArray[np.float64], cohort: str) -> list[SentinelFinding]:
    present = values[~np.isnan(values)]
    found = []
    for value in sorted({*declared.sentinels, *USUAL}):
        rows = int((present == value).sum())
        sign = _sign(declared, present, value, rows) if rows else None
        if sign is not None:
            found.append(
                SentinelFinding(
                    column=declared.name,
                    value=value,
                    cohort=cohort,
                    rows=rows,
                    n=values.size,
                    nulls=values.size - present.size,
                    sign=sign,
                )
            )
    return found


def _sign(declared: Field, present: NDArray[np.float64], value: float, rows: int) -> Sign | None:
    if value in declared.sentinels:
        return Sign.DECLARED
    if _impossible(declared, value):
        return Sign.IMPOSSIBLE
    if rows >= _CONSTANT_SHARE * present.size and present.size >= _CONSTANT_ROWS:
        return Sign.CONSTANT
    # A value that the contract lists may stand apart; only a cohort that has nothing else is worth a question then.
    if value in declared.valid_values:
        return None
    # Without the other usual sentinels: -9 and 0 side by side must not hide each other.
    others = present[~np.isin(present, USUAL)]
    if rows < _ISOLATED_SHARE * present.size or others.size < _ISOLATED_OTHERS:
        return None
    low, high = np.quantile(others, [0.25, 0.75])
    gap = float(np.abs(others - value).min())
    return Sign.ISOLATED if high > low and gap > high - low else None


def _impossible(declared: Field, value: float) -> bool:
    numeric = [v for v in declared.valid_values if isinstance(v, int | float) and not isinstance(v, bool)]
    if numeric and value not in numeric:
        return True
    limits = declared.limits or Limits()
    if isinstance(limits.lower, int | float) and (
        value < limits.lower or (value == limits.lower and not limits.lower_inclusive)
    ):
        return True
    return isinstance(limits.upper, int | float) and (
        value > limits.upper or (value == limits.upper and not limits.upper_inclusive)
    )
