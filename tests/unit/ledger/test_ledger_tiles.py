"""The tile layout: paths, the worked example of the format, tiles and bundles there and back."""

from collections import Counter

import pytest

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledger.merkle import leaf_hash, root
from roadworthy.ledger.tiles import (
    MAX_ENTRY_BYTES,
    TilePath,
    entry_bundle,
    entry_bundles,
    hash_tile_paths,
    hash_tiles,
    parse_entry_bundle,
    parse_hash_tile,
    parse_path,
)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (TilePath(0, 1234067, 256), "tile/0/x001/x234/067"),
        (TilePath(0, 0, 256), "tile/0/000"),
        (TilePath(0, 273, 112), "tile/0/273.p/112"),
        (TilePath(1, 999, 1), "tile/1/999.p/1"),
        (TilePath(63, 1000, 255), "tile/63/x001/000.p/255"),
        (TilePath(None, 1234, 256), "tile/entries/x001/234"),
        (TilePath(None, 5, 7), "tile/entries/005.p/7"),
        (TilePath(0, 2**64 - 1, 256), "tile/0/x018/x446/x744/x073/x709/x551/615"),
    ],
)
def test_paths_there_and_back(path: TilePath, text: str) -> None:
    """The index stands in groups of three digits; a partial tile names its width."""
    assert path.text() == text
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    [
        "tile/0/0",
        "tile/00/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/entries/x001",
        "tile/other/000",
        "tile/0/000/",
        "tile/0/٠٠٠",
        "",
        "tile/0/x100/" + "x000/" * 6 + "000",
        "tile/entries/x100/" + "x000/" * 2_000 + "000",
    ],
)
def test_other_paths_are_refused(text: str) -> None:
    """One tile has one path."""
    with pytest.raises(LedgerBroken):
        parse_path(text)


def test_the_worked_example_of_size_70000() -> None:
    """273 full tiles and one of 112, then one full and one of 17, then one of 1."""
    paths = list(hash_tile_paths(70_000))
    assert Counter((path.level, path.width) for path in paths) == {
        (0, 256): 273,
        (0, 112): 1,
        (1, 256): 1,
        (1, 17): 1,
        (2, 1): 1,
    }
    partial = [path.text() for path in paths if path.width < 256]
    assert partial == ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]


def test_the_tiles_of_70000_entries_have_its_root() -> None:
    """Every tile of the example has its width, and the tiles of each level are the roots of those below."""
    hashes = [leaf_hash(index.to_bytes(3, "big")) for index in range(70_000)]
    tiles = hash_tiles(hashes)
    assert set(tiles) == {path.text() for path in hash_tile_paths(70_000)}
    assert all(len(tiles[path.text()]) == 32 * path.width for path in hash_tile_paths(70_000))
    top = parse_hash_tile(tiles["tile/2/000.p/1"])
    assert top[0] == root(parse_hash_tile(tiles["tile/1/000"])) == root(hashes[:65_536])
    assert parse_hash_tile(tiles["tile/1/001.p/17"])[0] == root(hashes[65_536:65_792])


def test_no_entries_no_tiles() -> None:
    """The empty tree has neither tiles nor bundles."""
    assert hash_tiles([]) == entry_bundles([]) == {}


@pytest.mark.parametrize("length", [0, 31, 33, 257 * 32])
def test_a_tile_of_another_length_is_refused(length: int) -> None:
    """A tile holds 1 to 256 whole hashes."""
    with pytest.raises(LedgerBroken):
        parse_hash_tile(bytes(length))


def test_bundles_there_and_back() -> None:
    """257 entries fill one bundle and begin the next; an empty entry is an entry."""
    entries = [bytes(index) for index in range(257)]
    bundles = entry_bundles(entries)
    assert list(bundles) == ["tile/entries/000", "tile/entries/001.p/1"]
    assert [each for data in bundles.values() for each in parse_entry_bundle(data)] == entries
    assert bundles["tile/entries/000"][:5] == b"\x00\x00\x00\x01\x00"


def test_what_does_not_fit_a_bundle_is_refused() -> None:
    """Too many entries, or one longer than its 16-bit length can say."""
    assert len(entry_bundle([bytes(MAX_ENTRY_BYTES)])) == MAX_ENTRY_BYTES + 2
    for entries in ([bytes(MAX_ENTRY_BYTES + 1)], [b""] * 257):
        with pytest.raises(LedgerBroken):
            entry_bundle(entries)


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x01a\x00"])
def test_a_cut_bundle_is_refused(data: bytes) -> None:
    """The bytes must end with an entry."""
    with pytest.raises(LedgerBroken, match="ends inside its entry"):
        parse_entry_bundle(data)
