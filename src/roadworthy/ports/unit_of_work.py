"""The write and read door of a store. Owns the promises; implementations live in ``store``.

Guarantees that every implementation MUST keep, each with a conformance test of the same number
(``kit.testing.store_suite``):

1. MUST append exactly one ledger entry per committed unit; committing without one, or appending a second, is an error.
2. MUST make entry, payload, blobs and checkpoint durable together, or none of them.
3. MUST return records in ledger order, each equal to what was appended.
4. MUST refuse an entry whose instant is before the newest one (``ClockWentBack``).
5. MUST leave nothing behind when the unit is left by an exception.
6. MUST serialise concurrent writers: both succeed, one after the other, with neighbouring indexes.
7. MUST return blobs by digest byte for byte, and store equal bytes once.
8. MUST survive the death of its process at any instruction: what was acknowledged is there after reopening, verified.
9. MUST erase a payload only together with an entry that says which, who and why; then proofs still verify and the record
   reads as erased. MUST refuse to erase a kind on which everything else rests (``NEVER_ERASED``).
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Final, Protocol

from roadworthy.domain.decision import LedgerHead
from roadworthy.domain.record import Draft, Receipt, Record, RecordKind

NEVER_ERASED: Final = frozenset(
    {
        RecordKind.USE_CASE_REGISTERED,
        RecordKind.PERSON_REGISTERED,
        RecordKind.PRODUCER_REGISTERED,
        RecordKind.RELEASE_REGISTERED,
        RecordKind.POLICY_ADOPTED,
        RecordKind.DECISION_RECORDED,
        RecordKind.CERTIFICATE_ISSUED,
        RecordKind.CERTIFICATE_REVOKED,
        RecordKind.PAYLOAD_ERASED,
    }
)
"""Without these nobody could tell who signed, what was decided by which rules, what may run, or what was erased."""


class Reader(Protocol):
    """What may be read at any time."""

    def records(self, *, until: int | None = None) -> Sequence[Record]:
        """All records with an index below ``until``, in ledger order."""

    def head(self) -> LedgerHead:
        """The newest checkpoint; size 0 before the first entry."""

    def blob(self, digest: str) -> bytes:
        """The bytes of a content-addressed attachment.

        Raises:
            StoreBroken: there is none, or its bytes no longer have that digest (RW-505).
        """

    def export(self) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of every member of a bundle: checkpoint, key, tiles, entries, payloads, blobs."""


class UnitOfWork(Protocol):
    """One write."""

    def records(self, *, until: int | None = None) -> Sequence[Record]:
        """As ``Reader.records``, inside the unit: nothing can slip in between reading and appending."""

    def head(self) -> LedgerHead:
        """As ``Reader.head``."""

    def append(self, draft: Draft) -> Receipt:
        """Append the unit's one entry.

        Raises:
            ClockWentBack: the draft's instant is before the newest entry's (RW-504).
            StoreBroken: a second append in one unit (RW-505).
        """

    def put_blob(self, data: bytes) -> str:
        """Keep bytes under their digest and return it."""


class Store(Reader, Protocol):
    """Opens units of work."""

    def unit_of_work(self) -> AbstractContextManager[UnitOfWork]:
        """One write: commits on a clean exit, leaves nothing behind on an exception."""

    def erase(self, index: int, *, actor: str, at: datetime, reason: str) -> Receipt:
        """Erase the payload of one entry for good, and record that; the entry and all proofs stay.

        Args:
            index: of the entry whose payload goes.
            actor: id of the person or program that erases.
            at: instant of the act.
            reason: why, as it will stand in the ledger.

        Returns:
            The receipt of the ``payload.erased`` entry.

        Raises:
            StoreBroken: no such entry (RW-505).
            PolicyRefusal: its kind is never erased (RW-300).
            ClockWentBack: ``at`` is before the newest entry's instant (RW-504).
        """
