"""Sealing payloads. Owns the sealed form and the payload key's file; where sealed payloads lie is the ledger's business.

A sealed payload is ``nonce (12 bytes) | AES-256-GCM(salt (32 bytes) | payload)`` with the id in its leaf as additional
data. The leaf commits to ``SHA-256(salt | payload)``, so erasing the sealed bytes leaves a digest that proves nothing.

Rules kept here:
1. No nonce occurs twice under one key: six unpredictable bytes of the process, then a count (NIST SP 800-38D, 8.2.1).
   Random nonces would allow 2**32 records only, which a busy gateway writes in days.
2. A key file that others may read is not used.
"""

import hashlib
import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from roadworthy.base.errors import LedgerBroken, MissingFile, ParameterError
from roadworthy.base.ids import quick_salt, salt_bytes
from roadworthy.ledger.entry import SALT_BYTES

KEY_BYTES = 32
NONCE_BYTES = 12
_PROCESS_BYTES = 6


class Sealer:
    """Seals payloads with one key. One for each process: two that share a key differ in their nonces' first half."""

    def __init__(self, key: bytes) -> None:
        _require_key(key)
        self._cipher = AESGCM(key)
        self._process = salt_bytes(_PROCESS_BYTES)
        self._count = 0

    def seal(self, payload: bytes, aad: bytes) -> tuple[str, bytes, int]:
        """Commitment, sealed bytes and length of the payload. ``aad`` is the id in the leaf."""
        self._count += 1
        nonce = self._process + self._count.to_bytes(NONCE_BYTES - _PROCESS_BYTES, "big")
        salted = quick_salt() + payload
        commitment = "sha256:" + hashlib.sha256(salted).hexdigest()
        return commitment, nonce + self._cipher.encrypt(nonce, salted, aad), len(payload)

    @staticmethod
    def commit_only(payload: bytes) -> tuple[str, bytes, int]:
        """As ``seal``, but nothing is kept: the salt is forgotten, so the commitment is a mere placeholder of its length.

        Nobody can open it again, and nobody can test guesses against it.
        """
        return "sha256:" + hashlib.sha256(quick_salt() + payload).hexdigest(), b"", len(payload)


def unseal(key: bytes, sealed: bytes, aad: bytes) -> tuple[bytes, bytes]:
    """Salt and payload of what ``Sealer.seal`` made.

    Raises:
        ParameterError: the key is not 32 bytes (RW-114).
        LedgerBroken: another key, another id, or changed bytes (RW-503).
    """
    _require_key(key)
    try:
        salted = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        remedy = "Check the key and the id; if both are right, the payload was changed or erased."
        raise LedgerBroken("A sealed payload does not open.", remedy=remedy) from error
    if len(salted) < SALT_BYTES:
        raise LedgerBroken("A sealed payload holds no salt.", remedy="It was not written by this gateway.")
    return salted[:SALT_BYTES], salted[SALT_BYTES:]


def load_key(path: Path) -> bytes:
    """The 32 bytes of a key file.

    Raises:
        MissingFile: it cannot be opened (RW-102).
        ParameterError: not 32 bytes, or others than its owner may read it (RW-114).
    """
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            key = stream.read(KEY_BYTES + 1)
    except OSError as error:
        what = f"The key file cannot be read: {error.strerror}."
        raise MissingFile(what, remedy="Make one with 'roadworthy gateway init'.", where=str(path)) from error
    if mode & 0o077:
        raise ParameterError(f"The key file has mode {mode:04o}.", remedy="Run chmod 600 on it.", where=str(path))
    _require_key(key, str(path))
    return key


def make_key(path: Path) -> bytes:
    """Write a new key file with mode 0600, never over another file, and return the key.

    Raises:
        ParameterError: the file exists or cannot be written (RW-114).
    """
    key = salt_bytes(KEY_BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        remedy = "Name a new file in a folder that you may write."
        what = f"The key file cannot be made: {error.strerror}."
        raise ParameterError(what, remedy=remedy, where=str(path)) from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key)
        stream.flush()
        os.fsync(stream.fileno())
    return key


def _require_key(key: bytes, where: str | None = None) -> None:
    if len(key) != KEY_BYTES:
        what = f"A payload key has {KEY_BYTES} bytes, not {len(key)}."
        raise ParameterError(what, remedy="Make one with 'roadworthy gateway init'.", where=where)
