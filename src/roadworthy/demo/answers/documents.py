"""What the policy search knows: short texts, each with a name and a data scope.

Owns their reading; searching them belongs to ``ranking``.

The handbook beside this module is the default: the policies of a made-up harbour company. A folder of other Markdown files
takes its place where it is given. A file may begin with a block of names::

    ---
    id: annual-leave
    title: Annual leave
    scope: internal
    ---

Without it the id is the file's path without its ending, the title is the first heading, and the scope is ``public``.

Rules kept here: ids are unique, and the documents stand in the order of their ids, so that the same files always give the
same index.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from roadworthy.base.errors import EmptyData, MissingFile, UnreadableData

HANDBOOK = Path(__file__).parent / "handbook"
SCOPES = ("public", "internal", "hr")
_FENCE = "---"
_NAMES = frozenset({"id", "title", "scope"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text.

    Attributes:
        id: unique; what an answer cites.
        title: for people.
        scope: the data scope that a reader needs.
        text: without the block of names, in Markdown.
    """

    id: str
    title: str
    scope: str
    text: str


def read_documents(folder: Path = HANDBOOK, *, scopes: Iterable[str] | None = None) -> tuple[Document, ...]:
    """All Markdown files below a folder, in the order of their ids.

    Args:
        folder: to search, with everything below it.
        scopes: keep only documents of these; all when None.

    Raises:
        MissingFile: a file cannot be opened (RW-102).
        UnreadableData: not UTF-8, a block of names that is not one, or an id that occurs twice (RW-103).
        EmptyData: no document is left (RW-104).
    """
    wanted = None if scopes is None else frozenset(scopes)
    found: dict[str, Document] = {}
    for path in sorted(folder.rglob("*.md")):
        document = _read(path, path.relative_to(folder).with_suffix("").as_posix())
        if document.id in found:
            raise UnreadableData(
                f"The id {document.id!r} occurs twice.", remedy="Give each document its own.", where=str(path)
            )
        found[document.id] = document
    kept = [found[name] for name in sorted(found) if wanted is None or found[name].scope in wanted]
    if not kept:
        raise EmptyData("There are no documents.", remedy="Name a folder with Markdown files.", where=str(folder))
    return tuple(kept)


def scopes_of(documents: Iterable[Document]) -> dict[str, str]:
    """The data scope of every document, by id: what a gateway needs to check citations."""
    return {document.id: document.scope for document in documents}


def _read(path: Path, default_id: str) -> Document:
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingFile(
            f"The document cannot be opened: {error.strerror}.", remedy="Make it readable.", where=str(path)
        ) from error
    except UnicodeDecodeError as error:
        raise UnreadableData("The document is not UTF-8.", remedy="Save it as UTF-8.", where=str(path)) from error
    names: Mapping[str, str] = {}
    if content.startswith(_FENCE + "\n"):
        block, fence, content = content.removeprefix(_FENCE + "\n").partition(f"\n{_FENCE}\n")
        names = _names(block if fence else "", str(path))
    return Document(
        id=names.get("id", default_id),
        title=names.get("title") or _heading(content) or default_id,
        scope=names.get("scope", SCOPES[0]),
        text=content.strip(),
    )


def _names(block: str, where: str) -> dict[str, str]:
    pairs = [line.partition(":") for line in block.splitlines()]
    names = {name.strip(): value.strip() for name, _, value in pairs}
    if len(names) != len(pairs) or not names or not set(names) <= _NAMES or not all(names.values()):
        raise UnreadableData(
            "The block of names at the beginning is not one.",
            remedy="Write id:, title: and scope:, each once, between two lines of three dashes.",
            where=where,
        )
    return names


def _heading(text: str) -> str:
    return next((line.lstrip("#").strip() for line in text.splitlines() if line.startswith("#")), "")
