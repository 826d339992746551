"""``roadworthy gateway``: run it, check its file, begin with one, make a key."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.cli.output import JsonOption, console, print_json
from roadworthy.gateway.identity.api_keys import new_key
from roadworthy.gateway.load_config import load_config
from roadworthy.wiring.gateway_files import CONFIG_NAME, init_gateway
from roadworthy.wiring.runtime import check_gateway, run_gateway

app = typer.Typer(
    help="The gateway in front of an AI system: no answer leaves without its durable record.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="gateway.yaml.")]
Names = Annotated[list[str], typer.Option(help="May be given several times.")]


@app.callback()
def gateway(
    context: typer.Context,
    config: ConfigOption = Path(CONFIG_NAME),
    check: Annotated[bool, typer.Option("--check", help="Read everything that a start would read, and end.")] = False,
    json: JsonOption = False,
) -> None:
    """Run the gateway until it is told to stop; SIGHUP reads its files again."""
    if context.invoked_subcommand is not None:
        return
    if not check:
        run_gateway(config, typer.echo)
        return
    check_gateway(config)
    found = load_config(config)
    if json:
        print_json({"config": str(config), "use_cases": sorted(found.use_cases), "workers": found.workers})
    else:
        console().print(f"✓ {config}: {len(found.use_cases)} use case(s), {found.workers} worker(s)")


@app.command("init")
def init(
    folder: Annotated[Path, typer.Option("--dir", help="Where to write.")] = Path(), json: JsonOption = False
) -> None:
    """Write a commented gateway.yaml with its policy and two keys. Nothing is overwritten."""
    started = init_gateway(folder)
    if json:
        written = [str(path) for path in started.written]
        print_json({"written": written, "key": started.key, "admin_key": started.admin_key})
        return
    out = console()
    for path in started.written:
        out.print(f"✓ {path}")
    out.print(f"Key of a caller:   {started.key}", soft_wrap=True)
    out.print(f"Key of the admin:  {started.admin_key}", soft_wrap=True)
    out.print("They are shown this once. Next: name your AI system in gateway.yaml, then run roadworthy gateway.")


@app.command("key")
def key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Small letters, digits and hyphens.")],
    owner: Annotated[str, typer.Option("--owner", help="The person or workload that asks with it.")] = "",
    role: Names = [],  # noqa: B006  # typer copies it, and knows no other way
    scope: Names = [],  # noqa: B006  # as above
    purpose: Names = [],  # noqa: B006  # as above
    cohort: Annotated[str, typer.Option("--cohort", help="The group that waves count.")] = "",
    json: JsonOption = False,
) -> None:
    """Make an API key: its text, shown this once, and its line for the file of keys."""
    text, line = new_key(key_id, owner=owner, roles=role, scopes=scope, purposes=purpose, cohort=cohort)
    if json:
        print_json({"key": text, "line": line})
        return
    out = console()
    out.print(f"Key:  {text}", soft_wrap=True)
    out.print(f"Line: {line}", soft_wrap=True)
