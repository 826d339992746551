"""Properties of the tree, the tiles and the proofs, for arbitrary sizes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledger.merkle import Frontier, consistency_path, inclusion_path, leaf_hash, node_hash, root
from roadworthy.ledger.proof import verify_consistency, verify_inclusion
from roadworthy.ledger.tiles import TilePath, entry_bundles, hash_tile_paths, hash_tiles, parse_entry_bundle, parse_path

leaves = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def recursive_root(hashes: list[bytes]) -> bytes:
    """The definition of RFC 6962, word for word."""
    if len(hashes) == 1:
        return hashes[0]
    split = max(2**power for power in range(8) if 2**power < len(hashes))
    return node_hash(recursive_root(hashes[:split]), recursive_root(hashes[split:]))


@given(leaves)
def test_three_ways_to_the_same_root(entries: list[bytes]) -> None:
    """Level by level, by the frontier, and by the definition."""
    hashes = [leaf_hash(entry) for entry in entries]
    frontier = Frontier()
    for each in hashes:
        frontier = frontier.append(each)
    assert root(hashes) == frontier.root() == recursive_root(hashes)


@given(leaves, st.data())
def test_every_inclusion_proof_verifies_and_only_for_its_place(entries: list[bytes], data: st.DataObject) -> None:
    """Another index, leaf, size, root or path is refused."""
    hashes = [leaf_hash(b"%d:" % index + entry) for index, entry in enumerate(entries)]
    size, whole = len(hashes), root(hashes)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(hashes, index)
    verify_inclusion(hashes[index], index, size, path, whole)
    other = data.draw(st.integers(0, size - 1).filter(lambda each: each != index)) if size > 1 else size
    for arguments in (
        (hashes[index], other, size, path, whole),
        (leaf_hash(b"other"), index, size, path, whole),
        (hashes[index], index, size, path, leaf_hash(b"other")),
        (hashes[index], index, size, (*path, whole), whole),
        (hashes[index], index, 2 * size + 1, path, whole),
    ):
        with pytest.raises(LedgerBroken):
            verify_inclusion(*arguments)


@given(leaves, st.data())
def test_every_consistency_proof_verifies_and_only_for_its_trees(entries: list[bytes], data: st.DataObject) -> None:
    """A rewritten past is refused."""
    hashes = [leaf_hash(entry) for entry in entries]
    old = data.draw(st.integers(1, len(hashes)))
    path = consistency_path(hashes, old)
    verify_consistency(old, len(hashes), root(hashes[:old]), root(hashes), path)
    rewritten = [leaf_hash(b"rewritten"), *hashes[1:]]
    if rewritten != hashes:
        with pytest.raises(LedgerBroken):
            verify_consistency(old, len(hashes), root(hashes[:old]), root(rewritten), consistency_path(rewritten, old))
    with pytest.raises(LedgerBroken):
        verify_consistency(old, len(hashes), root(hashes[:old]), root(hashes), (*path, root(hashes)))


@given(st.none() | st.integers(0, 63), st.integers(0, 10**10), st.integers(1, 256))
def test_paths_are_read_back(level: int | None, index: int, width: int) -> None:
    """Every tile has one path that stays below its folder."""
    text = TilePath(level, index, width).text()
    assert parse_path(text) == TilePath(level, index, width)
    assert not Path(text).is_absolute()


@given(st.integers(0, 1500))
def test_tiles_cover_the_tree(size: int) -> None:
    """The paths that are listed are the tiles that are made, and the bundles give the entries back."""
    entries = [index.to_bytes(2, "big") for index in range(size)]
    assert list(hash_tiles([leaf_hash(entry) for entry in entries])) == [path.text() for path in hash_tile_paths(size)]
    assert [entry for data in entry_bundles(entries).values() for entry in parse_entry_bundle(data)] == entries
