from dataclasses import replace
from datetime import timedelta

import pytest

from roadworthy.base.digest import digest_of
from roadworthy.domain.criterion import QuorumRule
from roadworthy.domain.evidence import Meaning
from roadworthy.domain.people import Role
from roadworthy.domain.risk import Tier
from roadworthy.gates.quorum import fill_seats, overfull
from unit.gates.gates_world import (
    AT,
    GATE,
    HOUR,
    PEOPLE,
    TRUST,
    USE_CASE,
    both_seats,
    envelope,
    person,
    profile,
    signature,
)

BASIS = digest_of("basis")
OWNER, SYSTEM = Role.BUSINESS_OWNER, Role.SYSTEM_OWNER


def seats(signatures, *, rules=None, gate=GATE, tier=Tier.R3, people=PEOPLE):
    return fill_seats(
        signatures,
        profile=rules or profile(gate=gate, tier=tier),
        use_case=USE_CASE,
        basis_digest=BASIS,
        people=people,
        trust=TRUST,
        at=AT,
    )


def only_refusal(*signatures, **changes):
    found = seats(signatures, **changes)
    assert not found.complete
    (refused,) = found.refused
    return refused.reason


def test_two_people_fill_two_seats():
    """The quorum is complete."""
    found = seats(both_seats(BASIS))
    assert found.complete
    assert [seat.signed_by for seat in found.seats] == [("olga",), ("sam",)]
    assert (found.waiting_for, found.refused) == ((), ())


def test_empty_seats_are_waited_for():
    """Once for each person still needed."""
    gate = replace(GATE, quorum=(QuorumRule(role=OWNER, count=2), QuorumRule(role=SYSTEM)))
    assert seats([], gate=gate).waiting_for == (OWNER, OWNER, SYSTEM)


@pytest.mark.parametrize("quorum", [(), (QuorumRule(role=OWNER, count=0),), (QuorumRule(role=OWNER, count=-1),)])
def test_a_gate_that_asks_nobody_is_never_complete(quorum):
    """No pass by absence."""
    assert not seats([], gate=replace(GATE, quorum=quorum)).complete


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gate_id": "pilot"}, "gate 'pilot'"),
        ({"basis_digest": digest_of("other")}, "another decision"),
        ({"signed_at": AT + HOUR}, "future"),
        ({"meaning": Meaning.REVIEWED}, "its meaning is reviewed"),
        ({"role": Role.QUALITY}, "does not hold the role quality"),
        ({"authenticated_at": AT - HOUR - timedelta(minutes=15, microseconds=1)}, "identity"),
        ({"authenticated_at": AT - HOUR + timedelta(microseconds=1)}, "identity"),
        ({"reason": " "}, "gives no reason"),
        ({"printed_name": "Sam"}, "shows the name 'Sam'"),
        ({"components": ("key file",)}, "fewer than 2 components"),
    ],
)
def test_every_condition_is_needed(changes, why):
    """One field wrong, and no seat is filled."""
    basis_digest = changes.pop("basis_digest", BASIS)
    assert why in only_refusal(signature(basis_digest, **changes))


def test_identity_proven_a_quarter_of_an_hour_before_is_enough():
    """Fifteen minutes are not more than fifteen minutes."""
    each = signature(BASIS, authenticated_at=AT - HOUR - timedelta(minutes=15))
    assert seats([each]).refused == ()


def test_the_person_signs():
    """Nobody signs in another's name, and nobody unknown does."""
    assert "did not sign it" in only_refusal(signature(BASIS, signers=("sam",)))
    assert "does not hold" in only_refusal(signature(BASIS, "nobody"))


def test_what_cannot_be_read_is_refused():
    """Another media type is no signature."""
    assert "text/plain" in only_refusal(envelope("text/plain", {}))


def test_a_builder_fills_no_seat_from_the_tier_of_independence_on():
    """Who built it cannot approve it at R3."""
    each = signature(BASIS, "bob")
    assert "built this system" in only_refusal(each)
    assert seats([each], tier=Tier.R2).seats[0].signed_by == ("bob",)


def test_a_later_rejection_withdraws():
    """And an approval after it counts again."""
    yes, no = signature(BASIS), signature(BASIS, index=1, meaning=Meaning.REJECTED, signed_at=AT - HOUR / 2)
    assert "withdrew it" in only_refusal(yes, no)
    again = signature(BASIS, index=2, signed_at=AT, authenticated_at=AT)
    found = seats([yes, no, again])
    assert found.seats[0].signed_by == ("olga",)
    assert [each.index for each in found.refused] == [0]


def test_the_last_rejection_counts_and_ties_go_to_no():
    """Two rejections, and one at the instant of the approval."""
    noes = [signature(BASIS, index=n, meaning=Meaning.REJECTED, signed_at=AT - n * HOUR) for n in (1, 2)]
    assert "withdrew it" in only_refusal(signature(BASIS), *noes)


def test_somebody_elses_rejection_withdraws_nothing():
    """Each person answers for their own signature."""
    no = signature(BASIS, "sam", SYSTEM, meaning=Meaning.REJECTED)
    assert seats([signature(BASIS), no]).seats[0].signed_by == ("olga",)


def test_one_person_fills_one_seat():
    """Olga holds both roles and signed in both; the gate asked for two people."""
    found = seats([signature(BASIS), signature(BASIS, role=SYSTEM, index=1)])
    assert found.waiting_for == (SYSTEM,)
    assert [each.reason for each in found.refused] == ["olga fills no seat as system_owner"]


def test_people_are_moved_so_that_all_can_sit():
    """Olga signed in both roles and sat down first where only bob could sit."""
    pair = [signature(BASIS), signature(BASIS, role=SYSTEM, index=1), signature(BASIS, "bob", index=2)]
    found = seats(pair, tier=Tier.R2)
    assert found.complete
    assert [seat.signed_by for seat in found.seats] == [("bob",), ("olga",)]


def test_the_surplus_is_reported():
    """A third owner finds no seat, nor does a role that the gate did not ask for."""
    people = PEOPLE | {"otto": person("otto", OWNER)}
    more = [signature(BASIS, "otto", index=90), signature(BASIS, "quinn", Role.QUALITY, index=91)]
    found = seats([*both_seats(BASIS), *more], people=people)
    assert found.complete
    assert [each.reason for each in found.refused] == [
        "otto fills no seat as business_owner",
        "quinn fills no seat as quality",
    ]


@pytest.mark.parametrize(("first", "second", "sitting"), [(60, 40, [60, 40]), (60, 41, [60, 0]), (10**12, 2, [0, 2])])
def test_seats_beyond_a_hundred_stay_empty(first, second, sitting):
    """As many people as are asked for sign; above a hundred seats nobody is seated, and the gate goes on waiting."""
    people = {f"p{n}": person(f"p{n}", OWNER, SYSTEM) for n in range(110)}
    signed = [signature(BASIS, id_, role, index=n) for n, id_ in enumerate(people) for role in (OWNER, SYSTEM)]
    gate = replace(GATE, quorum=(QuorumRule(role=OWNER, count=first), QuorumRule(role=SYSTEM, count=second)))
    found = seats(signed, gate=gate, people=people)
    assert [len(seat.signed_by) for seat in found.seats] == sitting
    assert found.complete == (first + second <= 100)
    assert [rule.count for rule in overfull(gate)] == [
        n for n, sat in zip((first, second), sitting, strict=True) if not sat
    ]


def test_order_does_not_matter():
    """The ledger's order decides who sits."""
    people = PEOPLE | {"otto": person("otto", OWNER)}
    three = [*both_seats(BASIS), signature(BASIS, "otto", index=90)]
    assert seats(three, people=people) == seats(three[::-1], people=people)
