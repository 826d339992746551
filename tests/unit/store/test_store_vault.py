"""Payloads at rest."""

import pytest

from roadworthy.base.errors import LedgerBroken, StoreBroken
from roadworthy.store.vault import Locked, Vault

COMMITMENT = "sha256:" + "c" * 64


@pytest.fixture
def vault():
    return Vault(b"K" * 32)


def flipped(data, place=0):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("payload", [b"", b"x", b"payload" * 5_000])
def test_what_was_locked_is_unlocked(vault, payload):
    """Any length comes back, and is not to be seen meanwhile."""
    locked = vault.lock(7, COMMITMENT, payload)
    assert vault.unlock(7, COMMITMENT, locked) == payload
    assert len(payload) < 4 or payload not in locked.ciphertext


def test_equal_payloads_look_different(vault):
    """Each has a key and a nonce of its own."""
    first, second = vault.lock(1, COMMITMENT, b"same"), vault.lock(1, COMMITMENT, b"same")
    assert all(a != b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("spoilt", ["nonce", "ciphertext"])
def test_a_changed_ciphertext_is_found(vault, spoilt):
    """The tag covers text and nonce; the entry is named."""
    locked = vault.lock(7, COMMITMENT, b"payload")
    with pytest.raises(LedgerBroken, match="entry 7"):
        vault.unlock(7, COMMITMENT, locked._replace(**{spoilt: flipped(getattr(locked, spoilt))}))


@pytest.mark.parametrize(("index", "commitment"), [(8, COMMITMENT), (7, "sha256:" + "d" * 64)])
def test_a_moved_ciphertext_is_found(vault, index, commitment):
    """Key, nonce and text together do not open under another entry."""
    locked = vault.lock(7, COMMITMENT, b"payload")
    with pytest.raises(LedgerBroken):
        vault.unlock(index, commitment, locked)


def test_a_malformed_nonce_is_found(vault):
    """What AES-GCM cannot even take is the same error."""
    with pytest.raises(LedgerBroken):
        vault.unlock(7, COMMITMENT, vault.lock(7, COMMITMENT, b"payload")._replace(nonce=b""))


@pytest.mark.parametrize("change", [flipped, lambda key: key[:-1], lambda key: b""])
def test_a_changed_key_is_found(vault, change):
    """AES key wrap notices it."""
    locked = vault.lock(7, COMMITMENT, b"payload")
    with pytest.raises(StoreBroken, match="entry 7"):
        vault.unlock(7, COMMITMENT, locked._replace(wrapped_key=change(locked.wrapped_key)))


def test_another_store_key_opens_nothing(vault):
    """The remedy is the key file, not the payload."""
    locked = vault.lock(7, COMMITMENT, b"payload")
    with pytest.raises(StoreBroken, match="key file"):
        Vault(b"Q" * 32).unlock(7, COMMITMENT, locked)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_store_key_has_32_bytes(length):
    """A short key would silently mean a weaker cipher."""
    with pytest.raises(StoreBroken, match=str(length)):
        Vault(b"K" * length)


def test_unlocking_is_by_the_stored_form(vault):
    """The three columns are all that is needed."""
    locked = Locked(*(bytes(part) for part in vault.lock(0, COMMITMENT, b"payload")))
    assert vault.unlock(0, COMMITMENT, locked) == b"payload"
