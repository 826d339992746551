"""``roadworthy monitor``: watch production window by window, once or on a schedule, and show what was found."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from threading import TIMEOUT_MAX, Event
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from roadworthy.base.clock import format_instant
from roadworthy.base.codec import to_json
from roadworthy.base.errors import InputError, RoadworthyError
from roadworthy.cli.output import (
    DEFAULT_MANIFEST,
    JsonOption,
    ManifestOption,
    console,
    error_console,
    opened,
    print_json,
)
from roadworthy.wiring.inspection import DEFAULT_SEED
from roadworthy.wiring.windows import (
    INPUTS,
    Investigation,
    WindowStatus,
    WindowVerdict,
    investigations,
    short_digest,
    statuses,
    window_runs,
)
from roadworthy.wiring.workspace import Workspace

app = typer.Typer(help="Watch production, window by window.", no_args_is_help=True)

# Loaded when it is asked for: no other command should wait for the libraries that measure.
_ENGINE = "roadworthy.wiring.monitoring"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_ICONS = {
    WindowVerdict.HARMED: "✗",
    WindowVerdict.NOT_HARMED: "✓",
    WindowVerdict.SHIFTED_NOT_HARMED: "✓",
    WindowVerdict.CANNOT_TELL: "?",
}
_NAMED = 3
"""Columns that a row of the table names before it counts the rest."""


@app.command("run")
def run(
    window: Annotated[
        list[Path] | None,
        typer.Option("--window", help="A file or pattern to look at; may be repeated. All new files when not given."),
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", help="Go on until Ctrl-C, a round each 30s, 15m, 2h or 1d.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of every random choice.")] = DEFAULT_SEED,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Look at every window of production that was not monitored yet, oldest first, and put on record what is found.

    Drift opens an investigation; harm closes an open gate. Exit codes: 0 no harm was found, 1 harm was found, otherwise
    that of what ended the round.
    """
    pause_s = seconds(every) if every is not None else None
    if pause_s is None:
        raise typer.Exit(_round(manifest, window or (), seed, json=json, brief=False))
    while True:
        try:
            _round(manifest, window or (), seed, json=json, brief=True)
        except RoadworthyError as error:
            # On a schedule a round that fails is one line, and the next one tries again.
            error_console().print(f"✗ {error}", soft_wrap=True)
        Event().wait(pause_s)


@app.command("status")
def status(manifest: ManifestOption = DEFAULT_MANIFEST, json: JsonOption = False) -> None:
    """Show every window that was monitored, and the investigations that are open; runs nothing."""
    with opened(manifest) as workspace:
        windows, to_look_into = _on_record(workspace)
    if json:
        print_json({"windows": to_json(windows), "investigations": to_json(to_look_into)})
    else:
        _table(console(), windows)
        _look_into(console(), to_look_into)


def seconds(text: str) -> float:
    """The seconds of a duration such as ``15m``.

    Raises:
        InputError: not a positive number with one of the units s, m, h, d (RW-100).
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    length_s = float(found[1]) * _UNITS_S[found[2]] if found else 0.0
    if not 0 < length_s <= TIMEOUT_MAX:
        raise InputError(f"{text!r} is no duration.", remedy="Write a number and a unit: 30s, 15m, 2h, 1d.")
    return length_s


def _round(manifest: Path, named: Sequence[Path], seed: int, *, json: bool, brief: bool) -> int:
    engine: Any = import_module(_ENGINE)
    with opened(manifest) as workspace:
        done = engine.monitor_once(workspace, named=named, seed=seed, seen=None if json or brief else _progress)
        _, to_look_into = _on_record(workspace)
    if json:
        print_json({"round": _plain(done), "investigations": to_json(to_look_into)})
    elif brief:
        console().print(_line(done, to_look_into), soft_wrap=True)
    else:
        _table(console(), done.windows)
        console().print(_line(done, to_look_into), soft_wrap=True)
        _look_into(console(), to_look_into)
    if done.error is not None:
        if not json:
            error_console().print(f"✗ {done.error}", soft_wrap=True)
        return int(done.error.exit_code)
    return 1 if any(each.verdict is WindowVerdict.HARMED for each in done.windows) else 0


def _progress(window: WindowStatus) -> None:
    error_console().print(f"  {window.name}: {window.verdict.value}", soft_wrap=True)


def _on_record(workspace: Workspace) -> tuple[tuple[WindowStatus, ...], tuple[Investigation, ...]]:
    runs = window_runs(workspace.case())
    return statuses(runs), investigations(runs)


def _plain(done: Any) -> dict[str, Any]:
    return {
        "at": to_json(done.at),
        "windows": to_json(done.windows),
        "waiting": done.waiting,
        "gate": done.decision.outcome.value,
        "error": to_json(done.error.problem()) if done.error is not None else None,
    }


def _line(done: Any, to_look_into: Sequence[Investigation]) -> str:
    rows = sum(each.rows or 0 for each in done.windows)
    harmed = [each.name for each in done.windows if each.verdict is WindowVerdict.HARMED]
    drifted = sum(bool(each.drifted) for each in done.windows)
    said = [
        f"{_many(len(done.windows))}, {rows:,} rows",
        f"{drifted} with drift",
        f"harm in {', '.join(harmed)}" if harmed else "no harm found",
        f"{len(to_look_into)} to look into",
        f"gate {done.decision.outcome.value}",
    ]
    waiting = f"; waiting: {_many(done.waiting)}" if done.waiting else ""
    return f"{format_instant(done.at)[:19]}Z  {'; '.join(said)}{waiting}"


def _many(windows: int) -> str:
    return f"{windows} window" if windows == 1 else f"{windows} windows"


def _table(out: Console, windows: Sequence[WindowStatus]) -> None:
    if not windows:
        out.print("No window.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("window", "rows", "drifted", "harm", "evidence"):
        table.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
    for each in windows:
        table.add_row(
            each.name,
            "?" if each.rows is None else f"{each.rows:,}",
            columns_of(each),
            f"{_ICONS[each.verdict]} {each.verdict.value}" + ("" if each.complete else " (not done)"),
            short_digest(each.evidence.get(INPUTS, next(iter(each.evidence.values())))),
        )
    out.print(table)
    for each in windows:
        for check, problem in each.problems.items():
            out.print(f"! {each.name}: {check}: {problem}", soft_wrap=True)


def columns_of(window: WindowStatus) -> str:
    """The columns that drifted or were lost, the first few by name, and how many nobody can tell of."""
    names = [*window.drifted, *(f"{name} (lost)" for name in window.lost)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    said = ", ".join(names[:_NAMED]) + more if names else "none"
    return f"{said}; {len(window.unsure)} cannot tell" if window.unsure else said


def _look_into(out: Console, found: Sequence[Investigation]) -> None:
    if not found:
        return
    out.print("\nTo look into; none of it blocks the gate:")
    for each in found:
        out.print(f"  {each.about}, since {each.since} ({short_digest(each.evidence)}): {each.what}", soft_wrap=True)
        out.print(f"    → {each.remedy}", soft_wrap=True)
