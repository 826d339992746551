"""The growing edge: tile by tile the same log as all at once."""

import pytest

from roadworthy.ledger.merkle import EMPTY_ROOT, leaf_hash, root
from roadworthy.ledger.open_tiles import OpenTiles, frontier_root, tile_frontier, tile_root
from roadworthy.ledger.tiles import entry_bundles, hash_tiles

LEAVES = [b"leaf %d" % index for index in range(66_000)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


@pytest.mark.parametrize("step", [1, 7, 255, 256, 257, 5_000])
def test_any_cut_gives_the_same_files(step):
    """Full tiles once, the open ones at the end: exactly the files of the whole log."""
    count = 1_100
    tiles = OpenTiles()
    files: dict[str, bytes] = {}
    for start in range(0, count, step):
        for path, data in tiles.add(LEAVES[start : min(start + step, count)]):
            assert path.text() not in files
            files[path.text()] = data
    files.update((path.text(), data) for path, data in tiles.partial())
    assert files == hash_tiles(HASHES[:count]) | entry_bundles(LEAVES[:count])


def test_roots_of_a_growing_log():
    """At every size, asked in between."""
    tiles = OpenTiles()
    assert tiles.root() == EMPTY_ROOT
    for size in range(1, 600):
        tiles.add([LEAVES[size - 1]])
        assert tiles.root() == root(HASHES[:size])
    assert tiles.root() == tiles.root()


def test_three_levels():
    """65,536 entries fill a tile of level 1, whose root begins level 2."""
    tiles = OpenTiles()
    full = [path.text() for path, _ in tiles.add(LEAVES)]
    assert full[-3:] == ["tile/1/000", "tile/entries/256", "tile/0/256"]
    assert [(path.text(), len(data)) for path, data in tiles.partial() if path.level is not None] == [
        ("tile/0/257.p/208", 208 * 32),
        ("tile/1/001.p/1", 32),
        ("tile/2/000.p/1", 32),
    ]
    assert tiles.root() == root(HASHES)


def test_a_full_log_has_no_open_bundle():
    """What is empty is not a file."""
    tiles = OpenTiles()
    assert tiles.partial() == []
    tiles.add(LEAVES[:256])
    assert [path.text() for path, _ in tiles.partial()] == ["tile/1/000.p/1"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 255, 256])
def test_a_frontier_has_the_root(count):
    """The full subtrees of an open tile, folded, are its root."""
    assert frontier_root(tile_frontier(b"".join(HASHES[:count]))) == root(HASHES[:count])


@pytest.mark.parametrize("power", range(9))
def test_the_root_of_a_full_subtree(power):
    """1, 2, 4 ... 256 hashes."""
    assert tile_root(b"".join(HASHES[: 1 << power])) == root(HASHES[: 1 << power])
