"""Who and what is on record: use cases, releases, people, producers. One verb a function, one entry a call."""

import re
from datetime import datetime

from roadworthy.base.codec import to_json
from roadworthy.base.errors import InputError, SelfApproval
from roadworthy.domain.case_file import CaseFile, fold
from roadworthy.domain.certificate import CERTIFICATE_AUTHORITY
from roadworthy.domain.people import Person, Producer
from roadworthy.domain.record import Draft, Receipt, RecordKind
from roadworthy.domain.use_case import Subject, UseCase
from roadworthy.ports.unit_of_work import UnitOfWork

PRODUCER_ID = "roadworthy-cli"
"""The program itself, which signs what its checks observe; no person ever bears this id."""

_PLAIN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def register_use_case(uow: UnitOfWork, *, use_case: UseCase, actor: str, at: datetime) -> Receipt:
    """Put a use case on record, or a new version of it."""
    return uow.append(
        Draft(
            kind=RecordKind.USE_CASE_REGISTERED,
            at=at,
            actor=actor,
            use_case_id=use_case.id,
            subject=use_case.id,
            payload={"use_case": to_json(use_case)},
        )
    )


def register_release(uow: UnitOfWork, *, subject: Subject, actor: str, at: datetime) -> Receipt:
    """Put the digests of a release, and of what goes with it, on record."""
    return uow.append(
        Draft(
            kind=RecordKind.RELEASE_REGISTERED,
            at=at,
            actor=actor,
            use_case_id=subject.use_case_id,
            subject=subject.release_digest,
            payload={"subject": to_json(subject)},
        )
    )


def register_person(uow: UnitOfWork, *, person: Person, actor: str, at: datetime) -> Receipt:
    """Put a person, their roles and their public key on record.

    Raises:
        InputError: the id is not a plain name, or a person or program bears it already (RW-100).
        SelfApproval: the key is somebody else's already; two ids with one key could fill two seats (RW-301).
    """
    case = fold(uow.records())
    if not _PLAIN_ID.fullmatch(person.id):
        raise InputError(
            f"{person.id!r} is not a plain id.",
            remedy="Use lower-case letters, digits and dashes, for example a-weber.",
        )
    taken = {PRODUCER_ID, CERTIFICATE_AUTHORITY, *case.people, *case.producers}
    if person.id in taken:
        # A signature names its signer by id, so an id that changed hands would change who signed.
        raise InputError(f"The id {person.id!r} is taken.", remedy="Choose another; ids are never given away again.")
    _refuse_shared_key(case, person)
    return uow.append(
        Draft(
            kind=RecordKind.PERSON_REGISTERED,
            at=at,
            actor=actor,
            use_case_id="",
            subject=person.id,
            payload={"person": to_json(person)},
        )
    )


def _refuse_shared_key(case: CaseFile, comer: Person | Producer) -> None:
    registered: list[Person | Producer] = [*case.people.values(), *case.producers.values()]
    for other in registered:
        if other.public_key == comer.public_key and other.id != comer.id:
            raise SelfApproval(
                f"The key of {comer.id} is registered for {other.id}.",
                remedy="Give every person and every program a key of their own.",
            )


def register_producer(uow: UnitOfWork, *, producer: Producer, actor: str, at: datetime) -> Receipt:
    """Put a program that signs evidence on record.

    The same program with the same key may come twice: two inspections that begin at once both register it.

    Raises:
        InputError: a person bears the id, or the program is on record with another key (RW-100).
        SelfApproval: the key is somebody else's already; what a person signs would pass for an execution (RW-301).
    """
    case = fold(uow.records())
    before = case.producers.get(producer.id)
    if producer.id in case.people:
        raise InputError(f"The id {producer.id!r} is taken.", remedy="Choose another; ids are never given away again.")
    if before is not None and before != producer:
        raise InputError(
            f"{producer.id!r} is registered with another key.",
            remedy="Restore that key, or register the program under an id of its own.",
        )
    _refuse_shared_key(case, producer)
    return uow.append(
        Draft(
            kind=RecordKind.PRODUCER_REGISTERED,
            at=at,
            actor=actor,
            use_case_id="",
            subject=producer.id,
            payload={"producer": to_json(producer)},
        )
    )
