"""A profile and a comparison in a terminal. Owns layout only: every word and number is the read model's."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from roadworthy.cli.output import PAGE_WIDTH, PlainConsole, styled
from roadworthy.reports.windows import ColumnView, ComparisonView, PartView, ProfileView, ShiftView

_TONES = {"ok": "green", "wait": "yellow", "none": "dim"}
_SHAPE_WIDTH = 24


def profile_text(out: PlainConsole, view: ProfileView, *, written: Sequence[Path]) -> None:
    """The profile: one table for all rows, one for each group, then what deserves a look."""
    out.print()
    out.print(f" {view.name} · {view.rows}", soft_wrap=True)
    for part in view.parts:
        _part(out, part)
    out.print()
    for notice in view.notices:
        out.print(styled(f" ! {notice}", "yellow"))
    out.print(styled(f" {view.searched}", "dim"))
    _written(out, written)


def comparison_text(out: PlainConsole, view: ComparisonView, *, written: Sequence[Path]) -> None:
    """The comparison: the answer in a sentence, then a table for each group, the drifted columns first."""
    out.print()
    out.print(f" Reference {view.reference}", soft_wrap=True)
    out.print(f" Window    {view.current}", soft_wrap=True)
    for group in view.groups:
        out.print()
        if group.name:
            out.print(styled(f" {group.name} · {group.rows}", "bold"))
        table = _table(out)
        table.add_column("", no_wrap=True)
        table.add_column("column", max_width=22)
        table.add_column(f"{view.effect} [interval]", max_width=28)
        table.add_column("before", ratio=1)
        table.add_column("after", ratio=1)
        table.add_column("change of nulls", max_width=22)
        for item in group.columns:
            table.add_row(*_shift_cells(item))
        out.print(table)
    out.print()
    for name, why in view.refused:
        out.print(styled(f" Not compared: {name}. {why}", "dim"))
    out.print(styled(f" {view.headline}", "bold"))
    out.print(f" {view.sub}")
    out.print(styled(f" {view.rule}", "dim"))
    _written(out, written)


def _part(out: PlainConsole, part: PartView) -> None:
    out.print()
    if part.name:
        out.print(styled(f" {part.name} · {part.rows}", "bold"))
    table = _table(out)
    table.add_column("column", max_width=22)
    table.add_column("kind", no_wrap=True)
    table.add_column("nulls", max_width=22)
    table.add_column("smallest to largest, mean ± sd, quartiles; or values", ratio=1)
    table.add_column("", no_wrap=True, max_width=_SHAPE_WIDTH)
    for column in part.columns:
        table.add_row(*_column_cells(column))
    out.print(table)


def _table(out: PlainConsole) -> Table:
    return Table(box=None, padding=(0, 1), header_style="dim", width=min(out.width, PAGE_WIDTH))


def _column_cells(column: ColumnView) -> tuple[str, ...]:
    return (
        column.name,
        column.kind,
        column.nulls,
        column.values or _numbers(column),
        column.shape,
    )


def _numbers(column: ColumnView) -> str:
    first = ", ".join(filter(None, (column.span, column.spread)))
    return f"{first}\nquartiles {column.quartiles}" if column.quartiles else first


def _shift_cells(item: ShiftView) -> tuple[str | Text, ...]:
    style = _TONES[item.look.tone]
    severity = f"{item.severity}\n{item.needed}" if item.needed else item.severity
    name = f"{item.name}\n({item.about})" if item.about else item.name
    return (
        styled(f"{item.look.sign} {item.look.word.lower()}", style),
        name,
        severity,
        item.before,
        item.after,
        item.nulls,
    )


def _written(out: PlainConsole, paths: Sequence[Path]) -> None:
    for path in paths:
        out.print(f" ✓ {path}", soft_wrap=True)
