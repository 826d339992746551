"""The folder that is published: tiles, bundles of entries, checkpoints. Owns writing them so that nobody sees half of one.

What stands in them is the publisher's.

The layout is that of https://c2sp.org/tlog-tiles, so any web server can serve the folder. Everything here can be made
anew from the segments.

Rules kept here:
1. A tile is written beside its place, synced, and linked into it: it is there whole or not at all, and is never changed.
2. Writing a tile that is there already with these bytes does nothing; with other bytes it is an error.
3. A checkpoint is put in its place after everything that it covers is synced, for full tiles their directories, too. The
   names of partial tiles and of the checkpoint may be taken back by a power cut: the next start makes them anew.
4. What can be synced at the same time is: a journal takes many files in one commit, and this disk is the group commit's.
5. When a tile becomes full, its partial forms are deleted.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from roadworthy.base.errors import LedgerBroken, StoreBroken
from roadworthy.base.ids import new_id
from roadworthy.ledger.log import CHECKPOINT
from roadworthy.ledger.open_tiles import beginning_of
from roadworthy.ledger.tiles import TILE_WIDTH, TilePath, parse_path

_REMEDY = "Keep a copy of the folder, verify it, and make it anew from the segments only when you know what happened."


_SYNCS = 4


class TileStore:
    """The published files of one log.

    Args:
        folder: is made when it is not there.

    Raises:
        StoreBroken: the folder cannot be made (RW-505).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._syncing = ThreadPoolExecutor(_SYNCS, thread_name_prefix="tile-sync")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(error, folder) from error

    def read(self, path: TilePath) -> bytes | None:
        """The bytes of a tile or bundle; a partial one is cut from the full one when that has replaced it."""
        data = self._read(path.text())
        if data is None and path.width < TILE_WIDTH:
            whole = self._read(TilePath(path.level, path.index, TILE_WIDTH).text())
            return None if whole is None else beginning_of(whole, path)
        return data

    def read_tile(self, path: TilePath) -> bytes:
        """The bytes of a tile that must be there.

        Raises:
            LedgerBroken: it is not (RW-503).
        """
        data = self.read(path)
        if data is None:
            raise LedgerBroken("The tile is missing.", remedy=_REMEDY, where=path.text())
        return data

    def write(self, tiles: Sequence[tuple[TilePath, bytes]], *, checkpoint: str | None = None) -> None:
        """Put tiles in their places for good, then the checkpoint that covers them.

        Raises:
            LedgerBroken: another tile stands there (RW-503).
            StoreBroken: the disk does not take it; the checkpoint is the one before, and it may be tried again (RW-505).
        """
        try:
            with ExitStack() as leftovers:
                self._write(tiles, checkpoint, leftovers)
        except OSError as error:
            raise _unusable(error, self.folder) from error

    def put(self, name: str, text: str) -> None:
        """Replace a small file for good.

        Raises:
            StoreBroken: the disk does not take it; the file before is still there (RW-505).
        """
        try:
            with ExitStack() as leftovers:
                partial = _beside(self.folder / name, text.encode(), leftovers)
                _sync(partial)
                partial.replace(self.folder / name)
                _sync(self.folder)
        except OSError as error:
            raise _unusable(error, self.folder / name) from error

    def keep(self, name: str, text: str) -> None:
        """As ``put``, but a file that says this already is left alone: a full disk then does not matter.

        Raises:
            StoreBroken: see ``put`` (RW-505).
        """
        if self._read(name) != text.encode():
            self.put(name, text)

    def close(self) -> None:
        """End the threads that sync."""
        self._syncing.shutdown()

    def note(self, name: str) -> str | None:
        """The text of a small file; None when there is none.

        Raises:
            LedgerBroken: it is not UTF-8 (RW-503).
        """
        data = self._read(name)
        try:
            return None if data is None else data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise LedgerBroken("The file is not UTF-8.", remedy=_REMEDY, where=name) from error

    def tiles(self) -> list[TilePath]:
        """Every tile and bundle that is there. What a crash left half-written is deleted on the way.

        Raises:
            LedgerBroken: a file that does not belong there (RW-503).
        """
        tiles = self.folder / "tile"
        for path in (*self.folder.glob(".partial-*"), *tiles.rglob(".partial-*")):
            path.unlink()
        return [
            parse_path(path.relative_to(self.folder).as_posix()) for path in sorted(tiles.rglob("*")) if path.is_file()
        ]

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(error, self.folder / name) from error

    def _write(self, tiles: Sequence[tuple[TilePath, bytes]], checkpoint: str | None, leftovers: ExitStack) -> None:
        # 1. Beside their places, what is not there yet.
        named: list[tuple[Path, Path]] = []
        folders: set[Path] = set()
        for path, data in tiles:
            place = self.folder / path.text()
            if self._is_there(place, path, data):
                continue
            folders |= self._make_folder(place.parent)
            named.append((_beside(place, data, leftovers), place))
            if path.width == TILE_WIDTH:
                folders.add(place.parent)
        note = None
        if checkpoint is not None:
            note = _beside(self.folder / CHECKPOINT, checkpoint.encode(), leftovers)
        # 2. Their content must be durable before they have a name.
        self._sync_all([partial for partial, _ in named] + ([note] if note else []))
        # 3. Names.
        for partial, place in named:
            os.link(partial, place)
        self._sync_all(folders)
        # 4. Only now what says that they are there.
        if note is not None:
            note.replace(self.folder / CHECKPOINT)
        for path, _ in tiles:
            if path.width == TILE_WIDTH:
                shutil.rmtree(self.folder / (path.text() + ".p"), ignore_errors=True)

    def _is_there(self, place: Path, path: TilePath, data: bytes) -> bool:
        found = self._read(path.text())
        if found is not None and found != data:
            what = "A tile that was published has other bytes than the entries make."
            raise LedgerBroken(what, remedy=_REMEDY, where=str(place))
        return found is not None

    def _make_folder(self, folder: Path) -> set[Path]:
        """Make a folder and those above it; gives those in which a new name stands now."""
        if folder.is_dir():
            return set()
        changed = self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        return changed | {folder.parent}

    def _sync_all(self, places: Iterable[Path]) -> None:
        for done in [self._syncing.submit(_sync, place) for place in places]:
            done.result()


def _beside(place: Path, data: bytes, leftovers: ExitStack) -> Path:
    """Write a file beside its place, not synced. However it goes on, nothing of that name is left at the end."""
    partial = place.with_name(new_id(".partial"))
    leftovers.callback(partial.unlink, missing_ok=True)
    with partial.open("xb") as stream:
        stream.write(data)
    return partial


def _sync(place: Path) -> None:
    """Make the content of a file, or the names in a folder, durable."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(error: OSError, place: Path) -> StoreBroken:
    remedy = "Check space, rights and the disk; what was acknowledged is in the segments and is published later."
    return StoreBroken(f"The published log cannot be used: {error.strerror}.", remedy=remedy, where=str(place))
