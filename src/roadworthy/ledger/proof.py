"""Checking Merkle proofs. Owns the two verification algorithms of RFC 9162; making proofs belongs to ``merkle``.

Rules kept here:
1. A proof is accepted only if it is used up exactly: missing, extra and preceding hashes are all errors.
2. A proof from the empty tree is refused: it would hold for every later tree and so proves nothing.
"""

from collections.abc import Sequence
from typing import NoReturn

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledger.merkle import HASH_BYTES, node_hash


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash ``leaf`` is entry ``index`` of the tree of ``size`` entries (RFC 9162, 2.1.3.2).

    Raises:
        LedgerBroken: it is not, or the proof does not show it (RW-503).
    """
    # 1. The index must exist in the tree.
    if not 0 <= index < size:
        _refuse(f"A tree of {size} entries has no entry {index}.")
    if any(len(each) != HASH_BYTES for each in (leaf, *path)):
        _refuse(f"The inclusion proof of entry {index} holds something that is not a hash.")
    # 2. Start at the leaf; ``last`` is the number of the last node of the current level.
    node, last, merged = index, size - 1, leaf
    for sibling in path:
        # 3. At the root there is nothing left to combine with.
        if last == 0:
            _refuse(f"The inclusion proof of entry {index} is too long.")
        # 4. A right child, or a last node without a partner, combines with what stands to its left.
        if node & 1 or node == last:
            merged = node_hash(sibling, merged)
            # 5. A last node without a partner moves up until it is a right child.
            node, last = _climb(node, last)
        else:
            merged = node_hash(merged, sibling)
        node, last = node >> 1, last >> 1
    # 6. The proof must end exactly at the root.
    if last != 0 or merged != root:
        _refuse(f"The inclusion proof of entry {index} does not lead to the root of the tree of {size} entries.")


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, path: Sequence[bytes]) -> None:
    """Check that the tree (size1, root1) is a prefix of the tree (size2, root2) (RFC 9162, 2.1.4.2).

    Raises:
        LedgerBroken: it is not, or the proof does not show it (RW-503).
    """
    # 1. Sizes must be in order, and the older tree must have entries.
    if not 1 <= size1 <= size2:
        _refuse(f"No consistency can be shown from size {size1} to size {size2}.")
    # 2. The same size needs no proof, only the same root.
    if size1 == size2:
        if path or root1 != root2:
            _refuse(f"Two different trees claim the size {size1}.")
        return
    # 3. When the older tree is one full subtree, its root is the first hash, and the proof leaves it out.
    hashes = [root1, *path] if size1.bit_count() == 1 else list(path)
    if not path:
        _refuse(f"The consistency proof from {size1} to {size2} is empty.")
    # 4. Go up to the lowest subtree that the older tree fills.
    node, last = size1 - 1, size2 - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    # 5. Rebuild both roots from the same hashes.
    merged1 = merged2 = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            _refuse(f"The consistency proof from {size1} to {size2} is too long.")
        if node & 1 or node == last:
            merged1, merged2 = node_hash(sibling, merged1), node_hash(sibling, merged2)
            node, last = _climb(node, last)
        else:
            merged2 = node_hash(merged2, sibling)
        node, last = node >> 1, last >> 1
    # 6. Both must come out, and the proof must end exactly at the newer root.
    if last != 0 or merged1 != root1 or merged2 != root2:
        _refuse(f"The tree of {size2} entries does not begin with the tree of {size1} entries.")


def _climb(node: int, last: int) -> tuple[int, int]:
    """Move up until the node is a right child, or the first of its level."""
    while not node & 1 and node != 0:
        node, last = node >> 1, last >> 1
    return node, last


def _refuse(what: str) -> NoReturn:
    raise LedgerBroken(what, remedy="Do not trust this ledger; compare it with an older checkpoint kept elsewhere.")
