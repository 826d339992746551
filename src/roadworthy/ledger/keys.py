"""Ed25519 keys. Owns making, keeping and naming them; what a signature means belongs to ``dsse`` and ``checkpoint``.

Rules kept here:
1. A private key is written once, for its owner's eyes only (mode 0600), and never over another file.
2. A key is named by its digest, so a name cannot be claimed for another key.
"""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from roadworthy.base.errors import InputError, MissingFile, ReauthenticationFailed, SignatureBroken, UnreadableData
from roadworthy.base.ids import salt_bytes

PUBLIC_KEY_BYTES = 32
MAX_PASSPHRASE_BYTES = 1023
"""What the cryptographic library takes; it refuses more, also when it reads."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key: 32 raw bytes.

    Raises:
        SignatureBroken: not 32 bytes (RW-502).
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != PUBLIC_KEY_BYTES:
            what = f"An Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, not {len(self.raw)}."
            raise SignatureBroken(what, remedy="Register the key again from its file.")

    @classmethod
    def from_hex(cls, text: str) -> "PublicKey":
        """Read 64 lower-case hex digits.

        Raises:
            SignatureBroken: anything else (RW-502).
        """
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        if raw.hex() != text:
            remedy = "Give 64 lower-case hex digits."
            raise SignatureBroken(f"{text[:80]!r} is not a public key in hex.", remedy=remedy)
        return cls(raw)

    @property
    def hex(self) -> str:
        """The 64 hex digits in which the ledger registers the key."""
        return self.raw.hex()

    @property
    def keyid(self) -> str:
        """``ed25519:`` and the first 32 hex digits of the SHA-256 of the raw key."""
        return "ed25519:" + hashlib.sha256(self.raw).hexdigest()[:32]

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's over ``message`` (RFC 8032, pure Ed25519)."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 private key. Its text form never shows the secret."""

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The key that others verify with."""
        return PublicKey(self.private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """64 bytes; the same message always gives the same signature (RFC 8032)."""
        return self.private.sign(message)


def generate_key() -> SigningKey:
    """A new key from the machine's randomness."""
    return key_from_seed(salt_bytes(32))


def key_from_seed(seed: bytes) -> SigningKey:
    """The key that RFC 8032 derives from 32 secret bytes.

    Raises:
        InputError: not 32 bytes (RW-100).
    """
    try:
        return SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    except ValueError as error:
        remedy = "Give 32 unpredictable bytes."
        raise InputError(f"A seed of {len(seed)} bytes makes no Ed25519 key.", remedy=remedy) from error


def save_key(key: SigningKey, path: Path, *, passphrase: bytes | None = None) -> None:
    """Write the key as PEM PKCS #8, encrypted if there is a passphrase, with mode 0600.

    Raises:
        InputError: the file exists already, nothing is overwritten; or the passphrase is too long (RW-100).
        MissingFile: the folder does not exist or cannot be written (RW-102).
    """
    _require_short(passphrase)
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    form = serialization.PrivateFormat.PKCS8
    pem = key.private.private_bytes(serialization.Encoding.PEM, form, encryption)
    try:
        # O_EXCL decides and creates in one step: no other process can slip a file in between.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        remedy = "Choose another path; a key is never overwritten."
        raise InputError("The file exists already.", remedy=remedy, where=str(path)) from error
    except OSError as error:
        remedy = "Create the folder, and check that you may write there."
        raise MissingFile(f"The key cannot be written: {error.strerror}.", remedy=remedy, where=str(path)) from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(pem)
        stream.flush()
        os.fsync(descriptor)


def load_key(path: Path, *, passphrase: bytes | None = None) -> SigningKey:
    """Read a key that ``save_key`` wrote.

    Raises:
        MissingFile: the file does not exist or cannot be opened (RW-102).
        InputError: the passphrase is longer than any key can have (RW-100).
        UnreadableData: not an Ed25519 key in PEM PKCS #8 (RW-103).
        ReauthenticationFailed: the passphrase is missing, wrong, or not needed (RW-306).
    """
    _require_short(passphrase)
    try:
        pem = path.read_bytes()
    except OSError as error:
        remedy = "Check the path; a new key is made with its own command."
        raise MissingFile(f"The key cannot be read: {error.strerror}.", remedy=remedy, where=str(path)) from error
    encrypted = b"BEGIN ENCRYPTED PRIVATE KEY" in pem
    if encrypted != bool(passphrase):
        what = "The key is encrypted and needs its passphrase." if encrypted else "The key has no passphrase."
        raise ReauthenticationFailed(what, remedy="Give the passphrase exactly when there is one.", where=str(path))
    try:
        private = serialization.load_pem_private_key(pem, passphrase or None)
    except (ValueError, UnsupportedAlgorithm) as error:
        if encrypted:
            remedy = "Type the passphrase again."
            raise ReauthenticationFailed("The passphrase is wrong.", remedy=remedy, where=str(path)) from error
        raise _not_a_key(path) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _not_a_key(path)
    return SigningKey(private)


def _require_short(passphrase: bytes | None) -> None:
    if passphrase and len(passphrase) > MAX_PASSPHRASE_BYTES:
        what = f"The passphrase has {len(passphrase)} bytes, more than {MAX_PASSPHRASE_BYTES}."
        raise InputError(what, remedy="Choose a shorter one; a few random words are enough.")


def _not_a_key(path: Path) -> UnreadableData:
    return UnreadableData("This is not an Ed25519 key in PEM PKCS #8.", remedy="Make a new key.", where=str(path))
