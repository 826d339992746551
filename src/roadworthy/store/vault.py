"""Payloads at rest. Owns their encryption: a key for each entry, itself encrypted by the store's key.

Whoever deletes an entry's key has made its payload unreadable in every copy of the ciphertext; the commitment in the
leaf stays, so proofs still verify. Keeping the store's key safe is left to who opens the store.

Rules kept here:
1. A data key encrypts one payload, once: AES-256-GCM, so a changed ciphertext is noticed (NIST SP 800-38D).
2. The entry's index and commitment are authenticated too: a ciphertext cannot be moved to another entry.
3. A data key is wrapped by AES key wrap (RFC 3394), which needs no nonce and notices another key or a changed text.
"""

from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from roadworthy.base.errors import LedgerBroken, StoreBroken
from roadworthy.base.ids import salt_bytes

KEY_BYTES = 32
_NONCE_BYTES = 12


class Locked(NamedTuple):
    """A payload as it is stored."""

    nonce: bytes
    ciphertext: bytes
    wrapped_key: bytes


class Vault:
    """Locks and unlocks payloads.

    Args:
        store_key: 32 secret bytes; its text form never shows them.

    Raises:
        StoreBroken: not 32 bytes (RW-505).
    """

    def __init__(self, store_key: bytes) -> None:
        if len(store_key) != KEY_BYTES:
            what = f"A payload key has {KEY_BYTES} bytes, not {len(store_key)}."
            raise StoreBroken(what, remedy="Restore the store's key file from a backup.")
        self._store_key = store_key

    def lock(self, index: int, commitment: str, payload: bytes) -> Locked:
        """Encrypt the payload of entry ``index`` under a new data key."""
        data_key, nonce = salt_bytes(KEY_BYTES), salt_bytes(_NONCE_BYTES)
        ciphertext = AESGCM(data_key).encrypt(nonce, payload, _bound(index, commitment))
        return Locked(nonce, ciphertext, aes_key_wrap(self._store_key, data_key))

    def unlock(self, index: int, commitment: str, locked: Locked) -> bytes:
        """Decrypt it again.

        Raises:
            StoreBroken: the data key was wrapped by another store key, or changed (RW-505).
            LedgerBroken: the ciphertext was changed, or belongs to another entry (RW-503), with the index.
        """
        data_key = self.unwrap(index, locked.wrapped_key)
        try:
            return AESGCM(data_key).decrypt(locked.nonce, locked.ciphertext, _bound(index, commitment))
        except (InvalidTag, ValueError) as error:
            remedy = "Do not trust this store; compare it with a copy that verifies."
            what = f"The stored payload of entry {index} was changed."
            raise LedgerBroken(what, remedy=remedy, where=f"entry {index}") from error

    def unwrap(self, index: int, wrapped_key: bytes) -> bytes:
        """The data key of entry ``index``.

        Raises:
            StoreBroken: it was wrapped by another store key, or changed (RW-505).
        """
        try:
            return aes_key_unwrap(self._store_key, wrapped_key)
        except (InvalidUnwrap, ValueError) as error:
            what = f"The payload key given does not open entry {index}."
            remedy = "Restore the key file that belongs to this store."
            raise StoreBroken(what, remedy=remedy, where=f"entry {index}") from error


def _bound(index: int, commitment: str) -> bytes:
    return f"roadworthy payload {index} {commitment}".encode()
