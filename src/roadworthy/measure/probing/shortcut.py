"""Can the inputs tell where or when a row was taken? Owns the shortcut test on inputs; says nothing about a model.

If site, scanner, batch or time can be read off the inputs, a model can use it instead of the medicine. That alone is no
harm: ``leave_out`` and ``counterfactual`` say whether a model does so.

Algorithm of ``predictable``:
1. Where rows share clusters, such as patients, keep one of each, drawn by the seed: else patients are recognised, and
   their sites with them, and no order of the site names within folds tells that apart from sites. Set aside, and name, the groups with fewer than ten rows.
2. Turn the inputs into features without looking at the groups (``design``); missingness counts as an input.
3. Deal the rows to stratified folds and fit one ridge regression for each group against the others.
4. Average each group's AUC over folds, and the groups' AUCs over groups (macro).
5. Reorder the group names within folds and fit again, 199 times by default: the p-value is the share of orders that
   reach the observed AUC. A fold keeps its counts of groups, so the test is exact for these folds.
6. For every source - an input's value, or that it is missing - fit with it alone, and with all but it.

Cost: one factorisation of d features a fold, whatever the number of permutations; above 5,000 rows a seeded sample of
5,000 is used, and reported.

Rules kept here: groups share their rows, so the error of the macro average is the average of their errors, as if they
were fully dependent, which is never too small; two groups are one question and are asked once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.measure.probing.design import Design, FoldFit, fit_folds, make_design, out_of_fold
from roadworthy.measure.probing.folds import ENOUGH_A_FOLD, FOLDS, deal, mean_auc
from roadworthy.measure.probing.inputs import Inputs, names_per_row, one_of_each
from roadworthy.stats.multiplicity import simultaneous_confidence
from roadworthy.stats.permutation import PermutationTest, column_aucs, judge_against, orders_within
from roadworthy.stats.sample import FloatArray, IntArray

_MOST_ROWS = 5_000
_AT_ONCE = 64
EARLY, LATE = "early", "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """One source of the information.

    Attributes:
        source: an input, or ``<input> (missing)`` for where it is null.
        alone: the AUC of this source alone, at the level at which the intervals of all sources hold together, because
            the strongest of many is picked out.
        lost_without: by how much the AUC of all sources falls without it; near 0 when others say the same.
    """

    source: str
    alone: Interval
    lost_without: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictability:
    """How well the inputs tell the groups apart.

    Attributes:
        auc: macro average, one group against the others; 0.5 is chance. Unknown with fewer than two usable groups.
        test: the permutation test of "no group can be told"; None when ``auc`` is unknown.
        groups: the AUC of each usable group against the others, by name; one entry when there are two.
        too_small: groups with too few rows to be asked about, with their row counts.
        rows_used: of how many rows; fewer than ``rows_given`` when a sample was drawn.
        rows_given: rows, one a cluster, in groups that are large enough.
        carriers: by source, the strongest alone first.
    """

    auc: Interval
    test: PermutationTest | None
    groups: tuple[tuple[str, Interval], ...]
    too_small: tuple[tuple[str, int], ...]
    rows_used: int
    rows_given: int
    carriers: tuple[Carrier, ...]

    def above_chance(self, level: float = 0.05) -> bool:
        """Whether chance is ruled out at this level; that the AUC matters is for a tolerance to say."""
        return self.test is not None and self.test.p_value <= level


def predictable(
    inputs: Inputs,
    groups: ArrayLike,
    *,
    seed: int,
    clusters: ArrayLike | None = None,
    permutations: int = 199,
    confidence: float = 0.95,
) -> Predictability:
    """Predict site, scanner or batch from what the model reads.

    Args:
        inputs: what the model reads, n rows.
        groups: the name of each row's group, shape (n,).
        seed: of sample, folds and permutations.
        clusters: the patient or other unit of each row, shape (n,), nulls apart from each other; None when rows are
            independent.
        permutations: how many orders to draw; the smallest possible p-value is 1 / (1 + permutations).
        confidence: two-sided level in (0, 1), for the whole and for each group on its own.

    Raises:
        ParameterError: lengths that differ, or no permutation (RW-114).
    """
    if permutations < 1:
        raise ParameterError("No permutation was asked for.", remedy="Draw at least one; 199 tell 1 % from 5 %.")
    names = names_per_row(groups, inputs)
    rng = np.random.default_rng(seed)
    if clusters is not None:
        # 1. One row a cluster.
        units = np.asarray(clusters)
        if units.shape != names.shape:
            raise ParameterError(f"{units.size} clusters do not fit {names.size} rows.", remedy="Give one a row.")
        kept = one_of_each(units, rng)
        inputs, names = inputs.take(kept), names[kept]
    # 1. Groups large enough for every fold.
    found, counts = np.unique(names, return_counts=True)
    small = counts < FOLDS * ENOUGH_A_FOLD
    too_small = tuple((str(name), int(count)) for name, count in zip(found[small], counts[small], strict=True))
    usable = np.flatnonzero(np.isin(names, found[~small]))
    if found[~small].size < 2:
        nothing = unknown(usable.size)
        return Predictability(
            auc=nothing,
            test=None,
            groups=(),
            too_small=too_small,
            rows_used=0,
            rows_given=int(usable.size),
            carriers=(),
        )
    rows = _sampled(usable, names, rng)
    names = names[rows]
    # 2. Features,  3. folds and one question for each group.
    design = make_design(inputs.take(rows), seed)
    asked = _questions(np.unique(names))
    fold = deal(names, FOLDS, rng)
    fits, targets = fit_folds(design, fold), _targets(names, asked)
    # 4. The observed figures.
    parts = _areas(fits, targets, fold, confidence)
    auc = _macro(parts, confidence)
    # 5. The permutations.
    test = judge_against(auc.estimate, _chance(fits, names, asked, fold, orders_within(fold, permutations, rng)))
    return Predictability(
        auc=auc,
        test=test,
        groups=tuple(zip(asked, parts, strict=True)),
        too_small=too_small,
        rows_used=int(rows.size),
        rows_given=int(usable.size),
        carriers=_carriers(design, fits, targets, fold, auc),
    )


def predictable_time(
    inputs: Inputs,
    times: ArrayLike,
    *,
    seed: int,
    clusters: ArrayLike | None = None,
    permutations: int = 199,
    confidence: float = 0.95,
) -> Predictability:
    """Predict whether a row was taken late, that is after the median instant, from what the model reads.

    Args:
        inputs: what the model reads, n rows.
        times: when each row was taken: numbers or numpy instants, shape (n,).
        seed: of sample, folds and permutations.
        clusters: as for ``predictable``; the median is that of all rows.
        permutations: how many orders to draw.
        confidence: two-sided level in (0, 1).

    Raises:
        ParameterError: lengths that differ, a time that is missing, or no permutation (RW-114).
    """
    order: NDArray[np.generic] = np.asarray(times)
    if order.dtype.kind == "M":
        # The smallest integer stands for "not an instant" and would be called early.
        missing = bool(np.isnat(order).any())
        numbers = order.astype("datetime64[us]").astype(np.int64).astype(np.float64)
    else:
        numbers = order.astype(np.float64)
        missing = bool(np.isnan(numbers).any())
    if missing:
        raise ParameterError("A row has no time.", remedy="Drop rows without a time before asking about time.")
    late = numbers > np.median(numbers) if numbers.size else np.zeros(0, dtype=np.bool_)
    named = np.where(late, LATE, EARLY)
    return predictable(inputs, named, seed=seed, clusters=clusters, permutations=permutations, confidence=confidence)


def _sampled(usable: IntArray, names: NDArray[np.str_], rng: np.random.Generator) -> IntArray:
    """At most 5,000 rows, every group in proportion but none below the smallest usable size."""
    if usable.size <= _MOST_ROWS:
        return usable
    kept = []
    for name in np.unique(names[usable]):
        members = usable[names[usable] == name]
        wanted = max(FOLDS * ENOUGH_A_FOLD, round(members.size * _MOST_ROWS / usable.size))
        kept.append(rng.choice(members, min(wanted, members.size), replace=False))
    return np.sort(np.concatenate(kept))


def _questions(names: NDArray[np.str_]) -> list[str]:
    """The groups to ask about; with two, the second stands for both."""
    return [str(name) for name in (names[1:] if names.size == 2 else names)]


def _targets(names: NDArray[np.str_], asked: Sequence[str]) -> FloatArray:
    return np.column_stack([names == name for name in asked]).astype(np.float64)


def _areas(fits: Sequence[FoldFit], targets: FloatArray, fold: IntArray, confidence: float) -> list[Interval]:
    scores = out_of_fold(fits, targets)
    return [mean_auc(column == 1, score, fold, confidence) for column, score in zip(targets.T, scores.T, strict=True)]


def _mean_areas(targets: FloatArray, scores: FloatArray, fold: IntArray) -> FloatArray:
    """The AUC of each target averaged over folds, without intervals, shape (t,)."""
    areas = []
    for k in np.unique(fold):
        ranks = np.asarray(rankdata(scores[fold == k], axis=0), dtype=np.float64)
        areas.append(column_aucs(targets[fold == k] == 1, ranks))
    return np.asarray(np.mean(areas, axis=0), dtype=np.float64)


def _macro(parts: Sequence[Interval], confidence: float) -> Interval:
    """The average; its error is the average error, as if the parts were fully dependent."""
    lower, estimate, upper = (
        float(np.mean(ends)) for ends in zip(*((p.lower, p.estimate, p.upper) for p in parts), strict=True)
    )
    return Interval(estimate=estimate, lower=lower, upper=upper, n=parts[0].n, confidence=confidence)


def _chance(
    fits: Sequence[FoldFit], names: NDArray[np.str_], asked: Sequence[str], fold: IntArray, orders: IntArray
) -> FloatArray:
    """The macro AUC under each order, refitted, a block of orders at a time to bound memory."""
    found = []
    for start in range(0, len(orders), _AT_ONCE):
        some = orders[start : start + _AT_ONCE]
        targets = np.column_stack([_targets(names[order], asked) for order in some])
        areas = _mean_areas(targets, out_of_fold(fits, targets), fold)
        found.append(areas.reshape(len(some), len(asked)).mean(axis=1))
    return np.concatenate(found)


def _carriers(
    design: Design, fits: Sequence[FoldFit], targets: FloatArray, fold: IntArray, auc: Interval
) -> tuple[Carrier, ...]:
    # 6. Each source alone, and all the others without it.
    carriers = []
    level = simultaneous_confidence(auc.confidence, max(1, len(design.names)))
    for source in design.names:
        alone = _macro(_areas(fit_folds(design.alone(source), fold), targets, fold, level), level)
        others = out_of_fold(fits, targets, design.resting_on(source))
        lost = auc.estimate - float(_mean_areas(targets, others, fold).mean())
        carriers.append(Carrier(source=source, alone=alone, lost_without=lost))
    return tuple(sorted(carriers, key=lambda carrier: (-carrier.alone.estimate, carrier.source)))
