"""A copy of a ledger's folder while the ledger is in use: a hot backup. Owns the order in which things are copied.

A ledger only grows, so a copy is good when it holds a beginning of everything: nothing may be in it without all that came
before. An ordinary copy reads from front to back, and while it reads, more is written behind the place that it has passed:
it may hold a late frame and lack an earlier one, which the ledger rightly refuses as damage. So:

1. First the published log, its checkpoint before its tiles: no checkpoint may be ahead of the segments.
2. Then keys and state.
3. Last the segments, the newest before the older ones, and the newest from its end to its beginning.

Whoever copies with other means stops the ledger, or takes a snapshot of the whole file system at one instant.
"""

import contextlib
import re
import shutil
from pathlib import Path

from roadworthy.base.errors import MissingFile

_PUBLISHED, _CHECKPOINTS = "log", "checkpoint*"
_SEGMENTS = "segments"
_SEGMENT = re.compile(r"\d{20}\.seg")
_BLOCK_BYTES = 4_096
"""Small, so that little can be written while one block is read."""


def copy_ledger(folder: Path, copy: Path) -> None:
    """Copy a ledger's folder that is in use.

    Args:
        folder: of the ledger.
        copy: is made.

    Raises:
        MissingFile: one of the two cannot be read or written (RW-102).
    """
    try:
        copy.mkdir(mode=0o700, parents=True, exist_ok=True)
        published = folder / _PUBLISHED
        _files(published, sorted(published.glob(_CHECKPOINTS)), copy / _PUBLISHED)  # 1
        _files(published, sorted(published.rglob("*")), copy / _PUBLISHED, keep=True)
        for part in sorted(folder.iterdir()):  # 2
            if part.is_dir() and part.name not in (_PUBLISHED, _SEGMENTS):
                _files(part, sorted(part.rglob("*")), copy / part.name)
        segments = sorted((folder / _SEGMENTS).iterdir(), reverse=True)  # 3
        (copy / _SEGMENTS).mkdir(mode=0o700, exist_ok=True)
        for segment in segments:
            if _SEGMENT.fullmatch(segment.name):
                _backwards(segment, copy / _SEGMENTS / segment.name)
    except OSError as error:
        what = f"The ledger cannot be copied: {error.strerror or error}."
        raise MissingFile(what, remedy="Check both folders and the space.", where=str(copy)) from error


def _files(folder: Path, files: list[Path], copy: Path, *, keep: bool = False) -> None:
    """Copy files below a folder; ``keep`` what was copied already. A partial tile may go meanwhile: its full one comes."""
    for file in files:
        place = copy / file.relative_to(folder)
        if not file.is_file() or (keep and place.exists()):
            continue
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(file, place)


def _backwards(segment: Path, copy: Path) -> None:
    """Copy block by block from the end. What was never written stays a hole."""
    with segment.open("rb", buffering=0) as source, copy.open("wb", buffering=0) as sink:
        length = segment.stat().st_size
        sink.truncate(length)
        for offset in range((length - 1) // _BLOCK_BYTES * _BLOCK_BYTES, -1, -_BLOCK_BYTES):
            source.seek(offset)
            block = source.read(_BLOCK_BYTES)
            if block.strip(b"\0"):
                sink.seek(offset)
                sink.write(block)
