"""Proofs from tiles. Owns finding the hashes of a proof in the few tiles that hold them; where tiles lie is the caller's.

The same proofs as ``merkle`` makes from all leaf hashes, but an inclusion proof in a million entries reads three tiles.
"""

from collections.abc import Callable

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledger.merkle import EMPTY_ROOT, HASH_BYTES, node_hash
from roadworthy.ledger.open_tiles import tile_root
from roadworthy.ledger.tiles import TILE_WIDTH, TilePath


class TileTree:
    """The tree of ``size`` entries, read tile by tile; a tile is read once.

    Args:
        size: entries.
        read: the bytes of a hash tile; a partial tile is asked for with its width in this tree.
    """

    def __init__(self, size: int, read: Callable[[TilePath], bytes]) -> None:
        self.size = size
        self._read = read
        self._tiles: dict[tuple[int, int], bytes] = {}

    def root(self) -> bytes:
        """The root of the tree."""
        return self._subtree(0, self.size) if self.size else EMPTY_ROOT

    def inclusion_path(self, index: int) -> tuple[bytes, ...]:
        """PATH of RFC 6962, section 2.1.1, lowest first.

        Raises:
            LedgerBroken: there is no such entry, or a tile is not one (RW-503).
        """
        if not 0 <= index < self.size:
            what = f"The tree of {self.size} entries has no entry {index}."
            raise LedgerBroken(what, remedy="Ask for an index below the size.")
        path: list[bytes] = []
        start, end = 0, self.size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency_path(self, size1: int) -> tuple[bytes, ...]:
        """PROOF of RFC 6962, section 2.1.2, lowest first: the first ``size1`` entries are a prefix.

        Raises:
            LedgerBroken: ``size1`` is not in [1, size], or a tile is not one (RW-503).
        """
        if not 1 <= size1 <= self.size:
            what = f"The tree of {self.size} entries has no earlier size {size1}."
            raise LedgerBroken(what, remedy="Ask for a size from 1 up to the size of the tree.")
        path: list[bytes] = []
        start, end = 0, self.size
        while size1 != end:
            middle = start + _split(end - start)
            if size1 <= middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        if start > 0:
            path.append(self._subtree(start, end))
        return tuple(reversed(path))

    def _subtree(self, start: int, end: int) -> bytes:
        """The root over the entries of one step of RFC 6962's split: the left part of every split is full."""
        count = end - start
        if count & (count - 1):
            middle = start + _split(count)
            return node_hash(self._subtree(start, middle), self._subtree(middle, end))
        # 256**level entries are one hash of that level; what is left over are 1 to 128 neighbours in one tile.
        level, rest = divmod(count.bit_length() - 1, 8)
        place, offset = divmod(start >> 8 * level, TILE_WIDTH)
        tile = self._tile(level, place)
        return tile_root(tile[offset * HASH_BYTES : (offset + (1 << rest)) * HASH_BYTES])

    def _tile(self, level: int, place: int) -> bytes:
        tile = self._tiles.get((level, place))
        if tile is None:
            width = min(TILE_WIDTH, (self.size >> 8 * level) - place * TILE_WIDTH)
            path = TilePath(level, place, width)
            tile = self._read(path)
            if len(tile) != width * HASH_BYTES:
                what = f"The tile has {len(tile)} bytes, not {width * HASH_BYTES}."
                raise LedgerBroken(
                    what, remedy="Verify the log; its tiles are made anew from its entries.", where=path.text()
                )
            self._tiles[level, place] = tile
        return tile


def _split(size: int) -> int:
    """The largest power of two below ``size`` (which is at least 2)."""
    return int(1 << ((size - 1).bit_length() - 1))
