"""``roadworthy init``, ``schema`` and ``tier``: the files that a user writes, and what may stand in them."""

from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.codec import to_json
from roadworthy.base.errors import InputError
from roadworthy.cli.output import DEFAULT_MANIFEST, JsonOption, console, print_json
from roadworthy.cli.template import MANIFEST_TEMPLATE
from roadworthy.packs.tier import classify, load_answers, template
from roadworthy.wiring.manifest import Manifest


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write roadworthy.yaml.")] = Path(),
    use_case: Annotated[str | None, typer.Option("--id", help="Short name of the use case.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Title for people.")] = None,
    ask: Annotated[bool, typer.Option("--ask/--no-ask", help="Ask for what is not given.")] = True,
    json: JsonOption = False,
) -> None:
    """Write a commented roadworthy.yaml and the questions that decide the tier. Nothing is overwritten."""
    manifest, answers = folder / DEFAULT_MANIFEST, folder / "answers" / "tier.yaml"
    for path in (manifest, answers):
        if path.exists():
            raise InputError(f"{path} exists already.", remedy="Edit it, or choose another folder.")
    if ask and not json:
        use_case = use_case or typer.prompt("Short name of the use case", default="my-use-case")
        title = title or typer.prompt("Title for people", default="My use case")
    text = MANIFEST_TEMPLATE.replace("my-use-case", use_case or "my-use-case").replace(
        "My use case", title or "My use case"
    )
    answers.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(text, encoding="utf-8")
    answers.write_text(template(), encoding="utf-8")
    if json:
        print_json({"written": [str(manifest), str(answers)]})
        return
    out = console()
    out.print(f"✓ {manifest}\n✓ {answers}")
    out.print("Next: answer the tier questions, name your files in roadworthy.yaml, then run roadworthy inspect.")


def schema(json: JsonOption = False) -> None:
    """Print the JSON Schema of roadworthy.yaml, for editors."""
    del json  # the schema is JSON either way; the flag exists so that every command takes it
    print_json(Manifest.model_json_schema())


def tier(
    answers: Annotated[Path, typer.Argument(help="The answers.")] = Path("answers/tier.yaml"), json: JsonOption = False
) -> None:
    """Compute the risk tier from the 24 answers, with the rule behind it."""
    found = classify(load_answers(answers))
    if json:
        print_json(to_json(found))
        return
    out = console()
    out.print(f"Tier [bold]{found.tier.value}[/]", markup=True)
    for reason in found.reasons:
        out.print(f"  {reason.tier.value}  {reason.rule:<10} {reason.why}", markup=False)
    if found.unanswered:
        out.print(f"Unanswered, so taken at their worst: {', '.join(found.unanswered)}")
