"""How far a window has moved from its reference: severity. Owns the list of effects; whether to alarm is ``alarm``'s.

Rules kept here:
1. A severity is an interval without bias, never a bare number: the same counts give three different "PSI" in three
   products, and a sample of 100 rows on 20 cells shows a PSI above 0.1 when nothing moved.
2. Thin cells are merged first where the effect is a sum over cells (PSI, Jensen-Shannon, total variation); see
   ``cells``.
   KS and Wasserstein add cells up along the scale and need no merging. Merging makes no difference but hides some: rare
   categories that exchange their shares cancel out. So estimate and lower end speak of merged cells, and the upper end
   is the higher one of theirs and of the cells as they are.
3. What cannot be told is NaN in all three numbers: a sample below ``LEAST_ROWS``, one cell only, a scale without unit.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.cells import EXPECTED_ROWS_OF_MANY, CellCounts, Columns, columns_of, merged
from roadworthy.stats.distances import Distance, kolmogorov_smirnov, total_variation
from roadworthy.stats.divergences import Divergence, jensen_shannon, population_stability
from roadworthy.stats.sample import BoolArray, check_confidence
from roadworthy.stats.transport import wasserstein


class Effect(StrEnum):
    """What is measured between two rows of cell counts; 0 means no difference for each of them."""

    PSI = "psi"
    """Population stability index in nats, half a row added inside the logarithms; shares below 1e-9 count as 1e-9."""

    JENSEN_SHANNON = "jensen_shannon"
    """Jensen-Shannon divergence to base 2, from 0 to 1 bit; its square root is the distance of scipy's
    ``jensenshannon(p, q, base=2)``."""

    TOTAL_VARIATION = "total_variation"
    """Half the sum of the differences in share, from 0 to 1."""

    WASSERSTEIN = "wasserstein"
    """Mean distance to carry a row, in interquartile ranges of the reference, between the first and the last edge.
    A row that becomes null (or changes its kind otherwise) costs one range."""

    KOLMOGOROV_SMIRNOV = "kolmogorov_smirnov"
    """Largest difference of the distribution functions at an edge, or in the share of an unordered cell; 0 to 1."""


LAWS: dict[Effect, Callable[[Columns], Divergence | Distance]] = {
    Effect.PSI: population_stability,
    Effect.JENSEN_SHANNON: jensen_shannon,
    Effect.TOTAL_VARIATION: total_variation,
    Effect.WASSERSTEIN: wasserstein,
    Effect.KOLMOGOROV_SMIRNOV: kolmogorov_smirnov,
}
ON_MERGED_CELLS = frozenset({Effect.PSI, Effect.JENSEN_SHANNON, Effect.TOTAL_VARIATION})


LEAST_ROWS = 50
"""Rows that either sample needs: below, the laws that bounds are read from were not found to hold."""


class Measured(NamedTuple):
    """One effect in c columns.

    Attributes:
        law: estimates, bounds and tails; what it says of a column that is not ``able`` means nothing.
        able: whether anything can be told of the column, shape (c,).
        columns: the counts as used, merged where the effect asks for it.
    """

    law: Divergence | Distance
    able: BoolArray
    columns: Columns


def severity(
    effect: Effect,
    reference: ArrayLike,
    current: ArrayLike,
    *,
    ordered: int = 0,
    edges: Sequence[float] | None = None,
    confidence: float = 0.95,
) -> Interval:
    """The effect between two rows of counts on the same cells, with a two-sided interval at ``confidence``.

    Args:
        effect: what to measure; its unit stands with its name.
        reference: integers, shape (k,): ordered cells first.
        current: integers, shape (k,).
        ordered: how many of the cells, from the first, are ordered.
        edges: the ``ordered - 1`` values between them; needed for Wasserstein only.
        confidence: two-sided level in (0, 1).

    Returns:
        The interval, whose ``n`` is the smaller sample; unknown where the counts cannot tell.

    Raises:
        ParameterError: the counts, edges or level make no sense (RW-114).
    """
    counts = CellCounts(reference=reference, current=current, ordered=ordered, edges=edges)
    columns = columns_of([counts])
    return unhidden(effect, measured(effect, columns), columns, confidence)[0]


def measured(effect: Effect, columns: Columns, expected_rows: float = EXPECTED_ROWS_OF_MANY) -> Measured:
    """One effect in all columns at once, on cells of ``expected_rows`` where the effect asks for merging.

    Raises:
        ParameterError: Wasserstein without edges (RW-114).
    """
    if effect in ON_MERGED_CELLS:
        columns = merged(columns, expected_rows)
    # An empty window divides by 0; it is marked as not able right below.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        law = LAWS[effect](columns)
    rows = np.minimum(columns.reference_rows, columns.current_rows)
    return Measured(law, (rows >= LEAST_ROWS) & (columns.filled > 1) & np.isfinite(law.value), columns)


def unhidden(effect: Effect, effects: Measured, columns: Columns, confidence: float) -> list[Interval]:
    """The interval of each column, its upper end raised to the one of the cells as they are (rule 2).

    Args:
        effect: what was measured.
        effects: the measurement, on merged cells where the effect asks for it.
        columns: the counts that it was made from, before merging.
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: the level is outside (0, 1) (RW-114).
    """
    coarse = intervals(effects, confidence)
    if effect not in ON_MERGED_CELLS:
        return coarse
    fine = intervals(measured(effect, columns, expected_rows=0.0), confidence)
    # NaN wins: without a bound for the cells as they are there is none.
    return [
        replace(one, upper=float(np.maximum(one.upper, each.upper))) for one, each in zip(coarse, fine, strict=True)
    ]


def intervals(effects: Measured, confidence: float) -> list[Interval]:
    """The interval of each column on the cells as measured, merged or not.

    Raises:
        ParameterError: the level is outside (0, 1) (RW-114).
    """
    error = (1 - check_confidence(confidence)) / 2
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        point, low, high = effects.law.estimate(), effects.law.lower(error), effects.law.upper(error)
    rows = np.minimum(effects.columns.reference_rows, effects.columns.current_rows).astype(int)
    return [
        Interval(
            estimate=float(point[each]),
            lower=float(min(low[each], point[each])),
            upper=float(max(high[each], point[each])),
            n=int(rows[each]),
            confidence=confidence,
        )
        if effects.able[each]
        else unknown(int(rows[each]))
        for each in range(len(rows))
    ]
