"""Cosignatures: what a witness says about a checkpoint. Owns both kinds, their keys, and the policy k of n witnesses.

A witness signs that it saw this tree of this ledger at this time, and nothing of the ledger that contradicts it. Whether
it may say so is decided in ``witness``. Source: https://c2sp.org/tlog-cosignature

Rules kept here:
1. A cosignature by an unknown key is ignored; a bad one by a known key is an error, even beside good ones.
2. A witness counts once, by its name, however many keys it signs with.
3. The log's own key is no witness: without a witness outside of its operator's reach, a policy shows nothing.
"""

import base64
import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from roadworthy.base.errors import DependencyError, LedgerBroken, ParameterError, SignatureBroken
from roadworthy.ledger.checkpoint import (
    NoteSignature,
    key_id,
    parse_checkpoint,
    parse_note,
    require_name,
)
from roadworthy.ledger.keys import SigningKey

MAX_TIMESTAMP_S = 2**63 - 1
ML_DSA_SEED_BYTES = 32
_TIMESTAMP = struct.Struct(">Q")
_LABEL = b"subtree/v1\n\x00"
_MAX_NAME_BYTES = 255
_REMEDY = "Take the cosigned checkpoint again, or ask the witness for its key."


class CosignatureType(IntEnum):
    """The algorithms, by the type byte of their keys."""

    ED25519 = 0x04
    ML_DSA_44 = 0x06


_KEY_BYTES = {CosignatureType.ED25519: 32, CosignatureType.ML_DSA_44: 1_312}


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """The public key of a witness.

    Raises:
        SignatureBroken: the name cannot stand in a signature line, or the key has another length (RW-502).
    """

    name: str
    type: CosignatureType
    raw: bytes

    def __post_init__(self) -> None:
        require_name(self.name)
        if len(self.raw) != _KEY_BYTES[self.type] or len(self.name.encode()) > _MAX_NAME_BYTES:
            what = f"The key of {self.name[:80]} has {len(self.raw)} bytes, not {_KEY_BYTES[self.type]}."
            raise SignatureBroken(what, remedy=_REMEDY)

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name || 0x0A || type || public key)."""
        return key_id(self.name, bytes([self.type]) + self.raw)

    def text(self) -> str:
        """``name+<key id in hex>+base64(type || public key)``: the line that a witness publishes."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.type]) + self.raw).decode('ascii')}"

    def timestamp_s(self, note_text: str, signature: bytes) -> int:
        """The time, in seconds since 1970, at which this key cosigned the text of a checkpoint.

        Raises:
            LedgerBroken: the text is not a checkpoint (RW-503).
            SignatureBroken: it did not (RW-502).
            DependencyError: the cryptographic library was built without ML-DSA (RW-600).
        """
        if len(signature) > _TIMESTAMP.size:
            (at_s,) = _TIMESTAMP.unpack_from(signature)
            if at_s <= MAX_TIMESTAMP_S and self._verifies(note_text, int(at_s), signature[_TIMESTAMP.size :]):
                return int(at_s)
        raise SignatureBroken(f"The cosignature by {self.name} does not verify.", remedy=_REMEDY)

    def _verifies(self, note_text: str, at_s: int, signature: bytes) -> bool:
        message = cosigned_message(self.type, self.name, note_text, at_s)
        try:
            if self.type is CosignatureType.ED25519:
                Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
            else:
                MLDSA44PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        except UnsupportedAlgorithm as error:
            raise _without_ml_dsa() from error
        return True


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness's name with one of its private keys. Its text form never shows the secret."""

    name: str
    private: SigningKey | MLDSA44PrivateKey = field(repr=False)

    @property
    def key(self) -> CosignerKey:
        """The public side."""
        if isinstance(self.private, SigningKey):
            return CosignerKey(self.name, CosignatureType.ED25519, self.private.public.raw)
        return CosignerKey(self.name, CosignatureType.ML_DSA_44, self.private.public_key().public_bytes_raw())

    def cosign(self, note_text: str, at_s: int) -> NoteSignature:
        """The signature over a checkpoint's text at a time in seconds since 1970.

        Raises:
            LedgerBroken: the text is not a checkpoint (RW-503).
        """
        key = self.key
        signature = self.private.sign(cosigned_message(key.type, self.name, note_text, at_s))
        return NoteSignature(self.name, key.key_id, _TIMESTAMP.pack(at_s) + signature)


def ml_dsa_cosigner(name: str, seed: bytes) -> Cosigner:
    """The witness whose ML-DSA-44 key FIPS 204 derives from 32 secret bytes.

    Raises:
        ParameterError: not 32 bytes (RW-114).
        DependencyError: the cryptographic library was built without ML-DSA (RW-600).
    """
    if len(seed) != ML_DSA_SEED_BYTES:
        raise ParameterError(f"A seed of {len(seed)} bytes makes no ML-DSA-44 key.", remedy="Give 32 secret bytes.")
    try:
        return Cosigner(name, MLDSA44PrivateKey.from_seed_bytes(seed))
    except UnsupportedAlgorithm as error:
        raise _without_ml_dsa() from error


def cosigned_message(kind: CosignatureType, name: str, note_text: str, at_s: int) -> bytes:
    """The bytes that are signed.

    Raises:
        LedgerBroken: the text is not a checkpoint (RW-503).
    """
    checkpoint = parse_checkpoint(note_text)
    if kind is CosignatureType.ED25519:
        return f"cosignature/v1\ntime {at_s}\n{note_text}".encode()
    cosigner, origin = name.encode(), checkpoint.origin.encode()
    if not 1 <= len(origin) <= _MAX_NAME_BYTES:
        raise LedgerBroken("The origin is too long to be cosigned.", remedy="Name the ledger in 255 bytes or less.")
    return b"".join(
        (
            _LABEL,
            bytes([len(cosigner)]) + cosigner,
            _TIMESTAMP.pack(at_s),
            bytes([len(origin)]) + origin,
            struct.pack(">QQ", 0, checkpoint.size),
            checkpoint.root,
        )
    )


def parse_cosigner_vkey(text: str) -> CosignerKey:
    """Read the line that ``CosignerKey.text`` writes; one final newline is allowed.

    Raises:
        SignatureBroken: another form, another algorithm, or an id that is not the key's (RW-502).
    """
    line = text.removesuffix("\n")
    name, _, rest = line.partition("+")
    _, _, encoded = rest.partition("+")
    try:
        blob = base64.b64decode(encoded, validate=True)
        kind = CosignatureType(blob[0])
    except (binascii.Error, ValueError, IndexError) as error:
        what = f"{line[:120]!r} is not the line of a witness's key."
        raise SignatureBroken(what, remedy="Give the line that the witness publishes.") from error
    key = CosignerKey(name, kind, blob[1:])
    if key.text() != line:
        what = f"The id in {line[:120]!r} is not the key's."
        raise SignatureBroken(what, remedy="Give the line that the witness publishes.")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A verified statement: this witness saw the checkpoint at this second since 1970."""

    name: str
    at_s: int


def cosignatures(note: str, keys: Sequence[CosignerKey]) -> tuple[Cosignature, ...]:
    """Every cosignature by a known key under a note, verified. The log's own signature is not looked at.

    Raises:
        LedgerBroken: not a note, or its text is not a checkpoint (RW-503).
        SignatureBroken: a cosignature by a known key does not verify (RW-502).
    """
    text, signatures = parse_note(note)
    known = {(key.name, key.key_id): key for key in keys}
    return tuple(
        Cosignature(name=each.name, at_s=key.timestamp_s(text, each.signature))
        for each in signatures
        if (key := known.get((each.name, each.key_id))) is not None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessPolicy:
    """How many of the named witnesses must have cosigned.

    Attributes:
        keys: of the witnesses; one witness may have several.
        quorum: how many different names are needed.

    Raises:
        ParameterError: the quorum is not in [1, number of names] (RW-114).
    """

    keys: tuple[CosignerKey, ...]
    quorum: int

    def __post_init__(self) -> None:
        names = len({key.name for key in self.keys})
        if not 1 <= self.quorum <= names:
            what = f"A quorum of {self.quorum} cannot be met by {names} witnesses."
            raise ParameterError(what, remedy="Ask for at least one, and at most as many as are named.")

    def require(self, note: str) -> tuple[Cosignature, ...]:
        """The cosignatures under a note, when they are enough.

        Raises:
            LedgerBroken: not a checkpoint's note (RW-503).
            SignatureBroken: too few, or a bad one (RW-502).
        """
        found = cosignatures(note, self.keys)
        names = sorted({each.name for each in found})
        if len(names) < self.quorum:
            what = f"{len(names)} of the {self.quorum} witnesses that are needed have cosigned ({', '.join(names)})."
            raise SignatureBroken(what, remedy="Ask for a checkpoint that the witnesses have cosigned.")
        return found


def _without_ml_dsa() -> DependencyError:
    what = "The cryptographic library here was built without ML-DSA-44."
    return DependencyError(what, remedy="Install the wheel of cryptography, which has it, or use Ed25519 witnesses.")
