"""The C2SP tlog-tiles layout. Owns paths, hash tiles and entry bundles; where the bytes are kept is left to others.

A tile holds up to 256 hashes of 32 bytes. The tile of level L holds the roots of subtrees of 256**L entries. Only the
last tile of a level may be partial, and then its path says how wide it is: ``tile/0/x001/x234/067.p/8``.
Source: https://c2sp.org/tlog-tiles
"""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledger.merkle import HASH_BYTES, root

TILE_WIDTH = 256
MAX_ENTRY_BYTES = 0xFFFF
"""The largest entry that a bundle can frame: its length is a 16-bit number."""

_REMEDY = "Take the tile again from the ledger that signed the checkpoint."
# 21 digits hold every index below 2**64; a text of thousands of digits is no number that Python would read.
_PATH = re.compile(r"tile/(entries|0|[1-9]\d?)/((?:x\d{3}/){0,6}\d{3})(?:\.p/([1-9]\d{0,2}))?")


@dataclass(frozen=True, slots=True)
class TilePath:
    """The place of a tile: ``level`` is None for a bundle of entries; ``width`` is 256 for a full tile."""

    level: int | None
    index: int
    width: int

    def text(self) -> str:
        """The path, with the index in groups of three digits and every group but the last marked ``x``."""
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        place = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{'entries' if self.level is None else self.level}/{place}{partial}"


def parse_path(text: str) -> TilePath:
    """Read a path back; only the one form that ``TilePath.text`` writes is accepted.

    Raises:
        LedgerBroken: not such a path (RW-503).
    """
    match = _PATH.fullmatch(text)
    if match:
        kind, place, width = match.groups()
        level = None if kind == "entries" else int(kind)
        path = TilePath(level, int(re.sub(r"[x/]", "", place)), int(width or TILE_WIDTH))
        if path.text() == text:
            return path
    raise LedgerBroken(f"{text!r} is not the path of a tile.", remedy=_REMEDY)


def level_paths(level: int | None, count: int) -> Iterator[TilePath]:
    """The tiles of one level that holds ``count`` hashes (or entries): the full ones, then the partial one if any."""
    full, rest = divmod(count, TILE_WIDTH)
    for index in range(full):
        yield TilePath(level, index, TILE_WIDTH)
    if rest:
        yield TilePath(level, full, rest)


def hash_tile_paths(size: int) -> Iterator[TilePath]:
    """Every hash tile of a tree of ``size`` entries, level by level."""
    level, count = 0, size
    while count:
        yield from level_paths(level, count)
        level, count = level + 1, count // TILE_WIDTH


def hash_tiles(leaf_hashes: Sequence[bytes]) -> dict[str, bytes]:
    """Every hash tile of the tree, path to bytes."""
    tiles: dict[str, bytes] = {}
    hashes = list(leaf_hashes)
    level = 0
    while hashes:
        for path in level_paths(level, len(hashes)):
            start = path.index * TILE_WIDTH
            tiles[path.text()] = b"".join(hashes[start : start + path.width])
        full = len(hashes) // TILE_WIDTH
        hashes = [root(hashes[i * TILE_WIDTH : (i + 1) * TILE_WIDTH]) for i in range(full)]
        level += 1
    return tiles


def parse_hash_tile(tile: bytes) -> tuple[bytes, ...]:
    """The hashes of a tile.

    Raises:
        LedgerBroken: not a whole number of hashes, none, or more than 256 (RW-503).
    """
    count, rest = divmod(len(tile), HASH_BYTES)
    if rest or not 1 <= count <= TILE_WIDTH:
        raise LedgerBroken(f"A hash tile cannot have {len(tile)} bytes.", remedy=_REMEDY)
    return tuple(tile[i * HASH_BYTES : (i + 1) * HASH_BYTES] for i in range(count))


def entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Frame up to 256 entries: a 16-bit big-endian length before each.

    Raises:
        LedgerBroken: too many entries, or one is too long (RW-503).
    """
    longest = max((len(entry) for entry in entries), default=0)
    if len(entries) > TILE_WIDTH or longest > MAX_ENTRY_BYTES:
        what = f"{len(entries)} entries of up to {longest} bytes do not fit a bundle of entries."
        raise LedgerBroken(what, remedy=f"Frame at most {TILE_WIDTH} entries of at most {MAX_ENTRY_BYTES} bytes.")
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def entry_bundles(entries: Sequence[bytes]) -> dict[str, bytes]:
    """All entries in their bundles, path to bytes."""
    return {
        path.text(): entry_bundle(entries[path.index * TILE_WIDTH : path.index * TILE_WIDTH + path.width])
        for path in level_paths(None, len(entries))
    }


def parse_entry_bundle(data: bytes) -> tuple[bytes, ...]:
    """The entries of a bundle.

    Raises:
        LedgerBroken: the bytes end inside an entry (RW-503), with the entry's place in the bundle.
    """
    entries, rest = split_entries(data)
    if rest:
        raise LedgerBroken(f"The bundle ends inside its entry {len(entries)}.", remedy=_REMEDY)
    return entries


def split_entries(data: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """The whole entries at the beginning of a bundle, and the bytes that are left over when it ends inside one."""
    entries: list[bytes] = []
    offset = 0
    while offset + 2 <= len(data):
        end = offset + 2 + int.from_bytes(data[offset : offset + 2], "big")
        if end > len(data):
            break
        entries.append(data[offset + 2 : end])
        offset = end
    return tuple(entries), data[offset:]
