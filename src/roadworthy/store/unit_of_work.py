"""One write: rows and exactly one ledger entry, in one transaction. Owns what happens between begin and commit.

Rules kept here, beside the guarantees of ``ports.unit_of_work``:
1. The head is read and advanced inside the transaction, and a new checkpoint is signed there.
2. After one failure the unit is over and commits nothing, even if the caller carries on: some failures of a database
   end the transaction behind the program's back, and what followed would be committed statement by statement.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.clock import format_instant
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import PolicyRefusal, StoreBroken
from roadworthy.base.ids import salt_bytes
from roadworthy.domain.decision import LedgerHead
from roadworthy.domain.record import Draft, Receipt, Record, RecordKind
from roadworthy.ledger.append import Head, append
from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.entry import SALT_BYTES, Entry, commit, leaf_bytes
from roadworthy.ledger.layout import Sealed
from roadworthy.ledger.merkle import leaf_hash
from roadworthy.ports.unit_of_work import NEVER_ERASED
from roadworthy.store import tables
from roadworthy.store.failures import told_as_ours
from roadworthy.store.head import head_row, ledger_head, read_head
from roadworthy.store.reading import read_records
from roadworthy.store.vault import Vault

_ONE = "One unit of work writes exactly one ledger entry."


class SqlUnitOfWork:
    """See ``ports.unit_of_work.UnitOfWork``. Made by the store, which begins and ends the transaction.

    Args:
        connection: inside a transaction for writing.
        signer: the ledger's name and key.
        vault: locks the payload.
        place: where the store lies, for messages.
    """

    def __init__(self, connection: Connection, signer: CheckpointSigner, vault: Vault, place: str) -> None:
        self._connection = connection
        self._signer = signer
        self._vault = vault
        self._place = place
        self._appended = False
        self._over = False

    def records(self, *, until: int | None = None) -> Sequence[Record]:
        """See ``ports.unit_of_work.Reader.records``."""
        with self._step():
            return read_records(self._connection, self._vault, self._head(), until)

    def head(self) -> LedgerHead:
        """See ``ports.unit_of_work.Reader.head``."""
        with self._step():
            return ledger_head(self._head())

    def append(self, draft: Draft) -> Receipt:
        """See ``ports.unit_of_work.UnitOfWork.append``.

        1. Make the leaf with a salted commitment to the payload. 2. Advance the head, which refuses a clock that went
        back. 3. Write entry, locked payload, its key, and the head with its new checkpoint.
        """
        with self._step():
            if self._appended:
                raise StoreBroken("A second entry was appended in one unit of work.", remedy=_ONE, where=self._place)
            # 1
            sealed = Sealed(salt_bytes(SALT_BYTES), canonical_bytes(draft.payload))
            entry = _entry(draft, sealed)
            leaf = leaf_bytes(entry)
            # 2
            before = self._head()
            after = append(before, leaf, self._signer)
            # 3
            self._write(before.size, entry, leaf, sealed)
            self._connection.execute(update(tables.head).values(head_row(after)))
            self._appended = True
            return Receipt(index=before.size, leaf_hash=leaf_hash(leaf).hex(), size=after.size)

    def put_blob(self, data: bytes) -> str:
        """See ``ports.unit_of_work.UnitOfWork.put_blob``."""
        digest = digest_bytes(data)
        with self._step():
            known = select(tables.blob.c.digest).where(tables.blob.c.digest == digest)
            if self._connection.execute(known).first() is None:
                self._connection.execute(insert(tables.blob).values(digest=digest, size_bytes=len(data), data=data))
        return digest

    def erase(self, index: int, *, actor: str, at: datetime, reason: str) -> Receipt:
        """Erase one payload and append the unit's one entry, which says so; see ``ports.unit_of_work.Store.erase``.

        1. Read the ledger, verified: what kind of entry it is stands in its leaf, not in a column. 2. Append the entry.
        3. Delete the payload's key, its ciphertext, and the salt by which guesses could be tested.

        Raises:
            StoreBroken: no such entry (RW-505).
            PolicyRefusal: its kind is never erased (RW-300).
            ClockWentBack: ``at`` is before the newest entry's instant (RW-504).
        """
        # 1
        records = self.records()
        if not 0 <= index < len(records):
            what = f"There is no entry {index} among {len(records)}."
            raise StoreBroken(what, remedy="Give an index below the size.", where=self._place)
        record = records[index]
        if record.kind in NEVER_ERASED:
            what = f"Entry {index} is of the kind {record.kind.value}, on which the rest of the ledger stands."
            remedy = "Erase evidence, waivers, signatures or what concerns gaps; this stays."
            raise PolicyRefusal(what, remedy=remedy, where=f"entry {index}")
        # 2
        receipt = self.append(
            Draft(
                kind=RecordKind.PAYLOAD_ERASED,
                at=at,
                actor=actor,
                use_case_id=record.use_case_id,
                subject=str(index),
                payload={"index": index, "reason": reason},
            )
        )
        # 3
        with self._step():
            for table in (tables.payload_key, tables.payload):
                self._connection.execute(delete(table).where(table.c.entry_index == index))
        return receipt

    def finish(self) -> None:
        """End the unit; called by the store before it commits.

        Raises:
            StoreBroken: no entry was appended, or something failed before (RW-505).
        """
        with self._step():
            self._over = True
            if not self._appended:
                raise StoreBroken("A unit of work ended without an entry.", remedy=_ONE, where=self._place)

    def abandon(self) -> None:
        """End the unit without a result: whoever still holds it can do nothing with it."""
        self._over = True

    @contextmanager
    def _step(self) -> Iterator[None]:
        if self._over:
            remedy = "Open a new unit of work and repeat all of it."
            raise StoreBroken("This unit of work is over.", remedy=remedy, where=self._place)
        try:
            with told_as_ours(self._place):
                yield
        except BaseException:
            self._over = True
            raise

    def _head(self) -> Head:
        return read_head(self._connection, self._signer.verifier)

    def _write(self, index: int, entry: Entry, leaf: bytes, sealed: Sealed) -> None:
        locked = self._vault.lock(index, entry.commitment, sealed.payload)
        self._connection.execute(
            insert(tables.entry).values(
                index=index,
                kind=entry.kind,
                at=format_instant(entry.at),
                actor=entry.actor,
                use_case_id=entry.use_case,
                subject=entry.subject,
                leaf=leaf,
                leaf_hash=leaf_hash(leaf),
            )
        )
        self._connection.execute(
            insert(tables.payload).values(
                entry_index=index, salt=sealed.salt, nonce=locked.nonce, ciphertext=locked.ciphertext
            )
        )
        self._connection.execute(insert(tables.payload_key).values(entry_index=index, wrapped_key=locked.wrapped_key))


def _entry(draft: Draft, sealed: Sealed) -> Entry:
    return Entry(
        kind=draft.kind.value,
        at=draft.at,
        actor=draft.actor,
        use_case=draft.use_case_id,
        subject=draft.subject,
        commitment=commit(sealed.salt, sealed.payload),
        size=len(sealed.payload),
    )
