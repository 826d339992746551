"""``roadworthy certificate``: what an open gate issues, its end before time, and the list of both."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.base.codec import to_json
from roadworthy.cli.output import (
    DEFAULT_MANIFEST,
    JsonOption,
    ManifestOption,
    console,
    opened,
    print_json,
    require_folder,
    write_file,
)
from roadworthy.domain.certificate import Certificate
from roadworthy.wiring.certificates import authority_key, certificates, issue, revocations, revoke
from roadworthy.wiring.workspace import Workspace

app = typer.Typer(
    help="Permission to be on the road, with its limits and its end; a gateway admits traffic by it.",
    no_args_is_help=True,
)


@app.command("issue")
def issue_one(
    cohort: Annotated[
        list[str] | None, typer.Option("--cohort", help="A group that may be served; every one when none.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="A data scope that may be reached; every one when none.")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option("--share", help="Largest share of the population, 0.05 for example; else the gate's."),
    ] = None,
    rate_rps: Annotated[float | None, typer.Option("--rate-rps", help="Largest rate of requests, per second.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="An earlier end than the decision's, RFC 3339.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the certificate for the gateways.")] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Issue a certificate for the release on disk; refused unless the gate is open now."""
    if out is not None:
        require_folder(out)
    with opened(manifest) as workspace:
        made = issue(
            workspace,
            cohorts=tuple(cohort or ()),
            data_scopes=tuple(scope or ()),
            wave_share=share,
            rate_rps=rate_rps,
            valid_until=parse_instant(until) if until is not None else None,
        )
    if out is not None:
        write_file(out, made.envelope.to_bytes())
    if json:
        print_json({"certificate": to_json(made.certificate), "entry": made.index, "public_key": made.public_key})
        return
    console().print(f"✓ {made.certificate.id}, entry {made.index}")
    _show(made.certificate)
    console().print(f"Signed by the control plane's key {made.public_key}")
    if out is not None:
        console().print(f"✓ {out}")


@app.command("revoke")
def revoke_one(
    certificate_id: Annotated[str, typer.Argument(help="Id of the certificate.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence; it is signed.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write every revocation on record for the gateways, one a line.")
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """End a certificate before its time, for good. Gateways know it once they hold the file of revocations."""
    if out is not None:
        require_folder(out)
    with opened(manifest) as workspace:
        envelope = revoke(workspace, certificate_id, reason)
        if out is not None:
            _write_revocations(workspace, out)
    if json:
        print_json({"revoked": certificate_id, "envelope": envelope.to_json()})
    else:
        console().print(f"✓ {certificate_id} is revoked.")
        console().print(
            f"✓ {out}" if out is not None else "Hand it to the gateways: certificate show --revocations FILE"
        )


@app.command("show")
def show(
    revoked: Annotated[
        Path | None,
        typer.Option("--revocations", help="Write every revocation on record for the gateways, one a line."),
    ] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """List every certificate on record, its state now, and the key that signs them."""
    if revoked is not None:
        require_folder(revoked)
    with opened(manifest) as workspace:
        case = workspace.case()
        found, key = certificates(case, workspace.clock()), authority_key(case)
        if revoked is not None:
            _write_revocations(workspace, revoked)
    if json:
        listed = [{"certificate": to_json(each.certificate), "state": each.state} for each in found]
        print_json({"certificates": listed, "public_key": key})
        return
    for each in found:
        console().print(f"{each.certificate.id}: {each.state}")
        _show(each.certificate)
    console().print(f"Signed by the control plane's key {key}" if key else "No certificate was ever issued here.")


def _show(certificate: Certificate) -> None:
    caps, out = certificate.caps, console()
    out.print(f"  release    {certificate.release_digest}")
    out.print(f"  gate       {certificate.gate_id}, tier {certificate.tier.value}")
    out.print(f"  valid      {format_instant(certificate.valid_from)} until {format_instant(certificate.valid_until)}")
    out.print(f"  cohorts    {', '.join(caps.cohorts) or 'every one'}")
    out.print(f"  scopes     {', '.join(caps.data_scopes) or 'every one'}")
    rate = "no limit of the rate" if caps.rate_rps is None else f"{caps.rate_rps:g} requests a second"
    out.print(f"  share      {caps.wave_share:g}, {rate}")
    for obligation in certificate.obligations:
        out.print(f"  obligation {obligation}")


def _write_revocations(workspace: Workspace, path: Path) -> None:
    write_file(path, b"".join(sealed.body + b"\n" for sealed in revocations(workspace.case())))
