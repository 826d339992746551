import itertools
import json
import math

import pytest

from roadworthy.base.errors import EmptyData, ParameterError, TargetUnreachable
from roadworthy.probes.replay.player import replay
from roadworthy.probes.replay.sampler import choose


def test_the_choice_is_seeded_and_without_repetition():
    """Same seed same choice, in the record's own order."""
    requests = list(range(1000))
    chosen = choose(requests, 100, 5)
    assert chosen == choose(requests, 100, 5)
    assert chosen != choose(requests, 100, 6)
    assert len(set(chosen)) == 100
    assert list(chosen) == sorted(chosen)


def test_a_short_record_is_chosen_whole():
    """Fewer than asked for: all."""
    assert choose("abc", 100, 1) == ("a", "b", "c")


def test_nothing_to_choose_is_refused():
    """RW-104 and RW-114."""
    with pytest.raises(EmptyData):
        choose([], 1, 1)
    with pytest.raises(ParameterError):
        choose([1], 0, 1)


def test_a_reproducible_target_is_equal():
    """Every request is sent twice, the second time in reverse."""
    sent = []

    def send(request):
        sent.append(request)
        return request * 2

    report = replay(send, [b"1", b"2", b"3"])
    assert (report.n, report.equal, report.within_band, report.worst_difference, report.differing) == (3, 3, 0, 0.0, ())
    assert sent == [b"1", b"2", b"3", b"3", b"2", b"1"]


def second_time(first, second):
    """A target that answers one way first and another way afterwards."""
    answers = itertools.chain([first], itertools.repeat(second))
    return lambda _: json.dumps(next(answers)).encode()


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ([0.5, 1], [0.5, 1.25], 0.25),
        ({"a": {"b": 1.0}}, {"a": {"b": 0.0}}, 1.0),
        ([1.0], [1.0, 2.0], math.inf),
        ({"a": 1}, {"b": 1}, math.inf),
        (["x"], ["y"], math.inf),
        ([1], ["1"], math.inf),
        ([True], [1], math.inf),
        ([None], [0.0], math.inf),
        (math.nan, 1.0, math.inf),
        ({}, [], math.inf),
    ],
)
def test_differences_are_found(first, second, difference):
    """Numbers by their distance; anything else by infinity."""
    report = replay(second_time(first, second), [b""])
    assert report.worst_difference == difference
    assert (report.equal, report.within_band, report.differing) == (0, 0, (0,))


def test_a_band_tolerates_numbers_only():
    """0.25 apart is within 0.25 and not within 0.2; text never is."""
    assert replay(second_time([0.5], [0.75]), [b""], band=0.25).within_band == 1
    assert replay(second_time([0.5], [0.75]), [b""], band=0.2).differing == (0,)
    assert replay(second_time(["a"], ["b"]), [b""], band=1e300).differing == (0,)


def test_other_bytes_for_the_same_values_are_within_the_band_but_not_equal():
    """A space more is not byte-equal."""
    answers = iter([b'{"a": 1}', b'{"a":1}'])
    report = replay(lambda _: next(answers), [b""])
    assert (report.equal, report.within_band, report.worst_difference) == (0, 1, 0.0)


def test_answers_that_are_not_json_differ_without_measure():
    """Bytes that differ and cannot be read."""
    answers = iter([b"one", b"two"])
    assert replay(lambda _: next(answers), [b""]).worst_difference == math.inf


def test_a_target_that_remembers_is_caught():
    """Its answer depends on how many it has answered before."""
    counter = itertools.count()
    report = replay(lambda _: str(next(counter)).encode(), [b"a", b"b", b"c"], band=0.5)
    assert report.differing == (0, 1, 2)
    assert report.worst_difference == 5


def test_an_unreachable_target_ends_the_replay():
    """The error passes through."""

    def send(_):
        raise TargetUnreachable("down", remedy="start it")

    with pytest.raises(TargetUnreachable):
        replay(send, [b"a"])


def test_nothing_to_replay_is_refused():
    """RW-104, and RW-114 for a band that is none."""
    with pytest.raises(EmptyData):
        replay(lambda request: request, [])
    for band in (-1.0, math.inf, math.nan):
        with pytest.raises(ParameterError):
            replay(lambda request: request, [b"a"], band=band)
