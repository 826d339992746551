"""A hot copy holds a beginning of everything."""

import io
from pathlib import Path

import pytest

from roadworthy.base.errors import MissingFile
from roadworthy.probes.ledger_copy import copy_ledger

RECORD_BYTES = 64
LENGTH = 1 << 20


def ledger(folder: Path) -> Path:
    """A folder like a ledger's, with one segment of zeros."""
    for name, content in (
        ("log/checkpoint", b"c"),
        ("log/tile/0/000", b"t"),
        ("keys/log.key", b"k"),
        ("state/switches.json", b"{}"),
        ("segments/00000000000000000000.seg", bytes(LENGTH)),
        ("segments/spare", b"s"),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_everything_that_counts_is_copied(tmp_path: Path) -> None:
    """Tiles, keys and state; a spare segment belongs to nobody yet."""
    copy_ledger(ledger(tmp_path / "a"), tmp_path / "b")
    names = {path.relative_to(tmp_path / "b").as_posix() for path in (tmp_path / "b").rglob("*") if path.is_file()}
    assert names == {
        "log/checkpoint",
        "log/tile/0/000",
        "keys/log.key",
        "state/switches.json",
        "segments/00000000000000000000.seg",
    }
    assert (tmp_path / "b" / "segments" / "00000000000000000000.seg").read_bytes() == bytes(LENGTH)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o700


class Busy(io.FileIO):
    """A segment to which the ledger writes while it is read: slowly at first, then faster than anybody reads."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._ledger = io.FileIO(path, "r+b")
        self._reads = self._records = 0

    def read(self, size: int = -1) -> bytes:
        """After what the ledger wrote meanwhile."""
        self._reads += 1
        for _ in range(6 if self._reads < LENGTH // 8_192 else 640):
            if self._records < LENGTH // RECORD_BYTES:
                self._ledger.write(self._records.to_bytes(8) + b"\xff" * (RECORD_BYTES - 8))
                self._records += 1
        return super().read(size)

    def close(self) -> None:
        """Both."""
        self._ledger.close()
        super().close()


def test_a_copy_under_writing_is_a_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No record is in the copy without all that were written before it."""
    folder, opened = ledger(tmp_path / "a"), Path.open
    segment = folder / "segments" / "00000000000000000000.seg"

    def busy(path: Path, mode: str = "r", **options: object) -> object:
        return Busy(path) if path == segment and mode == "rb" else opened(path, mode, **options)

    monkeypatch.setattr(Path, "open", busy)
    copy_ledger(folder, tmp_path / "b")
    monkeypatch.undo()
    data = (tmp_path / "b" / "segments" / segment.name).read_bytes()
    records = [data[at : at + RECORD_BYTES] for at in range(0, LENGTH, RECORD_BYTES)]
    whole = [number for number, record in enumerate(records) if record[:8] == number.to_bytes(8) and record[-1]]
    assert whole == list(range(len(whole)))
    assert len(whole) > 100


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As a missing file."""
    with pytest.raises(MissingFile, match="cannot be copied"):
        copy_ledger(tmp_path / "none", tmp_path / "b")
