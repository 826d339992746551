"""Growing a frontier by many leaves at once. Owns the loop that the hot path runs; the tree itself belongs to ``merkle``."""

from collections.abc import Iterable
from hashlib import sha256

from roadworthy.ledger.merkle import Frontier


def grow(frontier: Frontier, leaves: Iterable[bytes]) -> Frontier:
    """The frontier after all ``leaves``: what ``Frontier.append`` gives one by one, without an object for each."""
    hashes, size = list(frontier.hashes), frontier.size
    for leaf in leaves:
        merged, bits = sha256(b"\x00" + leaf).digest(), size
        # Each trailing 1 of the size is a full subtree that the new leaf completes to the next power of two.
        while bits & 1:
            merged = sha256(b"\x01" + hashes.pop() + merged).digest()
            bits >>= 1
        hashes.append(merged)
        size += 1
    return Frontier(size=size, hashes=tuple(hashes))
