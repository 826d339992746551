"""The monitor's folder: counts of the pilot and of windows, each a file named by its digest. Owns writing and finding them.

Rules kept here:
1. A file is written whole or not at all, and one that no longer has the digest of its name is refused.
2. The pilot is frozen once for a release and its contract, a pilot set and the list of inputs; while these are the same,
   nothing is fitted again. Should the folder be lost, fitting gives the same bytes.
3. A file speaks for the pilot only as far as the ledger does: what was not yet compared with on record is fitted anew,
   and counts other than those on record are refused.
"""

from pathlib import Path

from roadworthy.base.digest import digest_bytes, digest_of, is_digest
from roadworthy.base.errors import MissingFile, StoreBroken
from roadworthy.base.ids import new_id
from roadworthy.checks.monitor.inputs import freeze
from roadworthy.kit.context import DataSource
from roadworthy.measure.profile.window_file import Window, read_window, window_bytes

FOLDER_NAME = "monitor"


def pilot_name(source: DataSource, about: tuple[str, str]) -> str:
    """Digest of everything that the frozen pilot follows from.

    Args:
        source: the pilot set.
        about: digests of the release and of the pilot set.
    """
    apart = [source.label, source.key, source.cluster, source.time]
    return digest_of({"about": list(about), "features": list(source.features), "apart": apart})


class MonitorFolder:
    """The folder of one workspace, made at the first write."""

    def __init__(self, workspace_folder: Path) -> None:
        self._folder = workspace_folder / FOLDER_NAME

    def pilot(self, source: DataSource, name: str, on_record: tuple[str, str] | None) -> Window:
        """The frozen pilot with its counts.

        Args:
            source: the pilot set.
            name: see ``pilot_name``.
            on_record: digests of the reference and of the counts that windows were last compared with under this name;
                None when there was no window yet.

        Raises:
            StoreBroken: a file of the folder was changed, or is not what is on record (RW-505).
            InputError: the pilot cannot be read (RW-1xx).
        """
        pointer = self._folder / f"pilot-{name.removeprefix('sha256:')}"
        if pointer.is_file() and on_record is not None:
            kept = self._path(_digest_in(pointer))
            if kept.is_file():
                window = read_window(self._verified(kept), kept.name)
                if (window.reference.digest, window.state.digest) != on_record:
                    raise _broken(pointer, "names other counts than those of the pilot on record.")
                return window
        frozen = freeze(source)
        digest = self.keep(window_bytes(frozen))
        self._write(pointer, f"{digest}\n".encode())
        return frozen

    def keep(self, data: bytes) -> str:
        """Keep bytes under their digest and return it; equal bytes are kept once."""
        digest = digest_bytes(data)
        path = self._path(digest)
        if not path.is_file():
            self._write(path, data)
        return digest

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest.removeprefix('sha256:')}.json"

    def _verified(self, path: Path) -> bytes:
        data = path.read_bytes()
        if self._path(digest_bytes(data)) != path:
            raise _broken(path, "no longer has the digest of its name.")
        return data

    def _write(self, path: Path, data: bytes) -> None:
        part = path.with_name(f".{new_id('partial')}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
        except OSError as error:
            raise MissingFile(
                f"{path} cannot be written: {error.strerror}.",
                remedy="Check that you may write there.",
                where=str(path),
            ) from error


def _digest_in(pointer: Path) -> str:
    text = pointer.read_bytes().strip().decode("utf-8", errors="replace")
    if not is_digest(text):
        raise _broken(pointer, "holds no digest.")
    return text


def _broken(path: Path, why: str) -> StoreBroken:
    return StoreBroken(
        f"{path.name} {why}", remedy="Delete it; what it held is counted again from the pilot.", where=str(path)
    )
