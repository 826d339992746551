import pytest

from roadworthy.base.errors import LedgerBroken, MissingFile, ParameterError
from roadworthy.gateway.sealing import NONCE_BYTES, Sealer, load_key, make_key, unseal

KEY = bytes(range(32))


def test_no_nonce_occurs_twice():
    """One process counts, two differ in the first half."""
    one, other = Sealer(KEY), Sealer(KEY)
    nonces = [sealer.seal(b"x", b"id")[1][:NONCE_BYTES] for sealer in (one, other) for _ in range(500)]
    assert len(set(nonces)) == 1_000 and nonces[0][:6] != nonces[-1][:6]


def test_equal_payloads_have_different_commitments():
    """The salt makes guesses useless."""
    sealer = Sealer(KEY)
    assert sealer.seal(b"yes", b"id")[0] != sealer.seal(b"yes", b"id")[0]
    assert sealer.commit_only(b"yes")[0] != sealer.commit_only(b"yes")[0]


@pytest.mark.parametrize("change", ["key", "aad", "bit", "short", "empty"])
def test_what_was_changed_does_not_open(change):
    """Another key, another id, one bit, a cut, an erasure."""
    sealed = Sealer(KEY).seal(b"payload", b"id")[1]
    key = bytes(32) if change == "key" else KEY
    aad = b"other" if change == "aad" else b"id"
    damaged = {"bit": sealed[:-1] + bytes([sealed[-1] ^ 1]), "short": sealed[:20], "empty": b""}
    with pytest.raises(LedgerBroken):
        unseal(key, damaged.get(change, sealed), aad)


def test_a_payload_without_room_for_a_salt_is_none_of_ours():
    """It opens, but nobody can check a commitment with it."""
    nonce = bytes(NONCE_BYTES)
    sealed = nonce + Sealer(KEY)._cipher.encrypt(nonce, b"short", b"id")
    with pytest.raises(LedgerBroken, match="no salt"):
        unseal(KEY, sealed, b"id")


def test_a_key_file_is_made_once_for_its_owner(tmp_path):
    """Mode 0600, 32 bytes, never over another file."""
    path = tmp_path / "payload.key"
    key = make_key(path)
    assert load_key(path) == key and len(key) == 32 and path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ParameterError, match="cannot be made"):
        make_key(path)
    assert load_key(path) == key


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    """A payload key that leaked is no payload key."""
    path = tmp_path / "payload.key"
    make_key(path)
    path.chmod(0o640)
    with pytest.raises(ParameterError, match="0640"):
        load_key(path)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(tmp_path, size):
    """Read, given or used."""
    path = tmp_path / "payload.key"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(ParameterError):
        load_key(path)
    with pytest.raises(ParameterError):
        Sealer(bytes(size))


def test_a_missing_key_file_says_so(tmp_path):
    """With its path."""
    with pytest.raises(MissingFile) as caught:
        load_key(tmp_path / "none.key")
    assert caught.value.where.endswith("none.key")
