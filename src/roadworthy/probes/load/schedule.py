"""When requests are meant to leave. Owns arrival schedules and the reading of their peaks; sending belongs to ``engine``.

A schedule is a sorted float64 array, shape (n,), of intended send times in seconds from the start of the run. It is fixed
before the first request leaves and never waits for an answer: that is what makes the load open-loop.

Rules kept here:
1. Every random choice comes from the ``seed`` argument; the same arguments give the same array.
2. A peak is the triple of the busiest sliding windows [t, t + w) of 1, 10 and 60 seconds, as requests per second.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roadworthy.base.errors import EmptyData, ParameterError
from roadworthy.kit.context import Peak

Times = NDArray[np.float64]

WINDOWS_S = (1.0, 10.0, 60.0)
PERIOD_S = 60.0
_SLOWEST = 1e-3
_BISECTIONS = 60
_EDGE = 1e-9
_EVEN = 1 + 1e-12


def poisson(rate_rps: float, duration_s: float, seed: int) -> Times:
    """Independent arrivals: a Poisson process of ``rate_rps`` over [0, ``duration_s``).

    The count is drawn first and the instants are then uniform order statistics, which is the same law as exponential
    gaps (Kingman, Poisson Processes, section 2.4).

    Raises:
        ParameterError: rate or duration is not a positive number (RW-114).
    """
    _check_positive("rate_rps", rate_rps)
    _check_positive("duration_s", duration_s)
    generator = np.random.default_rng(seed)
    return _scattered(generator, 0.0, duration_s, int(generator.poisson(rate_rps * duration_s)))


def constant(rate_rps: float, duration_s: float) -> Times:
    """Evenly spaced arrivals, the first at 0.

    Raises:
        ParameterError: rate or duration is not a positive number (RW-114).
    """
    _check_positive("rate_rps", rate_rps)
    _check_positive("duration_s", duration_s)
    return np.arange(round(rate_rps * duration_s), dtype=np.float64) / rate_rps


def recorded(times_s: ArrayLike, *, scale: float = 1.0) -> Times:
    """A recorded trace replayed ``scale`` times as fast, starting at 0.

    Args:
        times_s: recorded arrival times in seconds from any origin, in any order, shape (n,).
        scale: how many recorded seconds pass in one second of the replay; above 1 the load gets denser.

    Raises:
        EmptyData: no arrivals (RW-104).
        ParameterError: an instant that is not finite, or a scale that is not positive (RW-114).
    """
    _check_positive("scale", scale)
    times = _sorted(times_s)
    replayed: Times = (times - times[0]) / scale
    return replayed


def peak_of(times_s: ArrayLike, derived_from: str = "measured") -> Peak:
    """The busiest windows of a schedule or of a record of requests, in requests per second.

    A window longer than the run counts what there is and still divides by its full length, so a short run reads low.

    Raises:
        EmptyData: no arrivals (RW-104).
        ParameterError: an instant that is not finite (RW-114).
    """
    times = _sorted(times_s)
    per_1_s, per_10_s, per_60_s = (_busiest(times, window_s) / window_s for window_s in WINDOWS_S)
    return Peak(per_1_s=per_1_s, per_10_s=per_10_s, per_60_s=per_60_s, derived_from=derived_from)


def compression_for(times_s: ArrayLike, target: Peak, *, least: float = 1.0) -> float:
    """The smallest ``scale`` (at least ``least``) at which a recorded trace reaches every rate of ``target``.

    Compressing by s moves the recorded windows of s, 10 s and 60 s seconds into windows of 1, 10 and 60 seconds, so the
    counts rise with s and bisection finds the scale to 1 part in 10**9. A ``least`` below 1 allows a busier trace than
    was asked for to be slowed down.

    Raises:
        EmptyData: no arrivals (RW-104).
        ParameterError: the trace holds too few requests to reach the target however dense it gets (RW-114).
    """
    _check_positive("least", least)
    times = _sorted(times_s)
    counts = _target_counts(target, 1.0)
    if times.size < max(counts):
        raise ParameterError(
            f"A trace of {times.size} requests cannot reach {max(counts)} within one window.",
            remedy="Give a longer trace, or use at_peak, which makes its own arrivals.",
        )
    low, high = least, max(least, float(times[-1] - times[0]) * 2.0)
    if _reaches(times, low, counts):
        return low
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _reaches(times, middle, counts) else (middle, high)
    # At the exact scale a request stands on the edge of its window, where rounding may put it outside.
    return high * (1 + _EDGE)


def recorded_at_peak(times_s: ArrayLike, peak: Peak, duration_s: float, *, factor: float = 1.5) -> tuple[Times, float]:
    """The busiest stretch of a recorded trace, replayed so that it reaches ``factor`` times the declared peak.

    1. The whole trace gives a first scale, slower than recorded where the record is busier than what is asked for.
    2. The stretch that lasts ``duration_s`` at that scale is cut out, its busiest minute in the middle.
    3. The stretch gives the scale: the same, or a larger one where a short burst was left outside. So the replay lasts
       ``duration_s`` at most, and all three windows reach their rates in it, the two that do not decide exceeding them.

    Args:
        times_s: recorded arrival times in seconds from any origin, shape (n,).
        peak: declared rates in requests per second.
        duration_s: longest replay, at least 60, so that it holds a window of every length.
        factor: multiple of the peak to reach, for example 1.5.

    Returns:
        The schedule, starting at 0, and its scale: how many recorded seconds pass in one.

    Raises:
        EmptyData: no arrivals (RW-104).
        ParameterError: a value out of range, rates that contradict each other, or too short a trace (RW-114).
    """
    _check_positive("factor", factor)
    if not (math.isfinite(duration_s) and duration_s >= WINDOWS_S[2]):
        raise ParameterError(f"A replay of {duration_s} s holds no window of 60 s.", remedy="Replay 60 s or more.")
    _check_consistent(peak)
    times = _sorted(times_s)
    rates = (peak.per_1_s * factor, peak.per_10_s * factor, peak.per_60_s * factor)
    target = Peak(per_1_s=rates[0], per_10_s=rates[1], per_60_s=rates[2], derived_from=peak.derived_from)
    # 1
    first = compression_for(times, target, least=_SLOWEST)
    # 2
    length_s, minute_s = duration_s * first, WINDOWS_S[2] * first
    busiest_s = float(times[_counts(times, minute_s).argmax()])
    latest_s = max(float(times[0]), float(times[-1]) - length_s)
    start_s = min(max(float(times[0]), busiest_s - (length_s - minute_s) / 2), latest_s)
    stretch: Times = times[(times >= start_s) & (times <= start_s + length_s)]
    # 3
    scale = compression_for(stretch, target, least=_SLOWEST)
    return recorded(stretch, scale=scale), scale


def at_peak(peak: Peak, duration_s: float, seed: int, *, factor: float = 1.5) -> Times:
    """A schedule whose busiest windows reach ``factor`` times the declared peak in all three lengths at once.

    1. The run is cut into periods of 60 s; each carries the requests of the busiest minute.
    2. In the middle of each lies a plateau of 10 s with those of the busiest ten seconds,
    3. and in the middle of that a burst of 1 s with those of the busiest second.
    4. The counts are exact, rounded up; inside each stretch the instants are uniform, which is a Poisson process given
       its count. Neighbouring windows may therefore exceed the target by chance, never systematically.

    A run shorter than 60 s has one period of its own length at the same rates: it reaches those windows that fit into it
    and no others, which ``peak_of`` of the result shows.

    Args:
        peak: declared rates in requests per second.
        duration_s: at least 1.
        seed: of the instants.
        factor: multiple of the peak to reach, for example 1.5.

    Raises:
        ParameterError: a rate, factor or duration that is out of range, or rates that contradict each other (RW-114).
    """
    _check_positive("factor", factor)
    _check_positive("duration_s", duration_s)
    if duration_s < WINDOWS_S[0]:
        raise ParameterError(f"A run of {duration_s} s holds no window of 1 s.", remedy="Run for at least 1 s.")
    _check_consistent(peak)
    counts = _target_counts(peak, factor)
    generator = np.random.default_rng(seed)
    period_s = min(PERIOD_S, duration_s)
    periods = [
        _one_period(generator, start_s, period_s, counts) for start_s in np.arange(0.0, duration_s, period_s).tolist()
    ]
    times: Times = np.concatenate(periods)
    within: Times = times[times < duration_s]
    return within


def _one_period(generator: np.random.Generator, start_s: float, period_s: float, counts: tuple[int, ...]) -> Times:
    in_burst, in_plateau, in_minute = counts
    plateau_s = min(WINDOWS_S[1], period_s)
    burst_s = WINDOWS_S[0]
    # A window that is cut short carries its share of the requests, but never fewer than the window inside it.
    plateau = max(in_burst, math.ceil(in_plateau * plateau_s / WINDOWS_S[1]))
    total = max(plateau, math.ceil(in_minute * period_s / WINDOWS_S[2]))
    plateau_at_s = start_s + (period_s - plateau_s) / 2
    burst_at_s = start_s + (period_s - burst_s) / 2
    burst = _scattered(generator, burst_at_s, burst_s, in_burst)
    inner = _around(generator, (plateau_at_s, plateau_s), (burst_at_s, burst_s), plateau - in_burst)
    outer = _around(generator, (start_s, period_s), (plateau_at_s, plateau_s), total - plateau)
    return np.sort(np.concatenate([burst, inner, outer]))


def _around(generator: np.random.Generator, whole: tuple[float, float], hole: tuple[float, float], count: int) -> Times:
    """``count`` instants in ``whole`` but outside ``hole``, both as (start, length) in seconds."""
    whole_at_s, whole_s = whole
    hole_at_s, hole_s = hole
    free_s = whole_s - hole_s
    if free_s <= 0:  # the hole fills the whole: what is left over goes on top of it
        return _scattered(generator, whole_at_s, whole_s, count)
    instants = _scattered(generator, whole_at_s, free_s, count)
    return np.where(instants < hole_at_s, instants, instants + hole_s)


def _scattered(generator: np.random.Generator, start_s: float, length_s: float, count: int) -> Times:
    return np.sort(start_s + generator.random(count) * length_s)


def _busiest(times: Times, window_s: float) -> int:
    return int(_counts(times, window_s).max())


def _counts(times: Times, window_s: float) -> NDArray[np.intp]:
    """How many arrivals the window holds that begins with each, shape of ``times``."""
    return np.searchsorted(times, times + window_s, side="left") - np.arange(times.size)


def _reaches(times: Times, scale: float, counts: tuple[int, ...]) -> bool:
    wanted = zip(counts, WINDOWS_S, strict=True)
    return all(_busiest(times, window_s * scale) >= count for count, window_s in wanted)


def _target_counts(peak: Peak, factor: float) -> tuple[int, ...]:
    rates = (peak.per_1_s, peak.per_10_s, peak.per_60_s)
    for name, rate in zip(("per_1_s", "per_10_s", "per_60_s"), rates, strict=True):
        _check_positive(name, rate)
    # The tiny subtraction keeps 1.1 * 10 from rounding up to 12.
    return tuple(math.ceil(rate * factor * window_s - 1e-9) for rate, window_s in zip(rates, WINDOWS_S, strict=True))


def _check_consistent(peak: Peak) -> None:
    """A longer window holds at least the requests of a shorter one, and at most as many times more as it is longer."""
    pairs = ((peak.per_1_s, 1.0, peak.per_10_s, 10.0), (peak.per_10_s, 10.0, peak.per_60_s, 60.0))
    for short_rps, short_s, long_rps, long_s in pairs:
        # Rates that were divided and multiplied again differ in the last digit; that is no contradiction.
        if long_rps > short_rps * _EVEN or short_rps * short_s > long_rps * long_s * _EVEN:
            raise ParameterError(
                f"{short_rps} requests/s over {short_s:g} s and {long_rps} over {long_s:g} s cannot both be peaks.",
                remedy="Take all three from one record: the rate falls, and the count grows, with the window.",
            )


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(f"{name} is {value}.", remedy="Give a finite number above zero.", where=name)


def _sorted(times_s: ArrayLike) -> Times:
    times = np.sort(np.asarray(times_s, dtype=np.float64).ravel())
    if times.size == 0:
        raise EmptyData("There are no arrivals.", remedy="Give at least one arrival time.", where="times_s")
    if not bool(np.isfinite(times).all()):
        raise ParameterError("An arrival time is not finite.", remedy="Remove it from the record.", where="times_s")
    return times
