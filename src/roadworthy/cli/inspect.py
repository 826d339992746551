"""``roadworthy inspect``: run what is due, with progress, and print the scorecard."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from roadworthy.actions.inspection import Due, Finished
from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.base.errors import RoadworthyError
from roadworthy.cli.output import (
    DEFAULT_MANIFEST,
    JsonOption,
    ManifestOption,
    console,
    error_console,
    opened,
    print_json,
    require_folder,
    write_file,
)
from roadworthy.cli.render import scorecard_text
from roadworthy.domain.criterion import Verdict
from roadworthy.domain.decision import Outcome
from roadworthy.domain.evidence import RunOutcome
from roadworthy.reports.junit import render_junit
from roadworthy.reports.sarif import render_sarif
from roadworthy.wiring.inspection import DEFAULT_SEED, Inspected, Watcher
from roadworthy.wiring.inspection import inspect as run_inspection
from roadworthy.wiring.view import view

_PASSES = (Outcome.OPEN, Outcome.CONDITIONAL)
_SIGNS = {Verdict.MET: "✓", Verdict.NOT_MET: "✗", Verdict.CANNOT_TELL: "?"}


def inspect(
    only: Annotated[
        list[str] | None, typer.Argument(help="Criteria or checks to run; all that are due when none is named.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Run fresh checks too.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of every random choice.")] = DEFAULT_SEED,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML for CI.")] = None,
    sarif: Annotated[Path | None, typer.Option("--sarif", help="Write SARIF 2.1.0 for code scanning.")] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Run every check that is missing or stale, record signed evidence, and decide the gate.

    Exit codes: 0 gate open, 1 not met, 2 usage or input, 3 evidence invalid, 4 target unreachable, 5 integrity broken.
    """
    for path in filter(None, (junit, sarif)):
        require_folder(path)
    with opened(manifest) as workspace:
        if json:
            done = run_inspection(workspace, watcher=Watcher(), only=only or (), everything=everything, seed=seed)
        else:
            with _progress() as progress:
                done = run_inspection(
                    workspace, watcher=_Shown(progress), only=only or (), everything=everything, seed=seed
                )
        seen = view(workspace, workspace.clock())
        if junit is not None:
            write_file(junit, render_junit(seen.scorecard).encode())
        if sarif is not None:
            write_file(sarif, canonical_bytes(render_sarif(seen.scorecard)) + b"\n")
    if json:
        print_json(
            {"ran": [_ran(each) for each in done.ran], "fresh": done.fresh, "scorecard": to_json(seen.scorecard)}
        )
    else:
        scorecard_text(console(), seen.scorecard)
        _complain(done.errors)
    raise typer.Exit(exit_code(done))


def exit_code(done: Inspected) -> int:
    """The worst thing that stopped a check decides; when nothing did, the gate does."""
    if done.errors:
        return max(error.exit_code for error in done.errors)
    return 0 if done.decision.outcome in _PASSES else 1


def _ran(each: Finished) -> dict[str, object]:
    evidence = each.evidence
    return {
        "check": evidence.check,
        "outcome": evidence.outcome.value,
        "problem": evidence.problem,
        "criteria": {ref.id: ref.verdict.value for ref in evidence.criteria},
        "findings": to_json(evidence.findings),
    }


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=36),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=error_console(),
        transient=False,
    )


class _Shown(Watcher):
    """Shows progress, and each result as soon as it is on record."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("reading", total=None)

    def planned(self, due: Sequence[Due]) -> None:
        """The bar gets its length."""
        said = "inspecting" if due else "nothing is due"
        self._progress.update(self._task, total=len(due), description=said)

    def started(self, due: Due) -> None:
        """The bar says what runs."""
        self._progress.update(self._task, description=due.check.id)

    def ended(self, due: Due, finished: Finished) -> None:
        """One line a result."""
        evidence = finished.evidence
        if evidence.outcome is RunOutcome.COMPLETED:
            signs = "  ".join(f"{_SIGNS[ref.verdict]} {ref.id}" for ref in evidence.criteria)
        else:
            signs = f"! {evidence.outcome.value}"
        self._progress.console.print(f"  {due.check.title:<46} {signs}", markup=False, soft_wrap=True)
        self._progress.advance(self._task)


def _complain(errors: Sequence[RoadworthyError]) -> None:
    out = error_console()
    for error in dict.fromkeys(str(each) for each in errors):
        out.print(f"✗ {error}", markup=False, soft_wrap=True)
