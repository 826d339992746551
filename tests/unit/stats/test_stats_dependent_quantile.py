import math

import numpy as np
import pytest
from queue_worlds import WORLDS, dependent_miss_rates, single_server

from roadworthy.base.errors import ParameterError
from roadworthy.stats.dependent_quantile import dependent_quantile, dependent_share, design_effect
from roadworthy.stats.proportions import clopper_pearson
from roadworthy.stats.quantiles import quantile_interval

RNG = np.random.default_rng(11)


def autoregressive(n, coefficient):
    """A Gaussian series x_t = coefficient * x_(t-1) + noise, started in its stationary law."""
    noise = RNG.normal(size=n) * math.sqrt(1 - coefficient**2)
    series = np.empty(n)
    series[0] = RNG.normal()
    for t in range(1, n):
        series[t] = coefficient * series[t - 1] + noise[t]
    return series


def test_the_design_effect_of_an_autoregressive_series_is_the_known_one():
    """1 + 2 * (c + c^2 + ...) = (1 + c) / (1 - c)."""
    for coefficient in (0.5, 0.9):
        found = design_effect(autoregressive(100_000, coefficient))
        assert found == pytest.approx((1 + coefficient) / (1 - coefficient), rel=0.15)


def test_a_series_that_repeats_itself_is_worth_its_distinct_values():
    """Each of 2,000 values five times in a row: a design effect of five."""
    assert design_effect(np.repeat(RNG.normal(size=2_000), 5)) == pytest.approx(5, rel=0.15)


@pytest.mark.parametrize("series", [[3.0], [1.0, 1.0, 1.0], [0.0, 1.0] * 50])
def test_the_design_effect_is_never_below_one(series):
    """Nor is it for one value, for values that all agree, or for neighbours that avoid each other."""
    assert design_effect(series) == 1.0


def test_without_dependence_it_is_the_interval_of_independent_observations():
    """To the last bit where no threshold shows any; here a series in which exceedances keep apart."""
    series = np.tile(np.arange(1.0, 101.0), 20).reshape(20, 10, 10).transpose(0, 2, 1).ravel()
    there, here = quantile_interval(series, 0.99), dependent_quantile(series, 0.99)
    assert here.effective == series.size
    assert here.interval == there


def test_order_matters_and_a_shuffled_series_looks_better_than_it_is():
    """The same numbers: behind a queue the interval is much wider, and contains the other one."""
    latencies = single_server(RNG, 40_000, load=0.6)
    there = dependent_quantile(latencies, 0.99)
    shuffled = dependent_quantile(RNG.permutation(latencies), 0.99)
    assert there.effective < 0.2 * shuffled.effective
    assert there.interval.lower < shuffled.interval.lower < shuffled.interval.upper < there.interval.upper
    assert there.interval.estimate == shuffled.interval.estimate


def test_a_run_that_is_too_short_ends_at_what_is_possible():
    """At 95 % load 10,000 requests are worth a few: the upper end is the deadline, or infinite where none is known."""
    latencies = single_server(RNG, 10_000, load=0.95)
    known = dependent_quantile(latencies, 0.99, within=(0.0, 1e6))
    assert known.interval.upper == 1e6
    assert known.interval.known
    assert known.interval.n == 10_000
    assert known.effective < 368
    open_ended = dependent_quantile(latencies, 0.99).interval
    assert open_ended.upper == math.inf
    assert not open_ended.known


def test_one_spell_is_one_observation():
    """One stall that holds the slowest two percent decides p99 alone, so nothing is known above."""
    latencies = RNG.exponential(size=5_000)
    latencies[2_000:2_100] += 50.0
    assert dependent_quantile(latencies, 0.99).interval.upper == math.inf


def test_ends_enclose_the_estimate_even_where_the_range_is_too_narrow():
    """A value at its deadline may be a little late; two values have no lower end."""
    interval = dependent_quantile([5.0, 6.0], 0.99, within=(0.0, 5.5)).interval
    assert interval.lower <= interval.estimate == 6.0 == interval.upper


def test_a_lower_end_that_is_out_of_reach_is_that_of_the_range():
    """One observation is below or above its median with equal chance."""
    assert dependent_quantile([2.0], 0.5, within=(0.0, 9.0)).interval.lower == 0.0


def test_ups_and_downs_below_the_floor_do_not_count():
    """Hiccups far below what matters: no dependence is seen, and nothing but the floor is claimed there."""
    latencies = 0.001 * single_server(RNG, 2_000, load=0.8)
    assert dependent_quantile(latencies, 0.99).interval.upper == math.inf
    found = dependent_quantile(latencies, 0.99, within=(0.0, 10.0), floor=1.0)
    assert found.effective == 2_000
    assert (found.interval.lower, found.interval.upper) == (0.0, 1.0)
    assert found.interval.estimate == dependent_quantile(latencies, 0.99).interval.estimate


def test_a_floor_below_what_was_seen_changes_nothing():
    """Where the series rises above it, dependence counts as ever."""
    latencies = single_server(RNG, 40_000, load=0.6)
    assert dependent_quantile(latencies, 0.99, floor=0.5) == dependent_quantile(latencies, 0.99)


def test_nothing_or_nan_is_unknown():
    """Never a pass."""
    for values in ([], [1.0, math.nan]):
        found = dependent_quantile(values, 0.99)
        assert not found.interval.known
        assert found.effective == 0.0


@pytest.mark.parametrize(("share", "confidence"), [(0.4, 0.95), (1.0, 0.95), (0.99, 1.0)])
def test_shares_and_levels_out_of_range_are_refused(share, confidence):
    """RW-114."""
    with pytest.raises(ParameterError):
        dependent_quantile([1.0], share, confidence=confidence)


def test_a_share_of_scattered_hits_is_that_of_independent_trials():
    """Clopper-Pearson where hits keep apart, where there is none and where there is nothing else."""
    for hits in ([1] + [0] * 99, [0] * 50, [1] * 50):
        assert dependent_share(hits).interval == clopper_pearson(sum(hits), len(hits))


def test_a_share_of_hits_in_one_spell_is_less_certain():
    """Fifty failures in a row say little of the share of failures; fifty scattered ones say more."""
    row = dependent_share([0] * 2_000 + [1] * 50 + [0] * 2_950)
    apart = dependent_share(([1] + [0] * 99) * 50)
    assert row.interval.estimate == apart.interval.estimate == 0.01
    assert row.effective < 0.1 * apart.effective
    assert row.interval.upper > 0.03
    assert apart.interval.upper < 0.015


def test_a_share_needs_hits_and_something_to_hit():
    """RW-114 for other values; unknown for none."""
    with pytest.raises(ParameterError, match="neither 0 nor 1"):
        dependent_share([0.5])
    assert not dependent_share([]).interval.known


@pytest.mark.parametrize(
    ("world", "load", "n"),
    [("M/M/1", 0.5, 10_000), ("M/D/1", 0.8, 10_000), ("independent", 0.0, 2_000), ("bursty", 0.5, 5_000)],
)
def test_the_upper_end_misses_no_more_often_than_promised(world, load, n):
    """2.5 % promised; at most 3 of 40 series here, where independent latencies would miss in a dozen."""
    rates = dependent_miss_rates(WORLDS[world], load, n, repeats=40, seed=5)
    assert rates.above <= 3 / 40
    assert rates.below <= 4 / 40
    assert rates.met <= 3 / 40


def test_taking_a_queue_for_independent_misses_far_too_often():
    """The reason for all of this, and proof that the simulation can fail."""
    rates = dependent_miss_rates(WORLDS["M/M/1"], 0.8, 10_000, repeats=40, seed=5, independent=True)
    assert rates.above >= 8 / 40
