"""``roadworthy person``: who may sign."""

from typing import Annotated

import typer

from roadworthy.actions.registration import PRODUCER_ID, register_person
from roadworthy.base.codec import to_json
from roadworthy.cli.output import (
    DEFAULT_MANIFEST,
    JsonOption,
    ManifestOption,
    PassphraseOption,
    console,
    opened,
    print_json,
)
from roadworthy.domain.people import Person, Role
from roadworthy.wiring.keyring import keep_person_key, make_person_key, read_passphrase

app = typer.Typer(help="People who may sign, and their keys.", no_args_is_help=True)


@app.command("add")
def add(
    person_id: Annotated[str, typer.Argument(help="Short id, never given to somebody else.")],
    name: Annotated[str, typer.Option("--name", help="Printed name, shown beside every signature.")],
    role: Annotated[list[Role], typer.Option("--role", help="A role that the person holds; may be repeated.")],
    manifest: ManifestOption = DEFAULT_MANIFEST,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> None:
    """Register a person and make their key, encrypted with a passphrase."""
    with opened(manifest) as workspace:
        passphrase = read_passphrase(passphrase_file, person_id)
        key = make_person_key(passphrase)
        person = Person(id=person_id, printed_name=name, roles=tuple(role), public_key=key.public.raw.hex())
        with workspace.store.unit_of_work() as uow:
            receipt = register_person(uow, person=person, actor=PRODUCER_ID, at=workspace.clock())
            # Inside the unit: a key that cannot be kept leaves nobody on record, and a refused id leaves no key.
            keep_person_key(workspace.folder, person_id, key, passphrase)
    if json:
        print_json({"person": to_json(person), "entry": receipt.index})
    else:
        console().print(f"✓ {name} is registered as {', '.join(r.value for r in role)} (entry {receipt.index}).")


@app.command("list")
def list_people(manifest: ManifestOption = DEFAULT_MANIFEST, json: JsonOption = False) -> None:
    """List who is registered."""
    with opened(manifest) as workspace:
        people = sorted(workspace.case().people.values(), key=lambda person: person.id)
    if json:
        print_json({"people": [to_json(person) for person in people]})
        return
    for person in people:
        console().print(f"{person.id:<20} {person.printed_name:<28} {', '.join(r.value for r in person.roles)}")
    if not people:
        console().print("Nobody is registered. Add somebody: roadworthy person add ID --name NAME --role ROLE")
