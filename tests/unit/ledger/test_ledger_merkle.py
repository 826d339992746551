"""The Merkle tree: known roots, the frontier, and proofs that verify."""

import pytest

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root,
)

# The eight leaves of the reference tree of Certificate Transparency, and its root.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def test_known_hashes() -> None:
    """The empty tree, the empty leaf and the reference tree have their published hashes."""
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert HASHES[0].hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root(HASHES).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert root([]) == Frontier().root() == EMPTY_ROOT


def test_leaf_and_node_cannot_pose_as_each_other() -> None:
    """The same bytes hash differently as a leaf and as two nodes."""
    assert leaf_hash(HASHES[0] + HASHES[1]) != node_hash(HASHES[0], HASHES[1])


def test_the_frontier_grows_to_the_same_roots() -> None:
    """At every size the frontier has one hash for each 1 bit and the root of all leaves."""
    frontier = Frontier()
    for size, each in enumerate(HASHES, 1):
        frontier = frontier.append(each)
        assert frontier.size == size
        assert len(frontier.hashes) == size.bit_count()
        assert frontier.root() == root(HASHES[:size])


@pytest.mark.parametrize(("size", "count"), [(0, 1), (3, 1), (-1, 1)])
def test_an_impossible_frontier_is_refused(size: int, count: int) -> None:
    """The number of hashes follows from the size."""
    with pytest.raises(LedgerBroken):
        Frontier(size=size, hashes=(EMPTY_ROOT,) * count)


def test_no_proof_of_what_is_not_there() -> None:
    """Indexes and sizes beyond the tree are refused, and so is a proof from the empty tree."""
    for index in (-1, 8):
        with pytest.raises(LedgerBroken):
            inclusion_path(HASHES, index)
    for size in (0, 9):
        with pytest.raises(LedgerBroken):
            consistency_path(HASHES, size)


def test_the_worked_example_of_the_rfc() -> None:
    """RFC 6962, section 2.1.3: the paths in the tree of seven leaves."""
    seven = HASHES[:7]
    a, b, c, d, e, f, j = seven
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, m = node_hash(g, h), node_hash(i, j)
    assert inclusion_path(seven, 0) == (b, h, m)
    assert inclusion_path(seven, 3) == (c, g, m)
    assert inclusion_path(seven, 4) == (f, j, k)
    assert inclusion_path(seven, 6) == (i, k)
    assert consistency_path(seven, 3) == (c, d, g, m)
    assert consistency_path(seven, 4) == (m,)
    assert consistency_path(seven, 6) == (i, j, k)
    assert consistency_path(seven, 7) == ()
