"""What a model's scores hang on. Owns occlusion attributions, their mass, stability and cost; opens no model.

Algorithm of ``occlude``:
1. Score the rows as they are.
2. For each input (or group of inputs that belong together) take its values from rows drawn from a background, and
   score again; several draws are averaged.
3. The attribution of an input to a row is the score of 1 minus the average of 2: positive where the row's own value
   raises the score. The mean of its absolute value is the input's weight (permutation importance, on scores).

Algorithm of ``stability``:
1. Compare two windows by the rank correlation of the weights, by how many of the heaviest inputs they share, and by how
   many of the reference's heaviest change direction: whether a higher value raises or lowers the score.
2. Put the rows of both windows together and deal them to two windows of the same sizes again, 999 times by default: that
   is how much these figures vary when nothing changed.
3. An alarm is a figure beyond that, Holm-adjusted for the three figures; a low figure alone is none.
The null is drawn from both windows together, because drawing both parts from the reference treats its noise as signal:
with ten equal weights, 500 and 200 rows, a bootstrap of the reference alarmed at 5 % in 69 of 200 quiet windows, this
one in 16.

Rules kept here: the background is the same for both windows, or the windows are not comparable; a score that is not
finite is refused; correlated inputs share their weight in ways that no attribution can undo.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from scipy.stats import t as student

from roadworthy.base.errors import EmptyData, ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.measure.probing.inputs import Inputs, Model, is_number, scores_of
from roadworthy.stats.multiplicity import holm
from roadworthy.stats.permutation import PermutationTest, judge_against
from roadworthy.stats.proportions import clopper_pearson
from roadworthy.stats.quantiles import quantile_interval
from roadworthy.stats.sample import BoolArray, FloatArray, check_confidence

_REPLICATES = 400
_ENOUGH_ROWS = 2
_ENOUGH_INPUTS = 3
_ORDER, _OVERLAP, _DIRECTION = "rank correlation", "overlap", "direction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributions:
    """Attributions of k inputs to the scores of n rows.

    Attributes:
        names: of inputs or groups, k.
        values: signed, in the unit of scores, shape (n, k).
        observed: the inputs' own numbers, shape (n, k); NaN for texts, groups and nulls.
    """

    names: tuple[str, ...]
    values: FloatArray
    observed: FloatArray

    @property
    def weights(self) -> dict[str, float]:
        """The mean absolute attribution of each input, heaviest first."""
        means = np.abs(self.values).mean(axis=0)
        return {self.names[k]: float(means[k]) for k in np.argsort(-means, kind="stable")}


def occlude(
    model: Model,
    inputs: Inputs,
    background: Inputs,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    draws: int = 8,
    seed: int,
) -> Attributions:
    """Attribute scores to inputs; 1 + inputs x draws scorings of all rows.

    Args:
        model: from rows to scores.
        inputs: the rows to explain.
        background: where replaced values come from, usually the reference window.
        groups: inputs that are replaced together, by the group's name; those in no group stand for themselves.
        draws: how many background rows to average over, at least 1.
        seed: of the drawn rows.

    Raises:
        ParameterError: an unknown column, no draw, or a score that is not finite (RW-114).
    """
    if draws < 1:
        raise ParameterError("No draw was asked for.", remedy="Average over at least one background row.")
    parts = _parts(inputs, groups or {})
    # 1. As they are.
    own = _finite(scores_of(model, inputs))
    rng = np.random.default_rng(seed)
    columns = []
    for members in parts.values():
        # 2. With values of others.
        total = np.zeros(inputs.row_count)
        for _ in range(draws):
            donors = rng.integers(0, background.row_count, inputs.row_count)
            changed = inputs
            for name in members:
                changed = changed.replaced(name, background.column(name)[donors])
            # Subtracted draw by draw: what the model does not read gets exactly 0.
            total += own - _finite(scores_of(model, changed))
        columns.append(total / draws)  # 3
    observed = [
        inputs.column(members[0]).astype(np.float64)
        if len(members) == 1 and is_number(inputs.column(members[0]))
        else np.full(inputs.row_count, np.nan)
        for members in parts.values()
    ]
    return Attributions(names=tuple(parts), values=np.column_stack(columns), observed=np.column_stack(observed))


def mass_on(attributions: Attributions, names: Sequence[str], *, confidence: float = 0.95) -> Interval:
    """The share of all absolute attribution that falls on some inputs, for example those of acquisition.

    A ratio of two means; its error is that of the linearised ratio (Cochran, Sampling Techniques, section 2.11). As with
    any share that happened to be 0 or 1 in every row, the interval never claims more than n trials could.

    Args:
        attributions: of n rows.
        names: inputs or groups.
        confidence: two-sided level in (0, 1).

    Returns:
        The share; unknown below two rows or when no input moves a score.

    Raises:
        ParameterError: an unknown name or a level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    strangers = sorted(set(names) - set(attributions.names))
    if strangers:
        raise ParameterError(
            f"No attribution for {', '.join(strangers)}.", remedy=f"Use some of: {', '.join(attributions.names)}."
        )
    sizes = np.abs(attributions.values)
    part = sizes[:, [k for k, name in enumerate(attributions.names) if name in set(names)]].sum(axis=1)
    whole = sizes.sum(axis=1)
    n = len(sizes)
    if n < _ENOUGH_ROWS or whole.sum() == 0:
        return unknown(n)
    share = float(part.sum() / whole.sum())
    error = float((part - share * whole).std(ddof=1) / whole.mean()) / math.sqrt(n)
    half = float(student.ppf(0.5 + confidence / 2, n - 1)) * error
    unseen = clopper_pearson(0, n, confidence).upper
    return Interval(
        estimate=share,
        lower=max(0.0, min(share - half, share * (1 - unseen))),
        upper=min(1.0, max(share + half, share + (1 - share) * unseen)),
        n=n,
        confidence=confidence,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """How alike the attributions of two windows are.

    Attributes:
        rank_correlation: Spearman's, of the weights, with the percentile interval of resampled rows; that interval leans
            downwards, because resampling adds noise to both windows.
        overlap_share: of the heaviest inputs, in both windows.
        flipped_share: of the reference's heaviest inputs with a direction, those whose direction changed.
        tests: by figure, against relabelled windows.
        adjusted: by figure, the Holm-adjusted p-value.
    """

    rank_correlation: Interval
    overlap_share: float
    flipped_share: float
    tests: Mapping[str, PermutationTest]
    adjusted: Mapping[str, float]

    def alarm(self, level: float = 0.05) -> bool:
        """Whether a figure is beyond what relabelling gives, at this level for all three together."""
        return min(self.adjusted.values()) <= level


def stability(
    reference: Attributions,
    window: Attributions,
    *,
    top: int = 5,
    seed: int,
    permutations: int = 999,
    confidence: float = 0.95,
) -> Stability:
    """Compare a window's attributions with the reference's.

    Args:
        reference: n rows, at least three inputs.
        window: m rows, the same inputs, the same background.
        top: how many of the heaviest inputs to look at.
        seed: of relabelling and resampling.
        permutations: how many times to relabel.
        confidence: two-sided level of the interval.

    Raises:
        ParameterError: other inputs, fewer than three, a ``top`` that is not below their number, or no permutation (RW-114).
        EmptyData: a window with fewer than two rows (RW-104).
    """
    check_confidence(confidence)
    if reference.names != window.names or len(reference.names) < _ENOUGH_INPUTS or not 1 <= top < len(reference.names):
        raise ParameterError(
            "The two windows cannot be ranked against each other.",
            remedy="Attribute the same three or more inputs in both, and look at fewer of the heaviest than there are.",
        )
    n, m = len(reference.values), len(window.values)
    if min(n, m) < _ENOUGH_ROWS:
        raise EmptyData("A window has fewer than two rows.", remedy="Explain more rows.")
    rows = _row_figures(reference, window)
    rng = np.random.default_rng(seed)
    # 1. The windows as they are,  2. and dealt again.
    total = rows.sum(axis=0)
    parts = np.stack(
        [rows[:n].sum(axis=0), *(rows[rng.permutation(n + m)[:n]].sum(axis=0) for _ in range(permutations))]
    )
    figures = _compare(parts / n, (total - parts) / m, top)
    # 3. Each figure turned so that larger is worse.
    tests = {name: judge_against(float(drawn[0]), drawn[1:]) for name, drawn in figures.items()}
    adjusted = holm([test.p_value for test in tests.values()])
    return Stability(
        rank_correlation=_correlation_interval(
            np.abs(reference.values), np.abs(window.values), -tests[_ORDER].observed, rng, confidence
        ),
        overlap_share=1 - tests[_OVERLAP].observed,
        flipped_share=tests[_DIRECTION].observed,
        tests=tests,
        adjusted={name: float(p) for name, p in zip(tests, adjusted, strict=True)},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationCost:
    """What explaining costs.

    Attributes:
        plain_rows_per_s: rows scored in a second, without explanation.
        explained_rows_per_s: rows scored and explained in a second.
        slowdown: the first over the second.
        overhead_p95_s: seconds that the explanation adds to a batch, 95th percentile over batches.
        batch_rows: rows of a batch.
    """

    plain_rows_per_s: float
    explained_rows_per_s: float
    slowdown: float
    overhead_p95_s: Interval
    batch_rows: int


def explanation_cost(
    model: Model,
    explain: Callable[[Inputs], object],
    inputs: Inputs,
    *,
    monotonic_s: Callable[[], float],
    batch_rows: int = 1,
    batches: int = 100,
) -> ExplanationCost:
    """Time batches with and without explanation, in turn, so that whatever else the machine does hits both alike.

    Args:
        model: from rows to scores.
        explain: from rows to their explanation; its scorings count as its cost.
        inputs: where batches come from, again from the start when they run out.
        monotonic_s: a clock, in seconds.
        batch_rows: rows of a batch, at least 1.
        batches: how many, at least 1; the percentile's upper end is finite from 72.

    Raises:
        ParameterError: no batch or no row, or a clock too coarse to see a batch (RW-114).
    """
    if batch_rows < 1 or batches < 1:
        raise ParameterError("Nothing to time.", remedy="Ask for at least one batch of one row.")
    plain, added = [], []
    for k in range(batches):
        batch = inputs.take(np.arange(k * batch_rows, (k + 1) * batch_rows) % inputs.row_count)
        start = monotonic_s()
        scores_of(model, batch)
        scored = monotonic_s()
        explain(batch)
        plain.append(scored - start)
        added.append(monotonic_s() - scored)
    rows = batches * batch_rows
    if sum(plain) <= 0:
        raise ParameterError("The clock did not move while rows were scored.", remedy="Take larger batches.")
    explained = sum(plain) + sum(added)
    return ExplanationCost(
        plain_rows_per_s=rows / sum(plain),
        explained_rows_per_s=rows / explained,
        slowdown=explained / sum(plain),
        overhead_p95_s=quantile_interval(added, 0.95),
        batch_rows=batch_rows,
    )


def _parts(inputs: Inputs, groups: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    grouped = [name for members in groups.values() for name in members]
    unknown_names = sorted(set(grouped) - set(inputs.names))
    if unknown_names or len(grouped) != len(set(grouped)) or not all(groups.values()):
        raise ParameterError(
            f"Groups do not divide the inputs ({', '.join(unknown_names) or 'an input twice, or an empty group'}).",
            remedy="Put each input into one group at most.",
        )
    alone = {name: (name,) for name in inputs.names if name not in grouped}
    return {**alone, **{name: tuple(members) for name, members in groups.items()}}


def _finite(scores: FloatArray) -> FloatArray:
    if not np.isfinite(scores).all():
        raise ParameterError(
            "The model declined some rows, whose scores cannot be attributed.", remedy="Drop the rows that it declines."
        )
    return scores


def _row_figures(reference: Attributions, window: Attributions) -> FloatArray:
    """By row: absolute attribution, attribution, value, and value times attribution, side by side."""
    values = np.concatenate([reference.values, window.values])
    observed = np.concatenate([reference.observed, window.observed])
    ranks = np.zeros(observed.shape)
    for k in range(observed.shape[1]):
        present = ~np.isnan(observed[:, k])
        count = int(present.sum())
        # Centred, so that a null stands in the middle.
        ranks[present, k] = (rankdata(observed[present, k]) - (count + 1) / 2) / max(1, count)
    return np.column_stack([np.abs(values), values, ranks, ranks * values])


def _compare(first: FloatArray, second: FloatArray, top: int) -> dict[str, FloatArray]:
    """By figure, for b pairs of windows given by their means, shape (b, 4 k): larger is worse, shape (b,)."""
    sizes, means, ranks, products = np.split(first, 4, axis=1)
    other_sizes, other_means, other_ranks, other_products = np.split(second, 4, axis=1)
    heaviest, others = _heaviest(sizes, top), _heaviest(other_sizes, top)
    shared = (heaviest & others).sum(axis=1)
    direction, other_direction = np.sign(products - ranks * means), np.sign(other_products - other_ranks * other_means)
    directed = heaviest & (direction != 0)
    turned = (directed & (direction != other_direction)).sum(axis=1)
    return {
        _ORDER: -_rank_correlations(sizes, other_sizes),
        _OVERLAP: 1 - shared / top,
        _DIRECTION: turned / np.maximum(1, directed.sum(axis=1)),
    }


def _heaviest(sizes: FloatArray, top: int) -> BoolArray:
    chosen = np.zeros(sizes.shape, dtype=np.bool_)
    np.put_along_axis(chosen, np.argsort(-sizes, axis=1, kind="stable")[:, :top], values=True, axis=1)
    return chosen


def _rank_correlations(first: FloatArray, second: FloatArray) -> FloatArray:
    """Spearman's coefficient by row; 1 when neither side ranks anything, 0 when one does and the other does not."""
    ranks, others = np.asarray(rankdata(first, axis=1)), np.asarray(rankdata(second, axis=1))
    ranks -= ranks.mean(axis=1, keepdims=True)
    others -= others.mean(axis=1, keepdims=True)
    scale = np.sqrt((ranks**2).sum(axis=1) * (others**2).sum(axis=1))
    neither = ~ranks.any(axis=1) & ~others.any(axis=1)
    return np.where(scale > 0, (ranks * others).sum(axis=1) / np.where(scale > 0, scale, 1.0), neither * 1.0)


def _correlation_interval(
    first: FloatArray, second: FloatArray, estimate: float, rng: np.random.Generator, confidence: float
) -> Interval:
    n, m = len(first), len(second)

    def drawn(sizes: FloatArray) -> FloatArray:
        rows = len(sizes)
        return np.stack([sizes[rng.integers(0, rows, rows)].mean(axis=0) for _ in range(_REPLICATES)])

    values = _rank_correlations(drawn(first), drawn(second))
    lower, upper = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(
        estimate=estimate,
        lower=min(float(lower), estimate),
        upper=max(float(upper), estimate),
        n=min(n, m),
        confidence=confidence,
    )
