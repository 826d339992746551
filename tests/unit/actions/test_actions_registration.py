"""Who and what is on record."""

from dataclasses import replace

import pytest
from actions_world import KEYS, PRODUCER, SUBJECT, USE_CASE, World, person

from roadworthy.actions.registration import (
    PRODUCER_ID,
    register_person,
    register_producer,
    register_release,
    register_use_case,
)
from roadworthy.base.errors import InputError, SelfApproval
from roadworthy.domain.certificate import CERTIFICATE_AUTHORITY
from roadworthy.domain.people import Person, Producer, Role
from roadworthy.ledger.keys import key_from_seed

CI_KEY = key_from_seed(bytes([99]) * 32)


def test_each_verb_writes_exactly_one_entry_and_can_be_read_back(world: World) -> None:
    """Use case, release, person, producer."""
    before = world.size
    newer = replace(USE_CASE, title="Triage, second year")
    world.write(register_use_case, use_case=newer, actor=PRODUCER)
    other = replace(SUBJECT, release_digest="sha256:" + "a" * 64)
    world.write(register_release, subject=other, actor=PRODUCER)
    dan = Person(id="dan", printed_name="Dan", roles=(Role.LEGAL,), public_key=KEYS["stranger"].public.hex)
    world.write(register_person, person=dan, actor=PRODUCER)
    world.write(register_producer, producer=Producer(id="ci", public_key=CI_KEY.public.hex), actor=PRODUCER)
    case = world.case()
    assert world.size == before + 4
    assert (case.use_case, case.subject, case.people["dan"]) == (newer, other, dan)
    assert set(case.producers) == {PRODUCER, "ci"}
    assert case.releases == {SUBJECT.release_digest, other.release_digest}


@pytest.mark.parametrize("taken", ["ada", PRODUCER, PRODUCER_ID, CERTIFICATE_AUTHORITY])
def test_an_id_is_never_given_to_somebody_else(world: World, taken: str) -> None:
    """Neither a person's nor a program's, even of one not on record yet: signatures are told apart by id."""
    before = world.size
    thief = Person(id=taken, printed_name="Thief", roles=(Role.BUSINESS_OWNER,), public_key=KEYS["stranger"].public.hex)
    with pytest.raises(InputError, match="taken"):
        world.write(register_person, person=thief, actor=PRODUCER)
    assert world.size == before
    assert world.case().people["ada"] == person("ada")


@pytest.mark.parametrize("odd", ["../ada", "a/b", "", "Ada", "a b", "-a", "x" * 65])
def test_an_id_is_a_plain_name(world: World, odd: str) -> None:
    """It also names a file."""
    with pytest.raises(InputError, match="plain id"):
        world.write(register_person, person=replace(person("ada"), id=odd), actor=PRODUCER)


def test_two_ids_never_share_a_key(world: World) -> None:
    """RW-301: one person with two names could ask and approve."""
    twin = replace(person("ada"), id="eve")
    with pytest.raises(SelfApproval) as caught:
        world.write(register_person, person=twin, actor=PRODUCER)
    assert caught.value.code == "RW-301"


@pytest.mark.parametrize(
    ("producer", "error"),
    [
        (Producer(id="ada", public_key=CI_KEY.public.hex), InputError),
        (Producer(id="ci", public_key=KEYS["ada"].public.hex), SelfApproval),
        (Producer(id="ci", public_key=KEYS[PRODUCER].public.hex), SelfApproval),
        (Producer(id=PRODUCER, public_key=CI_KEY.public.hex), InputError),
    ],
    ids=["id of a person", "key of a person", "key of a program", "second key"],
)
def test_a_program_is_nobody_else(world: World, producer: Producer, error: type[Exception]) -> None:
    """Otherwise what a person signs would pass for what a check observed."""
    before = world.size
    with pytest.raises(error):
        world.write(register_producer, producer=producer, actor=PRODUCER)
    assert world.size == before


def test_a_program_may_be_registered_again_as_it_is(world: World) -> None:
    """Two inspections that begin at once both do: neither must fail."""
    before, same = world.size, world.case().producers[PRODUCER]
    world.write(register_producer, producer=same, actor=PRODUCER)
    assert world.size == before + 1
