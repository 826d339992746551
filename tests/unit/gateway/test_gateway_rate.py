"""Token buckets, of one limit and of every caller."""

import pytest

from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.rate import CallerRate, TokenBucket


def passed(bucket, times):
    return sum(bucket.take(now_s) == 0.0 for now_s in times)


def test_a_bucket_gives_its_burst_and_then_its_rate():
    """In any window of length w at most burst + rate x w."""
    bucket = TokenBucket(5.0, 10.0, 100.0)
    assert passed(bucket, [100.0] * 50) == 10
    assert passed(bucket, [100.0 + step / 100 for step in range(1, 401)]) == 20
    assert passed(bucket, [1000.0] * 50) == 10


def test_it_tells_when_to_come_again():
    """After that time there is a token, shortly before there is none."""
    bucket = TokenBucket(0.5, 1.0, 0.0)
    assert bucket.take(0.0) == 0.0
    assert bucket.take(0.0) == pytest.approx(2.0)
    assert bucket.take(1.9) > 0.0
    assert bucket.take(2.0) == 0.0


def test_a_rate_below_one_still_lets_somebody_pass():
    """A bucket holds at least one token."""
    assert TokenBucket(0.01, 0.1, 0.0).take(0.0) == 0.0


def test_a_clock_that_goes_back_gives_nothing():
    """Neither tokens nor a debt."""
    bucket = TokenBucket(1.0, 2.0, 1000.0)
    assert passed(bucket, [1000.0, 1000.0, 10.0, 10.5]) == 2
    assert passed(bucket, [11.1]) == 1


def test_callers_do_not_share():
    """Each has a bucket; the refusal is a 429 with whole seconds."""
    rate = CallerRate(1.0)
    rate.check("a", 0.0)
    rate.check("b", 0.0)
    with pytest.raises(Refused) as caught:
        rate.check("a", 0.0)
    assert (caught.value.reason, caught.value.status, caught.value.retry_after_s) == (Reason.RATE_LIMITED, 429, 1)
    rate.check("a", 1.0)


def test_the_longest_unseen_caller_is_forgotten():
    """Memory is bounded; those who are seen stay."""
    rate = CallerRate(1.0, most_callers=2)
    for caller in ("a", "b"):
        rate.check(caller, 0.0)
    with pytest.raises(Refused):
        rate.check("a", 0.0)
    rate.check("c", 0.0)
    with pytest.raises(Refused):
        rate.check("a", 0.0)
    rate.check("b", 0.0)
    assert len(rate._buckets) == 2
