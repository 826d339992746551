"""Reading roadworthy.yaml. Owns which model it must fit; the messages belong to ``kit.yaml_file``."""

from pathlib import Path

from roadworthy.kit.yaml_file import parse_model, read_text
from roadworthy.wiring.manifest import Manifest


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        MissingFile: there is no such file (RW-102).
        ManifestError: it is not YAML, has aliases, or breaks the schema; all problems are listed (RW-101).
    """
    return parse_manifest(read_text(path), path.name)


def parse_manifest(text: str, name: str) -> Manifest:
    """Check the text of a manifest.

    Args:
        text: YAML.
        name: of its file, for messages.

    Raises:
        ManifestError: it is not YAML, has aliases, or breaks the schema; all problems are listed (RW-101).
    """
    remedy = "Correct the lines above; roadworthy schema prints what is allowed."
    return parse_model(text, name, Manifest, remedy=remedy)
