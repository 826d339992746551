"""What every store must pass. Owns one test or more for each guarantee of ``ports.unit_of_work``, under its number.

A backend's suite is a subclass named ``Test...`` with four methods of its own: ``open``, ``close``, ``die_inside_a_unit``
and ``erased_in``. It knows nothing about how the backend works; what only one backend promises is tested elsewhere.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import ClockWentBack, PolicyRefusal, StoreBroken
from roadworthy.domain.record import Draft, Receipt, Record, RecordKind
from roadworthy.ports.unit_of_work import NEVER_ERASED, Store, UnitOfWork

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = START + timedelta(hours=1)
Opener = Callable[[], Store]

PAYLOADS: tuple[dict[str, Any], ...] = (
    {},
    {"text": 'Größe 測定 \u2028 "quoted" \\', "empty": ""},
    {"numbers": [0, -1, 2**53 - 1, 0.1, 1e-7, 1e21, -0.5], "flags": [True, False, None]},
    {"nested": {"b": {"z": [], "a": {}}, "a": [[1], [2, [3]]]}},
    {"long": "x" * 100_000},
)


def draft(
    number: int,
    *,
    payload: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    kind: RecordKind | None = None,
) -> Draft:
    """The draft of that number: all its members differ from its neighbours', and its instant is ``number`` seconds on."""
    # An erasure is the store's own to write: a verifier asks what it names.
    kinds = [each for each in RecordKind if each is not RecordKind.PAYLOAD_ERASED]
    return Draft(
        kind=kind or kinds[number % len(kinds)],
        at=START + timedelta(seconds=number) if at is None else at,
        actor=f"actor-{number}",
        use_case_id=f"use-case-{number % 3}",
        subject=f"subject-{number}",
        payload={"number": number} if payload is None else payload,
    )


def write(store: Store, one: Draft, *blobs: bytes) -> Receipt:
    """One unit of work with one entry and these attachments."""
    with store.unit_of_work() as unit:
        for data in blobs:
            unit.put_blob(data)
        return unit.append(one)


def erase(store: Store, index: int, *, at: datetime) -> Receipt:
    """Erase with an actor and a reason that the tests know."""
    return store.erase(index, actor="eraser", at=at, reason="asked for")


def last_words(unit: UnitOfWork, one: Draft, data: bytes) -> None:
    """What is done inside a unit that is never left in order: an attachment, then the entry."""
    unit.put_blob(data)
    unit.append(one)


def drafted(record: Record) -> Draft:
    """The draft that a record would have come from."""
    return Draft(
        kind=record.kind,
        at=record.at,
        actor=record.actor,
        use_case_id=record.use_case_id,
        subject=record.subject,
        payload={} if record.payload is None else record.payload,
    )


class Abandoned(Exception):
    """Raised by a test to leave a unit of work."""


class StoreSuite(ABC):
    """The conformance suite; see the module."""

    @abstractmethod
    def open(self, place: Path) -> Store:
        """Open the store at this place, made there if there is none; several may be open at one place."""

    @abstractmethod
    def close(self, store: Store) -> None:
        """Let go of a store."""

    @abstractmethod
    def die_inside_a_unit(self, place: Path, drafts: Sequence[Draft], data: bytes) -> Sequence[Receipt]:
        """Write all drafts but the last; die in the last one's unit, after append and ``put_blob(data)``.

        Returns:
            What was acknowledged before.
        """

    @abstractmethod
    def erased_in(self, members: Mapping[str, bytes]) -> int:
        """Verify the members as an auditor would, failing on any problem; returns how many payloads were erased."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where the store of this test lies."""
        return tmp_path / "store"

    @pytest.fixture
    def opened(self, place: Path) -> Iterator[Opener]:
        """Opens a store at the place, as often as it is called."""
        stores: list[Store] = []

        def again() -> Store:
            stores.append(self.open(place))
            return stores[-1]

        yield again
        for store in stores:
            self.close(store)

    @pytest.fixture
    def store(self, opened: Opener) -> Store:
        """A new store."""
        return opened()

    def test_1_one_unit_is_one_entry(self, store: Store) -> None:
        """Each unit adds one entry, and the receipt says which."""
        receipts = [write(store, draft(number)) for number in range(5)]
        assert [(each.index, each.size) for each in receipts] == [(n, n + 1) for n in range(5)]
        assert store.head().size == len(store.records()) == 5

    def test_1_a_unit_without_an_entry_is_an_error(self, store: Store) -> None:
        """Nothing is written behind the ledger's back, not even an attachment."""
        with pytest.raises(StoreBroken), store.unit_of_work() as unit:
            digest = unit.put_blob(b"unseen")
        assert store.head().size == 0
        with pytest.raises(StoreBroken):
            store.blob(digest)

    def test_1_a_second_entry_is_an_error(self, store: Store) -> None:
        """Two entries need two units; neither is kept of the one that tried."""

        def append_twice() -> None:
            with store.unit_of_work() as unit:
                unit.append(draft(0))
                unit.append(draft(1))

        with pytest.raises(StoreBroken):
            append_twice()
        assert store.head().size == 0

    def test_2_all_of_it_is_there_after_reopening(self, opened: Opener) -> None:
        """Entry, payload, attachment and checkpoint are durable together."""
        first = opened()
        receipt = write(first, draft(0, payload={"seen": True}), b"attached")
        head = first.head()
        self.close(first)
        again = opened()
        assert [drafted(record) for record in again.records()] == [draft(0, payload={"seen": True})]
        assert again.blob(digest_bytes(b"attached")) == b"attached"
        assert again.head() == head
        assert head.size == receipt.size == 1
        assert head.note.splitlines()[1:3] == ["1", head.root]

    def test_2_none_of_it_is_seen_before(self, opened: Opener) -> None:
        """A reader sees the whole unit or nothing of it."""
        writer, reader = opened(), opened()
        before = reader.head()
        with writer.unit_of_work() as unit:
            digest = unit.put_blob(b"not yet")
            unit.append(draft(0))
            assert (reader.head(), list(reader.records())) == (before, [])
            with pytest.raises(StoreBroken):
                reader.blob(digest)
        assert (reader.head().size, reader.blob(digest)) == (1, b"not yet")

    def test_2_every_state_verifies(self, store: Store) -> None:
        """After each unit the exported members satisfy an auditor."""
        for number in range(4):
            assert self.erased_in(dict(store.export())) == 0
            write(store, draft(number))
        assert self.erased_in(dict(store.export())) == 0

    def test_3_records_are_what_was_appended(self, store: Store) -> None:
        """Whatever JSON can say comes back equal, in ledger order."""
        drafts = [draft(number, payload=payload) for number, payload in enumerate(PAYLOADS)]
        for each in drafts:
            write(store, each)
        records = store.records()
        assert [drafted(record) for record in records] == drafts
        assert [record.index for record in records] == list(range(len(drafts)))

    def test_3_a_prefix_is_a_prefix(self, store: Store) -> None:
        """``until`` is exclusive; beyond the end it changes nothing."""
        for number in range(4):
            write(store, draft(number))
        everything = list(store.records())
        for until in range(6):
            assert list(store.records(until=until)) == everything[:until]

    def test_3_more_than_one_tile(self, store: Store) -> None:
        """The order holds, and proofs too, where the tree's tiles overflow."""
        for number in range(258):
            write(store, draft(number))
        assert [record.actor for record in store.records()] == [f"actor-{number}" for number in range(258)]
        assert self.erased_in(dict(store.export())) == 0

    def test_4_time_does_not_go_back(self, store: Store) -> None:
        """The same instant is fine, an earlier one is refused and leaves nothing."""
        write(store, draft(0, at=START))
        write(store, draft(1, at=START))
        with pytest.raises(ClockWentBack):
            write(store, draft(2, at=START - timedelta(microseconds=1)))
        assert store.head().size == 2
        assert write(store, draft(2, at=START)).index == 2

    def test_5_an_exception_leaves_nothing(self, store: Store) -> None:
        """The exception passes unchanged; entry and attachment are gone; the next unit takes the same index."""
        write(store, draft(0))
        before = (store.head(), list(store.records()))

        def begin_and_leave() -> None:
            with store.unit_of_work() as unit:
                last_words(unit, draft(1), b"lost")
                raise Abandoned

        with pytest.raises(Abandoned):
            begin_and_leave()
        assert (store.head(), list(store.records())) == before
        with pytest.raises(StoreBroken):
            store.blob(digest_bytes(b"lost"))
        assert write(store, draft(1)).index == 1

    def test_6_concurrent_writers_take_turns(self, opened: Opener) -> None:
        """Two stores at one place, two threads each: all units succeed, with indexes 0, 1, 2 and so on."""
        stores = [opened(), opened()]
        receipts: list[Receipt] = []

        def work(store: Store) -> None:
            receipts.extend(write(store, draft(0, at=START)) for _ in range(8))

        threads = [threading.Thread(target=work, args=(store,)) for store in stores for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(receipt.index for receipt in receipts) == list(range(32))
        assert self.erased_in(dict(stores[0].export())) == 0

    def test_6_nothing_slips_in_between_reading_and_appending(self, opened: Opener) -> None:
        """What a unit read is still all there is when it appends, and it sees its own entry then."""
        first, second = opened(), opened()
        waiting = threading.Thread(target=write, args=(second, draft(1)))
        with first.unit_of_work() as unit:
            assert (unit.head().size, list(unit.records())) == (0, [])
            waiting.start()
            waiting.join(timeout=0.2)
            assert waiting.is_alive(), "the other writer did not wait"
            assert unit.append(draft(0)).index == 0
            assert [record.index for record in unit.records()] == [unit.head().size - 1] == [0]
        waiting.join()
        assert [record.actor for record in first.records()] == ["actor-0", "actor-1"]

    def test_7_attachments_come_back_byte_for_byte(self, store: Store) -> None:
        """Also the empty one, and one that is no text."""
        kept = [b"", bytes(range(256)), b"\x00" * 300_000]
        write(store, draft(0), *kept)
        assert [store.blob(digest_bytes(data)) for data in kept] == kept

    def test_7_equal_bytes_are_kept_once(self, store: Store) -> None:
        """In one unit and across units, the digest is the same and the bundle carries one copy."""
        with store.unit_of_work() as unit:
            assert unit.put_blob(b"same") == unit.put_blob(b"same") == digest_bytes(b"same")
            unit.append(draft(0))
        write(store, draft(1), b"same", b"other")
        assert sorted(data for name, data in store.export() if name.startswith("blobs/")) == [b"other", b"same"]

    def test_7_an_unknown_attachment_is_an_error(self, store: Store) -> None:
        """Neither an unknown digest nor a text that is none."""
        for digest in (digest_bytes(b"never kept"), "nonsense"):
            with pytest.raises(StoreBroken):
                store.blob(digest)

    def test_8_death_loses_nothing_acknowledged(self, place: Path, opened: Opener) -> None:
        """What was acknowledged is there and verifies; of the unit that died nothing is; the next one works."""
        drafts = [draft(number) for number in range(4)]
        acknowledged = self.die_inside_a_unit(place, drafts, b"in the last unit")
        store = opened()
        assert [drafted(record) for record in store.records()] == drafts[:3]
        assert [receipt.index for receipt in acknowledged] == [0, 1, 2]
        with pytest.raises(StoreBroken):
            store.blob(digest_bytes(b"in the last unit"))
        assert self.erased_in(dict(store.export())) == 0
        assert write(store, drafts[3]).index == 3

    def test_9_an_erased_payload_reads_as_erased(self, opened: Opener) -> None:
        """Only that payload is gone, for every reader, and proofs hold; erasing again does no harm."""
        store = opened()
        one = draft(1, kind=RecordKind.EVIDENCE_RECORDED)
        for each in (draft(0), one, draft(2)):
            write(store, each)
        for size in (4, 5):
            assert erase(store, 1, at=LATER).size == store.head().size == size
            assert self.erased_in(dict(store.export())) == 1
        records = opened().records()
        assert [record.payload for record in records[:3]] == [{"number": 0}, None, {"number": 2}]
        assert (records[1].actor, records[1].at) == (one.actor, one.at)
        assert write(store, draft(5, at=LATER)).index == 5

    def test_9_an_erasure_is_on_record(self, store: Store) -> None:
        """Which, who, when, why, and for which use case; the receipt is that entry's."""
        write(store, draft(1, kind=RecordKind.WAIVER_APPROVED))
        receipt = erase(store, 0, at=LATER)
        assert drafted(store.records()[receipt.index]) == Draft(
            kind=RecordKind.PAYLOAD_ERASED,
            at=LATER,
            actor="eraser",
            use_case_id=draft(1).use_case_id,
            subject="0",
            payload={"index": 0, "reason": "asked for"},
        )

    def test_9_what_everything_rests_on_stays(self, store: Store) -> None:
        """Who is registered, what was decided by which rules, and what was erased: refused, and nothing is left behind."""
        lasting = sorted(NEVER_ERASED - {RecordKind.PAYLOAD_ERASED}, key=lambda kind: kind.value)
        for number, kind in enumerate([*lasting, RecordKind.GAP_DEFERRED]):
            write(store, draft(number, kind=kind))
        erase(store, len(lasting), at=LATER)
        before = (store.head(), list(store.records()))
        for index in (*range(len(lasting)), len(lasting) + 1):
            with pytest.raises(PolicyRefusal):
                erase(store, index, at=LATER)
        assert (store.head(), list(store.records())) == before

    def test_9_an_erasure_that_cannot_be_recorded_erases_nothing(self, store: Store) -> None:
        """Both in one transaction: a clock that went back leaves the payload where it is."""
        write(store, draft(1, kind=RecordKind.EVIDENCE_RECORDED))
        with pytest.raises(ClockWentBack):
            erase(store, 0, at=START)
        assert (store.head().size, store.records()[0].payload) == (1, {"number": 1})

    @pytest.mark.parametrize("index", [-1, 1, 2**40])
    def test_9_erasing_needs_an_entry(self, store: Store, index: int) -> None:
        """There is nothing to erase before the first entry and after the last."""
        write(store, draft(0, kind=RecordKind.EVIDENCE_RECORDED))
        with pytest.raises(StoreBroken):
            erase(store, index, at=LATER)
        assert (store.head().size, store.records()[0].payload) == (1, {"number": 0})
