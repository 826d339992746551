"""Reading roadworthy.yaml. Owns the messages: every problem at once, each with its line, key path and remedy."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.kit.schema_problems import LineMap, compose_lines, describe
from roadworthy.wiring.manifest import Manifest


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: it is not YAML or breaks the schema; all problems are listed (RW-101).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingFile(f"{path.name} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    try:
        lines: LineMap = compose_lines(text)
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ManifestError(f"{path.name} is not YAML: {error}", remedy="Correct its indentation.") from error
    try:
        return Manifest.model_validate(value if value is not None else {})
    except ValidationError as error:
        problems = describe(error, Manifest, lines)
        raise ManifestError(
            f"{len(problems)} problem(s) in {path.name}:\n" + "\n".join(f"  {problem}" for problem in problems),
            remedy="Correct the lines above; roadworthy schema prints what is allowed.",
            where=path.name,
        ) from error
