"""One column never passes another: start and end, part and whole. Owns the inference of such comparisons.

A comparison is believed when it holds in every row, the two columns overlap (otherwise their ranges say it already), and
unrelated columns would hardly have kept it: the chance that a random value of the one passes a random value of the other,
over all rows, leaves a probability of at most the level divided by the number of pairs. What follows from two others is
left out.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from roadworthy.measure.comparison import Comparison, Reading, parse_clauses
from roadworthy.measure.infer.candidate import Candidate, rule_on
from roadworthy.measure.infer.column import ColumnValues
from roadworthy.measure.infer.options import InferOptions
from roadworthy.measure.rule import Dimension, Kind
from roadworthy.measure.table import quote

_OVERLAP_LEAST = 0.05


def orders(columns: Sequence[ColumnValues], options: InferOptions) -> tuple[Candidate, ...]:
    """Comparisons ``small <= large`` (or ``=``) that hold in every row that has both."""
    kinds = (
        (Reading.NUMBER, [column for column in columns if column.quantity and _measures(column)]),
        (Reading.INSTANT, [column for column in columns if column.moment]),
    )
    pairs = [(reading, one, other) for reading, group in kinds for one, other in combinations(group, 2)]
    level = (1 - options.confidence) / max(len(pairs), 1)
    found: dict[tuple[str, str], Candidate] = {}
    for reading, one, other in pairs:
        candidate = _ordered(reading, one, other, level, options) or _ordered(reading, other, one, level, options)
        if candidate is not None:
            small, large = candidate.rule.columns
            found[small, large] = candidate
    links = set(found)
    return tuple(
        candidate
        for (small, large), candidate in found.items()
        if not any((small, middle) in links and (middle, large) in links for _, middle in links)
    )


def _measures(column: ColumnValues) -> bool:
    # A running number is in no order with a measurement, whatever the rows say.
    return column.repeated or column.logical_type == "number"


def _ordered(
    reading: Reading, small: ColumnValues, large: ColumnValues, level: float, options: InferOptions
) -> Candidate | None:
    low, high = _rows(small), _rows(large)
    both = np.isfinite(low) & np.isfinite(high)
    backing = int(both.sum())
    if backing < options.least_rows or (low[both] > high[both]).any():
        return None
    passing = _passing(low[both], high[both])
    if passing < _OVERLAP_LEAST or backing * -np.log1p(-min(passing, 1 - 1e-12)) < -np.log(level):
        return None
    sign = "=" if (low[both] == high[both]).all() else "<="
    source = f"{quote(small.name)} {sign} {quote(large.name)}"
    rule = replace(
        rule_on(large, Kind.COMPARISON, Dimension.CONSISTENCY, f"from.{small.name}"),
        columns=(small.name, large.name),
        comparison=Comparison(clauses=parse_clauses(source), reading=reading, source=source),
    )
    words = f"{small.name} {sign} {large.name} in all of them; by chance {100 * passing:.0f} % would break it"
    return Candidate(rule=rule, lone=np.zeros(len(low), dtype=np.bool_), backing=backing, words=words)


def _rows(column: ColumnValues) -> NDArray[np.float64]:
    return np.append(column.numbers, np.nan)[column.codes]


def _passing(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    """The chance that a random value of the one is greater than a random value of the other."""
    below = np.searchsorted(np.sort(high), low, side="left")
    return float(below.mean()) / len(high)
