"""``roadworthy init``, ``schema`` and ``tier``: the files that a user writes, and what may stand in them."""

from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from roadworthy.base.codec import to_json
from roadworthy.base.errors import InputError, MissingFile
from roadworthy.cli.output import DEFAULT_MANIFEST, JsonOption, console, print_json, styled, write_file
from roadworthy.cli.template import MANIFEST_TEMPLATE
from roadworthy.packs.tier import classify, load_answers, template
from roadworthy.wiring.load_manifest import parse_manifest
from roadworthy.wiring.manifest import Manifest
from roadworthy.wiring.workspace import MANIFEST_NAME


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
    text = _filled(use_case, title)
    try:
        answers.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MissingFile(f"{folder} cannot be made: {error.strerror}.", remedy="Choose another folder.") from error
    write_file(manifest, text.encode())
    write_file(answers, template().encode())
    if json:
        print_json({"written": [str(manifest), str(answers)]})
        return
    out = console()
    out.print(f"✓ {manifest}\n✓ {answers}")
    out.print("Next: answer the tier questions, name your files in roadworthy.yaml, then run roadworthy inspect.")


def _filled(use_case: str | None, title: str | None) -> str:
    """The template with the names that were given.

    Raises:
        ManifestError: they do not make a valid manifest (RW-101).
    """
    text = MANIFEST_TEMPLATE
    # JSON strings are YAML too: a colon or a quote in a title must not become syntax.
    if use_case:
        text = text.replace("id: my-use-case", f"id: {dumps(use_case)}", 1)
    if title:
        text = text.replace("title: My use case", f"title: {dumps(title, ensure_ascii=False)}", 1)
    parse_manifest(text, MANIFEST_NAME)
    return text


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
    out.print(styled(f"Tier {found.tier.value}", "bold"))
    for reason in found.reasons:
        out.print(f"  {reason.tier.value}  {reason.rule:<10} {reason.why}", markup=False)
    if found.unanswered:
        out.print(f"Unanswered, so taken at their worst: {', '.join(found.unanswered)}")
