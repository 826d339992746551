"""Queues whose true p99 is known, to see how often an interval misses it. Shared by the tests and by the bench."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roadworthy.stats.dependent_quantile import dependent_quantile
from roadworthy.stats.quantiles import quantile_interval

Floats = NDArray[np.float64]
World = Callable[[np.random.Generator, int, float], Floats]
SHARE = 0.99


class Rates(NamedTuple):
    """Shares of simulated series, in [0, 1].

    Attributes:
        above: in which the upper end lies below the truth: a bound would be met wrongly.
        below: in which the lower end lies above the truth.
        told: in which both ends are finite.
        met: in which a bound a thousandth below the truth is met all the same, dependence below a tenth of it unseen.
        effective: median of what a series is worth.
    """

    above: float
    below: float
    told: float
    met: float
    effective: float


def fifo(gaps: Floats, services: Floats) -> Floats:
    """Times in a first-in-first-out system with one server that starts empty (Lindley's recursion), shape (n,)."""
    steps = np.concatenate([[0.0], np.cumsum(services[:-1] - gaps[1:])])
    return steps - np.minimum.accumulate(steps) + services


def single_server(rng: np.random.Generator, n: int, load: float) -> Floats:
    """M/M/1 with services of mean 1."""
    return fifo(rng.exponential(1 / load, n), rng.exponential(1.0, n))


def fixed_service(rng: np.random.Generator, n: int, load: float) -> Floats:
    """M/D/1 with services of 1."""
    return fifo(rng.exponential(1 / load, n), np.ones(n))


def bursty(rng: np.random.Generator, n: int, load: float) -> Floats:
    """Arrivals in spells of 200 on average, by turns at 1.6 and 0.73 times the load; services of mean 1."""
    spells = rng.geometric(1 / 200, size=n // 100 + 20)  # together twice as long as is needed
    busy = np.repeat(np.arange(spells.size) % 2, spells)[:n]
    rates = load * np.where(busy == 0, 1.6, 0.727)
    return fifo(rng.exponential(1.0, n) / rates, rng.exponential(1.0, n))


def independent(rng: np.random.Generator, n: int, load: float) -> Floats:
    """No queue at all: exponential times of mean 1."""
    return rng.exponential(1.0, n)


WORLDS: dict[str, World] = {
    "independent": independent,
    "M/M/1": single_server,
    "M/D/1": fixed_service,
    "bursty": bursty,
}


@cache
def true_p99(world: World, load: float) -> float:
    """Exact where the law is known, else from three million requests after a warm-up."""
    if world is independent:
        return -float(np.log(1 - SHARE))
    if world is single_server:  # the time in an M/M/1 system is exponential with rate 1 - load
        return -float(np.log(1 - SHARE)) / (1 - load)
    times = world(np.random.default_rng(20_261_121), 3_000_000, load)
    return float(np.quantile(times[100_000:], SHARE))


def dependent_miss_rates(
    world: World, load: float, n: int, *, repeats: int, seed: int, independent: bool = False
) -> Rates:
    """How often the interval misses the truth in series of ``n``; ``independent`` asks the order-statistic one."""
    rng, truth = np.random.default_rng(seed), true_p99(world, load)
    above = below = told = met = 0
    bound = truth * 0.999
    worth = []
    for _ in range(repeats):
        series = world(rng, n, load)
        found = dependent_quantile(series, SHARE)
        interval = quantile_interval(series, SHARE) if independent else found.interval
        worth.append(n if independent else found.effective)
        above += interval.upper < truth
        below += interval.lower > truth
        told += interval.known
        judged = interval if independent else dependent_quantile(series, SHARE, floor=bound / 10).interval
        met += judged.upper <= bound
    return Rates(above / repeats, below / repeats, told / repeats, met / repeats, float(np.median(worth)))
