"""Laws of the retry budget and of the breaker, over every order of events."""

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.gateway.breaker import BreakerState, CircuitBreaker
from roadworthy.gateway.config import Breaker
from roadworthy.gateway.retry_budget import RESERVE, RetryBudget


@given(st.floats(0, 1), st.lists(st.booleans(), max_size=400))
def test_further_tries_stay_within_their_share(share, events):
    """At any moment: tries <= reserve + share * requests; without a share there are none."""
    budget, requests, tries = RetryBudget(share), 0, 0
    for is_request in events:
        if is_request:
            budget.deposit()
            requests += 1
        else:
            tries += budget.take()
        assert tries <= (RESERVE + share * requests if share else 0) + 1e-6


@given(st.integers(1, 10))
def test_a_tenth_is_a_tenth(tenths):
    """After the reserve is gone, every tenth request pays for ``tenths`` tries."""
    budget = RetryBudget(tenths / 10)
    while budget.take():
        pass
    tries = 0
    for _ in range(1_000):
        budget.deposit()
        tries += budget.take()
    assert abs(tries - 100 * tenths) <= 1


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from(["good", "bad", "none", "ask"])), max_size=120))
def test_half_open_means_one_at_a_time(events):
    """Whatever happens, no second request passes while a probe is out, and none while it is open."""
    breaker = CircuitBreaker(Breaker(failure_share=0.5, window_s=4, least_requests=3, open_s=2))
    now_s, out, opened_s = 0.0, [], None
    for passed_s, event in events:
        now_s += passed_s
        if event == "ask":
            ticket = breaker.allow(now_s)
            if breaker.state is BreakerState.OPEN:
                assert not ticket
                assert now_s - opened_s < 2
            if breaker.state is BreakerState.HALF_OPEN and ticket:
                assert ticket not in out
            if ticket:
                out.append(ticket)
        elif out:
            ticket, before = out.pop(0), breaker.state
            if event == "none":
                breaker.gave_up(ticket)
            else:
                (breaker.succeeded if event == "good" else breaker.failed)(ticket, now_s)
            if breaker.state is BreakerState.OPEN and before is not BreakerState.OPEN:
                opened_s = now_s
