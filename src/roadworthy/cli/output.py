"""What every command shares on its way out: JSON for programs, a console for people, and the common options."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from roadworthy.base.canonical import canonical_bytes
from roadworthy.wiring.workspace import MANIFEST_NAME, Workspace

ManifestOption = Annotated[Path, typer.Option("--manifest", "-m", help="The manifest to work on.", show_default=True)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of text for a person.")]
PersonOption = Annotated[str, typer.Option("--as", help="Id of the person who acts.", show_default=False)]
PassphraseOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Read the passphrase from a file instead of the terminal.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in a sentence; it is signed.", show_default=False)]
DEFAULT_MANIFEST = Path(MANIFEST_NAME)
PAGE_WIDTH = 118


def print_json(value: Any) -> None:
    """Canonical JSON and a newline: the same value always prints the same bytes."""
    sys.stdout.buffer.write(canonical_bytes(value) + b"\n")
    sys.stdout.flush()


def console() -> Console:
    """Where people read; a file or a pipe gets the width that the tables were made for."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PAGE_WIDTH)


@contextmanager
def opened(manifest: Path) -> Iterator[Workspace]:
    """The workspace of a manifest, closed at the end."""
    workspace = Workspace(manifest)
    try:
        yield workspace
    finally:
        workspace.close()
