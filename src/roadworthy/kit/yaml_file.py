"""A YAML file that a person writes, read into a pydantic model. Owns the order of its checks and the one error.

What a file of a kind may say belongs to its model, and what its keys must mean together to ``also``.

Rules kept here:
1. Every problem is listed at once, each with line, key path and remedy.
2. Aliases are refused before they unfold, and a key that stands twice is never decided by which comes last.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.kit.schema_problems import NOT_YAML, LineMap, Problem, aliases, compose_lines, describe, duplicate_keys

Model = TypeVar("Model", bound=BaseModel)
_REMEDY = "Correct the lines above."


def read_text(path: Path) -> str:
    """The text of a file that a person wrote.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: it is not UTF-8 (RW-101).
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingFile(f"{path.name} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path.name} is not UTF-8 text: {error.reason}.", remedy="Save it as UTF-8.") from error


def parse_model(
    text: str,
    name: str,
    model: type[Model],
    *,
    remedy: str = _REMEDY,
    also: Callable[[Model, LineMap], Sequence[Problem]] | None = None,
) -> Model:
    """Check a text against a model.

    Args:
        text: YAML.
        name: of its file, for messages.
        model: what it must say.
        remedy: what to do about problems.
        also: problems that no single key has; asked once every key is right by itself.

    Raises:
        ManifestError: it is not YAML, has aliases, or breaks the schema; all problems are listed (RW-101).
    """
    try:
        unfolding = aliases(text)
        if unfolding:
            raise _refused(name, unfolding, remedy)
        lines: LineMap = compose_lines(text)
        twice, value = duplicate_keys(text), yaml.safe_load(text)
    except NOT_YAML as error:
        raise ManifestError(f"{name} is not YAML: {error}", remedy="Correct its syntax and indentation.") from error
    try:
        found = model.model_validate(value if value is not None else {})
    except ValidationError as error:
        raise _refused(name, [*twice, *describe(error, model, lines)], remedy) from error
    problems = [*twice, *(also(found, lines) if also else ())]
    if problems:
        # YAML lets the last one win in silence; here a bound that stands twice must not be a matter of luck.
        raise _refused(name, problems, remedy)
    return found


def _refused(name: str, problems: Sequence[Problem], remedy: str) -> ManifestError:
    listed = "\n".join(f"  {problem}" for problem in sorted(problems))
    return ManifestError(f"{len(problems)} problem(s) in {name}:\n{listed}", remedy=remedy, where=name)
