"""Cohorts that measure in another unit. Owns the comparison of medians with known factors; converts nothing.

A site that reports millimetres instead of centimetres passes most range checks and ruins a model. Its median gives it
away: it differs from where the median should be by almost exactly a factor between two units.

Algorithm, for each numeric column with a unit or a declared median range:
1. The reference is the declared range, else the middle one of all cohorts' medians, on the scale of logarithms. That
   needs three cohorts, and that fewer than half of them are in another unit.
2. A cohort whose median lies within the range, or within a factor of 1.5 of the reference, is fine.
3. Otherwise the factor nearest to ratio = median / reference is named if it explains the ratio to within 20 %, or, for
   a declared range, if dividing by it brings the median into the range.

Rules kept here: cohorts with fewer than 10 values are not judged; offsets (Celsius and Fahrenheit) are not factors.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadworthy.measure.rule import Contract, Field
from roadworthy.measure.sentinel import cohort_rows, numbers
from roadworthy.measure.stored import is_numeric
from roadworthy.measure.table import Table

# Powers of ten; inch, pound, ounce, foot; cholesterol, glucose and creatinine between mmol (or umol) and mg/dl.
_UP = (10.0, 100.0, 1_000.0, 1_000_000.0, 2.54, 25.4, 2.20462, 28.3495, 3.28084, 38.67, 18.016, 88.42)
FACTORS = tuple(sorted((*_UP, *(1 / factor for factor in _UP))))
_ENOUGH = 10
_FINE = 1.5
_EXPLAINED = 1.2
_COHORTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSwapFinding:
    """A cohort that looks as if it measured in another unit.

    Attributes:
        column: where.
        cohort: whose rows; "" for the whole table.
        unit: the declared unit, "" when none is.
        median: of the cohort, as stored.
        reference: where the median should be.
        factor: values are about this many times too large (below 1: too small).
        n: how many values the median rests on.
    """

    column: str
    cohort: str
    unit: str
    median: float
    reference: float
    factor: float
    n: int

    @property
    def what(self) -> str:
        """One sentence for a person."""
        where = f" in {self.cohort}" if self.cohort else ""
        unit = f" {self.unit}" if self.unit else ""
        return (
            f"{self.column}{where} has the median {self.median:g} where {self.reference:g}{unit} is usual: "
            f"about {self.factor:g} times, as in another unit ({self.n} values)."
        )


def find_unit_swaps(table: Table, contract: Contract, cohort: str | None = None) -> tuple[UnitSwapFinding, ...]:
    """Compare the medians of cohorts.

    Args:
        table: the data.
        contract: units and plausible medians.
        cohort: the column to split by; None judges the whole table, against declared ranges only.

    Raises:
        ContractError: ``cohort`` is no column (RW-106).
    """
    groups = cohort_rows(table, cohort)
    found: list[UnitSwapFinding] = []
    for declared in contract.fields:
        measured = bool(declared.unit or declared.median_range)
        if not measured or declared.name not in table.column_names or not is_numeric(table.type_of(declared.name)):
            continue
        values = _measurements(table, declared)
        medians = {
            name: (float(np.median(kept)), kept.size)
            for name, rows in groups
            if (kept := values[rows][~np.isnan(values[rows])]).size >= _ENOUGH
        }
        for name, (median, n) in medians.items():
            judged = _judge(declared, median, [positive for positive, _ in medians.values() if positive > 0])
            if judged is not None:
                reference, factor = judged
                found.append(
                    UnitSwapFinding(
                        column=declared.name,
                        cohort=name,
                        unit=declared.unit,
                        median=median,
                        reference=reference,
                        factor=factor,
                        n=n,
                    )
                )
    return tuple(found)


def _measurements(table: Table, declared: Field) -> NDArray[np.float64]:
    values = numbers(table, declared.name)
    # Sentinels are no measurements and would pull a median to zero.
    values[np.isin(values, declared.sentinels)] = np.nan
    return values


def _judge(declared: Field, median: float, medians: list[float]) -> tuple[float, float] | None:
    # 1. Where the median should be.
    if declared.median_range is not None:
        low, high = declared.median_range
        reference = math.sqrt(low * high) if low > 0 else (low + high) / 2
    elif len(medians) >= _COHORTS:
        reference = math.exp(float(np.median(np.log(medians))))
        low, high = sorted((reference / _FINE, reference * _FINE))
    else:
        return None
    # 2. Fine, or not comparable by a factor.
    if low <= median <= high or reference <= 0 or median <= 0:
        return None
    # 3. The factor that explains it.
    ratio = median / reference
    factor = min(FACTORS, key=lambda known: abs(math.log(ratio / known)))
    explained = abs(math.log(ratio / factor)) <= math.log(_EXPLAINED)
    inside = declared.median_range is not None and low <= median / factor <= high
    return (reference, factor) if explained or inside else None
