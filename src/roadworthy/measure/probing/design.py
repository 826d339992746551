"""Inputs as numbers for a cheap linear model. Owns the features and the ridge regression; knows no label's meaning.

Nothing here looks at labels, so one design serves any number of relabellings, and all of them are fitted by one
factorisation: that makes a permutation test with refitting affordable.

The features of one input:
1. a number's rank among all rows, scaled to [-1, 1], missing at 0: no outlier and no unit has a say;
2. which of its eight quantile ranges it lies in, or, with at most eight distinct values, which value it has;
3. of a text, which of its 20 most frequent values it has, or another one;
4. whether it is missing, as a source of its own, ``<input> (missing)``; where a value is missing, its own features
   are 0, so the value as a source tells its absence too, and the two are to be read together;
5. products of the ranks of two inputs, for at most 66 pairs drawn by the seed.

So what one input shows, in whatever form, and what two numbers show together are seen; what only three show is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from roadworthy.measure.probing.inputs import Inputs, is_missing, is_number
from roadworthy.stats.sample import BoolArray, FloatArray, IntArray

_RANGES = 8
_LEVELS = 20
_PAIRS = 66
# Features have variance 1, so this halves the coefficient of one that is independent of the others.
_PENALTY_SHARE = 1.0
# A tenth of the variance, hence ten times the penalty, for the many features that only matter where a rank does not
# tell: at equal weight they drown a plain shift (three sites of 70 rows, one of five inputs half a standard deviation
# apart: found in 7 of 60 worlds at weight 1, in 21 at 0.3).
_SECONDARY = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Features of all rows.

    Attributes:
        matrix: centred, with standard deviation 1, or 0.3 for ranges and pairs; shape (n, d); d is 0 when no input varies.
        sources: of each feature: one input, one input's missingness, or a pair of inputs.
    """

    matrix: FloatArray
    sources: tuple[frozenset[str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every source, sorted."""
        return tuple(sorted(frozenset[str]().union(*self.sources)))

    def alone(self, source: str) -> "Design":
        """The features that rest on one source only."""
        chosen = np.flatnonzero([sources == {source} for sources in self.sources])
        return Design(matrix=self.matrix[:, chosen], sources=tuple(self.sources[k] for k in chosen))

    def resting_on(self, source: str) -> IntArray:
        """The numbers of the features that a source has a part in."""
        return np.flatnonzero([source in sources for sources in self.sources])


def make_design(inputs: Inputs, seed: int) -> Design:
    """Turn inputs into features; the seed draws the pairs when there are more than 66."""
    features: list[FloatArray] = []
    sources: list[frozenset[str]] = []
    weights: list[float] = []
    ranks: dict[str, FloatArray] = {}
    for name in inputs.names:
        values = inputs.column(name)
        missing = is_missing(values)
        if is_number(values):
            numbers = values.astype(np.float64)
            # 1. The rank.
            ranks[name] = _scaled_ranks(numbers, missing)
            own = [ranks[name], *_ranges(numbers, missing)]  # 2
            weights += [1.0] + [_SECONDARY] * (len(own) - 1)
        else:
            own = _levels(values, missing)  # 3
            weights += [1.0] * len(own)
        features += [*own, missing.astype(np.float64)]  # 4
        weights.append(1.0)
        sources += [frozenset({name})] * len(own) + [frozenset({f"{name} (missing)"})]
    # 5. Pairs.
    pairs = list(combinations(ranks, 2))
    if len(pairs) > _PAIRS:
        drawn = np.random.default_rng(seed).choice(len(pairs), _PAIRS, replace=False)
        pairs = [pairs[k] for k in np.sort(drawn)]
    features += [ranks[first] * ranks[second] for first, second in pairs]
    sources += [frozenset(pair) for pair in pairs]
    weights += [_SECONDARY] * len(pairs)
    matrix = np.column_stack(features)
    spread = matrix.std(axis=0)
    varies = np.flatnonzero(spread > 0)
    spread[spread == 0] = 1.0
    return Design(
        matrix=(matrix[:, varies] - matrix[:, varies].mean(axis=0)) * (np.asarray(weights) / spread)[varies],
        sources=tuple(sources[k] for k in varies),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldFit:
    """What a ridge regression needs of one fold, whatever its target.

    Attributes:
        test: which rows the fold holds, shape (n,).
        train_rows: features of the others, centred, shape (n - m, d).
        test_rows: features of the fold, centred alike, shape (m, d).
        inverse: of the penalised Gram matrix, shape (d, d).
    """

    test: BoolArray
    train_rows: FloatArray
    test_rows: FloatArray
    inverse: FloatArray


def fit_folds(design: Design, fold: IntArray) -> tuple[FoldFit, ...]:
    """Factorise once for each fold; the fold of each row has shape (n,)."""
    fits = []
    for k in np.unique(fold):
        test = fold == k
        centre = design.matrix[~test].mean(axis=0)
        rows = design.matrix[~test] - centre
        gram = rows.T @ rows
        gram[np.diag_indices_from(gram)] += _PENALTY_SHARE * len(rows)
        fits.append(
            FoldFit(test=test, train_rows=rows, test_rows=design.matrix[test] - centre, inverse=np.linalg.inv(gram))
        )
    return tuple(fits)


def out_of_fold(fits: Sequence[FoldFit], targets: FloatArray, dropped: IntArray | None = None) -> FloatArray:
    """Scores of ridge regressions that never saw the fold that they score, shape (n, t).

    Leaving features out needs no new factorisation: with P the inverse, b the weights and S the features, the weights
    without S are ``b - P[:, S] P[S, S]^-1 b[S]`` (the formula of the partitioned inverse).

    Args:
        fits: of all folds.
        targets: one regression for each column, shape (n, t).
        dropped: features to leave out, by number.
    """
    scores = np.zeros(targets.shape)
    for fit in fits:
        train = targets[~fit.test]
        weights = fit.inverse @ (fit.train_rows.T @ (train - train.mean(axis=0)))
        if dropped is not None and dropped.size:
            block = fit.inverse[np.ix_(dropped, dropped)]
            weights = weights - fit.inverse[:, dropped] @ np.linalg.solve(block, weights[dropped])
        scores[fit.test] = fit.test_rows @ weights
    return scores


def _scaled_ranks(numbers: FloatArray, missing: BoolArray) -> FloatArray:
    scaled = np.zeros(numbers.size)
    present = numbers[~missing]
    if present.size > 1:
        scaled[~missing] = 2 * (rankdata(present) - 1) / (present.size - 1) - 1
    return scaled


def _ranges(numbers: FloatArray, missing: BoolArray) -> list[FloatArray]:
    present = numbers[~missing]
    distinct = np.unique(present)
    if distinct.size <= _RANGES:
        return [np.where(missing, 0.0, numbers == value) for value in distinct]
    cuts = np.unique(np.quantile(present, np.arange(1, _RANGES) / _RANGES, method="lower"))
    cell = np.where(missing, -1, np.searchsorted(cuts, numbers, side="left"))
    return [(cell == k).astype(np.float64) for k in range(cuts.size + 1)]


def _levels(values: NDArray[Any], missing: BoolArray) -> list[FloatArray]:
    texts = values.astype(np.str_)
    levels, counts = np.unique(texts[~missing], return_counts=True)
    frequent = levels[np.argsort(-counts, kind="stable")[:_LEVELS]]
    told = [np.where(missing, 0.0, texts == level) for level in frequent]
    other = np.where(missing, 0.0, ~np.isin(texts, frequent))
    return [*told, other]
