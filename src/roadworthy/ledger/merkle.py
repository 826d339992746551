"""The Merkle tree of RFC 6962, section 2.1. Owns hashing, the compact frontier and making proofs.

Checking a proof belongs to ``proof``, storage to ``tiles``. Everything is pure; a hash is 32 raw bytes.

Rules kept here:
1. A leaf and an inner node are hashed with different first bytes, so neither can pose as the other.
2. The tree of n leaves splits at the largest power of two below n; nothing is ever padded or repeated.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from roadworthy.base.errors import LedgerBroken

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves (RFC 6962, section 2.1)."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """All that a growing tree must remember: the roots of its full subtrees, largest first.

    Attributes:
        size: leaves in the tree.
        hashes: one hash for each 1 in the binary form of ``size``, from the most significant bit down.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            what = f"A frontier of size {self.size} cannot have {len(self.hashes)} hashes."
            raise LedgerBroken(what, remedy="Rebuild the frontier from the leaf hashes.")

    def append(self, new_leaf_hash: bytes) -> "Frontier":
        """The frontier after one more leaf; at most log2(size) hashes are computed."""
        hashes = list(self.hashes)
        merged, bits = new_leaf_hash, self.size
        # Each trailing 1 of the size is a full subtree that the new leaf completes to the next power of two.
        while bits & 1:
            merged = node_hash(hashes.pop(), merged)
            bits >>= 1
        return Frontier(size=self.size + 1, hashes=(*hashes, merged))

    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.hashes:
            return EMPTY_ROOT
        merged = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            merged = node_hash(left, merged)
        return merged


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over the leaf hashes, in order."""
    level = list(leaf_hashes)
    if not level:
        return EMPTY_ROOT
    # Level by level: an odd last node moves up unchanged, which is the same tree as the recursive split.
    while len(level) > 1:
        pairs = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs) :]
    return level[0]


def inclusion_path(leaf_hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The hashes that lead from leaf ``index`` to the root, lowest first: PATH of RFC 6962, section 2.1.1.

    Raises:
        LedgerBroken: there is no such leaf (RW-503).
    """
    size = len(leaf_hashes)
    if not 0 <= index < size:
        raise LedgerBroken(
            f"The tree of {size} entries has no entry {index}.", remedy="Ask for an index below the size."
        )
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(root(leaf_hashes[middle:end]))
            end = middle
        else:
            path.append(root(leaf_hashes[start:middle]))
            start = middle
    return tuple(reversed(path))


def consistency_path(leaf_hashes: Sequence[bytes], size1: int) -> tuple[bytes, ...]:
    """Proof that the first ``size1`` leaves are a prefix of all: PROOF of RFC 6962, section 2.1.2, lowest first.

    Raises:
        LedgerBroken: ``size1`` is not in [1, size]; from an empty tree there is nothing to prove (RW-503).
    """
    size = len(leaf_hashes)
    if not 1 <= size1 <= size:
        remedy = "Ask for a size from 1 up to the size of the tree."
        raise LedgerBroken(f"The tree of {size} entries has no earlier size {size1}.", remedy=remedy)
    path: list[bytes] = []
    start, end = 0, size
    while size1 != end:
        middle = start + _split(end - start)
        if size1 <= middle:
            path.append(root(leaf_hashes[middle:end]))
            end = middle
        else:
            path.append(root(leaf_hashes[start:middle]))
            start = middle
    # The verifier knows the old root; it needs this subtree's hash only when the old tree is more than this subtree.
    if start > 0:
        path.append(root(leaf_hashes[start:end]))
    return tuple(reversed(path))


def _split(size: int) -> int:
    """The largest power of two below ``size`` (which is at least 2)."""
    return int(1 << ((size - 1).bit_length() - 1))
