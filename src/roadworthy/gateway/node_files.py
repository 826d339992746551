"""Where a node keeps its own files. Owns the names below the ledger's folder, and making them at the first start.

::

    keys/log.key          signs checkpoints; made by the ledger's process
    keys/payload.key      seals payloads
    keys/pseudonym.key    makes pseudonyms of callers
    state/switches.json   what is switched off
    state/ended.jsonl     certificates that count no more
    state/metrics         a page of figures for each worker
    state/ledgerd.json    settings of the ledger's process, written anew at every start
    log/                  what is published: tiles, entries, checkpoint
    segments/             the truth, written by the ledger's process only

Rules kept here: folders have mode 0700, keys 0600; nothing that exists is overwritten but ``state/ledgerd.json``.
"""

from dataclasses import dataclass
from pathlib import Path

from roadworthy.base.errors import MissingFile
from roadworthy.gateway.sealing import make_key


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """Names below one ledger folder."""

    folder: Path

    @property
    def log_key(self) -> Path:
        """Signs checkpoints."""
        return self.folder / "keys" / "log.key"

    @property
    def payload_key(self) -> Path:
        """Seals payloads."""
        return self.folder / "keys" / "payload.key"

    @property
    def pseudonym_key(self) -> Path:
        """Makes pseudonyms."""
        return self.folder / "keys" / "pseudonym.key"

    @property
    def switches(self) -> Path:
        """What is switched off."""
        return self.folder / "state" / "switches.json"

    @property
    def ended(self) -> Path:
        """Certificates that count no more."""
        return self.folder / "state" / "ended.jsonl"

    @property
    def metrics(self) -> Path:
        """Figures of all workers."""
        return self.folder / "state" / "metrics"

    @property
    def settings(self) -> Path:
        """What the ledger's process is told."""
        return self.folder / "state" / "ledgerd.json"

    @property
    def published(self) -> Path:
        """What anybody may read."""
        return self.folder / "log"

    def make(self) -> None:
        """Make what is missing.

        Raises:
            MissingFile: a folder cannot be made, or the keys of a ledger that has entries are gone (RW-102).
            ParameterError: a key cannot be written (RW-114).
        """
        try:
            for folder in (self.folder, self.folder / "keys", self.folder / "state"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            what = f"The ledger's folder cannot be made: {error.strerror}."
            raise MissingFile(what, remedy="Name another one in ledger.folder.", where=str(self.folder)) from error
        begun = (self.folder / "segments").is_dir()
        for path in (self.payload_key, self.pseudonym_key):
            if path.exists():
                continue
            if begun:
                remedy = "Restore it from a backup: without it no payload opens and no caller keeps the same pseudonym."
                raise MissingFile("A key of this ledger is gone.", remedy=remedy, where=str(path))
            make_key(path)
