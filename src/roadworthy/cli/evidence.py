"""``roadworthy evidence``: what was observed, envelope by envelope."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.actions.evidence import import_evidence
from roadworthy.base.canonical import parse_canonical
from roadworthy.base.codec import to_json
from roadworthy.base.errors import InputError, MissingFile
from roadworthy.cli.output import DEFAULT_MANIFEST, JsonOption, ManifestOption, console, opened, print_json
from roadworthy.cli.render import envelope_detail, envelope_list
from roadworthy.domain.case_file import fold
from roadworthy.wiring.view import EnvelopeView, envelopes
from roadworthy.wiring.workspace import trust_of

app = typer.Typer(help="Signed evidence.", no_args_is_help=True)


@app.command("list")
def list_evidence(manifest: ManifestOption = DEFAULT_MANIFEST, json: JsonOption = False) -> None:
    """List every envelope on record, newest last."""
    with opened(manifest) as workspace:
        found = envelopes(workspace.case())
    if json:
        print_json({"evidence": [{"digest": e.digest, "index": e.index, **to_json(e.evidence)} for e in found]})
    else:
        envelope_list(console(), found)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="Digest (or its beginning), ledger index, or criterion id.")],
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Show one envelope: what was measured, against what, on which inputs; for a criterion, its newest."""
    with opened(manifest) as workspace:
        case = workspace.case()
        found = _find(envelopes(case), name)
    if json:
        print_json(parse_canonical(next(s.body for s in case.evidence if s.digest == found.digest)))
    else:
        envelope_detail(console(), found)


@app.command("import")
def import_file(
    path: Annotated[Path, typer.Argument(help="A DSSE envelope that a registered key signed.")],
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Take evidence that somebody else signed, for a release that was inspected here."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise MissingFile(f"{path} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    with opened(manifest) as workspace, workspace.store.unit_of_work() as uow:
        case = fold(uow.records())
        receipt = import_evidence(uow, body=body.strip(), case=case, trust=trust_of(case), at=workspace.clock())
    if json:
        print_json({"entry": receipt.index})
    else:
        console().print(f"✓ Recorded as entry {receipt.index}.")


def _find(found: tuple[EnvelopeView, ...], name: str) -> EnvelopeView:
    wanted = name.removeprefix("sha256:")
    hits = [
        each
        for each in found
        if str(each.index) == name
        or each.digest.removeprefix("sha256:").startswith(wanted)
        or any(criterion.id == name for criterion in each.evidence.criteria)
    ]
    if not hits:
        raise InputError(f"No evidence matches {name!r}.", remedy="List what there is: roadworthy evidence list.")
    return hits[-1]
