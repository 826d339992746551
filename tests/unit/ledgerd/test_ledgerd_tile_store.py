"""The published folder: whole files or none, written once, and nothing half-written after a crash."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from roadworthy.base.errors import LedgerBroken, StoreBroken
from roadworthy.ledger.tiles import TilePath, entry_bundle
from roadworthy.ledgerd.tile_store import TileStore

FULL = TilePath(0, 1_234_067, 256)
PART = TilePath(0, 1_234_067, 8)


@pytest.fixture
def store(tmp_path) -> Iterator[TileStore]:
    """A new folder."""
    with closing(TileStore(tmp_path / "a" / "log")) as made:
        yield made


def test_a_tile_stands_where_the_specification_puts_it(store):
    """And is read back."""
    store.write([(PART, b"x" * 256)])
    assert (store.folder / "tile/0/x001/x234/067.p/8").read_bytes() == b"x" * 256
    assert store.read(PART) == b"x" * 256
    assert store.read(TilePath(0, 0, 256)) is None


def test_a_tile_is_written_once(store):
    """The same again does nothing; other bytes are an error, and the first stay."""
    store.write([(PART, b"one")])
    store.write([(PART, b"one")])
    with pytest.raises(LedgerBroken):
        store.write([(PART, b"two")])
    assert store.read(PART) == b"one"
    assert [path.name for path in (store.folder / PART.text()).parent.iterdir()] == ["8"]


def test_a_full_tile_replaces_its_partial_forms(store):
    """They can still be read: cut from the full one."""
    tile = os.urandom(8192)
    store.write([(PART, tile[:256])])
    store.write([(FULL, tile)])
    assert not (store.folder / PART.text()).exists()
    assert store.read(PART) == tile[:256]


def test_a_partial_bundle_is_cut_from_the_full_one(store):
    """By entries, not by bytes."""
    entries = [b"x" * index for index in range(256)]
    store.write([(TilePath(None, 0, 256), entry_bundle(entries))])
    assert store.read(TilePath(None, 0, 3)) == entry_bundle(entries[:3])


def test_a_tile_that_must_be_there(store):
    """It is named when it is not."""
    with pytest.raises(LedgerBroken, match="000"):
        store.read_tile(TilePath(0, 0, 256))


def test_a_small_file_is_replaced(store):
    """Readers see the old or the new one."""
    assert store.note("checkpoint") is None
    store.put("checkpoint", "one")
    store.put("checkpoint", "two — three")
    assert store.note("checkpoint") == "two — three"
    assert [path.name for path in store.folder.iterdir()] == ["checkpoint"]
    (store.folder / "checkpoint").write_bytes(b"\xff")
    with pytest.raises(LedgerBroken, match="UTF-8"):
        store.note("checkpoint")


def test_what_a_crash_left_is_deleted(store):
    """Everything else is listed."""
    store.write([(PART, b"one")])
    store.write([(TilePath(None, 0, 1), b"\x00\x01x")])
    half = (store.folder / ".partial-1", store.folder / "tile" / "0" / ".partial-2")
    for path in half:
        path.write_bytes(b"")
    assert set(store.tiles()) == {PART, TilePath(None, 0, 1)}
    assert not any(path.exists() for path in half)


def test_strangers_are_refused(store):
    """Nobody else writes here."""
    store.write([(PART, b"one")])
    (store.folder / "tile" / "0" / "other").write_bytes(b"")
    with pytest.raises(LedgerBroken):
        store.tiles()


class Calls:
    """Which durable steps were taken, in their order."""

    def __init__(self, monkeypatch) -> None:
        self.taken: list[str] = []
        for name in ("link", "replace", "fsync"):
            monkeypatch.setattr(os, name, getattr(self, name)(getattr(os, name)))

    def link(self, real):
        """A tile appears."""
        return lambda source, target: (self.taken.append("tile"), real(source, target))

    def replace(self, real):
        """A checkpoint appears."""
        return lambda source, target: (self.taken.append("checkpoint"), real(source, target))

    def fsync(self, real):
        """A file or a folder is durable."""

        def noted(descriptor: int) -> None:
            real(descriptor)
            place = Path(f"/proc/self/fd/{descriptor}").readlink()
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            self.taken.append(f"folder {place.name}" if is_folder else "file")

        return noted


def test_a_checkpoint_comes_after_what_it_covers(store, monkeypatch):
    """Content before names, names before the checkpoint; what is there already is not written again."""
    calls = Calls(monkeypatch)
    store.write([(TilePath(0, 0, 256), b"full"), (TilePath(1, 0, 1), b"part")], checkpoint="one")
    assert calls.taken[:5] == ["file", "file", "file", "tile", "tile"]
    assert {"folder log", "folder tile", "folder 0", "folder 1"} == set(calls.taken[5:-1])
    assert calls.taken[-1] == "checkpoint"
    calls.taken.clear()
    store.write([(TilePath(0, 0, 256), b"full"), (TilePath(1, 0, 1), b"part")], checkpoint="two")
    assert calls.taken == ["file", "checkpoint"]
    calls.taken.clear()
    store.put("checkpoint.cosigned", "three")
    assert calls.taken == ["file", "checkpoint", "folder log"]


@pytest.mark.parametrize("call", ["link", "fsync"])
def test_a_disk_that_fails_leaves_nothing(store, monkeypatch, call):
    """It may be tried again."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StoreBroken, match="No space left"):
            store.write([(PART, b"one")])
        if call == "fsync":
            with pytest.raises(StoreBroken, match="No space left"):
                store.write([(FULL, b"two")], checkpoint="text")
            with pytest.raises(StoreBroken, match="No space left"):
                store.put("checkpoint", "text")
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []
    store.write([(PART, b"one")], checkpoint="text")
    assert (store.read(PART), store.note("checkpoint")) == (b"one", "text")


def test_a_folder_that_cannot_be_used(tmp_path):
    """A file stands in its place, or in a tile's."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreBroken):
        TileStore(tmp_path / "file")


def test_a_folder_in_the_place_of_a_file(store):
    """It cannot be read as one."""
    (store.folder / "checkpoint").mkdir()
    with pytest.raises(StoreBroken):
        store.note("checkpoint")
