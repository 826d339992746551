"""From an entry and its payload to a record."""

import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import LedgerBroken, StoreBroken
from roadworthy.domain.record import RecordKind
from roadworthy.kit.testing.store_suite import START
from roadworthy.ledger.entry import Entry, commit, leaf_bytes
from roadworthy.ledger.layout import Sealed
from roadworthy.ledger.merkle import EMPTY_ROOT
from roadworthy.store.records import Held, read_leaf, record_of, require_root

SALT = b"s" * 32


def held(payload=b"{}", *, kind="bundle.exported", size=None):
    entry = Entry(
        kind=kind,
        at=START,
        actor="actor",
        use_case="use-case",
        subject="subject",
        commitment=commit(SALT, payload),
        size=len(payload) if size is None else size,
    )
    return Held(4, leaf_bytes(entry), entry, Sealed(SALT, payload))


def test_a_record_says_what_the_entry_says():
    """All members, and the payload as JSON."""
    record = record_of(held(canonical_bytes({"members": 3})))
    assert (record.index, record.kind, record.at) == (4, RecordKind.BUNDLE_EXPORTED, START)
    assert (record.actor, record.use_case_id, record.subject) == ("actor", "use-case", "subject")
    assert record.payload == {"members": 3}


def test_an_erased_payload_is_none():
    """The rest of the record stays."""
    whole = held()
    record = record_of(Held(whole.index, whole.leaf, whole.entry, None))
    assert (record.payload, record.actor) == (None, "actor")


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda whole: Held(4, whole.leaf, whole.entry, Sealed(SALT, b"{ }")),
        lambda whole: Held(4, whole.leaf, whole.entry, Sealed(b"t" * 32, b"{}")),
        lambda whole: Held(4, whole.leaf, whole.entry, Sealed(b"short", b"{}")),
        lambda whole: held(size=3),
        lambda whole: held(b"{ }"),
        lambda whole: held(b"not JSON"),
        lambda whole: held(b"[]"),
    ],
)
def test_a_payload_that_does_not_belong_is_named(spoilt):
    """Another payload, salt or size; or one that no store writes, although committed to."""
    with pytest.raises(LedgerBroken) as caught:
        record_of(spoilt(held()))
    assert caught.value.where == "entry 4"


def test_a_kind_of_a_newer_version_is_told():
    """It is not skipped: what it says might matter."""
    with pytest.raises(StoreBroken, match="moon"):
        record_of(held(kind="moon.landed"))


def test_a_malformed_leaf_is_named():
    """The parser knows no index; the store does."""
    with pytest.raises(LedgerBroken) as caught:
        read_leaf(9, b"{}")
    assert caught.value.where == "entry 9"


def test_the_root_decides():
    """Over no entries, too."""
    require_root([], EMPTY_ROOT)
    with pytest.raises(LedgerBroken):
        require_root([held().leaf], EMPTY_ROOT)
