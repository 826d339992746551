import re

import pytest
from faulty_storage import FaultyStorage, begin, records

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import LedgerBroken, MalformedEvidence, MissingFile, SignatureBroken, StoreBroken
from roadworthy.ledger.dsse import sign
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.tiles import entry_bundle
from roadworthy.ledgerd.acknowledgement import (
    FILE,
    PAYLOAD_TYPE,
    LostBytes,
    acknowledge,
    parse_acknowledged,
    published_leaves,
    read_acknowledged,
)
from roadworthy.ledgerd.frames import FrameReader
from roadworthy.ledgerd.recovery import recover
from roadworthy.ledgerd.segment import segment_name
from roadworthy.ledgerd.writer import SegmentWriter

OPERATOR, STRANGER = key_from_seed(b"o" * 32), key_from_seed(b"s" * 32)
LOST = LostBytes("segments/00000000000000000000.seg", 90, 12, "sha256:" + "a" * 64)


@pytest.fixture
def storage(tmp_path):
    storage = FaultyStorage(tmp_path)
    yield storage
    storage.release()


def damaged(storage, tmp_path, batches, spoil, *, then_empty=None):
    """Write the batches, flip a bit of the frame that holds entry ``spoil``; what the refusal to start says is lost."""
    _, writer = begin(storage)
    for batch in batches:
        writer.commit(records(*batch, payload=b"x" * 900))
    writer.close()
    if then_empty is not None:
        (tmp_path / segment_name(then_empty)).write_bytes(bytes(4096))
    name, offset = recover(storage).frames.locate(spoil)
    data = bytearray((tmp_path / name).read_bytes())
    data[offset + 85] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(LedgerBroken) as caught:
        recover(storage)
    length, digest = re.search(r"(\d+) bytes are damaged \((sha256:\w+)\)", caught.value.what).groups()
    place, _, start = caught.value.where.rpartition(":")
    return LostBytes(place, int(start), int(length), digest)


def leaf(number):
    return records(number)[0].leaf


@pytest.mark.parametrize("spoil", [1, 3])
def test_acknowledged_damage_is_bridged_with_published_leaves(storage, tmp_path, spoil):
    """In the middle of a segment and at its end: the tree is the old one, only the payloads are gone."""
    batches = [(1,), (2, 3), (4,), (5,), (6,)]
    lost = damaged(storage, tmp_path, batches, spoil)
    bundle = tmp_path / "tile" / "entries" / "000.p" / "6"
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(entry_bundle([leaf(number) for number in range(1, 7)]))
    state = recover(
        storage, acknowledged=frozenset({lost}), restore=lambda first, until: published_leaves(tmp_path, first, until)
    )
    reader = FrameReader(storage, state.frames, state.lost_leaves)
    assert [each for _, part in reader.leaves() for each in part] == [leaf(number) for number in range(1, 7)]
    assert state.lost == (lost,)
    assert state.tail.size == 6
    assert reader.read(spoil) is None
    assert reader.read(5) == b"x" * 900
    with pytest.raises(StoreBroken, match="cannot be found"):
        reader.erase(spoil)


def test_the_ledger_goes_on_after_bridged_damage(storage, tmp_path):
    """Also when the damage was the last thing before an empty segment: the next start accepts what came after it."""
    lost = damaged(storage, tmp_path, [(1,), (2,), (3,), (4,)], 3, then_empty=4)
    how = {"acknowledged": frozenset({lost}), "restore": lambda *_: (leaf(4),)}
    state = recover(storage, **how)
    assert (state.tail.size, state.tail.segment) == (4, 4)
    writer = SegmentWriter(storage, state.tail, state.frames, segment_bytes=4096)
    assert writer.commit(records(6)) == 4
    writer.close()
    assert recover(storage, **how).tail.size == 5


def test_acknowledged_damage_without_its_leaves_is_refused(storage, tmp_path):
    """A signature brings nothing back."""
    lost = damaged(storage, tmp_path, [(1,), (2,), (3,)], 1)
    with pytest.raises(LedgerBroken, match="no published bundle"):
        recover(storage, acknowledged=frozenset({lost}))


def test_other_damage_than_the_acknowledged_one_is_refused(storage, tmp_path):
    """The digest is that of the very bytes."""
    lost = damaged(storage, tmp_path, [(1,), (2,), (3,)], 1)
    other = lost._replace(digest="sha256:" + "0" * 64)
    with pytest.raises(LedgerBroken, match="are damaged"):
        recover(storage, acknowledged=frozenset({other}), restore=lambda *_: (leaf(2),))


def test_an_acknowledgement_is_read_back(tmp_path):
    """From the file, signed by an operator."""
    (tmp_path / FILE).write_bytes(acknowledge([LOST], OPERATOR))
    assert read_acknowledged(tmp_path, [OPERATOR.public]) == {LOST}


def test_without_a_file_nothing_is_acknowledged(tmp_path):
    """The usual case."""
    assert read_acknowledged(tmp_path, [OPERATOR.public]) == frozenset()


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    """It is not the same as none."""
    (tmp_path / FILE).mkdir()
    with pytest.raises(MissingFile, match="cannot be read"):
        read_acknowledged(tmp_path, [OPERATOR.public])


def test_only_an_operator_acknowledges():
    """Neither a stranger, nor anybody while no operator is named."""
    data = acknowledge([LOST], STRANGER)
    for operators in ([OPERATOR.public], []):
        with pytest.raises(SignatureBroken):
            parse_acknowledged(data, operators)
    with pytest.raises(MalformedEvidence):
        parse_acknowledged(b"{}", [STRANGER.public])


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (PAYLOAD_TYPE, b"{"),
        (PAYLOAD_TYPE, canonical_bytes([])),
        (PAYLOAD_TYPE, canonical_bytes({"lose": []})),
        (PAYLOAD_TYPE, canonical_bytes({"lost": [{"segment": "x"}]})),
        (PAYLOAD_TYPE, canonical_bytes({"lost": [{**LOST._asdict(), "offset": "90"}]})),
        (PAYLOAD_TYPE, canonical_bytes({"lost": [7]})),
        ("text/plain", canonical_bytes({"lost": []})),
    ],
)
def test_what_an_operator_signed_must_name_lost_bytes(kind, payload):
    """A signature under anything else says nothing here."""
    with pytest.raises(LedgerBroken, match="does not name"):
        parse_acknowledged(sign(kind, payload, [OPERATOR]).to_bytes(), [OPERATOR.public])


def test_published_leaves_come_from_the_widest_bundle(tmp_path):
    """Across bundles, full or partial; None as soon as one leaf is missing."""
    entries = tmp_path / "tile" / "entries"
    (entries / "001.p").mkdir(parents=True)
    leaves = [b"%d" % number for number in range(300)]
    (entries / "000").write_bytes(entry_bundle(leaves[:256]))
    (entries / "001.p" / "9").write_bytes(entry_bundle(leaves[256:265]))
    (entries / "001.p" / "44").write_bytes(entry_bundle(leaves[256:]))
    assert published_leaves(tmp_path, 250, 300) == tuple(leaves[250:300])
    assert published_leaves(tmp_path, 3, 5) == (b"3", b"4")
    assert published_leaves(tmp_path, 250, 301) is None
    assert published_leaves(tmp_path, 600, 601) is None
