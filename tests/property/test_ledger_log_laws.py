"""Laws of a published log: any growth gives the same files, every proof from tiles verifies, every text reads back."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from published_log import LOG, entries
from roadworthy.ledger.leaf import parse_leaf, runtime_leaf_bytes
from roadworthy.ledger.merkle import Frontier, consistency_path, inclusion_path, leaf_hash, root
from roadworthy.ledger.open_tiles import OpenTiles, beginning_of, frontier_root
from roadworthy.ledger.proof import verify_consistency, verify_inclusion
from roadworthy.ledger.receipt import Receipt, parse_receipt
from roadworthy.ledger.tile_proof import TileTree
from roadworthy.ledger.tiles import TilePath, entry_bundle, entry_bundles, hash_tiles
from roadworthy.ledger.witness import CosignRequest, parse_request

LEAVES = entries(1_400)
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
TILES = {size: hash_tiles(HASHES[:size]) for size in (1, 255, 256, 257, 700, 1_400)}
SIZES = st.sampled_from(sorted(TILES))


@given(st.lists(st.integers(0, 400), max_size=12))
def test_any_growth_gives_the_same_files_and_roots(steps):
    """Whatever the batches, and whenever a root is asked for."""
    tiles, files, size = OpenTiles(), {}, 0
    for step in steps:
        start, size = size, min(size + step, len(LEAVES))
        files.update((path.text(), data) for path, data in tiles.add(LEAVES[start:size]))
        assert tiles.root() == root(HASHES[:size])
    files.update((path.text(), data) for path, data in tiles.partial())
    assert files == hash_tiles(HASHES[:size]) | entry_bundles(LEAVES[:size])


@given(SIZES, st.integers(0, 1_399))
def test_proofs_from_tiles_are_proofs(size, index):
    """The same as from all leaves, and they verify."""
    index %= size
    tree = TileTree(size, lambda path: TILES[size][path.text()])
    path = tree.inclusion_path(index)
    assert path == inclusion_path(HASHES[:size], index)
    verify_inclusion(HASHES[index], index, size, path, tree.root())
    proof = tree.consistency_path(index + 1)
    assert proof == consistency_path(HASHES[:size], index + 1)
    verify_consistency(index + 1, size, root(HASHES[: index + 1]), tree.root(), proof)


@given(st.integers(0, 600))
def test_a_frontier_folds_to_the_root(size):
    """As the one of ``merkle`` does."""
    frontier = Frontier()
    for each in HASHES[:size]:
        frontier = frontier.append(each)
    assert frontier_root(frontier.hashes) == frontier.root() == root(HASHES[:size])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256), st.data())
def test_the_beginning_of_a_bundle(leaves, data):
    """Cut by entries, whatever stands in them."""
    width = data.draw(st.integers(1, len(leaves)))
    assert beginning_of(entry_bundle(leaves), TilePath(None, 0, width)) == entry_bundle(leaves[:width])
    hashes = [leaf_hash(leaf) for leaf in leaves]
    assert beginning_of(b"".join(hashes), TilePath(0, 0, width)) == b"".join(hashes[:width])


HASH_LISTS = st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple)


@given(st.integers(0, 10**17), HASH_LISTS, st.none() | st.binary(max_size=200))
def test_a_receipt_reads_back(index, path, extra):
    """One receipt, one text."""
    receipt = Receipt(index=index, path=path, note=LOG.sign(index + 1, bytes(32)), extra=extra)
    assert parse_receipt(receipt.text()) == receipt


@given(st.integers(0, 10**17), HASH_LISTS)
def test_a_request_to_a_witness_reads_back(old_size, proof):
    """One request, one body."""
    request = CosignRequest(old_size=old_size, proof=proof, note=LOG.sign(old_size, bytes(32)))
    assert parse_request(request.body()) == request


NAMES = st.text(st.characters(min_codepoint=1, max_codepoint=127), min_size=1, max_size=8).map(lambda name: "x" + name)
VALUES = st.text(st.characters(exclude_categories=("Cs",)), max_size=20) | st.integers(-(2**53) + 1, 2**53 - 1)
BASE = parse_leaf(
    b'{"actor":"a","at":"2026-11-21T10:42:00.000000Z","commitment":"sha256:' + b"0" * 64 + b'","kind":"k","size":0,'
    b'"subject":"s","use_case":"u","v":2}'
).base


@given(st.dictionaries(NAMES, VALUES, max_size=12))
def test_a_leaf_reads_back(facts):
    """Whatever the facts are."""
    data = runtime_leaf_bytes(BASE, facts)
    leaf = parse_leaf(data)
    assert (leaf.base, dict(leaf.facts)) == (BASE, facts)
    assert list(leaf.facts) == sorted(itertools.chain(facts))
