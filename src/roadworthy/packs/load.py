"""Reading packs. Owns the way from text to a checked ``Pack``; the schema belongs to ``kit.pack``.

Rules kept here:
1. everything wrong with a file is listed at once, each with its line, key path and remedy;
2. a pack is known by the digest of its content: comments, layout and the order of keys do not count;
3. nothing is silently dropped: a key that stands twice, an alias and an unknown key are errors.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from roadworthy.base.digest import digest_of
from roadworthy.base.errors import MissingFile, PackError
from roadworthy.domain.criterion import PackRef
from roadworthy.kit.pack import PackModel
from roadworthy.kit.schema_problems import NOT_YAML, Problem, aliases, compose_lines, describe, duplicate_keys
from roadworthy.packs.references import reference_problems

_LIBRARY = resources.files("roadworthy.packs") / "library"
_NOT_A_PACK = "tier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A pack that holds: its schema is kept and its references resolve.

    Attributes:
        ref: id, version and digest of the canonical JSON of its content.
        model: the content.
    """

    ref: PackRef
    model: PackModel


def load_pack(source: str | Path) -> Pack:
    """Read and check one pack or overlay file.

    Args:
        source: the path of a file, or the text itself.

    Raises:
        MissingFile: the file does not exist or cannot be opened (RW-102).
        PackError: it is not YAML, breaks the schema, or refers to what is not there; all problems are listed (RW-109).
    """
    name = source.name if isinstance(source, Path) else "pack"
    text = _read(source) if isinstance(source, Path) else source
    content, problems = _examine(text, name)
    if problems:
        listed = "\n".join(f"  {problem}" for problem in sorted(dict.fromkeys(problems)))
        raise PackError(
            f"{len(set(problems))} problem(s) in {name}:\n{listed}", remedy="Correct the lines above.", where=name
        )
    model = PackModel.model_validate(content)
    # Unset keys are left out: a key that a later release adds, with its default, does not change the digest.
    digest = digest_of(model.model_dump(mode="json", exclude_unset=True))
    return Pack(ref=PackRef(id=model.id, version=model.version, digest=digest), model=model)


def builtin(pack_id: str, version: int) -> Pack:
    """A pack that comes with Roadworthy.

    Raises:
        PackError: there is no such pack, or not in that version (RW-109).
    """
    packs = {pack.ref.id: pack for pack in builtins()}
    found = packs.get(pack_id)
    if found is None or found.ref.version != version:
        known = ", ".join(f"{pack.ref.id}@{pack.ref.version}" for pack in packs.values())
        raise PackError(
            f"There is no built-in pack {pack_id}@{version}.",
            remedy=f"Built in: {known}. A pack of your own is named by its path.",
            where="packs",
        )
    return found


@cache
def builtins() -> tuple[Pack, ...]:
    """Every pack that comes with Roadworthy, by id."""
    names = sorted(entry.name for entry in _LIBRARY.iterdir() if entry.name.endswith(".yaml"))
    return tuple(
        load_pack((_LIBRARY / name).read_text(encoding="utf-8"))
        for name in names
        if name.removesuffix(".yaml") != _NOT_A_PACK
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        remedy = "Check the path and that you may read it."
        raise MissingFile(f"The pack cannot be read: {error.strerror}.", remedy=remedy, where=str(path)) from error
    except UnicodeDecodeError as error:
        what = f"The file is not UTF-8 at byte {error.start}."
        raise PackError(what, remedy="Save it as UTF-8.", where=path.name) from error


def _examine(text: str, name: str) -> tuple[Any, list[Problem]]:
    """The content, and everything wrong with it."""
    try:
        found = aliases(text)
        if found:
            return None, found
        lines, twice, content = compose_lines(text), duplicate_keys(text), yaml.safe_load(text)
    except NOT_YAML as error:
        what = f"This is not YAML: {' '.join(str(error).split())}."
        raise PackError(what, remedy="Correct its syntax and indentation.", where=name) from error
    content = {} if content is None else content
    problems = [*twice, *reference_problems(content, lines)]
    try:
        PackModel.model_validate(content)
    except ValidationError as error:
        problems.extend(describe(error, PackModel, lines))
    return content, problems
