"""How a recipe does at a site that it never saw. Owns leave-one-site-out and train-at-one-site; trains by a given recipe.

A cross-validated figure over all sites lets the recipe learn each site before it is tested there; a new site does not.

Algorithm of ``leave_one_site_out``:
1. Deal all rows to folds, stratified by site and label, and score each fold by a model trained on the others: every
   site was seen in training. This is the figure that is usually claimed.
2. For each site, score its rows by a model trained on all other sites.
3. The loss of a site is the figure of 1 minus the figure of 2 on the same rows, so their common errors cancel: DeLong's
   paired interval for the AUC, else a paired bootstrap of rows.
4. The overestimate is the figure of 1 over all rows together minus the plain mean of the sites' figures of 2; rows are
   drawn again within sites for its interval, so it speaks of these sites, not of sites in general.
5. Rows that all agree resample to themselves, so no bootstrap end of 3 or 4 is closer to the estimate than what rows
   without an exception leave open (``stats.decomposition.hidden_share``). In 3 the two figures may be a whole metric apart
   for such a share of rows; in 4 each figure may have exceptions of its own, and rows of a small site, which count for
   more there, may hide more.

Rules kept here:
1. Scores of the folds of 1 are ranked together, to be paired with 2; strata keep the folds' base rates equal, and what
   remains of that effect lowers the figure of 1, which makes a loss look smaller, never larger.
2. A site that cannot be measured stays in the table as unknown.
3. Losses are positive when the unseen site does worse, whichever way the metric points.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.measure.delta import Metric, performance
from roadworthy.measure.probing.folds import FOLDS, deal
from roadworthy.measure.probing.inputs import Inputs, Train, names_per_row, scores_of
from roadworthy.stats.auc import auc, delong_paired_delta
from roadworthy.stats.bootstrap import cluster_bootstrap
from roadworthy.stats.decomposition import hidden_share
from roadworthy.stats.multiplicity import simultaneous_confidence
from roadworthy.stats.sample import BoolArray, FloatArray, IntArray

_REPLICATES = 400
_ENOUGH_SHARE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutSite:
    """One site.

    Attributes:
        site: its name.
        seen: the metric there, cross-validated, with the site's other rows in training.
        unseen: the metric there with none of its rows in training.
        loss: ``seen`` minus ``unseen``, positive when the unseen site does worse; all at the simultaneous level.
    """

    site: str
    seen: Interval
    unseen: Interval
    loss: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOut:
    """What a recipe loses at sites that it never saw.

    Attributes:
        metric: that was measured.
        pooled: cross-validated over all rows: the usual claim.
        sites: by name.
        overestimate: ``pooled`` minus the mean of the unseen sites, positive when the claim is too good.
        worst: the site with the largest loss, None when none could be measured.
    """

    metric: Metric
    pooled: Interval
    sites: tuple[HeldOutSite, ...]
    overestimate: Interval
    worst: HeldOutSite | None


def leave_one_site_out(
    train: Train,
    inputs: Inputs,
    labels: ArrayLike,
    sites: ArrayLike,
    *,
    metric: Metric = Metric.AUC,
    threshold: float = 0.5,
    folds: int = FOLDS,
    seed: int,
    confidence: float = 0.95,
) -> LeaveOut:
    """Train without each site in turn; ``folds`` + sites trainings.

    Args:
        train: the recipe: rows and labels to a model.
        inputs: what the model reads, n rows.
        labels: 0 or 1, shape (n,).
        sites: the name of each row's site, shape (n,).
        metric: what to measure.
        threshold: scores at or above it are positive decisions; not used by AUC and Brier.
        folds: of the cross-validation.
        seed: of folds and bootstrap.
        confidence: two-sided level, for the whole, and for all sites together.

    Raises:
        ParameterError: one site only, labels outside {0, 1}, or lengths that differ (RW-114).
    """
    names, truth = names_per_row(sites, inputs), _labels(labels, inputs)
    found = np.unique(names)
    if found.size < 2:
        raise ParameterError("There is one site only.", remedy="Give rows of at least two sites.")
    # 1. Every site seen.
    strata = np.char.add(names, np.where(truth == 1, " 1", " 0"))
    seen = _cross_validated(train, inputs, truth, deal(strata, folds, np.random.default_rng(seed)))
    # 2. Each site unseen.
    unseen = np.empty(truth.size)
    for name in found:
        there = names == name
        unseen[there] = scores_of(train(inputs.take(~there), truth[~there]), inputs.take(there))
    # 3. By site.
    level = simultaneous_confidence(confidence, int(found.size))
    ruler = _Ruler(metric=metric, threshold=threshold)
    rows = []
    for name in found:
        there = names == name
        rows.append(
            HeldOutSite(
                site=str(name),
                seen=ruler.interval(truth[there], seen[there], level),
                unseen=ruler.interval(truth[there], unseen[there], level),
                loss=_loss(ruler, truth[there], seen=seen[there], unseen=unseen[there], level=level, seed=seed),
            )
        )
    measured = [row for row in rows if row.loss.known]
    return LeaveOut(
        metric=metric,
        pooled=ruler.interval(truth, seen, confidence),
        sites=tuple(rows),
        overestimate=_overestimate(  # 4
            ruler, truth, names, seen=seen, unseen=unseen, confidence=confidence, seed=seed
        ),
        worst=max(measured, key=lambda row: row.loss.estimate, default=None),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """A model trained at one site, tested at another, or, cross-validated, at its own.

    Attributes:
        trained_at: the only site in training.
        tested_at: where it was tested.
        figure: the metric there, at the level that was asked for, each on its own.
    """

    trained_at: str
    tested_at: str
    figure: Interval


def train_at_one_site(
    train: Train,
    inputs: Inputs,
    labels: ArrayLike,
    sites: ArrayLike,
    *,
    trained_at: str,
    metric: Metric = Metric.AUC,
    threshold: float = 0.5,
    folds: int = FOLDS,
    seed: int,
    confidence: float = 0.95,
) -> tuple[Transport, ...]:
    """Train at one site and test at every site, its own cross-validated; ``folds`` + 1 trainings.

    Args:
        trained_at: the site whose rows alone are in training; the other arguments as for ``leave_one_site_out``.

    Raises:
        ParameterError: no row of that site, labels outside {0, 1}, or lengths that differ (RW-114).
    """
    names, truth = names_per_row(sites, inputs), _labels(labels, inputs)
    home = names == trained_at
    if not home.any():
        raise ParameterError(
            f"No row of the site {trained_at!r}.", remedy=f"Use one of: {', '.join(np.unique(names))}."
        )
    scores = scores_of(train(inputs.take(home), truth[home]), inputs)
    fold = deal(truth[home], folds, np.random.default_rng(seed))
    scores[home] = _cross_validated(train, inputs.take(home), truth[home], fold)
    return tuple(
        Transport(
            trained_at=trained_at,
            tested_at=str(name),
            figure=performance(
                truth[names == name], scores[names == name], metric, threshold=threshold, confidence=confidence
            ),
        )
        for name in np.unique(names)
    )


def _labels(labels: ArrayLike, inputs: Inputs) -> FloatArray:
    truth = np.asarray(labels, dtype=np.float64)
    if truth.shape != (inputs.row_count,) or not np.isin(truth, (0.0, 1.0)).all():
        raise ParameterError("Labels are not one 0 or 1 a row.", remedy="Map the outcome to 0 and 1, one a row.")
    return truth


def _cross_validated(train: Train, inputs: Inputs, truth: FloatArray, fold: IntArray) -> FloatArray:
    scores = np.empty(truth.size)
    for k in np.unique(fold):
        test: BoolArray = fold == k
        scores[test] = scores_of(train(inputs.take(~test), truth[~test]), inputs.take(test))
    return scores


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ruler:
    """One metric, with what it needs."""

    metric: Metric
    threshold: float

    @property
    def sign(self) -> float:
        """Turns a difference so that worse is positive."""
        return 1.0 if self.metric.higher_is_better else -1.0

    def interval(self, truth: FloatArray, scores: FloatArray, level: float) -> Interval:
        return performance(truth, scores, self.metric, threshold=self.threshold, confidence=level)

    def groups(self, truth: FloatArray, *scores: FloatArray) -> tuple[BoolArray, ...]:
        """The rows that the figure rests on, group by group."""
        positive = truth == 1
        if self.metric is Metric.AUC:
            return positive, ~positive
        if self.metric is Metric.SENSITIVITY:
            return (positive,)
        if self.metric is Metric.SPECIFICITY:
            return (~positive,)
        if self.metric is Metric.PPV:
            return tuple(each >= self.threshold for each in scores)
        return (np.ones(truth.size, dtype=np.bool_),)

    def point(self, truth: FloatArray, scores: FloatArray) -> float:
        """The figure without its interval; two have a cheap one."""
        if self.metric is Metric.AUC:
            return auc(truth, scores)
        if self.metric is Metric.BRIER:
            return float(((scores - truth) ** 2).mean())
        return performance(truth, scores, self.metric, threshold=self.threshold).estimate


def _loss(
    ruler: _Ruler, truth: FloatArray, *, seen: FloatArray, unseen: FloatArray, level: float, seed: int
) -> Interval:
    if ruler.metric is Metric.AUC:
        return delong_paired_delta(truth, unseen, seen, level)

    def lost(rows: IntArray) -> float:
        return ruler.sign * (ruler.point(truth[rows], seen[rows]) - ruler.point(truth[rows], unseen[rows]))

    interval = cluster_bootstrap(lost, np.arange(truth.size), seed=seed, replicates=_REPLICATES, confidence=level)
    # 5.
    groups = ruler.groups(truth, seen, unseen)
    return _widened(interval, max(hidden_share(_even(rows), np.arange(rows.size), level) for rows in groups))


def _overestimate(
    ruler: _Ruler,
    truth: FloatArray,
    names: NDArray[np.str_],
    *,
    seen: FloatArray,
    unseen: FloatArray,
    confidence: float,
    seed: int,
) -> Interval:
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    rng = np.random.default_rng(seed)

    def figures(parts: list[IntArray]) -> tuple[float, float]:
        rows = np.concatenate(parts)
        apart = [ruler.point(truth[part], unseen[part]) for part in parts]
        return ruler.point(truth[rows], seen[rows]), float(np.mean(apart))

    def gap(parts: list[IntArray]) -> float:
        claimed, found = figures(parts)
        return ruler.sign * (claimed - found)

    drawn = np.asarray([gap([rng.choice(part, part.size) for part in members]) for _ in range(_REPLICATES)])
    claimed, found = figures(members)
    estimate = gap(members)
    finite = drawn[np.isfinite(drawn)]
    if not math.isfinite(estimate) or finite.size < _ENOUGH_SHARE * _REPLICATES:
        return unknown(truth.size)
    lower, upper = np.quantile(finite, [(1 - confidence) / 2, (1 + confidence) / 2])
    # 5. Every site counts alike in the mean, however few its rows.
    groups = ruler.groups(truth, seen, unseen)
    one = max(hidden_share(_even(rows), np.arange(rows.size), confidence) for rows in groups)
    other = max(hidden_share(_alike(rows, names), np.arange(rows.size), confidence, names) for rows in groups)
    down, up = math.hypot(claimed * one, (1 - found) * other), math.hypot((1 - claimed) * one, found * other)
    if not ruler.metric.higher_is_better:
        down, up = up, down
    return Interval(
        estimate=estimate,
        lower=min(float(lower), estimate - down),
        upper=max(float(upper), estimate + up),
        n=truth.size,
        confidence=confidence,
    )


def _even(rows: BoolArray) -> FloatArray:
    """The same share for each row of a group."""
    return np.asarray(rows / max(1, int(rows.sum())), dtype=np.float64)


def _alike(rows: BoolArray, names: NDArray[np.str_]) -> FloatArray:
    """Shares by which each site counts alike, and each row of a group alike within its site."""
    return np.asarray(np.mean([_even(rows & (names == name)) for name in np.unique(names)], axis=0), dtype=np.float64)


def _widened(interval: Interval, hidden: float) -> Interval:
    """With room for a hidden share of rows whose two figures are a whole metric apart, either way."""
    if not interval.known:
        return interval
    seen = interval.estimate * (1 - hidden)
    return Interval(
        estimate=interval.estimate,
        lower=min(interval.lower, seen - hidden),
        upper=max(interval.upper, seen + hidden),
        n=interval.n,
        confidence=interval.confidence,
    )
