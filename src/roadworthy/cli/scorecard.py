"""``roadworthy scorecard`` and ``report``: where the use case stands, for people."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_bytes
from roadworthy.cli.output import DEFAULT_MANIFEST, JsonOption, ManifestOption, console, opened, print_json, write_file
from roadworthy.cli.render import scorecard_text
from roadworthy.reports.html import render_report
from roadworthy.wiring.view import view


def scorecard(manifest: ManifestOption = DEFAULT_MANIFEST, json: JsonOption = False) -> None:
    """Print the scorecard from what is on record; runs nothing."""
    with opened(manifest) as workspace:
        seen = view(workspace, workspace.clock())
    if json:
        print_json(to_json(seen.scorecard))
    else:
        scorecard_text(console(), seen.scorecard)


def report(
    path: Annotated[Path, typer.Argument(help="Where to write the page.")] = Path("report.html"),
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Write one self-contained HTML page: scorecard, gap register, evidence. It needs no script and no network."""
    with opened(manifest) as workspace:
        page = render_report(view(workspace, workspace.clock()).scorecard).encode()
    write_file(path, page)
    if json:
        print_json({"path": str(path), "digest": digest_bytes(page), "size_bytes": len(page)})
    else:
        console().print(f"✓ {path} ({len(page) / 1024:.0f} KiB)")
