"""Reading roadworthy.yaml. Owns the messages: every problem at once, each with its line, key path and remedy."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.kit.schema_problems import NOT_YAML, LineMap, Problem, aliases, compose_lines, describe, duplicate_keys
from roadworthy.wiring.manifest import Manifest


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: it is not YAML, has aliases, or breaks the schema; all problems are listed (RW-101).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingFile(f"{path.name} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path.name} is not UTF-8 text: {error.reason}.", remedy="Save it as UTF-8.") from error
    return parse_manifest(text, path.name)


def parse_manifest(text: str, name: str) -> Manifest:
    """Check the text of a manifest.

    Args:
        text: YAML.
        name: of its file, for messages.

    Raises:
        ManifestError: it is not YAML, has aliases, or breaks the schema; all problems are listed (RW-101).
    """
    try:
        unfolding = aliases(text)
        if unfolding:
            raise _refused(name, unfolding)
        lines: LineMap = compose_lines(text)
        twice, value = duplicate_keys(text), yaml.safe_load(text)
    except NOT_YAML as error:
        raise ManifestError(f"{name} is not YAML: {error}", remedy="Correct its syntax and indentation.") from error
    try:
        manifest = Manifest.model_validate(value if value is not None else {})
    except ValidationError as error:
        raise _refused(name, [*twice, *describe(error, Manifest, lines)]) from error
    if twice:
        # YAML lets the last one win in silence; here a bound that stands twice must not be a matter of luck.
        raise _refused(name, twice)
    return manifest


def _refused(name: str, problems: Sequence[Problem]) -> ManifestError:
    listed = "\n".join(f"  {problem}" for problem in sorted(problems))
    return ManifestError(
        f"{len(problems)} problem(s) in {name}:\n{listed}",
        remedy="Correct the lines above; roadworthy schema prints what is allowed.",
        where=name,
    )
