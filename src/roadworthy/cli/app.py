"""The command line. Owns the list of commands and how errors reach a person or a program."""

import sys
from collections.abc import Callable, Sequence
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.codec import to_json
from roadworthy.base.errors import RoadworthyError
from roadworthy.cli import (
    bundle,
    certificate,
    contract,
    evidence,
    gaps,
    gate,
    gateway,
    init,
    inspect,
    ledger_log,
    monitor,
    passport,
    people,
    profile,
    scorecard,
    sign,
    waive,
)
from roadworthy.cli.output import error_console, print_json, styled

app = typer.Typer(
    name="roadworthy",
    help="Proves that an AI use case is ready for the road: runs the checks, keeps signed evidence, decides the gate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

INTERRUPTED = 130


class Story(Enum):
    """What ``demo`` tells, by the module that tells it."""

    TRIAGE = "triage"
    POLICY_SEARCH = "policy-search"


_STORIES = {
    Story.TRIAGE: ("roadworthy.cli.demo", "tell"),
    Story.POLICY_SEARCH: ("roadworthy.cli.demo_policy_search", "tell_policy_search"),
}
_COMMANDS: dict[str, Callable[..., None]] = {
    "init": init.init,
    "schema": init.schema,
    "tier": init.tier,
    "profile": profile.profile,
    "compare": profile.compare,
    "passport": passport.passport,
    "inspect": inspect.inspect,
    "scorecard": scorecard.scorecard,
    "report": scorecard.report,
    "sign": sign.sign,
    "gate": gate.gate,
    "export": bundle.export,
    "verify": bundle.verify,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(gaps.app, name="gaps")
app.add_typer(evidence.app, name="evidence")
app.add_typer(monitor.app, name="monitor")
app.add_typer(waive.app, name="waive")
app.add_typer(people.app, name="person")
app.add_typer(certificate.app, name="certificate")
app.add_typer(contract.app, name="contract")
app.add_typer(gateway.app, name="gateway")
app.add_typer(ledger_log.app, name="log")


@app.command("demo")
def demo(
    folder: Annotated[Path | None, typer.Option("--dir", help="Where to make everything.")] = None,
    story: Annotated[
        Story, typer.Option("--story", help="A model from pilot to gate, or a search behind a gateway.")
    ] = Story.TRIAGE,
) -> None:
    """Tell a whole journey on a real system and real data, in one command."""
    # Loaded when it is asked for: it trains a model, and no other command should wait for what that takes.
    module, function = _STORIES[story]
    place = folder or Path("build", "demo" if story is Story.TRIAGE else f"demo-{story.value}")
    getattr(import_module(module), function)(execute, place)


def execute(arguments: Sequence[str]) -> int:
    """Run one command line in this process and return its exit code; errors are explained, not raised."""
    try:
        app(args=list(arguments), prog_name="roadworthy")
    except RoadworthyError as error:
        if "--json" in arguments:
            print_json(to_json(error.problem()))
        else:
            _explain(error)
        return error.exit_code
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0
    return 0


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code.

    0 done or gate open, 1 not met or refused, 2 usage or input, 3 evidence invalid, 4 target unreachable, 5 integrity.
    """
    code = execute(sys.argv[1:] if arguments is None else arguments)
    if code == INTERRUPTED:
        error_console().print("Stopped. What had finished is on record; run the command again to go on.")
    sys.exit(code)


def _explain(error: RoadworthyError) -> None:
    out = error_console()
    out.print(styled(f"✗ {error.code}", "bold red"), end="")
    out.print(f" at {error.where}" if error.where else "", soft_wrap=True)
    # Not wrapped: a path or a command that is cut in two cannot be copied.
    out.print(error.what, soft_wrap=True)
    out.print(f"→ {error.remedy}", soft_wrap=True)
