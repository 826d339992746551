"""Ranked lists against judged queries. Owns the report on a retriever; the metrics of one ranking belong to ``stats``.

Rules kept here:
1. Every judged query is in the account: one that the retriever returned nothing for has an empty list, not no list.
2. The mean is over queries, its interval over their clusters: ten questions about one document are not ten documents.
3. A query without a relevant document has no figure and is counted apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roadworthy.base.errors import ContractError, EmptyData
from roadworthy.base.interval import Interval
from roadworthy.domain.criterion import Estimate
from roadworthy.stats.ranking import Gain, RankMetric, judged_query, ranking_figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question with the documents that answer it.

    Attributes:
        id: unique in its set.
        text: as it is asked.
        judgements: by document id, above 0 for a relevant one, higher for better.
        cluster: what it shares with others: a document, a user; None when it stands alone.
    """

    id: str
    text: str
    judgements: Mapping[str, float] = field(default_factory=dict)
    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalReport:
    """How good the ranked lists are; each figure has the number of clusters as its n.

    Attributes:
        k: how many results count for recall and nDCG.
        recall: share of the relevant documents among the first k.
        ndcg: discounted gain of the first k over the best possible.
        average_precision: its mean is MAP; over the whole list that was returned.
        undefined: queries without any relevant document; in no figure.
        unanswered: queries for which nothing was returned; they count as misses.
    """

    k: int
    recall: Interval
    ndcg: Interval
    average_precision: Interval
    undefined: int
    unanswered: int

    def estimates(self) -> tuple[Estimate, ...]:
        """The figures under the names that predicates use, for example ``recall_at_10``."""
        return (
            Estimate(metric=f"recall_at_{self.k}", interval=self.recall),
            Estimate(metric=f"ndcg_at_{self.k}", interval=self.ndcg),
            Estimate(metric="mean_average_precision", interval=self.average_precision),
        )


def retrieval_report(
    queries: Sequence[Query],
    rankings: Mapping[str, Sequence[str]],
    *,
    k: int = 10,
    gain: Gain = Gain.LINEAR,
    confidence: float = 0.95,
) -> RetrievalReport:
    """Judge what a retriever returned.

    Args:
        queries: all that were asked.
        rankings: document ids by query id, best first.
        k: how many results count for recall and nDCG, at least 1.
        gain: what a judgement is worth in nDCG.
        confidence: two-sided level in (0, 1).

    Raises:
        EmptyData: there are no queries (RW-104).
        ContractError: two queries of one id, or a ranking of an unknown query (RW-106).
        ParameterError: k below 1, a document twice in one ranking, a level outside (0, 1) (RW-114).
    """
    if not queries:
        raise EmptyData("There are no queries to judge.", remedy="Give at least one query with its documents.")
    ids = {query.id for query in queries}
    strays = sorted(set(rankings) - ids)
    if len(ids) < len(queries) or strays:
        problem = f"The ranking of {strays[0]!r} belongs to no query." if strays else "Two queries have one id."
        raise ContractError(problem, remedy="Give each query an id of its own, and its ranking under that id.")
    judged = [judged_query(rankings.get(query.id, ()), dict(query.judgements.items())) for query in queries]
    clusters = [f"query {query.id}" if query.cluster is None else f"cluster {query.cluster}" for query in queries]
    # MAP looks at the whole of what was returned, so its cut is the longest list.
    depth = max(1, *(len(each.gains) for each in judged))
    recall, ndcg, precision = (
        ranking_figure(judged, metric, cut, gain=gain, clusters=clusters, confidence=confidence)
        for metric, cut in (
            (RankMetric.RECALL, k),
            (RankMetric.NDCG, k),
            (RankMetric.AVERAGE_PRECISION, depth),
        )
    )
    return RetrievalReport(
        k=k,
        recall=recall.mean,
        ndcg=ndcg.mean,
        average_precision=precision.mean,
        undefined=recall.undefined,
        unanswered=sum(not each.gains for each in judged),
    )
