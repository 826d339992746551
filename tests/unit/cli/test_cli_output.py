"""What people wrote is text in a terminal, never an instruction."""

import io
from typing import Any

import pytest
from rich.table import Table

from roadworthy.actions.registration import PRODUCER_ID
from roadworthy.cli.output import PlainConsole, console, plain, styled
from roadworthy.wiring import workspace
from small_project import Project

ODD = "[/x] [red]:smile:\x1b[31m\x9b2J\r\x07\x7f"
SHOWN = "[/x] [red]:smile:\\x1b[31m\\x9b2J\\x0d\\x07\\x7f"


def test_control_characters_are_written_out_and_lines_and_tabs_stay() -> None:
    """C0, DEL and C1; nothing else changes."""
    assert plain(ODD) == SHOWN
    assert plain("Größe\t測定\n✓") == "Größe\t測定\n✓"
    assert plain("".join(map(chr, range(0x20)))).count("\\x") == 30


def test_a_console_styles_nothing_that_others_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    """As a line, in a table, and in a text with a style of ours."""
    out = console()
    assert isinstance(out, PlainConsole)
    out.print(ODD)
    table = Table.grid()
    table.add_row(ODD)
    out.print(table)
    out.print(styled(ODD, "bold"))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [SHOWN] * 3


def test_a_style_of_ours_still_shows_on_a_terminal() -> None:
    """Bold stays bold."""
    screen = io.StringIO()
    PlainConsole(file=screen, force_terminal=True, color_system="standard", markup=False).print(styled("x", "bold"))
    assert screen.getvalue() == "\x1b[1mx\x1b[0m\n"


def test_a_name_in_markup_neither_crashes_nor_styles(project: Project, capsys: Any) -> None:
    """The name of a person, and of the owner of a gap."""
    project.run("inspect")
    secret = str(project.folder / "passphrase.txt")
    name = "[/x]\x1b[2J"
    words = ("person", "add", "eve", "--name", name, "--role", "quality", "--passphrase-file", secret)
    assert project.run(*words) == 0
    assert project.run("person", "list") == 0
    assert project.run("gaps", "assign", "G2", "--as", "eve", "--owner", name) == 0
    assert project.run("gaps") == 0
    assert project.run("scorecard") == 0
    said = capsys.readouterr().out
    assert said.count("[/x]\\x1b[2J") >= 4
    assert "\x1b" not in said


def test_nobody_is_called_as_the_program_is(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Even before the first inspection, which would register the program."""
    assert workspace.PRODUCER_ID == PRODUCER_ID
    secret = str(project.folder / "passphrase.txt")
    words = ("person", "add", PRODUCER_ID, "--name", "X", "--role", "quality", "--passphrase-file", secret)
    assert project.run(*words) == 2
    assert "is taken" in capsys.readouterr().err


def test_marks_that_turn_the_direction_are_written_out() -> None:
    """What stands behind one would be read backwards; letters that are written from the right stay."""
    assert plain("a\u202eb\u2066c\u2028d\u200f") == "a\\u202eb\\u2066c\\u2028d\\u200f"
    assert plain("\u05d0\u05d1") == "\u05d0\u05d1"
