import pytest

from roadworthy.domain.exchange import RungKind
from roadworthy.probes.fault import toxics
from roadworthy.probes.fault.faults import Fault
from roadworthy.probes.fault.scenarios import (
    SCENARIOS,
    AddressFault,
    Effect,
    Expected,
    Means,
    NetworkFault,
    expected,
)

BY_ID = {each.id: each for each in SCENARIOS}


def test_ids_are_unique_and_every_fault_stands_there_twice():
    """For whole answers and for streams."""
    assert len(BY_ID) == len(SCENARIOS)
    assert set(AddressFault) | set(Fault) == {s.fault for s in SCENARIOS if s.means is not Means.NETWORK}
    for streamed in (False, True):
        faults = [each.fault for each in SCENARIOS if each.streamed is streamed]
        assert sorted(each.value for each in faults if isinstance(each, Fault)) == sorted(each.value for each in Fault)
        assert len([each for each in faults if isinstance(each, AddressFault)]) == len(AddressFault)


def test_every_toxic_is_used():
    """And the proxy's own end, which is no toxic."""
    network = [each.fault for each in SCENARIOS if isinstance(each.fault, NetworkFault)]
    kinds = {type(toxic).__name__ for fault in network for toxic in fault.toxics}
    assert kinds == {each.__name__ for each in toxics.Toxic.__args__}
    assert {fault.name for fault in network if not fault.toxics} == {"down"}


def test_only_a_stream_can_be_cut():
    """A whole answer is held until it is whole."""
    assert {each.streamed for each in SCENARIOS if each.effect is Effect.CUT} == {True}


@pytest.mark.parametrize(
    ("name", "ladder", "status", "rung", "told", "complete"),
    [
        ("slow-head", [RungKind.ALTERNATE], {200}, RungKind.PRIMARY, False, True),
        ("stall-stream", [RungKind.ALTERNATE], {200}, RungKind.PRIMARY, True, False),
        ("stall", [RungKind.ALTERNATE, RungKind.RULE], {200}, RungKind.ALTERNATE, True, True),
        ("connect-refused", [RungKind.RULE], {200}, RungKind.RULE, True, True),
        ("connect-refused", [RungKind.HUMAN], {200, 202}, RungKind.HUMAN, True, True),
        ("status-500", [], {502, 503, 504}, RungKind.REFUSE, True, True),
        ("status-429", [RungKind.REFUSE], {429, 502, 503, 504}, RungKind.REFUSE, True, True),
        ("network-down", [RungKind.CACHED], {200}, RungKind.CACHED, True, True),
    ],
)
def test_the_right_answer_follows_from_effect_and_ladder(name, ladder, status, rung, told, complete):
    """One line for each way out."""
    wanted = Expected(statuses=frozenset(status), rung=rung, told=told, complete=complete)
    assert expected(BY_ID[name], ladder) == wanted
