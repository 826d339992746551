"""``roadworthy export`` and ``roadworthy verify``: everything on record in one file, and its proof."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.codec import to_json
from roadworthy.cli.output import DEFAULT_MANIFEST, JsonOption, ManifestOption, console, opened, print_json
from roadworthy.ledger.verify import render
from roadworthy.wiring import bundles

DEFAULT_BUNDLE = Path("bundle.zip")
BROKEN = 5


def export(
    path: Annotated[Path, typer.Argument(help="Where to write the bundle.")] = DEFAULT_BUNDLE,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Write everything on record into one file that anyone can verify offline."""
    with opened(manifest) as workspace:
        members = bundles.export(workspace, path, workspace.clock())
        size_bytes = path.stat().st_size
    if json:
        print_json({"path": str(path), "members": members, "size_bytes": size_bytes})
    else:
        console().print(
            f"✓ {path}: {members} members, {size_bytes / 1024:.0f} KiB. Verify it: roadworthy verify {path}"
        )


def verify(
    path: Annotated[Path, typer.Argument(help="The bundle.")],
    vkey: Annotated[
        str | None, typer.Option("--vkey", help="The ledger's public key, from a source you trust.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Verify a bundle offline: bytes, signatures, ledger, and every decision computed again."""
    verified = bundles.verify(path, vkey=vkey)
    if json:
        newest = to_json(verified.newest) if verified.newest else None
        problems = [f"{p.where}: {p.what}" for step in verified.ledger.steps for p in step.problems]
        print_json(
            {
                "holds": verified.holds,
                "decisions": verified.decisions,
                "problems": [*problems, *verified.problems],
                "newest": newest,
            }
        )
    else:
        _show(verified)
    if not verified.holds:
        raise typer.Exit(BROKEN)


def _show(verified: bundles.Verified) -> None:
    out = console()
    out.print(render(verified.ledger).rstrip(), markup=False)
    if not verified.ledger.holds:
        out.print("✗ The bundle is broken; its decisions were not looked at.")
        return
    for problem in verified.problems:
        out.print(f"✗ {problem}", markup=False)
    if not verified.problems:
        out.print(f"✓ 9 each of {verified.decisions} recorded decision(s), computed again, has the same bytes")
    if verified.newest is not None:
        out.print(f"Gate {verified.newest.gate_id}: {verified.newest.outcome.value.upper()}.")
