"""``roadworthy waive``: ask for a waiver, and approve somebody else's."""

from typing import Annotated

import typer

from roadworthy.actions.waivers import approve_waiver, request_waiver, requested_waivers
from roadworthy.base.clock import parse_instant
from roadworthy.base.codec import to_json
from roadworthy.base.errors import NoWorkspace, WaiverRefused
from roadworthy.cli.evidence import find_envelope
from roadworthy.cli.output import (
    DEFAULT_MANIFEST,
    JsonOption,
    ManifestOption,
    PassphraseOption,
    PersonOption,
    ReasonOption,
    console,
    opened,
    print_json,
)
from roadworthy.domain.people import Role
from roadworthy.wiring.keyring import authenticate, read_passphrase
from roadworthy.wiring.view import envelopes
from roadworthy.wiring.workspace import trust_of

app = typer.Typer(
    help="Permission to pass one gate now: asked for by one person, approved by another.", no_args_is_help=True
)


@app.command("request")
def request(
    criterion: Annotated[str, typer.Argument(help="Criterion that the waiver covers.")],
    person: PersonOption,
    reason: ReasonOption,
    risk_owner: Annotated[str, typer.Option("--risk-owner", help="Who carries the risk.")],
    until: Annotated[
        str, typer.Option("--until", help="Mandatory end, for example 2026-12-20 or an RFC 3339 instant.")
    ],
    obligation: Annotated[str, typer.Option("--obligation", help="What must happen until then.")],
    evidence: Annotated[
        list[str],
        typer.Option("--evidence", help="Compensating evidence: its digest or index; may be repeated."),
    ],
    manifest: ManifestOption = DEFAULT_MANIFEST,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for a waiver of one criterion for this release."""
    with opened(manifest) as workspace:
        case = workspace.case()
        if case.profile is None or case.subject is None:
            raise NoWorkspace("No release is on record here yet.", remedy="Run roadworthy inspect first.")
        expires_at = parse_instant(until)
        found = envelopes(case)
        compensating = tuple(find_envelope(found, name).digest for name in evidence)
        signer = authenticate(
            workspace.folder, case, person, read_passphrase(passphrase_file, person), workspace.clock()
        )
        with workspace.store.unit_of_work() as uow:
            waiver = request_waiver(
                uow,
                profile=case.profile,
                subject=case.subject,
                criterion_id=criterion,
                signer=signer,
                risk_owner=risk_owner,
                reason=reason,
                obligation=obligation,
                compensating_evidence=compensating,
                expires_at=expires_at,
                at=workspace.clock(),
            )
    if json:
        print_json({"waiver": to_json(waiver)})
    else:
        console().print(f"✓ {waiver.id} asks to waive {criterion} until {until}. Somebody else approves it:")
        console().print(f"  roadworthy waive approve {waiver.id} --as PERSON --role business_owner --reason TEXT")


@app.command("approve")
def approve(
    waiver_id: Annotated[str, typer.Argument(help="Id of the request.")],
    person: PersonOption,
    reason: ReasonOption,
    role: Annotated[Role, typer.Option("--role", help="The role in which you approve.")],
    manifest: ManifestOption = DEFAULT_MANIFEST,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> None:
    """Approve somebody else's waiver."""
    with opened(manifest) as workspace:
        case = workspace.case()
        waivers = requested_waivers(case, trust_of(case))
        if waiver_id not in waivers:
            known = ", ".join(sorted(waivers)) or "none"
            raise WaiverRefused(f"There is no waiver {waiver_id!r}.", remedy=f"On record: {known}.")
        signer = authenticate(
            workspace.folder, case, person, read_passphrase(passphrase_file, person), workspace.clock()
        )
        with workspace.store.unit_of_work() as uow:
            receipt = approve_waiver(
                uow, waiver=waivers[waiver_id], signer=signer, role=role, reason=reason, at=workspace.clock()
            )
    if json:
        print_json({"approved": waiver_id, "by": person, "entry": receipt.index})
    else:
        console().print(f"✓ {signer.person.printed_name} approved {waiver_id}.")
