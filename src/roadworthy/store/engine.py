"""The store: opening it, reading, units of work, erasing. Owns when a transaction begins and ends.

Rules kept here:
1. A store is opened with the keys that it was made with, or not at all.
2. A reader waits for nobody; a writer waits for its turn before it reads.
3. What is erased leaves the file and its log, and with it every copy made from then on; an entry says so for good.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, func, insert, select

from roadworthy.base.errors import LedgerBroken, SignatureBroken, StoreBroken
from roadworthy.domain.decision import LedgerHead
from roadworthy.domain.record import Receipt, Record
from roadworthy.ledger.append import empty_head
from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.keys import SigningKey
from roadworthy.store import tables
from roadworthy.store.export import export_members
from roadworthy.store.failures import told_as_ours
from roadworthy.store.head import head_row, ledger_head, read_head
from roadworthy.store.reading import read_blob, read_records
from roadworthy.store.sqlite import begin_writing, connect, empty_log, keep_log_ahead, require_file
from roadworthy.store.unit_of_work import SqlUnitOfWork
from roadworthy.store.upgrade import is_behind, upgrade
from roadworthy.store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKeys:
    """What a store is opened with.

    Attributes:
        log: signs checkpoints.
        payload: 32 secret bytes that wrap the payloads' keys.
        origin: the name of the ledger, without spaces and plus signs.
    """

    log: SigningKey
    payload: bytes = field(repr=False)
    origin: str


class SqlStore:
    """See ``ports.unit_of_work.Store``. May be shared by threads; made by ``open_store``.

    Args:
        engine: as ``open_store`` sets it up.
        place: where the store lies, for messages.
        signer: the ledger's name and key.
        vault: locks and unlocks payloads.
    """

    def __init__(self, engine: Engine, place: str, signer: CheckpointSigner, vault: Vault) -> None:
        self._engine = engine
        self._place = place
        self._signer = signer
        self._vault = vault

    def records(self, *, until: int | None = None) -> Sequence[Record]:
        """See ``ports.unit_of_work.Reader.records``.

        Raises:
            IntegrityError: something in the store was changed (RW-5xx), with the index wherever it can be told.
        """
        with self._reading() as connection:
            return read_records(connection, self._vault, read_head(connection, self._signer.verifier), until)

    def head(self) -> LedgerHead:
        """See ``ports.unit_of_work.Reader.head``."""
        with self._reading() as connection:
            return ledger_head(read_head(connection, self._signer.verifier))

    def blob(self, digest: str) -> bytes:
        """See ``ports.unit_of_work.Reader.blob``."""
        with self._reading() as connection:
            return read_blob(connection, digest)

    def export(
        self, *, use_case: str = "", exported_at: datetime | None = None, decision_index: int | None = None
    ) -> Iterator[tuple[str, bytes]]:
        """See ``ports.unit_of_work.Reader.export``; the arguments are the bookmark's, see ``export_members``."""
        with self._reading() as connection:
            members = export_members(
                connection,
                self._signer.verifier,
                self._vault,
                use_case=use_case,
                exported_at=exported_at,
                decision_index=decision_index,
            )
        return iter(members.items())

    @contextmanager
    def unit_of_work(self) -> Iterator[SqlUnitOfWork]:
        """See ``ports.unit_of_work.Store.unit_of_work``. Other writers wait until it is left, so stay short inside."""
        with self._writing() as connection:
            unit = SqlUnitOfWork(connection, self._signer, self._vault, self._place)
            try:
                yield unit
                unit.finish()
            finally:
                unit.abandon()

    def erase(self, index: int, *, actor: str, at: datetime, reason: str) -> Receipt:
        """See ``ports.unit_of_work.Store.erase``. Erasing again does no harm; it is recorded again, too.

        1. Delete the payload and append the entry that says so, in one transaction. 2. Empty the write-ahead log, which
        still holds what the pages were before.

        Raises:
            StoreBroken: no such entry; or somebody is reading, then erase again to empty the log too (RW-505).
            PolicyRefusal: its kind is never erased (RW-300).
            ClockWentBack: ``at`` is before the newest entry's instant (RW-504).
        """
        # 1
        with self.unit_of_work() as unit:
            receipt = unit.erase(index, actor=actor, at=at, reason=reason)
        # 2
        with told_as_ours(self._place):
            emptied = empty_log(self._engine)
        if not emptied:
            what = f"Entry {index} is erased, but a reader keeps older pages in the write-ahead log."
            raise StoreBroken(what, remedy="Erase it again once the other commands have ended.", where=self._place)
        return receipt

    def close(self) -> None:
        """Let go of the file; the last one to do so folds the write-ahead log into it."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with told_as_ours(self._place), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with told_as_ours(self._place), begin_writing(self._engine) as connection:
            yield connection


def open_store(path: Path, *, keys: StoreKeys, create: bool = True, busy_timeout_s: float = 30.0) -> SqlStore:
    """Open the store in a file, bringing it to this version's shape; a new file is for its owner's eyes only.

    1. Make the file if there is none. 2. Look at its shape, which refuses what is no store before anything is changed.
    3. Upgrade, and give a new store its signed empty head, in one transaction. 4. Check that the keys are the store's, and
    that the head fits the entries.

    Args:
        path: the file; two more, ``-wal`` and ``-shm``, stand beside it while it is open.
        keys: what it was made with.
        create: whether a missing file is made.
        busy_timeout_s: how long to wait for another writer.

    Raises:
        MissingFile: there is no such file or folder (RW-102).
        StoreBroken: not a store, written by a newer version, or opened with another payload key (RW-505).
        SignatureBroken: the checkpoint is not signed under this name by this key (RW-502).
        LedgerBroken: entries and head do not agree (RW-503).
    """
    place = str(path)
    signer, vault = CheckpointSigner(keys.origin, keys.log), Vault(keys.payload)
    # 1
    require_file(path, create=create)
    engine = connect(path, busy_timeout_s)
    try:
        with told_as_ours(place):
            # 2
            with engine.begin() as connection:
                behind = is_behind(connection)
            keep_log_ahead(engine, busy_timeout_s)
            # 3
            if behind:
                _upgrade(engine, signer)
            # 4
            with engine.begin() as connection:
                _require_whole(connection, signer, vault, place)
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(engine, place, signer, vault)


def _upgrade(engine: Engine, signer: CheckpointSigner) -> None:
    with begin_writing(engine) as connection:
        # Somebody may have been faster while this one waited: both steps look again.
        upgrade(connection)
        if connection.execute(select(tables.head.c.id)).first() is None:
            connection.execute(insert(tables.head).values(head_row(empty_head(signer))))


def _require_whole(connection: Connection, signer: CheckpointSigner, vault: Vault, place: str) -> None:
    try:
        head = read_head(connection, signer.verifier)
    except SignatureBroken as error:
        remedy = "Open it under the name and with the log key that it was made with."
        raise SignatureBroken(error.what, remedy=remedy, where=place) from error
    entries = connection.execute(select(func.count()).select_from(tables.entry)).scalar_one()
    if entries != head.size:
        what = f"The store holds {entries} entries; its checkpoint says {head.size}."
        raise LedgerBroken(what, remedy="Restore the store from a backup, and verify that.", where=place)
    key = connection.execute(select(tables.payload_key).order_by(tables.payload_key.c.entry_index).limit(1)).first()
    if key is not None:
        vault.unwrap(key.entry_index, key.wrapped_key)
