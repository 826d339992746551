"""Intervals for a quantile, and for a share, of a stationary series whose neighbours resemble each other.

Latencies behind a queue are such a series: one slow spell makes hundreds of them slow together. Owns the design effect
of dependence, the order-statistic interval on what the series is then worth, and the matching interval of a share.

What is done:
1. A quantile is judged through the indicators of exceeding a threshold, whose mean is a share (Woodruff, JASA 47, 1952;
   for dependent series Heidelberger and Lewis, Operations Research 32, 1984).
2. The variance of that share is the independent one times the design effect ``1 + 2 * sum of autocorrelations``. The sum
   is ended by the initial monotone sequence: autocorrelations are added in pairs until a pair's sum is not positive, and
   no pair counts for more than the one before (Geyer, Statistical Science 7, 1992, section 3.3).
3. A short series holds few exceedances of the quantile itself, and often none of the worst spells, so its design effect
   there is too small. Lower thresholds, exceeded five and ten times as often, see the same spells more often: the
   largest of the three counts.
4. A series of n observations is then worth n over the design effect, and the interval is that of ``quantiles`` for so
   many independent observations, its ranks carried back to the n.

Rules kept here:
1. The order is that of time; a shuffled series looks independent and the interval would be wrong.
2. A design effect below 1 is taken as 1: nothing is gained from neighbours that avoid each other.
3. An end that the series is too short for is the end of the possible range, infinite where none was given.
4. Geyer proves step 2 for reversible chains, which a queue is not; that it holds there is shown by simulation
   (tests/bench/dependent_rates.py): the upper end keeps its 2.5 %, the lower one misses in up to 5 % of series that are
   worth fewer than a hundred observations. A spell longer than the series is seen by no estimator.
5. Ups and downs below a ``floor`` are not looked at: the hiccups of an idle machine last long beside its prompt answers
   and say nothing of a bound far above. In return no end is claimed there: a quantile below the floor is only said to
   lie between the least that is possible and the floor.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, binom

from roadworthy.base.errors import ParameterError
from roadworthy.base.interval import Interval, unknown
from roadworthy.stats.sample import FloatArray, check_confidence

_TIMES_AS_OFTEN = (1.0, 5.0, 10.0)
_MEDIAN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """An interval and what it rests on.

    Attributes:
        interval: its ``n`` counts observations, since bounds ask for so many of those.
        effective: as many independent observations would be worth the same; at most ``n``.
    """

    interval: Interval
    effective: float


def dependent_quantile(
    values: ArrayLike,
    share: float,
    *,
    confidence: float = 0.95,
    within: tuple[float, float] = (-math.inf, math.inf),
    floor: float = -math.inf,
) -> Dependent:
    """The ``share`` quantile of a stationary series, for example 0.99, in the unit of ``values``.

    Args:
        values: in the order of time, shape (n,).
        share: which quantile, in [0.5, 1).
        confidence: two-sided level in (0, 1).
        within: what a value can be at least and at most, for an end that the series is too short for.
        floor: a value so far below what matters that it need not be told from lower ones (rule 5).

    Returns:
        For a series without any dependence the interval of ``quantile_interval``; NaN among the values: unknown.

    Raises:
        ParameterError: a share or level out of range (RW-114).
    """
    check_confidence(confidence)
    if not _MEDIAN <= share < 1.0:
        raise ParameterError(f"A quantile of {share} is not in [0.5, 1).", remedy="Give a share such as 0.99.")
    series = np.asarray(values, dtype=np.float64).ravel()
    n = series.size
    if n == 0 or bool(np.isnan(series).any()):
        return Dependent(interval=unknown(n), effective=0.0)
    ordered = np.sort(series)
    # 1. to 3. Thresholds that are exceeded once, five and ten times as often as the quantile, but never by more than half.
    above = {min(_MEDIAN, often * (1 - share)) for often in _TIMES_AS_OFTEN}
    effect = max(design_effect(series > max(floor, ordered[_rank(n, 1 - each) - 1])) for each in above)
    worth = max(1, math.floor(n / effect))
    # 4. Ranks among `worth` independent observations, as in `quantiles`, and their place among the n.
    tail = (1 - confidence) / 2
    low = int(binom.ppf(tail, worth, share))
    high = int(binom.ppf(1 - tail, worth, share)) + 1
    estimate = float(ordered[_rank(n, share) - 1])
    lower = float(ordered[max(1, low * n // worth) - 1]) if low >= 1 else within[0]
    upper = max(floor, float(ordered[-(-high * n // worth) - 1])) if high <= worth else within[1]
    if lower <= floor:  # rule 5
        lower = within[0]
    # With hardly any worth a rank may pass the estimate, and a value may pass a range that was given too narrow.
    interval = Interval(
        estimate=estimate, lower=min(lower, estimate), upper=max(upper, estimate), n=n, confidence=confidence
    )
    return Dependent(interval=interval, effective=n / effect)


def dependent_share(hits: ArrayLike, *, confidence: float = 0.95) -> Dependent:
    """The share of a stationary series that hits: Clopper-Pearson on what the series is worth.

    When all agree, dependence cannot be seen and each observation counts.

    Args:
        hits: 0 or 1 in the order of time, shape (n,).
        confidence: two-sided level in (0, 1).

    Returns:
        The interval in [0, 1]; unknown when there is nothing.

    Raises:
        ParameterError: values outside {0, 1} or a level outside (0, 1) (RW-114).
    """
    check_confidence(confidence)
    series = np.asarray(hits, dtype=np.float64).ravel()
    if not np.isin(series, (0.0, 1.0)).all():
        raise ParameterError("A hit is neither 0 nor 1.", remedy="Give 0 or 1 for each observation.")
    n = series.size
    if n == 0:
        return Dependent(interval=unknown(), effective=0.0)
    worth = max(1.0, n / design_effect(series))
    share, tail = float(series.mean()), (1 - confidence) / 2
    hit, missed = share * worth, (1 - share) * worth
    lower = float(beta.ppf(tail, hit, missed + 1)) if share > 0 else 0.0
    upper = float(beta.ppf(1 - tail, hit + 1, missed)) if share < 1 else 1.0
    interval = Interval(estimate=share, lower=min(lower, share), upper=max(upper, share), n=n, confidence=confidence)
    return Dependent(interval=interval, effective=worth)


def design_effect(values: ArrayLike) -> float:
    """By how much dependence multiplies the variance of the mean; at least 1, and 1 when all values agree.

    Args:
        values: in the order of time, shape (n,), n at least 1, all finite.
    """
    series = np.asarray(values, dtype=np.float64).ravel()
    correlations = _autocorrelations(series)
    pairs = correlations[0 : 2 * (series.size // 2) : 2] + correlations[1 : 2 * (series.size // 2) : 2]
    ended = np.flatnonzero(pairs <= 0)
    counted = pairs[: ended[0]] if ended.size else pairs
    # The first pair holds lag 0, which counts once: 1 + 2 * (r_1 + r_2 + ...) = 2 * (sum of pairs) - 1.
    return max(1.0, 2.0 * float(np.minimum.accumulate(counted).sum()) - 1.0)


def _autocorrelations(series: FloatArray) -> FloatArray:
    """At lags 0 to n - 1, each sum of products over n; nothing but zeros when all values agree."""
    deviations = series - series.mean()
    total = float(deviations @ deviations)
    if total == 0.0:
        return np.zeros(series.size)
    # Padding with zeros to twice the length keeps the end of the series from meeting its beginning.
    spectrum = np.fft.rfft(deviations, 2 << (series.size - 1).bit_length())
    products = np.fft.irfft(spectrum * np.conj(spectrum))[: series.size]
    return np.asarray(products / total, dtype=np.float64)


def _rank(n: int, share: float) -> int:
    # The subtraction keeps 1000 * (1 - 0.01) from asking for one rank more through rounding.
    return min(n, max(1, math.ceil(n * share - 1e-9)))
