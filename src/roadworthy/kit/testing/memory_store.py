"""A store without a disk. Owns the simplest thing that keeps the guarantees of ``ports.unit_of_work``; for tests only.

It shares no code with the real store and hashes its tree by the words of RFC 6962, so the two check each other. What
stands above the kit is handed in: how a checkpoint is signed, and how a bundle is laid out.
"""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from roadworthy.base.canonical import canonical_bytes, parse_json
from roadworthy.base.clock import format_instant
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import ClockWentBack, PolicyRefusal, StoreBroken
from roadworthy.base.ids import salt_bytes
from roadworthy.domain.decision import LedgerHead
from roadworthy.domain.record import Draft, Receipt, Record, RecordKind
from roadworthy.ports.unit_of_work import NEVER_ERASED

Sign = Callable[[int, bytes], str]
"""From size and root to the signed note."""

Secret = tuple[bytes, bytes]
"""Salt and payload."""

LayOut = Callable[[Sequence[bytes], Sequence[Secret | None], str, Mapping[str, bytes]], Mapping[str, bytes]]
"""From leaves, secrets (None where erased), note and attachments to the members of a bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    record: Record
    leaf: bytes
    secret: Secret | None


@dataclass(slots=True)
class MemoryDisk:
    """What survives its store: several stores may stand on one."""

    rows: list[_Row] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lose_power(self) -> None:
        """Whoever was writing is gone, and its lock with it; nothing that was not committed was ever here."""
        self.lock = threading.Lock()


class MemoryStore:
    """See ``ports.unit_of_work.Store``.

    Args:
        disk: what it stands on.
        sign: signs checkpoints.
        lay_out: makes the members of a bundle.
    """

    def __init__(self, disk: MemoryDisk, *, sign: Sign, lay_out: LayOut) -> None:
        self._disk = disk
        self._sign = sign
        self._lay_out = lay_out

    def records(self, *, until: int | None = None) -> Sequence[Record]:
        """See ``ports.unit_of_work.Reader.records``."""
        return _records(list(self._disk.rows), until)

    def head(self) -> LedgerHead:
        """See ``ports.unit_of_work.Reader.head``."""
        return self.head_of(list(self._disk.rows))

    def head_of(self, rows: Sequence[_Row]) -> LedgerHead:
        """The head of a ledger that holds these rows."""
        root = _root([row.leaf for row in rows])
        return LedgerHead(size=len(rows), root=base64.b64encode(root).decode("ascii"), note=self._sign(len(rows), root))

    def blob(self, digest: str) -> bytes:
        """See ``ports.unit_of_work.Reader.blob``."""
        if digest not in self._disk.blobs:
            raise StoreBroken("The store has no such attachment.", remedy="Check the digest.", where=digest)
        return self._disk.blobs[digest]

    def export(self) -> Iterator[tuple[str, bytes]]:
        """See ``ports.unit_of_work.Reader.export``."""
        rows = list(self._disk.rows)
        note = self.head_of(rows).note
        members = self._lay_out([row.leaf for row in rows], [row.secret for row in rows], note, dict(self._disk.blobs))
        return iter(members.items())

    @contextmanager
    def unit_of_work(self) -> Iterator["MemoryUnitOfWork"]:
        """See ``ports.unit_of_work.Store.unit_of_work``."""
        with self._disk.lock:
            unit = MemoryUnitOfWork(self, list(self._disk.rows))
            yield unit
            if unit.appended is None:
                raise StoreBroken("A unit of work ended without an entry.", remedy="Append exactly one.")
            self._disk.blobs.update(unit.blobs)
            self._disk.rows.append(unit.appended)
            if unit.erased is not None:
                self._disk.rows[unit.erased] = replace(self._disk.rows[unit.erased], secret=None)

    def erase(self, index: int, *, actor: str, at: datetime, reason: str) -> Receipt:
        """See ``ports.unit_of_work.Store.erase``."""
        with self.unit_of_work() as unit:
            if not 0 <= index < unit.head().size:
                raise StoreBroken(f"There is no entry {index}.", remedy="Give an index below the size.")
            record = unit.records()[index]
            if record.kind in NEVER_ERASED:
                raise PolicyRefusal(f"A {record.kind.value} is never erased.", remedy="Leave it.")
            erasure = Draft(
                kind=RecordKind.PAYLOAD_ERASED,
                at=at,
                actor=actor,
                use_case_id=record.use_case_id,
                subject=str(index),
                payload={"index": index, "reason": reason},
            )
            receipt = unit.append(erasure)
            unit.erased = index
        return receipt


class MemoryUnitOfWork:
    """See ``ports.unit_of_work.UnitOfWork``.

    Args:
        store: whose unit it is.
        rows: everything committed so far.
    """

    def __init__(self, store: MemoryStore, rows: Sequence[_Row]) -> None:
        self._store = store
        self._rows = rows
        self.appended: _Row | None = None
        self.erased: int | None = None
        self.blobs: dict[str, bytes] = {}

    def records(self, *, until: int | None = None) -> Sequence[Record]:
        """See ``ports.unit_of_work.Reader.records``."""
        return _records(self._all(), until)

    def head(self) -> LedgerHead:
        """See ``ports.unit_of_work.Reader.head``."""
        return self._store.head_of(self._all())

    def append(self, draft: Draft) -> Receipt:
        """See ``ports.unit_of_work.UnitOfWork.append``."""
        if self.appended is not None:
            raise StoreBroken("A second entry was appended in one unit of work.", remedy="Append exactly one.")
        if self._rows and draft.at < self._rows[-1].record.at:
            raise ClockWentBack("The clock shows an instant before the newest entry.", remedy="Set the clock.")
        secret = (salt_bytes(), canonical_bytes(draft.payload))
        self.appended = _Row(record=_record(len(self._rows), draft), leaf=_leaf(draft, secret), secret=secret)
        size = len(self._rows) + 1
        return Receipt(index=size - 1, leaf_hash=_root([self.appended.leaf]).hex(), size=size)

    def put_blob(self, data: bytes) -> str:
        """See ``ports.unit_of_work.UnitOfWork.put_blob``."""
        digest = digest_bytes(data)
        self.blobs[digest] = bytes(data)
        return digest

    def _all(self) -> list[_Row]:
        return [*self._rows, *([] if self.appended is None else [self.appended])]


def _records(rows: Sequence[_Row], until: int | None) -> list[Record]:
    end = len(rows) if until is None else max(0, until)
    # Read from the bytes each time: nobody can change the store by changing what it gave away.
    return [
        replace(row.record, payload=None if row.secret is None else parse_json(row.secret[1])) for row in rows[:end]
    ]


def _record(index: int, draft: Draft) -> Record:
    return Record(
        index=index,
        kind=draft.kind,
        at=draft.at,
        actor=draft.actor,
        use_case_id=draft.use_case_id,
        subject=draft.subject,
        payload=None,
    )


def _leaf(draft: Draft, secret: Secret) -> bytes:
    salt, payload = secret
    return canonical_bytes(
        {
            "v": 1,
            "kind": draft.kind.value,
            "at": format_instant(draft.at),
            "actor": draft.actor,
            "use_case": draft.use_case_id,
            "subject": draft.subject,
            "commitment": digest_bytes(salt + payload),
            "size": len(payload),
        }
    )


def _root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + _root(leaves[:split]) + _root(leaves[split:])).digest()
