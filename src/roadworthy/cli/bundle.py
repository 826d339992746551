"""``roadworthy export`` and ``roadworthy verify``: everything on record in one file, and its proof."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.clock import format_instant, now
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
    verified = bundles.verify(path, now(), vkey=vkey)
    if json:
        print_json(_machine(verified))
    else:
        _show(verified)
    if not verified.holds:
        raise typer.Exit(BROKEN)


def _machine(verified: bundles.Verified) -> dict[str, object]:
    ledger = verified.ledger
    found = [f"{problem.where}: {problem.what}" for step in ledger.steps for problem in step.problems]
    return {
        "holds": verified.holds,
        "vkey": ledger.vkey,
        "pinned": ledger.pinned,
        "entries": ledger.entries,
        "erased": ledger.erased,
        "outside": list(ledger.outside),
        "decisions": verified.decisions,
        "beyond_reach": list(verified.beyond_reach),
        "problems": [*found, *verified.problems],
        "newest": to_json(verified.newest.decision) if verified.newest else None,
        "now": verified.now.value if verified.now else None,
    }


def _show(verified: bundles.Verified) -> None:
    out = console()
    out.print(render(verified.ledger).rstrip(), markup=False)
    if not verified.ledger.holds:
        out.print("✗ The bundle is broken; its decisions were not looked at.")
        return
    for problem in verified.problems:
        out.print(f"✗ {problem}", markup=False)
    for sentence in verified.beyond_reach:
        out.print(f"? rests on what was erased since, and cannot be computed again: {sentence}", markup=False)
    if not verified.problems:
        out.print(f"✓ 9. {verified.decisions} recorded decision(s), computed again, have the same bytes")
    if verified.newest is not None and verified.now is not None:
        decision = verified.newest.decision
        out.print(
            f"Gate {decision.gate_id}: {decision.outcome.value.upper()} on {format_instant(decision.at)[:16]} UTC; "
            f"now: {verified.now.value.upper()}."
        )
