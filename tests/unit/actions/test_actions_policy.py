"""A policy that gets looser needs the business owner's signature."""

from dataclasses import replace
from pathlib import Path

import pytest
from actions_world import KEYS, PRODUCER, PROFILE, T1, World, person

from roadworthy.actions.policy import Revision, adopt_policy, looser
from roadworthy.base.codec import from_json
from roadworthy.base.errors import LooseningRefused, WrongRole
from roadworthy.domain.criterion import Profile
from roadworthy.ledger.dsse import envelope_from_json

LOOSER = replace(
    PROFILE,
    criteria=(replace(T1, acceptance=(replace(T1.acceptance[0], bound=5),)), *PROFILE.criteria[1:]),
)
TIGHTER = replace(
    PROFILE, criteria=(replace(T1, acceptance=(replace(T1.acceptance[0], n_min=9),)), *PROFILE.criteria[1:])
)


def revision(name: str) -> Revision:
    return Revision(person=person(name), key=KEYS[name], reason="The pilot was smaller.")


def test_the_first_policy_needs_nobody(tmp_path: Path) -> None:
    """There is nothing yet that it could loosen."""
    world = World(tmp_path, registered=False)
    world.write(adopt_policy, current=None, proposed=PROFILE, actor=PRODUCER, revision=None)
    assert world.size == 1
    assert world.case().profile == PROFILE


def test_a_tighter_policy_is_adopted_as_it_is(world: World) -> None:
    """One entry, without an envelope."""
    before = world.size
    world.write(adopt_policy, current=PROFILE, proposed=TIGHTER, actor=PRODUCER, revision=None)
    assert world.size == before + 1
    assert world.store.records()[-1].payload == {
        **(world.store.records()[-1].payload or {}),
        "loosenings": [],
        "envelope": None,
    }


def test_a_looser_policy_is_refused_without_a_signature(world: World) -> None:
    """RW-304, with what gets looser, and nothing is written."""
    before = world.size
    with pytest.raises(LooseningRefused, match=r"T1 accept\.faults.*0.*5") as caught:
        world.write(adopt_policy, current=PROFILE, proposed=LOOSER, actor=PRODUCER, revision=None)
    assert caught.value.code == "RW-304"
    assert world.size == before
    assert world.case().profile == PROFILE


def test_a_looser_policy_is_adopted_with_the_business_owner_s_signature(world: World) -> None:
    """The envelope on record opens, and says what got looser, who signed and why."""
    before = world.size
    world.write(adopt_policy, current=PROFILE, proposed=LOOSER, actor=PRODUCER, revision=revision("ada"))
    assert world.size == before + 1
    payload = world.store.records()[-1].payload or {}
    opened = world.trust().open(envelope_from_json(payload["envelope"]).to_bytes())
    assert opened.signers == ("ada",)
    assert opened.payload["reason"] == "The pilot was smaller."
    assert opened.payload["loosenings"] == list(looser(PROFILE, LOOSER)) != []
    assert opened.payload["profile_digest"] == LOOSER.digest
    assert from_json(Profile, payload["profile"]) == LOOSER


def test_nobody_else_can_sign_a_looser_policy(world: World) -> None:
    """RW-305: the validator is not the one who carries the risk."""
    before = world.size
    with pytest.raises(WrongRole) as caught:
        world.write(adopt_policy, current=PROFILE, proposed=LOOSER, actor=PRODUCER, revision=revision("chi"))
    assert caught.value.code == "RW-305"
    assert world.size == before


def test_a_lower_tier_is_a_looser_policy_too(world: World) -> None:
    """Changing the answers until the tier fits is the same trick as moving a bound."""
    from_r3_to_r1 = replace(PROFILE, tier=type(PROFILE.tier).R1)
    assert looser(PROFILE, from_r3_to_r1)
