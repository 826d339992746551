"""A journey told as a transcript: chapters, commands as a reader can type them, and what they print. Owns the layout."""

import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.table import Table

from roadworthy.base.errors import InputError

RunCommand = Callable[[Sequence[str]], int]
MARK = ".roadworthy-demo"


class Transcript:
    """Types commands and prints what lies between them.

    Args:
        out: where to.
        run: executes one command line of ours and returns its exit code.
    """

    def __init__(self, out: Console, run: RunCommand) -> None:
        self.out, self._run = out, run

    def type(self, *words: str, also: Sequence[str] = ()) -> int:
        """Type a command, run it, and say its exit code when that is not 0.

        Args:
            words: after ``roadworthy``.
            also: further words that are run and not shown.
        """
        self.show(f"roadworthy {shlex.join(words)}")
        code = self._run([*words, *also])
        if code:
            self.out.print(f"(exit code {code})", style="dim", markup=False)
        return code

    def show(self, command: str) -> None:
        """A command as it is typed."""
        self.out.print(f"\n$ {command}", style="bold", markup=False, soft_wrap=True)

    def chapter(self, title: str) -> None:
        """A new part."""
        self.out.print()
        self.out.print(Rule(title, align="left", style="dim"))

    def say(self, text: str) -> None:
        """Plain words, never cut in two."""
        self.out.print(text, markup=False, highlight=False, soft_wrap=True)

    def table(self, names: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
        """A table without lines."""
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for name in names:
            table.add_column(name)
        for row in rows:
            table.add_row(*row)
        self.out.print(table)


def clear_folder(folder: Path) -> None:
    """Make room for a demo without ever deleting what is not its own.

    Raises:
        InputError: the folder holds something that is not a demo (RW-100).
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise InputError(f"{folder} is not empty and holds no demo.", remedy="Choose another folder: --dir FOLDER.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def command() -> str:
    """How the reader called us, so that printed lines can be typed as they stand."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "roadworthy" else "python -m roadworthy"
