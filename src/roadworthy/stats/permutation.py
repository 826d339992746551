"""Tests by relabelling. Owns the Monte Carlo p-value and the drawing of permutations, also within blocks.

When the labels say nothing, every order of them is equally likely; the share of orders whose statistic is at least as
large as the observed one is then a p-value, whatever the law of the data and however the statistic was found.

Rules kept here:
1. The observed order counts as one of the orders, so a p-value is never 0: it is (1 + exceeding) / (1 + drawn), which
   keeps its level at every number of draws (Phipson and Smyth, Statistical Applications in Genetics and Molecular
   Biology 9, 2010).
2. Values that differ from the observed one by rounding only count as equal to it, and so against the alarm.
3. The seed is an argument: the same seed draws the same orders.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval
from roadworthy.stats.proportions import clopper_pearson
from roadworthy.stats.sample import FloatArray, IntArray

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutationTest:
    """What relabelling said.

    Attributes:
        observed: the statistic at the observed order; NaN when it could not be computed.
        p_value: of the one-sided test "larger than by chance", in (0, 1]; 1 when nothing could be computed.
        drawn: how many orders were drawn.
        usual: the mean of the statistic over the drawn orders: what chance alone gives.
        p_interval: where the p-value of all orders lies, at 95 %: the price of drawing only some.
    """

    observed: float
    p_value: float
    drawn: int
    usual: float
    p_interval: Interval


def judge_against(observed: float, drawn: ArrayLike) -> PermutationTest:
    """Compare a statistic with its values under drawn orders, shape (b,); larger is more extreme.

    Raises:
        ParameterError: no order was drawn (RW-114).
    """
    values = np.asarray(drawn, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ParameterError("No permutation was drawn.", remedy="Draw at least one; 199 tell 1 % from 5 %.")
    if not (np.isfinite(observed) and np.isfinite(values).all()):
        exceeding, usual = values.size, float("nan")
    else:
        near = _ROUNDING * max(1.0, abs(observed))
        exceeding, usual = int((values >= observed - near).sum()), float(values.mean())
    return PermutationTest(
        observed=observed,
        p_value=(1 + exceeding) / (1 + values.size),
        drawn=values.size,
        usual=usual,
        p_interval=clopper_pearson(exceeding, values.size),
    )


def permutation_test(
    statistic: Callable[[IntArray], float], rows: int, *, seed: int, permutations: int = 999
) -> PermutationTest:
    """Test one statistic by reordering all rows.

    Args:
        statistic: maps an order of the row numbers, shape (rows,), to a value; the observed order is 0, 1, 2, ...
        rows: how many rows there are.
        seed: of the orders.
        permutations: how many orders to draw, at least 1.

    Raises:
        ParameterError: no permutation was asked for (RW-114).
    """
    rng = np.random.default_rng(seed)
    drawn = [statistic(rng.permutation(rows)) for _ in range(permutations)]
    return judge_against(statistic(np.arange(rows)), drawn)


def orders_within(blocks: ArrayLike, permutations: int, rng: np.random.Generator) -> IntArray:
    """Orders of the rows that move every row within its block only, shape (permutations, n).

    With folds as blocks, each fold keeps its counts of each label, so that a cross-validated statistic is the same
    function of every order and the test stays exact for stratified folds too.

    Args:
        blocks: the block of each row, shape (n,).
        permutations: how many orders.
        rng: where the draws come from.
    """
    labels: NDArray[np.generic] = np.asarray(blocks)
    orders = np.tile(np.arange(labels.size, dtype=np.intp), (permutations, 1))
    for block in np.unique(labels):
        members = np.flatnonzero(labels == block)
        orders[:, members] = rng.permuted(np.tile(members, (permutations, 1)), axis=1)
    return orders


def column_aucs(positive: NDArray[np.bool_], ranks: FloatArray) -> FloatArray:
    """The AUC of each column at once, shape (t,), from average ranks; NaN where a class is absent.

    Args:
        positive: shape (n, t).
        ranks: of the scores within each column, ties averaged, shape (n, t).
    """
    positives = positive.sum(axis=0).astype(np.float64)
    negatives = positive.shape[0] - positives
    above = np.where(positive, ranks, 0.0).sum(axis=0) - positives * (positives + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(above / (positives * negatives), dtype=np.float64)
