"""Problems of a YAML file against a schema. Owns line numbers, key paths and the nearest known key.

Used wherever a person writes YAML: the manifest, packs, overlays, tier answers.
"""

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

Path = tuple[str | int, ...]
LineMap = Mapping[Path, int]
NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)
"""What PyYAML raises on text that it cannot read: besides its own errors, what Python says of a date such as
2026-13-01 (ValueError), of ``!!int ''`` and ``!!bool x`` (LookupError), of ``!!timestamp x`` (AttributeError), and of
absurd nesting (RecursionError)."""


class Problem(NamedTuple):
    """One thing wrong with a file."""

    line: int
    path: str
    what: str
    remedy: str

    def __str__(self) -> str:
        """As a person reads it in a list."""
        return f"line {self.line}: {self.path or 'file'}: {self.what} {self.remedy}".rstrip()


def compose_lines(text: str) -> dict[Path, int]:
    """The line, from 1, of every key path of a YAML document.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    lines: dict[Path, int] = {}
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None:
        _walk(root, (), lines)
    return lines


def duplicate_keys(text: str) -> list[Problem]:
    """Keys that stand twice in one mapping; a plain loader would silently keep the last."""
    problems: list[Problem] = []
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pending: list[tuple[Path, yaml.Node]] = [((), root)] if root is not None else []
    while pending:
        path, node = pending.pop()
        seen: set[str] = set()
        for key, child in _children(node):
            if isinstance(node, yaml.MappingNode) and key in seen:
                where = render_path((*path, key))
                problems.append(Problem(child.start_mark.line + 1, where, "The key stands twice.", "Keep one of them."))
            seen.add(str(key))
            pending.append(((*path, key), child))
    return sorted(problems)


def aliases(text: str) -> list[Problem]:
    """Every alias. Nine lines of them can unfold to gigabytes, and one that contains itself has no end.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    found = [token.start_mark.line + 1 for token in yaml.scan(text) if isinstance(token, yaml.AliasToken)]
    return [Problem(line, "", "Aliases are not allowed.", "Write it out.") for line in found]


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            lines[(*path, str(key.value))] = key.start_mark.line + 1
            _walk(child, (*path, str(key.value)), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _walk(child, (*path, index), lines)


def _children(node: yaml.Node) -> list[tuple[Any, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        return [(str(key.value), child) for key, child in node.value]
    if isinstance(node, yaml.SequenceNode):
        return list(enumerate(node.value))
    return []


def line_of(lines: LineMap, path: Path) -> int:
    """The line of a path, or of its nearest ancestor that stands in the file."""
    for end in range(len(path), -1, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 1


def render_path(path: Path) -> str:
    """``criteria[3].accept[0].bound``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def nearest(name: str, known: Sequence[str]) -> str:
    """A remedy that names the closest known word, or all of them."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(sorted(known))}."


def describe(error: ValidationError, model: type[BaseModel], lines: LineMap) -> tuple[Problem, ...]:
    """Every problem that pydantic found, in the order of the file."""
    found = []
    for each in error.errors(include_url=False):
        path = _path_in_file(each["loc"], lines)
        line = line_of(lines, path)
        if each["type"] == "extra_forbidden":
            known = _known_keys(model, each["loc"][:-1])
            found.append(Problem(line, render_path(path), "Unknown key.", nearest(str(each["loc"][-1]), known)))
        elif each["type"] == "missing":
            found.append(Problem(line, render_path(path), "The key is missing.", "Add it."))
        else:
            found.append(Problem(line, render_path(path), _sentence(each["msg"]), ""))
    return tuple(dict.fromkeys(sorted(found)))


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")


def _path_in_file(loc: tuple[str | int, ...], lines: LineMap) -> Path:
    """Pydantic names the branch of a union among the steps; only steps that a file can have are kept."""
    path: Path = ()
    for position, step in enumerate(loc):
        last = position == len(loc) - 1
        if last or (*path, step) in lines or isinstance(step, int):
            path = (*path, step)
    return path


def _known_keys(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    kinds: list[Any] = [model]
    for step in loc:
        kinds = [inner for kind in kinds for inner in _step(kind, step)] or kinds
    return sorted({name for kind in kinds for leaf in _models(kind) for name in leaf.model_fields})


def _step(kind: Any, step: str | int) -> list[Any]:
    fields = [leaf.model_fields for leaf in _models(kind)] if isinstance(step, str) else []
    found: list[Any] = [each[str(step)].annotation for each in fields if step in each]
    return found or [argument for argument in typing.get_args(kind) if _models(argument)]


def _models(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and not isinstance(kind, types.GenericAlias):
        return [kind] if issubclass(kind, BaseModel) else []
    return [model for argument in typing.get_args(kind) for model in _models(argument)]
