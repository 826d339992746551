"""A bundle behind the door of a store."""

import pytest

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import BundleBroken, LedgerBroken, MissingFile, SignatureBroken, StoreBroken
from roadworthy.kit.testing.store_suite import LATER, PAYLOADS, draft, erase, write
from roadworthy.ledger.bundle import write_bundle
from roadworthy.ledger.checkpoint import CheckpointSigner
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.layout import Sealed, payload_member
from roadworthy.ledger.tiles import entry_bundle, parse_entry_bundle
from roadworthy.store.bundle_reader import BundleReader

STRANGER = CheckpointSigner("roadworthy/unit", key_from_seed(b"S" * 32))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bundle.zip"


@pytest.fixture
def members(filled):
    return dict(filled.export())


def test_a_bundle_reads_like_its_store(filled, path):
    """Records, prefixes, head, attachments and export are the same, an erased payload included."""
    for number, payload in enumerate(PAYLOADS, start=3):
        write(filled, draft(number, payload=payload))
    erase(filled, 1, at=LATER)
    write_bundle(path, dict(filled.export()))
    reader = BundleReader(path)
    for until in (None, -1, 0, 2, 8, 9, 99):
        assert list(reader.records(until=until)) == list(filled.records(until=until))
    assert reader.head() == filled.head()
    assert reader.blob(digest_bytes(b"attached")) == b"attached"
    assert dict(reader.export()) == dict(filled.export())


def test_more_than_one_tile(store, path):
    """Entries of all bundles of entries, in order."""
    for number in range(300):
        write(store, draft(number))
    write_bundle(path, dict(store.export()))
    assert list(BundleReader(path).records()) == list(store.records())


def test_an_empty_ledger_can_be_read(store, path):
    """Nothing is on record, and that is signed."""
    write_bundle(path, dict(store.export()))
    reader = BundleReader(path)
    assert (list(reader.records()), reader.head()) == ([], store.head())


def test_an_unknown_attachment_is_an_error(path, members):
    """As in the store."""
    write_bundle(path, members)
    with pytest.raises(StoreBroken, match="no such"):
        BundleReader(path).blob(digest_bytes(b"never"))


def test_a_changed_attachment_is_an_error(path, members):
    """Its name is its digest."""
    write_bundle(path, {**members, "blobs/" + digest_bytes(b"attached")[7:]: b"other"})
    with pytest.raises(StoreBroken, match="changed"):
        BundleReader(path).blob(digest_bytes(b"attached"))


def test_the_readers_own_key_decides(path, members):
    """A bundle that was signed anew by somebody else does not open under the pinned key."""
    write_bundle(path, members)
    pinned = members["log.vkey"].decode()
    assert BundleReader(path, vkey=pinned).head().size == 3
    with pytest.raises(SignatureBroken):
        BundleReader(path, vkey=STRANGER.verifier.text())


def test_a_missing_file_is_named(path):
    """Nothing was exported there."""
    with pytest.raises(MissingFile):
        BundleReader(path)


def test_a_changed_byte_is_found(path, members):
    """Before anything is read from it."""
    write_bundle(path, members)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleBroken):
        BundleReader(path)


def test_entries_in_another_order_are_found_by_the_root(path, members):
    """Each entry is whole, and the payloads moved with them."""
    first, second, third = parse_entry_bundle(members["tile/entries/000.p/3"])
    members["tile/entries/000.p/3"] = entry_bundle([second, first, third])
    members["payloads/0.json"], members["payloads/1.json"] = members["payloads/1.json"], members["payloads/0.json"]
    write_bundle(path, members)
    with pytest.raises(LedgerBroken, match="root"):
        BundleReader(path)


def opened_and_read(path):
    BundleReader(path).records()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"checkpoint": None}, BundleBroken),
        ({"checkpoint": b"\xff"}, BundleBroken),
        ({"checkpoint": STRANGER.sign(3, bytes(32)).encode()}, SignatureBroken),
        ({"log.vkey": None}, BundleBroken),
        ({"log.vkey": b"nonsense"}, SignatureBroken),
        ({"tile/entries/000.p/3": None}, BundleBroken),
        ({"tile/entries/000.p/3": b""}, LedgerBroken),
        ({"tile/entries/000.p/3": b"\x00\x02{}" * 3}, LedgerBroken),
        ({"tile/entries/000.p/3": b"\x00"}, LedgerBroken),
        ({"payloads/1.json": None}, BundleBroken),
        ({"payloads/1.json": b"{}"}, BundleBroken),
        ({"payloads/1.json": payload_member(Sealed(b"s" * 32, b'{"number":1}'))}, LedgerBroken),
    ],
)
def test_a_bundle_made_again_is_found_by_what_it_holds(path, members, change, error):
    """The container is canonical; a member is missing, malformed or another one."""
    members.update(change)
    write_bundle(path, {name: data for name, data in members.items() if data is not None})
    with pytest.raises(error):
        opened_and_read(path)
