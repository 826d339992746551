"""A bundle behind the door of a store: ``ports.unit_of_work.Reader`` over one file. Owns reading; writes nothing.

Whatever decides on a store decides on a bundle too, from the same records. The container, the checkpoint, the root of the
entries and every payload's commitment are checked on the way; the full list of what is wrong comes from ``ledger.verify``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from roadworthy.base.errors import BundleBroken, LedgerBroken, StoreBroken
from roadworthy.domain.decision import LedgerHead
from roadworthy.domain.record import Record
from roadworthy.ledger import layout
from roadworthy.ledger.bundle import MANIFEST, read_bundle
from roadworthy.ledger.checkpoint import Checkpoint, open_checkpoint, parse_vkey
from roadworthy.ledger.tiles import level_paths, parse_entry_bundle
from roadworthy.store.export import blob_name
from roadworthy.store.head import encoded_root
from roadworthy.store.reading import require_digest
from roadworthy.store.records import Held, read_leaf, record_of, require_root

_REMEDY = "Do not trust this file; ask for the bundle again."


class BundleReader:
    """Reads a bundle.

    Args:
        path: the bundle.
        vkey: the reader's own copy of the ledger's key line; without it the bundle's own is believed.

    Raises:
        MissingFile: the file cannot be opened (RW-102).
        BundleBroken: its bytes are not those that were exported (RW-501).
        SignatureBroken: the checkpoint is not signed by the key (RW-502).
        LedgerBroken: the entries are not those of the checkpoint (RW-503).
    """

    def __init__(self, path: Path, *, vkey: str | None = None) -> None:
        self._members = read_bundle(path)
        self._note = self._text(layout.CHECKPOINT)
        key = parse_vkey(self._text(layout.VKEY) if vkey is None else vkey)
        self._checkpoint: Checkpoint = open_checkpoint(self._note, [key])
        self._leaves = self._read_leaves()
        require_root(self._leaves, self._checkpoint.root)

    def records(self, *, until: int | None = None) -> Sequence[Record]:
        """See ``ports.unit_of_work.Reader.records``.

        Raises:
            BundleBroken: a payload is missing or malformed (RW-501), with the index.
            LedgerBroken: a payload is not the one that its entry commits to (RW-503), with the index.
        """
        end = len(self._leaves) if until is None else max(0, until)
        return [record_of(self._held(index, leaf)) for index, leaf in enumerate(self._leaves[:end])]

    def head(self) -> LedgerHead:
        """See ``ports.unit_of_work.Reader.head``."""
        return LedgerHead(size=self._checkpoint.size, root=encoded_root(self._checkpoint.root), note=self._note)

    def blob(self, digest: str) -> bytes:
        """See ``ports.unit_of_work.Reader.blob``."""
        data = self._members.get(blob_name(digest))
        if data is None:
            raise StoreBroken("The bundle has no such attachment.", remedy="Check the digest.", where=digest)
        return require_digest(digest, data)

    def export(self) -> Iterator[tuple[str, bytes]]:
        """See ``ports.unit_of_work.Reader.export``: the members as they are."""
        return ((name, data) for name, data in self._members.items() if name != MANIFEST)

    def _read_leaves(self) -> list[bytes]:
        leaves: list[bytes] = []
        for path in level_paths(None, self._checkpoint.size):
            leaves += parse_entry_bundle(self._member(path.text()))
        if len(leaves) != self._checkpoint.size:
            what = f"The bundle holds {len(leaves)} entries; its checkpoint says {self._checkpoint.size}."
            raise LedgerBroken(what, remedy=_REMEDY)
        return leaves

    def _held(self, index: int, leaf: bytes) -> Held:
        name = layout.payload_name(index)
        try:
            sealed = layout.parse_payload_member(self._member(name))
        except BundleBroken as error:
            raise BundleBroken(error.what, remedy=error.remedy, where=name) from error
        return Held(index, leaf, read_leaf(index, leaf), sealed)

    def _member(self, name: str) -> bytes:
        try:
            return self._members[name]
        except KeyError as error:
            raise BundleBroken("The bundle lacks a member.", remedy=_REMEDY, where=name) from error

    def _text(self, name: str) -> str:
        try:
            return self._member(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BundleBroken("The member is not text.", remedy=_REMEDY, where=name) from error
