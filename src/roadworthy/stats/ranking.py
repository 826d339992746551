"""How good a ranking is. Owns recall, precision, reciprocal rank, average precision and nDCG, a query and on average.

A query is judged on the gains of its results in rank order and the gains of everything judged for it. Gain and discount
of nDCG are part of the figure: the gain is the judgement itself (``Gain.LINEAR``) or ``2^judgement - 1``
(``Gain.EXPONENTIAL``); the discount of rank r, counted from one, is ``1 / log2(r + 1)`` (Jarvelin and Kekalainen, ACM
TOIS 20, 2002). A document counts as relevant when its judgement is above zero; one that nobody judged has gain zero.

Rules kept here:
1. A query without any relevant document has no figure: it is NaN, counted apart, and neither a hit nor a miss.
2. Cutting at k never shrinks a denominator: precision divides by k, also where fewer than k were returned; recall and
   average precision divide by all that is relevant.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.means import UNIT, mean_interval
from roadworthy.stats.sample import FloatArray


class RankMetric(Enum):
    """What is measured on a ranking; all lie in [0, 1], higher is better."""

    RECALL = "recall"
    PRECISION = "precision"
    RECIPROCAL_RANK = "reciprocal_rank"
    AVERAGE_PRECISION = "average_precision"
    NDCG = "ndcg"


class Gain(Enum):
    """What a judgement is worth in nDCG."""

    LINEAR = "linear"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedQuery:
    """One ranking with its judgements.

    Attributes:
        gains: the judgement of each result in rank order, 0 for an irrelevant or unjudged one.
        judged: the judgements above zero of all documents that were judged for the query, in any order.
    """

    gains: tuple[float, ...]
    judged: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingFigure:
    """A metric over queries.

    Attributes:
        mean: over the queries that have a relevant document; ``n`` counts their clusters.
        per_query: one value for each query in the given order, NaN without a relevant document; shape (q,).
        undefined: how many are NaN.
    """

    mean: Interval
    per_query: FloatArray
    undefined: int


def judged_query(ranking: Sequence[Hashable], judgements: Mapping[Hashable, float]) -> JudgedQuery:
    """Join the ids that were returned, best first, with the judgements of the query.

    Raises:
        ParameterError: an id is returned twice, which would count it twice; a judgement is negative or not finite
            (RW-114).
    """
    if len(set(ranking)) != len(ranking):
        raise ParameterError("A document is returned twice for one query.", remedy="Keep its best rank only.")
    if not all(math.isfinite(value) and value >= 0 for value in judgements.values()):
        raise ParameterError("A judgement is negative or not finite.", remedy="Use 0 for irrelevant, above 0 else.")
    return JudgedQuery(
        gains=tuple(float(judgements.get(each, 0.0)) for each in ranking),
        judged=tuple(float(value) for value in judgements.values() if value > 0),
    )


def rank_metric(query: JudgedQuery, metric: RankMetric, k: int, gain: Gain = Gain.LINEAR) -> float:
    """One metric of one query among its first k results; NaN without a relevant document.

    Args:
        query: the ranking with its judgements.
        metric: which.
        k: how many results count, at least 1.
        gain: what a judgement is worth; used by nDCG only.

    Raises:
        ParameterError: k below 1 (RW-114).
    """
    if k < 1:
        raise ParameterError(f"A cut at {k} keeps nothing.", remedy="Give k of at least 1.")
    if not query.judged:
        return math.nan
    if metric is RankMetric.NDCG:
        ideal = sorted(query.judged, reverse=True)
        return _dcg(query.gains[:k], gain) / _dcg(ideal[:k], gain)
    hits = [value > 0 for value in query.gains[:k]]
    if metric is RankMetric.RECALL:
        return sum(hits) / len(query.judged)
    if metric is RankMetric.PRECISION:
        return sum(hits) / k
    ranks = [place for place, hit in enumerate(hits, start=1) if hit]
    if metric is RankMetric.RECIPROCAL_RANK:
        return 1 / ranks[0] if ranks else 0.0
    # Average precision: the precision at each relevant rank; what was not found adds nothing but counts below.
    return sum(found / rank for found, rank in enumerate(ranks, start=1)) / len(query.judged)


def ranking_figure(
    queries: Sequence[JudgedQuery],
    metric: RankMetric,
    k: int,
    *,
    gain: Gain = Gain.LINEAR,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> RankingFigure:
    """The mean over queries, with Student's interval over clusters of queries.

    Args:
        queries: one for each question.
        metric: which; the mean of ``RECIPROCAL_RANK`` is MRR, that of ``AVERAGE_PRECISION`` is MAP.
        k: how many results count, at least 1.
        gain: what a judgement is worth; used by nDCG only.
        clusters: of each query (its document, its user), shape (q,); None when queries are independent.
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: k below 1, lengths that differ, or a level outside (0, 1) (RW-114).
    """
    values = np.array([rank_metric(query, metric, k, gain) for query in queries], dtype=np.float64)
    names = np.arange(values.size) if clusters is None else np.asarray(clusters)
    if names.shape != values.shape:
        raise ParameterError(
            f"{names.size} clusters do not fit {values.size} queries.", remedy="Give one cluster for each query."
        )
    defined = ~np.isnan(values)
    mean = (
        mean_interval(values[defined], names[defined], confidence=confidence, within=UNIT)
        if defined.any()
        else unknown()
    )
    return RankingFigure(mean=mean, per_query=values, undefined=int((~defined).sum()))


def _dcg(gains: Sequence[float], gain: Gain) -> float:
    worth = gains if gain is Gain.LINEAR else [2.0**value - 1 for value in gains]
    return sum(value / math.log2(rank + 1) for rank, value in enumerate(worth, start=1))
