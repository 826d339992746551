"""The growing edge of a log. Owns what must stay in memory so that a log grows tile by tile; files belong to others.

A tile that became full never changes again and is handed out once. What stays is the open tile of every level and the
open bundle of entries: some kilobytes, however long the log is.
"""

from collections.abc import Iterable
from hashlib import sha256

from roadworthy.ledger.merkle import EMPTY_ROOT, HASH_BYTES, node_hash
from roadworthy.ledger.tiles import TILE_WIDTH, TilePath

TILE_BYTES = TILE_WIDTH * HASH_BYTES


def tile_root(hashes: bytes) -> bytes:
    """The root over 1, 2, 4 ... 256 hashes that stand one after the other."""
    while len(hashes) > HASH_BYTES:
        hashes = b"".join([sha256(b"\x01" + hashes[i : i + 64]).digest() for i in range(0, len(hashes), 64)])
    return hashes


def tile_frontier(hashes: bytes) -> tuple[bytes, ...]:
    """The roots of the full subtrees over the hashes of an open tile, largest first."""
    count, offset, found = len(hashes) // HASH_BYTES, 0, []
    while count:
        span = (1 << (count.bit_length() - 1)) * HASH_BYTES
        found.append(tile_root(hashes[offset : offset + span]))
        offset += span
        count -= span // HASH_BYTES
    return tuple(found)


def frontier_root(frontier: Iterable[bytes]) -> bytes:
    """The root of a tree whose full subtrees, largest first, have these roots."""
    hashes = list(frontier)
    if not hashes:
        return EMPTY_ROOT
    merged = hashes.pop()
    while hashes:
        merged = node_hash(hashes.pop(), merged)
    return merged


def beginning_of(whole: bytes, path: TilePath) -> bytes:
    """What the partial tile, or the partial bundle of entries, of this width holds, cut from a longer one."""
    if path.level is not None:
        return whole[: path.width * HASH_BYTES]
    offset = 0
    for _ in range(path.width):
        offset += 2 + int.from_bytes(whole[offset : offset + 2], "big")
    return whole[:offset]


class OpenTiles:
    """The open tiles of a log that grows."""

    def __init__(self) -> None:
        self.size = 0
        self._bundle = bytearray()
        self._levels: list[bytearray] = [bytearray()]
        self._frontiers: dict[int, tuple[int, tuple[bytes, ...]]] = {}

    def add(self, leaves: Iterable[bytes]) -> list[tuple[TilePath, bytes]]:
        """Take the next leaves; the tiles and bundles that became full, in an order in which a reader misses none."""
        full: list[tuple[TilePath, bytes]] = []
        bundle, lowest = self._bundle, self._levels[0]
        for leaf in leaves:
            bundle += len(leaf).to_bytes(2, "big") + leaf
            lowest += sha256(b"\x00" + leaf).digest()
            self.size += 1
            if len(lowest) == TILE_BYTES:
                full.append((TilePath(None, self.size // TILE_WIDTH - 1, TILE_WIDTH), bytes(bundle)))
                bundle.clear()
                self._close(full)
        return full

    def partial(self) -> list[tuple[TilePath, bytes]]:
        """The open bundle and the open tiles as they are now; what is empty is left out."""
        width = self.size % TILE_WIDTH
        found = [(TilePath(None, self.size // TILE_WIDTH, width), bytes(self._bundle))] if width else []
        for level, hashes in enumerate(self._levels):
            if hashes:
                index = (self.size >> 8 * level) // TILE_WIDTH
                found.append((TilePath(level, index, len(hashes) // HASH_BYTES), bytes(hashes)))
        return found

    def root(self) -> bytes:
        """The root of the whole tree."""
        frontier: tuple[bytes, ...] = ()
        for level, hashes in enumerate(self._levels):
            # A level above the lowest changes once in 256 leaves, so what was computed for it is kept.
            known = self._frontiers.get(level)
            if known is None or known[0] != self.size >> 8 * level:
                known = (self.size >> 8 * level, tile_frontier(bytes(hashes)))
                self._frontiers[level] = known
            frontier = known[1] + frontier
        return frontier_root(frontier)

    def _close(self, full: list[tuple[TilePath, bytes]]) -> None:
        """Hand out the lowest open tile, and every one above that its root fills."""
        level = 0
        while len(self._levels[level]) == TILE_BYTES:
            tile = bytes(self._levels[level])
            self._levels[level].clear()
            full.append((TilePath(level, (self.size >> 8 * (level + 1)) - 1, TILE_WIDTH), tile))
            level += 1
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += tile_root(tile)
