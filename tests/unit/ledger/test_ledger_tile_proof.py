"""Proofs from tiles are the proofs from all leaves, and read few tiles."""

import pytest

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledger.merkle import EMPTY_ROOT, consistency_path, inclusion_path, leaf_hash, root
from roadworthy.ledger.proof import verify_inclusion
from roadworthy.ledger.tile_proof import TileTree
from roadworthy.ledger.tiles import hash_tiles

HASHES = [leaf_hash(b"%d" % index) for index in range(66_100)]
SIZES = [1, 2, 3, 255, 256, 257, 511, 512, 513, 700]


def tree_of(size: int) -> tuple[TileTree, list[str]]:
    """The tree over its tiles, and which were read."""
    tiles = hash_tiles(HASHES[:size])
    read: list[str] = []

    def get(path):
        read.append(path.text())
        return tiles[path.text()]

    return TileTree(size, get), read


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_proofs(size):
    """Every entry of small trees, some of larger ones."""
    tree, _ = tree_of(size)
    assert tree.root() == root(HASHES[:size])
    for index in {*range(0, size, 1 if size < 4 else 37), size - 1}:
        assert tree.inclusion_path(index) == inclusion_path(HASHES[:size], index)


@pytest.mark.parametrize("size", SIZES)
def test_consistency_proofs(size):
    """From every kind of older size."""
    tree, _ = tree_of(size)
    for old in {each for each in (*SIZES, size - 1, size // 2, size // 3) if 1 <= each <= size}:
        assert tree.consistency_path(old) == consistency_path(HASHES[:size], old)


def test_a_large_tree_reads_few_tiles():
    """66,100 entries: three levels, each tile once."""
    tree, read = tree_of(66_100)
    path = tree.inclusion_path(12_345)
    verify_inclusion(HASHES[12_345], 12_345, 66_100, path, root(HASHES))
    assert len(read) == len(set(read)) <= 6


def test_the_empty_tree():
    """It has a root and nothing else."""
    tree, _ = tree_of(0)
    assert tree.root() == EMPTY_ROOT
    with pytest.raises(LedgerBroken):
        tree.inclusion_path(0)
    with pytest.raises(LedgerBroken):
        tree.consistency_path(0)


@pytest.mark.parametrize("index", [-1, 10])
def test_no_such_entry(index):
    """Below zero and at the size."""
    with pytest.raises(LedgerBroken, match="has no entry"):
        tree_of(10)[0].inclusion_path(index)


@pytest.mark.parametrize("old", [0, 11])
def test_no_such_older_size(old):
    """From nothing there is nothing to prove."""
    with pytest.raises(LedgerBroken, match="no earlier size"):
        tree_of(10)[0].consistency_path(old)


def test_a_tile_of_another_length_is_refused():
    """A proof is not made from half a tile."""
    with pytest.raises(LedgerBroken, match="has 31 bytes"):
        TileTree(10, lambda _: bytes(31)).inclusion_path(3)
