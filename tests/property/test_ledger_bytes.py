"""Properties of the byte forms: entries, envelopes, checkpoints and containers come back as they went in."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.base.canonical import MAX_SAFE_INTEGER
from roadworthy.ledger.bundle import pack, unpack
from roadworthy.ledger.checkpoint import Checkpoint, CheckpointSigner, open_checkpoint
from roadworthy.ledger.dsse import envelope_from_bytes, sign, verify
from roadworthy.ledger.entry import Entry, commit, leaf_bytes, parse
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.layout import Sealed, parse_payload_member, payload_member

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
seeds = st.binary(min_size=32, max_size=32)
instants = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC))
names = st.from_regex(r"[a-z0-9_.-]{1,8}(/[a-z0-9_.-]{1,8}){0,2}", fullmatch=True)


@given(texts.filter(bool), instants, texts, texts, texts, seeds, st.integers(0, MAX_SAFE_INTEGER))
def test_entries(kind: str, at: datetime, actor: str, use_case: str, subject: str, salt: bytes, size: int) -> None:
    """A leaf is read as the entry that wrote it."""
    entry = Entry(
        kind=kind, at=at, actor=actor, use_case=use_case, subject=subject, commitment=commit(salt, b""), size=size
    )
    assert parse(leaf_bytes(entry)) == entry


@given(texts, st.binary(max_size=64), st.lists(seeds, min_size=1, max_size=3))
def test_envelopes(kind: str, payload: bytes, secrets: list[bytes]) -> None:
    """An envelope is read as it was signed, and every signer verifies."""
    keys = [key_from_seed(secret) for secret in secrets]
    envelope = envelope_from_bytes(sign(kind, payload, keys).to_bytes())
    known = {key.public.keyid: key.public for key in keys}
    assert envelope.payload == payload
    assert set(verify(envelope, known)) == set(known)


@given(st.integers(0, 10**17), seeds, seeds)
def test_checkpoints(size: int, root: bytes, secret: bytes) -> None:
    """A note is read as the checkpoint that was signed."""
    signer = CheckpointSigner("ledger.example", key_from_seed(secret))
    expected = Checkpoint(origin="ledger.example", size=size, root=root)
    assert open_checkpoint(signer.sign(size, root), [signer.verifier]) == expected


@given(seeds, st.binary(max_size=64))
def test_payload_members(salt: bytes, payload: bytes) -> None:
    """A payload comes back with its salt."""
    assert parse_payload_member(payload_member(Sealed(salt, payload))) == Sealed(salt, payload)


@given(st.dictionaries(names, st.binary(max_size=40), max_size=5), st.data())
def test_containers(members: dict[str, bytes], data: st.DataObject) -> None:
    """A container gives its members back, and any other bytes have a fault."""
    packed = pack(members)
    assert unpack(packed) == (members, None)
    offset = data.draw(st.integers(0, len(packed) - 1))
    other = bytearray(packed)
    other[offset] ^= data.draw(st.integers(1, 255))
    assert unpack(bytes(other)).fault
    assert unpack(packed[:offset]).fault
