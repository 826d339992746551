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
from roadworthy.wiring.view import EnvelopeView, envelopes, window_envelopes
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
        # What the gate reads stands last, so that it wins where a criterion is named.
        found = find_envelope((*window_envelopes(case), *envelopes(case)), name)
    if json:
        everything = (*(each.sealed for each in case.windows), *case.evidence)
        print_json(parse_canonical(next(s.body for s in everything if s.digest == found.digest)))
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
    with opened(manifest) as workspace:
        # Nothing is made here for the sake of a file: without a release on record there is nothing to compare it with.
        workspace.require_begun()
        with workspace.store.unit_of_work() as uow:
            case = fold(uow.records())
            receipt = import_evidence(uow, body=body.strip(), case=case, trust=trust_of(case), at=workspace.clock())
    if json:
        print_json({"entry": receipt.index})
    else:
        console().print(f"✓ Recorded as entry {receipt.index}.")


def find_envelope(found: tuple[EnvelopeView, ...], name: str) -> EnvelopeView:
    """The envelope of a ledger index, the newest one about a criterion, or the one of a digest or its beginning.

    Raises:
        InputError: none, or more than one digest begins so (RW-100).
    """
    # An index may look like the beginning of a digest: the index is what the list shows first, so it wins.
    by_index = [each for each in found if str(each.index) == name]
    about = [each for each in found if any(criterion.id == name for criterion in each.evidence.criteria)]
    if by_index or about:
        return (by_index or about)[-1]
    beginning = name.removeprefix("sha256:")
    hits = [each for each in found if beginning and each.digest.removeprefix("sha256:").startswith(beginning)]
    if len(hits) != 1:
        said = "No evidence matches" if not hits else f"{len(hits)} envelopes begin with"
        raise InputError(f"{said} {name!r}.", remedy="List what there is: roadworthy evidence list.")
    return hits[0]
