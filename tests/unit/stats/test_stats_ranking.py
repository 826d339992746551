"""Ranking metrics against scikit-learn, a worked example, and their own rules."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from roadworthy.base.errors import ParameterError
from roadworthy.stats.ranking import Gain, JudgedQuery, RankMetric, judged_query, rank_metric, ranking_figure


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("k", [1, 3, 10])
def test_ndcg_equals_sklearn(seed: int, k: int) -> None:
    """Linear gain is sklearn's on the judgements, exponential gain is sklearn's on 2^j - 1."""
    rng = np.random.default_rng(seed)
    judgements = rng.integers(0, 4, 12)
    judgements[0] = 2
    scores = rng.permutation(12)
    ranking = [int(each) for each in np.argsort(-scores)]
    query = judged_query(ranking, dict(enumerate(judgements.tolist())))
    assert rank_metric(query, RankMetric.NDCG, k) == pytest.approx(ndcg_score([judgements], [scores], k=k))
    oracle = ndcg_score([2.0**judgements - 1], [scores], k=k)
    assert rank_metric(query, RankMetric.NDCG, k, Gain.EXPONENTIAL) == pytest.approx(oracle)
    found = average_precision_score(judgements > 0, scores)
    assert rank_metric(query, RankMetric.AVERAGE_PRECISION, 12) == pytest.approx(found)


def test_worked_example() -> None:
    """Ranks 2 and 4 of five hold two of the three relevant ones; denominators are never cut."""
    query = judged_query(["a", "b", "c", "d", "e"], {"b": 1, "d": 1, "z": 1, "a": 0})
    assert rank_metric(query, RankMetric.RECALL, 3) == pytest.approx(1 / 3)
    assert rank_metric(query, RankMetric.RECALL, 10) == pytest.approx(2 / 3)
    assert rank_metric(query, RankMetric.PRECISION, 4) == 0.5
    assert rank_metric(query, RankMetric.PRECISION, 10) == 0.2
    assert rank_metric(query, RankMetric.RECIPROCAL_RANK, 5) == 0.5
    assert rank_metric(query, RankMetric.RECIPROCAL_RANK, 1) == 0.0
    assert rank_metric(query, RankMetric.AVERAGE_PRECISION, 5) == pytest.approx((1 / 2 + 2 / 4) / 3)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert rank_metric(query, RankMetric.NDCG, 5) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)


def test_nothing_found_is_zero_and_nothing_to_find_is_nan() -> None:
    """A miss counts; a query without relevant documents is set apart and counted."""
    miss, empty = judged_query(["a"], {"b": 1}), judged_query(["a"], {})
    for metric in RankMetric:
        assert rank_metric(miss, metric, 5) == 0.0
        assert math.isnan(rank_metric(empty, metric, 5))
    figure = ranking_figure([miss, empty, judged_query(["b"], {"b": 1})], RankMetric.RECALL, 5)
    assert figure.undefined == 1
    assert figure.mean.estimate == 0.5
    assert figure.mean.n == 2
    assert not ranking_figure([empty], RankMetric.RECALL, 5).mean.known


def test_questions_on_one_document_are_one_observation() -> None:
    """Five equal questions on each of 30 documents: the interval is that of 30, stays in [0, 1], and covers."""
    hit, miss = JudgedQuery(gains=(1.0,), judged=(1.0,)), JudgedQuery(gains=(0.0,), judged=(1.0,))
    documents = np.repeat(np.arange(30), 5)
    queries = [hit if document % 3 else miss for document in documents]
    clustered = ranking_figure(queries, RankMetric.RECALL, 1, clusters=documents).mean
    alone = ranking_figure(queries, RankMetric.RECALL, 1).mean
    assert clustered.n == 30
    ratio = (clustered.upper - clustered.lower) / (alone.upper - alone.lower)
    assert ratio == pytest.approx(math.sqrt(5), rel=0.1)
    perfect = ranking_figure([hit] * 40, RankMetric.NDCG, 1).mean
    assert perfect.upper == 1.0
    assert 0.85 < perfect.lower < 1.0


def test_nonsense_raises() -> None:
    """Twice the same document, negative judgements, k of 0, clusters of another length."""
    query = judged_query(["a"], {"a": 1})
    for call in (
        lambda: judged_query(["a", "a"], {"a": 1}),
        lambda: judged_query(["a"], {"a": -1}),
        lambda: rank_metric(query, RankMetric.RECALL, 0),
        lambda: ranking_figure([query], RankMetric.RECALL, 1, clusters=[1, 2]),
    ):
        with pytest.raises(ParameterError):
            call()
