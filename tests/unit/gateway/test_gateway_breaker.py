"""The circuit breaker: when it opens, whom it lets through, and what it forgets."""

import pytest

from roadworthy.gateway.breaker import BreakerState, CircuitBreaker
from roadworthy.gateway.config import Breaker

CONFIG = Breaker(failure_share=0.5, window_s=10, least_requests=4, open_s=5)


def opened(now_s=100.0):
    breaker = CircuitBreaker(CONFIG)
    for _ in range(4):
        breaker.failed(breaker.allow(now_s), now_s)
    return breaker


def test_it_opens_at_the_share_and_not_before_enough_ended():
    """Three failures are too few, four of eight are enough, three of seven are not."""
    breaker = CircuitBreaker(CONFIG)
    for _ in range(3):
        breaker.failed(breaker.allow(1.0), 1.0)
    assert breaker.state is BreakerState.CLOSED
    breaker = CircuitBreaker(CONFIG)
    for ends_well in (True, True, True, True, False, False, False):
        (breaker.succeeded if ends_well else breaker.failed)(breaker.allow(1.0), 1.0)
    assert breaker.state is BreakerState.CLOSED
    breaker.failed(breaker.allow(1.0), 1.0)
    assert breaker.state is BreakerState.OPEN


@pytest.mark.parametrize("later_s", [10.0, 11.0, 500.0])
def test_what_lies_behind_the_window_does_not_count(later_s):
    """Three old failures and one new one open nothing; within the window they do."""
    breaker = CircuitBreaker(CONFIG)
    for _ in range(3):
        breaker.failed(breaker.allow(100.0), 100.0)
    breaker.failed(breaker.allow(100.0 + later_s), 100.0 + later_s)
    assert breaker.state is BreakerState.CLOSED
    breaker = CircuitBreaker(CONFIG)
    for now_s in (100.0, 103.0, 106.0, 108.9):
        breaker.failed(breaker.allow(now_s), now_s)
    assert breaker.state is BreakerState.OPEN


def test_open_lets_nothing_through_for_its_time():
    """Then one probe, and only one."""
    breaker = opened()
    assert not breaker.allow(104.9)
    assert breaker.closes_in_s(104.0) == 1.0
    assert breaker.allow(105.0)
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.allow(105.0)
    assert breaker.closes_in_s(105.0) == 0.0


def test_a_good_probe_closes_with_an_empty_window():
    """The failures from before are forgotten."""
    breaker = opened()
    breaker.succeeded(breaker.allow(105.0), 105.0)
    assert breaker.state is BreakerState.CLOSED
    for _ in range(3):
        breaker.failed(breaker.allow(105.0), 105.0)
    assert breaker.state is BreakerState.CLOSED


def test_a_bad_probe_opens_anew():
    """For the whole time again."""
    breaker = opened()
    breaker.failed(breaker.allow(105.0), 106.0)
    assert not breaker.allow(110.9)
    assert breaker.allow(111.0)


def test_a_probe_that_says_nothing_hands_its_place_on():
    """A cancelled request proves nothing."""
    breaker = opened()
    breaker.gave_up(breaker.allow(105.0))
    assert breaker.allow(105.0)


def test_tickets_from_before_say_nothing():
    """Slow ends of requests from before neither open, close nor hand on the place of the probe."""
    breaker = CircuitBreaker(CONFIG)
    old = breaker.allow(100.0)
    for _ in range(4):
        breaker.failed(breaker.allow(100.0), 100.0)
    probe = breaker.allow(105.0)
    breaker.succeeded(old, 105.0)
    breaker.failed(old, 105.0)
    breaker.gave_up(old)
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.allow(105.0)
    breaker.succeeded(probe, 105.0)
    assert breaker.state is BreakerState.CLOSED
