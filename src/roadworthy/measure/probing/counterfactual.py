"""Does a decision change when only the site does? Owns the swap of acquisition columns; asks any model.

Algorithm of ``swap_site``:
1. For each row draw another site, each equally likely, and a donor row there.
2. Take all acquisition columns from that one donor, so that their combination is one that occurs.
3. Score the rows as they are, once more as they are, and swapped.
4. A decision flips when the score crosses the threshold; the share of flips has Wilson's interval. The share that
   flips between the two scorings of the same rows is what the model does on its own.

Rules kept here: a row whose score is not finite in any scoring has no decision; it is counted, and makes the shares
unknown. Rows are taken as independent. What the swap cannot show: a site that is read off other columns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.measure.probing.inputs import Inputs, Model, names_per_row, scores_of
from roadworthy.stats.multiplicity import simultaneous_confidence
from roadworthy.stats.proportions import wilson
from roadworthy.stats.sample import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """What the swap changed.

    Attributes:
        columns: that were swapped.
        flipped_share: of decisions, all rows.
        to_positive: how many decisions became positive.
        to_negative: how many became negative.
        score_change: mean of swapped minus original score, with Student's interval.
        absolute_change: mean of its absolute value, in the unit of scores.
        by_site: the flipped share of the rows of each site, at the level at which all hold together.
        unrest_share: of decisions that flip when the same rows are scored twice; 0 for a deterministic model.
        undecided: rows without a finite score.
    """

    columns: tuple[str, ...]
    flipped_share: Interval
    to_positive: int
    to_negative: int
    score_change: Interval
    absolute_change: float
    by_site: tuple[tuple[str, Interval], ...]
    unrest_share: Interval
    undecided: int


def swap_site(
    model: Model,
    inputs: Inputs,
    sites: ArrayLike,
    columns: Sequence[str],
    *,
    threshold: float,
    seed: int,
    confidence: float = 0.95,
) -> Swap:
    """Exchange the acquisition columns for another site's; three scorings of all rows.

    Args:
        model: from rows to scores.
        inputs: what the model reads, n rows.
        sites: the name of each row's site, shape (n,).
        columns: the site token and other columns that say how a row was acquired.
        threshold: scores at or above it are positive decisions.
        seed: of the donors.
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: one site only, no column, an unknown column, or lengths that differ (RW-114).
    """
    names = names_per_row(sites, inputs)
    donors = _donors(names, np.random.default_rng(seed))  # 1
    if not columns:
        raise ParameterError("No column to swap.", remedy="Name the site token or the acquisition columns.")
    # 2. All columns of one donor.
    swapped = inputs
    for name in columns:
        swapped = swapped.replaced(name, inputs.column(name)[donors])
    # 3. Three scorings.
    before, again, after = (scores_of(model, rows) for rows in (inputs, inputs, swapped))
    finite = np.isfinite(before) & np.isfinite(again) & np.isfinite(after)
    undecided = int((~finite).sum())
    was, repeated, became = before >= threshold, again >= threshold, after >= threshold
    # 4. Flips.
    found = np.unique(names)
    level = simultaneous_confidence(confidence, int(found.size))
    change = (after - before)[finite]
    return Swap(
        columns=tuple(columns),
        flipped_share=_share(was != became, finite, confidence),
        to_positive=int((~was & became & finite).sum()),
        to_negative=int((was & ~became & finite).sum()),
        score_change=_mean(change, undecided, confidence),
        absolute_change=float(np.abs(change).mean()) if change.size else math.nan,
        by_site=tuple(
            (str(name), _share((was != became)[names == name], finite[names == name], level)) for name in found
        ),
        unrest_share=_share(was != repeated, finite, confidence),
        undecided=undecided,
    )


def _donors(names: NDArray[np.str_], rng: np.random.Generator) -> IntArray:
    """A row of another site for each row."""
    found, codes = np.unique(names, return_inverse=True)
    if found.size < 2:
        raise ParameterError("There is one site only.", remedy="Give rows of at least two sites.")
    members = [np.flatnonzero(codes == k) for k in range(found.size)]
    # A step of 1 .. sites - 1 around the circle reaches every other site, and never the own one.
    other = (codes + rng.integers(1, found.size, codes.size)) % found.size
    donors = np.empty(codes.size, dtype=np.intp)
    for k, rows in enumerate(members):
        asking = np.flatnonzero(other == k)
        donors[asking] = rng.choice(rows, asking.size)
    return donors


def _share(flipped: BoolArray, finite: BoolArray, confidence: float) -> Interval:
    if not finite.all():
        return unknown(flipped.size)
    return wilson(int(flipped.sum()), flipped.size, confidence)


def _mean(change: FloatArray, undecided: int, confidence: float) -> Interval:
    if undecided or change.size < 2:
        return unknown(change.size)
    centre = float(change.mean())
    half = float(student.ppf(0.5 + confidence / 2, change.size - 1) * change.std(ddof=1)) / math.sqrt(change.size)
    return Interval(estimate=centre, lower=centre - half, upper=centre + half, n=change.size, confidence=confidence)
