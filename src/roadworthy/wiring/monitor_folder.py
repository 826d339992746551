"""The monitor's folder: counts of the pilot and of windows, each a file named by its digest. Owns writing and finding them.

Rules kept here:
1. A file is written whole or not at all, and one that no longer has the digest of its name is refused.
2. The pilot is frozen once for a release and its contract, a pilot set and the list of inputs; while these are the same,
   nothing is fitted again. Should the folder be lost, fitting gives the same bytes.
"""

from pathlib import Path

from roadworthy.base.digest import digest_bytes, digest_of
from roadworthy.base.errors import MissingFile, StoreBroken
from roadworthy.base.ids import new_id
from roadworthy.checks.monitor.inputs import freeze
from roadworthy.kit.context import DataSource
from roadworthy.measure.profile.window_file import Window, read_window, window_bytes

FOLDER_NAME = "monitor"


class MonitorFolder:
    """The folder of one workspace, made at the first write."""

    def __init__(self, workspace_folder: Path) -> None:
        self._folder = workspace_folder / FOLDER_NAME

    def pilot(self, source: DataSource, about: tuple[str, str]) -> Window:
        """The frozen pilot with its counts.

        Args:
            source: the pilot set.
            about: digests of the release and of the pilot set.

        Raises:
            StoreBroken: a file of the folder was changed (RW-505).
            InputError: the pilot cannot be read (RW-1xx).
        """
        apart = [source.label, source.key, source.cluster, source.time]
        name = digest_of({"about": list(about), "features": list(source.features), "apart": apart})
        pointer = self._folder / f"pilot-{name.removeprefix('sha256:')}"
        if pointer.is_file():
            kept = self._path(pointer.read_text(encoding="utf-8").strip())
            if kept.is_file():
                return read_window(self._verified(kept), kept.name)
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
            raise StoreBroken(
                f"{path.name} no longer has the digest of its name.",
                remedy="Delete it; what it held is counted again from the pilot.",
                where=str(path),
            )
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
