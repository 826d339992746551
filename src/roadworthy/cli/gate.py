"""``roadworthy gate``: what the gate says, as the same bytes to everybody."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.clock import now, parse_instant
from roadworthy.base.codec import to_json
from roadworthy.cli.output import (
    DEFAULT_MANIFEST,
    JsonOption,
    ManifestOption,
    console,
    error_console,
    opened,
    print_json,
    styled,
)
from roadworthy.domain.decision import Decision, Outcome
from roadworthy.gates.evaluate import decision_digest
from roadworthy.gates.explain import headline
from roadworthy.reports.words import state_word
from roadworthy.wiring import bundles
from roadworthy.wiring.workspace import Workspace

NOT_MET = 1
_PASSES = frozenset({Outcome.OPEN, Outcome.CONDITIONAL})


def gate(
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Compute it from a bundle instead of the store.")
    ] = None,
    vkey: Annotated[str | None, typer.Option("--vkey", help="The ledger's public key, with --bundle.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Compute it at another instant; nothing is recorded.")] = None,
    manifest: ManifestOption = DEFAULT_MANIFEST,
    json: JsonOption = False,
) -> None:
    """Decide the gate. The decision stands, byte for byte, until something that it rests on changes."""
    if bundle is not None:
        decision, outcome = bundles.decision_of(bundle, now(), vkey=vkey)
    else:
        with opened(manifest) as workspace:
            decision = _now(workspace) if at is None else workspace.decide(parse_instant(at))
        outcome = decision.outcome
    if json:
        print_json(to_json(decision))
    else:
        show(decision)
    if outcome is not decision.outcome:
        said = f"Decided {decision.outcome.value} then; the same evidence gives {outcome.value} now."
        error_console().print(said)
    raise typer.Exit(0 if {decision.outcome, outcome} <= _PASSES else NOT_MET)


def _now(workspace: Workspace) -> Decision:
    """The decision on what lies on disk: a file that changed since the inspection makes another subject."""
    workspace.require_begun()
    workspace.synchronise(workspace.proposal())
    return workspace.settle(workspace.clock())


def show(decision: Decision) -> None:
    """The decision for a person."""
    out = console()
    out.print(styled(f"Gate {decision.gate_id}: {decision.outcome.value.upper()}", "bold"))
    out.print(headline(decision), markup=False)
    by_id = {reading.criterion_id: reading for reading in decision.readings}
    for criterion_id in decision.unblock_order:
        reading = by_id[criterion_id]
        out.print(f"  {criterion_id:<4} {state_word(reading.state):<14} {reading.reason}", markup=False)
    if decision.waiting_for:
        out.print(f"Waiting for signatures: {', '.join(role.value for role in decision.waiting_for)}")
    for refused in decision.refused:
        out.print(f"  refused: entry {refused.index}: {refused.reason}", markup=False)
    out.print(f"Decision {decision_digest(decision)} at ledger size {decision.head.size}", markup=False)
