"""Prompt sets in a file. Owns their schema, and the digest of whatever file a release names as its prompt.

A release names one file as its prompt. It is a *prompt set* exactly when it is a YAML or JSON mapping with the key
``roadworthyPrompts`` at the top; any other file, whatever its name, counts by its bytes::

    roadworthyPrompts: 1
    prompts:
      - name: triage
        model: assistant-2026-05-01
        variables: [mail]
        parameters: {temperature: 0, max_tokens: 20}
        text: "Sort this mail: {{mail}}"
      - {name: reply, model: assistant-2026-05-01, file: reply.txt}

Rules kept here:
1. The digest of a set is that of ``prompts.release_parts``: a text, a model or a parameter changes it; comments, order and
   layout of the YAML do not. The bytes of a ``file`` are its text: every blank and line end of it counts.
2. A file that says the key but cannot be read as YAML is refused: it may be a set, and bytes would hide the texts of its
   files.
3. Every problem is told at once, with line and key path.
4. A set names files below its own folder only, links followed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import ManifestError, MissingFile, NotCanonical, ParameterError
from roadworthy.domain.use_case import Part
from roadworthy.kit.schema_problems import NOT_YAML, LineMap, Problem, line_of, render_path
from roadworthy.kit.yaml_file import parse_model
from roadworthy.measure.answers.prompts import Prompt, release_parts

MARK = "roadworthyPrompts"
_Variable = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Entry(_Block):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    model: Annotated[str, Field(min_length=1)]
    text: str | None = None
    file: Annotated[str, Field(min_length=1)] | None = None
    variables: list[_Variable] = []
    parameters: dict[str, JsonValue] = {}

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if (self.text is None) == (self.file is None):
            raise ValueError("a prompt has either text or file")
        return self


class _Set(_Block):
    roadworthyPrompts: Literal[1]  # noqa: N815  # the key as the file spells it
    prompts: list[_Entry] = Field(min_length=1)


def prompt_digest(path: Path) -> str:
    """The digest of the prompt of a release: of the set that the file holds, else of its bytes.

    Raises:
        MissingFile: the file, or one that the set names, cannot be read (RW-102).
        ManifestError: it is a prompt set with problems; all of them are listed (RW-101).
    """
    data = _read(path)
    prompts = _prompts(data, path)
    return digest_bytes(data) if prompts is None else release_parts(prompts)[Part.PROMPT]


def read_prompts(path: Path) -> tuple[Prompt, ...] | None:
    """The prompts of a set, in the order of the file; None for a file that is no prompt set.

    Raises:
        MissingFile: the file, or one that the set names, cannot be read (RW-102).
        ManifestError: it is a prompt set with problems; all of them are listed (RW-101).
    """
    return _prompts(_read(path), path)


def _prompts(data: bytes, path: Path) -> tuple[Prompt, ...] | None:
    text = _marked(data, path)
    if text is None:
        return None
    found = parse_model(text, path.name, _Set, also=lambda said, lines: _problems(said.prompts, path, lines))
    return tuple(_prompt(entry, path) for entry in found.prompts)


def _marked(data: bytes, path: Path) -> str | None:
    """The text of a prompt set; None for any other file."""
    if MARK.encode() not in data:
        return None
    try:
        text = data.decode("utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except NOT_YAML as error:
        raise ManifestError(
            f"{path.name} says {MARK} but is not YAML: {error}",
            remedy="Correct its syntax; a plain text that is a prompt may not hold that word.",
            where=path.name,
        ) from error
    marked = isinstance(root, yaml.MappingNode) and any(key.value == MARK for key, _ in root.value)
    return text if marked else None


def _problems(entries: Sequence[_Entry], path: Path, lines: LineMap) -> list[Problem]:
    problems: list[Problem] = []
    names: set[str] = set()
    for index, entry in enumerate(entries):
        key: tuple[str | int, ...] = ("prompts", index)
        if entry.name in names:
            problems.append(_problem(lines, (*key, "name"), "Another prompt has this name.", "Choose another."))
        names.add(entry.name)
        try:
            # A parameter without a canonical form shows only when it is digested.
            _ = _prompt(entry, path).digest
        except (ManifestError, MissingFile) as error:
            problems.append(_problem(lines, (*key, "file"), error.what, error.remedy))
        except (ParameterError, NotCanonical) as error:
            problems.append(_problem(lines, key, error.what, error.remedy))
    return problems


def _prompt(entry: _Entry, path: Path) -> Prompt:
    text = entry.text if entry.text is not None else _text_of(path, entry.file or "")
    return Prompt(
        name=entry.name,
        text=text,
        model=entry.model,
        variables=frozenset(entry.variables),
        parameters=dict(entry.parameters),
    )


def _text_of(path: Path, name: str) -> str:
    file = path.parent / name
    try:
        inside = file.resolve().is_relative_to(path.parent.resolve())
    except (OSError, ValueError, RuntimeError):
        # A name that no file can have, or links in a circle.
        inside = False
    if not inside:
        raise ManifestError(f"{name[:80]!r} lies outside the set's folder.", remedy="Put the text below that folder.")
    try:
        return _read(file).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{name} is not UTF-8 text.", remedy="Save it as UTF-8.") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MissingFile(
            f"{path.name} cannot be read: {error.strerror}.", remedy="Check the path and its rights.", where=str(path)
        ) from error


def _problem(lines: LineMap, at: tuple[str | int, ...], what: str, remedy: str) -> Problem:
    return Problem(line_of(lines, at), render_path(at), what, remedy)
