"""``roadworthy gaps``: what stands between here and the gate, who closes it, and when."""

from dataclasses import replace
from typing import Annotated

import typer

from roadworthy.actions.gaps import assign_gap, defer_gap
from roadworthy.base.clock import parse_instant
from roadworthy.base.codec import to_json
from roadworthy.base.errors import InputError, NoWorkspace
from roadworthy.cli.output import (
    DEFAULT_MANIFEST,
    JsonOption,
    ManifestOption,
    ReasonOption,
    console,
    opened,
    print_json,
)
from roadworthy.cli.render import gap_register
from roadworthy.domain.criterion import Effort, Profile
from roadworthy.domain.gap import Assignment
from roadworthy.domain.waiver import Deferral
from roadworthy.wiring.view import view
from roadworthy.wiring.workspace import Workspace

app = typer.Typer(help="Open gaps: owner, effort, dependencies, critical path.", invoke_without_command=True)
_EFFORT_PARTS = 3
ByOption = Annotated[str, typer.Option("--as", help="Who decides this.", show_default=False)]


@app.callback()
def gaps(context: typer.Context, manifest: ManifestOption = DEFAULT_MANIFEST, json: JsonOption = False) -> None:
    """List open gaps, cheapest way to open the gate first."""
    if context.invoked_subcommand is not None:
        return
    with opened(manifest) as workspace:
        seen = view(workspace, workspace.clock())
    if json:
        print_json({"gaps": to_json(seen.scorecard.gaps), "plan": to_json(seen.scorecard.plan)})
    else:
        gap_register(console(), seen.scorecard)


@app.command("assign")
def assign(
    criterion: Annotated[str, typer.Argument(help="Whose gap.")],
    person: ByOption,
    owner: Annotated[str | None, typer.Option("--owner", help="Person or team that closes it.")] = None,
    effort_days: Annotated[
        str | None, typer.Option("--effort-days", help="Optimistic, likely and pessimistic person-days, as 2,3,8.")
    ] = None,
    depends_on: Annotated[
        list[str] | None,
        typer.Option("--depends-on", help="Criterion whose gap comes first; may be repeated; '' for none."),
    ] = None,
    deadline: Annotated[str | None, typer.Option("--deadline", help="Date or instant.")] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Set owner, effort, dependencies or deadline of a gap; what is not given keeps its value."""
    with opened(manifest) as workspace:
        profile, before = _profile(workspace), workspace.case().assignments.get(criterion)
        assignment = Assignment(
            criterion_id=criterion,
            owner=owner or (before.owner if before else None),
            effort=_effort(effort_days) if effort_days else (before.effort if before else None),
            depends_on=tuple(filter(None, depends_on)) if depends_on else (before.depends_on if before else None),
            deadline_at=parse_instant(deadline) if deadline else (before.deadline_at if before else None),
            assigned_by=person,
            assigned_at=workspace.clock(),
        )
        with workspace.store.unit_of_work() as uow:
            receipt = assign_gap(uow, profile=profile, assignment=replace(assignment, assigned_at=workspace.clock()))
    _done(json, {"assigned": criterion, "entry": receipt.index}, f"Gap {criterion} is set (entry {receipt.index}).")


@app.command("defer")
def defer(
    criterion: Annotated[str, typer.Argument(help="Whose gap.")],
    person: ByOption,
    reason: ReasonOption,
    work: Annotated[str, typer.Option("--work", help="What stays undone.")],
    cost_days: Annotated[float, typer.Option("--cost-days", help="Person-days that it will take then.")],
    stage: Annotated[str, typer.Option("--stage", help="By which stage it must be closed.")],
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Put a gap off, with its cost named. The gate stays closed by it."""
    with opened(manifest) as workspace:
        deferral = Deferral(
            criterion_id=criterion,
            reason=reason,
            work=work,
            cost_days=cost_days,
            target_stage=stage,
            decided_by=person,
            decided_at=workspace.clock(),
        )
        profile = _profile(workspace)
        with workspace.store.unit_of_work() as uow:
            receipt = defer_gap(uow, profile=profile, deferral=replace(deferral, decided_at=workspace.clock()))
    _done(
        json, {"deferred": criterion, "entry": receipt.index}, f"Gap {criterion} is deferred (entry {receipt.index})."
    )


def _profile(workspace: Workspace) -> Profile:
    profile = workspace.case().profile
    if profile is None:
        raise NoWorkspace("No policy is on record here yet.", remedy="Run roadworthy inspect first.")
    return profile


def _effort(text: str) -> Effort:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InputError(f"{text!r} is not three numbers.", remedy="Write person-days as 2,3,8.") from error
    if len(numbers) != _EFFORT_PARTS:
        raise InputError(f"{text!r} is not three numbers.", remedy="Write person-days as 2,3,8.")
    return Effort(low_days=numbers[0], likely_days=numbers[1], high_days=numbers[2])


def _done(json: bool, machine: dict[str, object], person: str) -> None:
    if json:
        print_json(machine)
    else:
        console().print(f"✓ {person}")
