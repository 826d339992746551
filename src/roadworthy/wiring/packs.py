"""Where packs and overlays named in a manifest are found: built in by ``id@version``, or a file beside the manifest."""

from collections.abc import Sequence
from pathlib import Path

from roadworthy.base.errors import PackError
from roadworthy.packs.load import Pack, builtin, load_pack
from roadworthy.wiring.case import existing


def find_packs(names: Sequence[str], root: Path) -> tuple[Pack, ...]:
    """Load every pack, in the order of the manifest.

    Raises:
        PackError: no such pack, or a pack that breaks its schema (RW-109).
        MissingFile: a pack file does not exist (RW-102).
    """
    return tuple(_find_pack(name, root) for name in names)


def _find_pack(name: str, root: Path) -> Pack:
    if name.endswith((".yaml", ".yml")):
        return load_pack(existing(root, name, "packs"))
    pack_id, _, version = name.partition("@")
    if not version.isdigit():
        raise PackError(
            f"{name!r} names no version.", remedy="Write id@version, for example enterprise@2.", where="packs"
        )
    return builtin(pack_id, int(version))


def find_overlays(names: Sequence[str], root: Path) -> tuple[Pack, ...]:
    """Load every overlay file.

    Raises:
        PackError: an overlay that breaks its schema (RW-109).
        MissingFile: an overlay file does not exist (RW-102).
    """
    return tuple(load_pack(existing(root, name, "overlays")) for name in names)
