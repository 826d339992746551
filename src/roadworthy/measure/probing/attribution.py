"""What a model's scores hang on. Owns occlusion attributions, their mass, stability and cost; opens no model.

Algorithm of ``occlude``:
1. Score the rows as they are.
2. For each input (or group of inputs that belong together) take its values from rows drawn from a background, and
   score again; several draws are averaged.
3. The attribution of an input to a row is the score of 1 minus the average of 2: positive where the row's own value
   raises the score. The mean of its absolute value is the input's weight (permutation importance, on scores).

Algorithm of ``stability``:
1. Describe two windows by the rank correlation of the weights, by how many of the heaviest inputs they share, and by how
   many of the reference's heaviest change direction: whether a higher value raises or lowers the score.
2. Take two differences for each input: of its share of the window's whole weight, and of its direction, which is the
   covariance of its value's rank with its attribution, over the whole weight.
3. Put the rows of both windows together and deal them to two windows of the same sizes again, 999 times by default. Each
   difference is divided by its own spread over all deals, the real one among them, so that inputs can be compared.
4. The largest share difference and the largest turn, each over all inputs, are compared with the largest of every deal,
   which counts that many inputs were looked at. An alarm is one beyond that, Holm-adjusted for the two.
The figures of 1 are not tested. They say how much two windows differ where they need to be told how little: after rows
of two unlike windows are mixed, deals of the mixture rank inputs no better than by chance, so the more the windows
differ the less can stand out from the deals. A difference does not have that flaw: the deals centre it on nil. As only
shares and covariances enter, scores on another scale and inputs that are merely larger alarm less readily; a deal still
cannot tell a model that changed from rows that changed.

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
WEIGHT, DIRECTION = "weight", "direction"
_FLAT = 1e-12


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
        tests: of ``WEIGHT`` and ``DIRECTION``: the largest difference over all inputs, in its spread over dealt windows.
        adjusted: of both, the Holm-adjusted p-value.
        furthest: of both, the input with that largest difference.
    """

    rank_correlation: Interval
    overlap_share: float
    flipped_share: float
    tests: Mapping[str, PermutationTest]
    adjusted: Mapping[str, float]
    furthest: Mapping[str, str]

    def alarm(self, level: float = 0.05) -> bool:
        """Whether weight or direction differs beyond what relabelling gives, at this level for both together."""
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
    # The windows as they are, and dealt again.
    total = rows.sum(axis=0)
    parts = np.stack(
        [rows[:n].sum(axis=0), *(rows[rng.permutation(n + m)[:n]].sum(axis=0) for _ in range(permutations))]
    )
    first, second = _split(parts / n), _split((total - parts) / m)
    # 1. What is described.
    observed, other = first.take_line(0), second.take_line(0)
    correlation, overlap, flipped = _describe(observed, other, top)
    # 2. to 4. What is tested.
    tests, furthest = {}, {}
    for name, differences in (
        (WEIGHT, first.shares() - second.shares()),
        (DIRECTION, first.directions() - second.directions()),
    ):
        sizes = _in_spreads(differences)
        tests[name] = judge_against(float(sizes[0].max()), sizes[1:].max(axis=1))
        furthest[name] = reference.names[int(sizes[0].argmax())]
    adjusted = holm([test.p_value for test in tests.values()])
    return Stability(
        rank_correlation=_correlation_interval(
            np.abs(reference.values), np.abs(window.values), correlation, rng, confidence
        ),
        overlap_share=overlap,
        flipped_share=flipped,
        tests=tests,
        adjusted={name: float(p) for name, p in zip(tests, adjusted, strict=True)},
        furthest=furthest,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Means:
    """Means over the rows of b windows, each of shape (b, k)."""

    sizes: FloatArray
    values: FloatArray
    ranks: FloatArray
    products: FloatArray

    def take_line(self, line: int) -> "_Means":
        """One window, as b = 1."""
        chosen = slice(line, line + 1)
        return _Means(
            sizes=self.sizes[chosen],
            values=self.values[chosen],
            ranks=self.ranks[chosen],
            products=self.products[chosen],
        )

    def whole(self) -> FloatArray:
        """All weight of a window, 1 where there is none, shape (b, 1)."""
        total = self.sizes.sum(axis=1, keepdims=True)
        return np.where(total > 0, total, 1.0)

    def shares(self) -> FloatArray:
        """Of the window's weight."""
        return self.sizes / self.whole()

    def covariances(self) -> FloatArray:
        """Of rank and attribution: above 0 where a higher value raises the score."""
        return self.products - self.ranks * self.values

    def directions(self) -> FloatArray:
        """Covariances in units of the window's weight."""
        return self.covariances() / self.whole()


def _split(means: FloatArray) -> _Means:
    sizes, values, ranks, products = np.split(means, 4, axis=1)
    return _Means(sizes=sizes, values=values, ranks=ranks, products=products)


def _describe(reference: _Means, window: _Means, top: int) -> tuple[float, float, float]:
    """Rank correlation, overlap and share of turned directions of one pair of windows."""
    heaviest, others = _heaviest(reference.sizes, top), _heaviest(window.sizes, top)
    direction, other = np.sign(reference.covariances()), np.sign(window.covariances())
    directed = heaviest & (direction != 0)
    turned = int((directed & (direction != other)).sum())
    return (
        float(_rank_correlations(reference.sizes, window.sizes)[0]),
        int((heaviest & others).sum()) / top,
        turned / max(1, int(directed.sum())),
    )


def _in_spreads(differences: FloatArray) -> FloatArray:
    """Absolute differences of b deals in units of each input's spread over the deals, shape (b, k); 0 where flat."""
    # The real deal belongs to the spread too, or it alone would be measured by others.
    spread = np.sqrt((differences**2).mean(axis=0))
    flat = spread <= _FLAT
    return np.where(flat, 0.0, np.abs(differences) / np.where(flat, 1.0, spread))


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
