"""Columns whose values never repeat. Owns the candidates for keys; whether they identify anything, a person says.

Rules kept here:
1. Only names, codes and whole numbers can identify; that a measurement never repeats is chance.
2. A pair of columns is a candidate when no single column is, both are always filled, and unrelated columns would have
   repeated a pair: the expected number of repetitions by chance, n (n - 1) / 2 times the chances that two rows agree in
   the one and in the other, is at least minus the logarithm of the level divided by the number of pairs.
3. Of several pairs, the one that would have repeated most often by chance is kept.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from roadworthy.measure.infer.candidate import Candidate, rule_on
from roadworthy.measure.infer.column import ColumnValues
from roadworthy.measure.infer.options import InferOptions
from roadworthy.measure.rule import NONE_ALLOWED, Dimension, Kind, Rule


def keys(columns: Sequence[ColumnValues], options: InferOptions) -> tuple[Candidate, ...]:
    """Columns without a repetition, or else one such pair."""
    naming = [column for column in columns if column.logical_type in {"string", "integer"}]
    single = tuple(_single(column) for column in naming if not column.repeated and column.filled >= options.least_rows)
    return single or _pair(naming, options)


def _single(column: ColumnValues) -> Candidate:
    return Candidate(
        rule=rule_on(column, Kind.DUPLICATE, Dimension.UNIQUENESS, "duplicateValues"),
        lone=np.zeros(len(column.codes), dtype=np.bool_),
        backing=column.filled,
        words="no value twice",
    )


def _pair(naming: Sequence[ColumnValues], options: InferOptions) -> tuple[Candidate, ...]:
    pairs = list(combinations([column for column in naming if (column.codes >= 0).all()], 2))
    best: tuple[float, Candidate] | None = None
    for one, other in pairs:
        rows = len(one.codes)
        by_chance = rows * (rows - 1) / 2 * _agreement(one) * _agreement(other)
        enough = rows >= options.least_rows and by_chance >= -np.log((1 - options.confidence) / len(pairs))
        if not enough or (best is not None and by_chance <= best[0]):
            continue
        if len(np.unique(one.codes * len(other.values) + other.codes)) == rows:
            best = by_chance, _together(one, other, by_chance)
    return () if best is None else (best[1],)


def _agreement(column: ColumnValues) -> float:
    """The chance that two different rows have the same value."""
    rows = column.filled
    return float((column.counts * (column.counts - 1)).sum()) / (rows * (rows - 1)) if rows > 1 else 0.0


def _together(one: ColumnValues, other: ColumnValues, by_chance: float) -> Candidate:
    rule = Rule(
        rule_id=f"uniqueness.{one.name}+{other.name}.duplicateValues",
        dimension=Dimension.UNIQUENESS,
        kind=Kind.DUPLICATE,
        columns=(one.name, other.name),
        bound=NONE_ALLOWED,
        line=1,
    )
    words = f"no pair twice; unrelated columns would repeat {by_chance:.0f}"
    return Candidate(rule=rule, lone=np.zeros(len(one.codes), dtype=np.bool_), backing=len(one.codes), words=words)
