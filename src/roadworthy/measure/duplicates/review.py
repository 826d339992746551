"""How good the links are, judged by people. Owns the clerical sample and the estimates of precision and recall.

Whoever finds pairs (``near``, ``entities``) cannot grade them. Two people look at the same pairs, blind to the score and
to each other; where they differ, a third decides.

Algorithm of ``draw_review``:
1. Cut the scores into strata at the edges; the threshold in question must be one of them.
2. Draw up to ``per_stratum`` pairs from each without replacement, and shuffle them, so that the order tells nothing.

Algorithm of ``assess``:
1. Each stratum's share of true matches has a Wilson interval, narrowed by what was left unseen of the stratum
   (``sqrt((N - n) / (N - 1))``): where every pair was judged, nothing is uncertain.
2. Matches above and below the threshold are sums of strata. Their intervals are recovered from those of the strata
   (MOVER; Zou and Donner, Statistics in Medicine 27, 2008): the distance of an end from the estimate is the root of the
   sum of squared distances.
3. Precision is the share of matches above the threshold.
4. Recall r is where ``(1 - r) * above - r * below`` is 0; its interval holds every r at which the MOVER interval of that
   difference contains 0 (Fieller's argument). It stays right where no match at all was seen below.

Rules kept here:
1. Recall is that of the pairs that were scored. What blocking or banding never paired is not in it; say so beside it.
2. A disagreement that nobody settled is an error and no coin toss.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.measure.duplicates.clusters import RowNumbers, ScoredPairs
from roadworthy.stats.agreement import cohens_kappa
from roadworthy.stats.proportions import wilson

_HALVINGS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSample:
    """Pairs for two people to judge, in the order in which to show them.

    Attributes:
        edges: ends of the strata, ascending; stratum k holds scores in [edges[k], edges[k + 1]), the last one its end too.
        populations: how many pairs each stratum holds.
        left: row numbers, shape (m,).
        right: row numbers, shape (m,).
        stratum: of each drawn pair, shape (m,). Not for the reviewers: it gives the score away.
    """

    edges: tuple[float, ...]
    populations: tuple[int, ...]
    left: RowNumbers
    right: RowNumbers
    stratum: RowNumbers

    def sheet(self) -> pa.Table:
        """What a reviewer gets: ``pair``, ``left``, ``right``; the score is left out on purpose."""
        return pa.table({"pair": np.arange(self.left.size), "left": self.left, "right": self.right})


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumResult:
    """One stratum: its range of scores, its pairs, and the share of matches among them."""

    lower: float
    upper: float
    population: int
    judged: int
    matches: int
    match_share: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the review says of a threshold.

    Attributes:
        threshold: pairs from this score on count as duplicates.
        precision: the share of true matches among them.
        recall: the share of the true matches among scored pairs that reaches the threshold.
        kappa: how far the two reviewers agree beyond chance.
        disagreements: how many pairs a third person decided.
        strata: those with pairs, by ascending score.
    """

    threshold: float
    precision: Interval
    recall: Interval
    kappa: Interval
    disagreements: int
    strata: tuple[StratumResult, ...]


def draw_review(pairs: ScoredPairs, edges: Sequence[float], *, per_stratum: int, seed: int) -> ReviewSample:
    """Draw the pairs to be judged.

    Args:
        pairs: all scored pairs, those below the threshold in question too: recall is measured on them.
        edges: ends of the strata, ascending, from the least score kept to 1.
        per_stratum: the most pairs to draw from one stratum, at least 1.
        seed: of the drawing.

    Raises:
        ParameterError: edges that do not ascend or leave out pairs, or nothing to draw (RW-114).
    """
    bounds = np.asarray(edges, dtype=np.float64)
    if bounds.size < 2 or not bool((np.diff(bounds) > 0).all()) or per_stratum < 1:
        raise ParameterError(
            "The strata are not ascending, or nothing is to be drawn.", remedy="Give edges like 0.01, 0.5, 1."
        )
    if len(pairs) and not bounds[0] <= pairs.score.min() <= pairs.score.max() <= bounds[-1]:
        raise ParameterError(
            f"Scores from {pairs.score.min():.4g} to {pairs.score.max():.4g} lie outside the edges.",
            remedy="Let the first edge be the least score that was kept, and the last one 1.",
        )
    stratum = np.minimum(np.searchsorted(bounds, pairs.score, side="right") - 1, bounds.size - 2)  # 1
    rng = np.random.default_rng(seed)
    drawn = [_draw(np.flatnonzero(stratum == k), per_stratum, rng) for k in range(bounds.size - 1)]  # 2
    shown = rng.permutation(np.concatenate(drawn))
    return ReviewSample(
        edges=tuple(bounds.tolist()),
        populations=tuple(np.bincount(stratum, minlength=bounds.size - 1).tolist()),
        left=pairs.left[shown],
        right=pairs.right[shown],
        stratum=stratum[shown].astype(np.int64),
    )


def assess(
    sample: ReviewSample,
    first: ArrayLike,
    second: ArrayLike,
    *,
    threshold: float,
    settled: Mapping[int, bool] | None = None,
    confidence: float = 0.95,
) -> Assessment:
    """Estimate precision and recall at a threshold from two people's judgements.

    Args:
        sample: what was drawn.
        first: whether each pair is a match, in the order of the sheet, shape (m,).
        second: the same by the other person.
        threshold: one of the edges of the sample.
        settled: the decision on each pair on which the two differ, by its number on the sheet.
        confidence: two-sided level of every interval, in (0, 1).

    Raises:
        ParameterError: judgements do not fit the sample, a disagreement is not settled, or the threshold is no edge
            (RW-114).
    """
    if threshold not in sample.edges[:-1]:
        raise ParameterError(
            f"The threshold {threshold} is not the lower end of a stratum.", remedy=f"Use one of {sample.edges[:-1]}."
        )
    one, two = _judgements(first, sample), _judgements(second, sample)
    truth = _settled(one, two, settled or {})
    strata = [_stratum(sample, truth, k, confidence) for k, count in enumerate(sample.populations) if count]
    above = _matches([row for row in strata if row.lower >= threshold], confidence)
    below = _matches([row for row in strata if row.lower < threshold], confidence)
    linked = sum(row.population for row in strata if row.lower >= threshold)
    return Assessment(
        threshold=threshold,
        precision=_scaled(above, linked),
        recall=_recall(above, below),
        kappa=cohens_kappa(one.astype(int), two.astype(int), confidence=confidence) if one.size else unknown(),
        disagreements=int((one != two).sum()),
        strata=tuple(strata),
    )


def _draw(members: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return rng.choice(members, size=min(most, members.size), replace=False)


def _judgements(values: ArrayLike, sample: ReviewSample) -> NDArray[np.bool_]:
    judged = np.asarray(values)
    if judged.shape != sample.left.shape or not bool(np.isin(judged, (0, 1)).all()):
        raise ParameterError(
            f"Judgements of shape {judged.shape} do not fit {sample.left.size} pairs, or are not yes or no.",
            remedy="Give one yes or no for each line of the sheet.",
        )
    return judged.astype(np.bool_)


def _settled(one: NDArray[np.bool_], two: NDArray[np.bool_], settled: Mapping[int, bool]) -> NDArray[np.bool_]:
    differing = np.flatnonzero(one != two).tolist()
    if open_pairs := [pair for pair in differing if pair not in settled]:
        raise ParameterError(
            f"{len(open_pairs)} disagreements are not settled, the first is pair {open_pairs[0]}.",
            remedy="Let a third person decide on each.",
        )
    truth = one.copy()
    truth[differing] = [settled[pair] for pair in differing]
    return truth


def _stratum(sample: ReviewSample, truth: NDArray[np.bool_], k: int, confidence: float) -> StratumResult:
    inside = sample.stratum == k
    judged, matches, population = int(inside.sum()), int(truth[inside].sum()), sample.populations[k]
    wide = wilson(matches, judged, confidence)
    unseen = math.sqrt((population - judged) / (population - 1)) if population > 1 else 0.0  # 1
    share = Interval(
        estimate=wide.estimate,
        lower=wide.estimate - (wide.estimate - wide.lower) * unseen,
        upper=wide.estimate + (wide.upper - wide.estimate) * unseen,
        n=judged,
        confidence=confidence,
    )
    return StratumResult(
        lower=sample.edges[k],
        upper=sample.edges[k + 1],
        population=population,
        judged=judged,
        matches=matches,
        match_share=share,
    )


def _matches(strata: list[StratumResult], confidence: float) -> Interval:
    """How many pairs of these strata are true matches."""
    estimate = sum(row.population * row.match_share.estimate for row in strata)
    down = math.hypot(*(row.population * (row.match_share.estimate - row.match_share.lower) for row in strata))  # 2
    up = math.hypot(*(row.population * (row.match_share.upper - row.match_share.estimate) for row in strata))
    judged = sum(row.judged for row in strata)
    return Interval(estimate=estimate, lower=estimate - down, upper=estimate + up, n=judged, confidence=confidence)


def _scaled(matches: Interval, pairs: int) -> Interval:
    if pairs == 0:
        return unknown()
    return Interval(  # 3
        estimate=matches.estimate / pairs,
        lower=max(0.0, matches.lower / pairs),
        upper=min(1.0, matches.upper / pairs),
        n=matches.n,
        confidence=matches.confidence,
    )


def _recall(above: Interval, below: Interval) -> Interval:
    judged = above.n + below.n
    if above.estimate + below.estimate == 0:
        return unknown(judged)
    estimate = above.estimate / (above.estimate + below.estimate)

    def least(share: float) -> float:
        """The lower end of the difference; above 0, more than this share of the matches must be found."""
        spread = math.hypot((1 - share) * (above.estimate - above.lower), share * (below.upper - below.estimate))
        return (1 - share) * above.estimate - share * below.estimate - spread

    def most(share: float) -> float:
        """The upper end of the difference; below 0, less than this share can be found."""
        spread = math.hypot((1 - share) * (above.upper - above.estimate), share * (below.estimate - below.lower))
        return (1 - share) * above.estimate - share * below.estimate + spread

    return Interval(  # 4
        estimate=estimate,
        lower=_crossing(least, 0.0, estimate),
        upper=_crossing(most, estimate, 1.0),
        n=judged,
        confidence=above.confidence,
    )


def _crossing(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function goes from positive to not positive between two ends, by halving.

    Both functions of ``_recall`` cross once: over the odds of the share, one is concave and the other convex.
    """
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return (low + high) / 2
