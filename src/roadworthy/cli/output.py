"""What every command shares on its way out: JSON for programs, a console for people, and the common options.

Rules kept here:
1. what people wrote is text, never an instruction: no markup, no emoji codes, and no control character reaches a
   terminal, where it could recolour, move or overwrite what stands there;
2. what somebody signs is printed as the very bytes whose digest they sign.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import MissingFile
from roadworthy.base.ids import new_id
from roadworthy.wiring.workspace import MANIFEST_NAME, Workspace

ManifestOption = Annotated[Path, typer.Option("--manifest", "-m", help="The manifest to work on.", show_default=True)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of text for a person.")]
PersonOption = Annotated[str, typer.Option("--as", help="Id of the person who acts.", show_default=False)]
PassphraseOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Read the passphrase from a file instead of the terminal.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in a sentence; it is signed.", show_default=False)]
_LAST_OF_TWO_DIGITS = 0xFF
DEFAULT_MANIFEST = Path(MANIFEST_NAME)
PAGE_WIDTH = 118
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""C0 but for tab and newline, DEL, C1, the separators of lines and paragraphs, and the marks that turn the direction."""


def print_json(value: Any) -> None:
    """Canonical JSON and a newline: the same value always prints the same bytes."""
    sys.stdout.buffer.write(canonical_bytes(value) + b"\n")
    sys.stdout.flush()


def write_file(path: Path, data: bytes) -> None:
    """Write a file that a person asked for, whole.

    Raises:
        MissingFile: its folder does not exist or cannot be written (RW-102).
    """
    part = path.with_name(f".{path.name}.{new_id('partial')}")
    try:
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise MissingFile(
            f"{path} cannot be written: {error.strerror}.",
            remedy="Create its folder, and check that you may write there.",
            where=str(path),
        ) from error


def require_folder(path: Path) -> None:
    """Say before minutes of work that its result could not be written.

    Raises:
        MissingFile: the folder of the file does not exist (RW-102).
    """
    if not path.parent.is_dir():
        raise MissingFile(f"There is no folder {path.parent}.", remedy="Create it, or choose another.", where=str(path))


def print_view(view: bytes, *, aside: bool) -> None:
    """Show what is about to be signed: these bytes, unwrapped; ``aside`` on stderr, where stdout is a program's."""
    stream = sys.stderr if aside else sys.stdout
    stream.flush()
    stream.buffer.write(view)
    stream.buffer.flush()


def plain(text: str) -> str:
    """The text with control characters written out in hexadecimal; tab and newline stay."""
    return _CONTROL.sub(lambda found: _written_out(ord(found.group())), text)


def _written_out(code: int) -> str:
    return f"\\x{code:02x}" if code <= _LAST_OF_TWO_DIGITS else f"\\u{code:04x}"


def styled(text: str, style: str = "") -> Text:
    """Text of a record in a style; a string in a ``Text`` does not pass through the console's own ``render_str``."""
    return Text(plain(text), style=style)


class PlainConsole(Console):
    """A console for text that others wrote: strings are shown as they are, control characters written out."""

    def render_str(self, text: str, **options: Any) -> Text:
        """As rich does, after ``plain``; every string goes through here, in tables too."""
        return super().render_str(plain(text), **options)


def error_console() -> PlainConsole:
    """Where people read of errors and of progress; nothing is cut to a width there unless rich must."""
    return PlainConsole(stderr=True, highlight=False, markup=False, emoji=False)


def console() -> PlainConsole:
    """Where people read; a file or a pipe gets the width that the tables were made for."""
    width = None if sys.stdout.isatty() else PAGE_WIDTH
    return PlainConsole(highlight=False, markup=False, emoji=False, width=width)


@contextmanager
def opened(manifest: Path) -> Iterator[Workspace]:
    """The workspace of a manifest, closed at the end."""
    workspace = Workspace(manifest)
    try:
        yield workspace
    finally:
        workspace.close()
