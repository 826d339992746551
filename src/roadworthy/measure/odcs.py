"""An ODCS file to the standard's own model. Owns YAML, line numbers and strictness; meaning belongs to ``contract``.

The published model ignores keys that it does not know, below the top level. A contract with ``mustBeAtMost: 5`` would
then promise something that nobody checks, so everything that the model dropped is refused here.

Rules kept here:
1. Unknown and repeated keys are errors, with file, line, path and the nearest known key.
2. Unquoted dates stay text, as the standard's model wants them.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import BaseModel, ValidationError

from roadworthy.base.errors import ContractError, MissingFile

KeyPath = tuple[str | int, ...]
_VERSIONS = ("v3.0.", "v3.1.")
_TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"


class _TextDates(yaml.SafeLoader):
    """The safe loader, without turning dates into objects."""


_TextDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP_TAG]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Odcs:
    """A parsed contract and where everything in it stands.

    Attributes:
        path: the file.
        model: the standard's model.
        lines: the line, from 1, of every key path, for example ``("schema", 0, "properties", 2)``.
    """

    path: Path
    model: OpenDataContractStandard
    lines: Mapping[KeyPath, int]

    def line(self, at: KeyPath) -> int:
        """The line of a key path, or of its nearest ancestor that the file spells out."""
        for length in range(len(at), 0, -1):
            if at[:length] in self.lines:
                return self.lines[at[:length]]
        return 1

    def error(self, at: KeyPath, what: str, remedy: str) -> ContractError:
        """An error that names file, line and path."""
        return ContractError(what, remedy=remedy, where=f"{self.path}:{self.line(at)} {dotted(at)}".rstrip())


def read_odcs(path: Path) -> Odcs:
    """Read and validate a contract in ODCS 3.0 or 3.1.

    Raises:
        MissingFile: the file cannot be opened (RW-102).
        ContractError: not YAML, not ODCS, or a key that the standard does not know (RW-106).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingFile(
            f"Cannot read the contract {path}.", remedy="Correct the path in the manifest.", where=str(path)
        ) from error
    except UnicodeDecodeError as error:
        raise ContractError("The contract is not UTF-8.", remedy="Save it as UTF-8.", where=str(path)) from error
    # 1. Text to nodes, which know their lines.
    raw, lines = _load(text, path)
    # 2. Plain values to the standard's model.
    try:
        model = OpenDataContractStandard.model_validate(raw)
    except ValidationError as error:
        raise _invalid(error, path, lines) from error
    document = Odcs(path=path, model=model, lines=lines)
    # 3. What the model did not take, nobody would check.
    _refuse_unknown(document, raw, model, ())
    _check_header(document)
    return document


def dotted(at: KeyPath) -> str:
    """A key path as text, for example ``schema[0].properties[2].quality[0]``."""
    text = ""
    for part in at:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def nearest(word: str, known: list[str]) -> str:
    """A remedy for a word that is not known."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"Use one of: {', '.join(sorted(known))}."


def _load(text: str, path: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    loader = _TextDates(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise ContractError("The contract is not a mapping.", remedy="Write an ODCS document.", where=str(path))
        lines: dict[KeyPath, int] = {}
        _note_lines(node, (), lines, path)
        raw = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        what = getattr(error, "problem", None) or "syntax"
        raise ContractError(f"The contract is not YAML: {what}.", remedy="Correct the syntax.", where=place) from error
    finally:
        loader.dispose()
    return raw, lines


def _note_lines(node: yaml.Node, at: KeyPath, lines: dict[KeyPath, int], path: Path) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_lines(item, (*at, index), lines, path)
    if isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            below = (*at, str(key.value))
            line = key.start_mark.line + 1
            if below in lines:
                raise ContractError(
                    f"The key {key.value!r} is there twice.", remedy="Keep one.", where=f"{path}:{line} {dotted(below)}"
                )
            lines[below] = line
            _note_lines(item, below, lines, path)


def _invalid(error: ValidationError, path: Path, lines: Mapping[KeyPath, int]) -> ContractError:
    problems = []
    for item in error.errors():
        at = tuple(item["loc"])
        line = next((lines[at[:k]] for k in range(len(at), 0, -1) if at[:k] in lines), 1)
        problems.append((line, f"{dotted(at)}: {item['msg']}"))
    problems.sort()
    return ContractError(
        f"{len(problems)} places do not follow ODCS: " + "; ".join(f"line {line}, {text}" for line, text in problems),
        remedy="Correct them as the Open Data Contract Standard 3.1 describes.",
        where=f"{path}:{problems[0][0]}",
    )


def _refuse_unknown(document: Odcs, raw: Any, kept: Any, at: KeyPath) -> None:
    if isinstance(kept, BaseModel) and isinstance(raw, Mapping):
        known = {field.alias or name: name for name, field in type(kept).model_fields.items()}
        for key, value in raw.items():
            if key not in known:
                raise document.error((*at, str(key)), f"ODCS has no key {key!r} here.", nearest(str(key), list(known)))
            _refuse_unknown(document, value, getattr(kept, known[key]), (*at, key))
    elif isinstance(kept, list) and isinstance(raw, list):
        for index, (raw_item, kept_item) in enumerate(zip(raw, kept, strict=True)):
            _refuse_unknown(document, raw_item, kept_item, (*at, index))


def _check_header(document: Odcs) -> None:
    model = document.model
    for key in ("apiVersion", "kind", "id", "version", "status"):
        if not getattr(model, key):
            raise document.error((key,), f"ODCS requires {key!r}.", f"Add {key}.")
    if not str(model.apiVersion).startswith(_VERSIONS):
        raise document.error(
            ("apiVersion",), f"ODCS {model.apiVersion} is not supported.", "Use apiVersion v3.1.0 or v3.0.x."
        )
    if model.kind != "DataContract":
        raise document.error(("kind",), f"The kind {model.kind!r} is not a data contract.", "Write kind: DataContract.")
