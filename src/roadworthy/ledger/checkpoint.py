"""Checkpoints: the signed statement of a ledger's size and root. Owns the C2SP note format and its Ed25519 signatures.

What witnesses sign below belongs to ``cosignature``.

A note is a text that ends in a newline, an empty line, and one line per signature: an em dash, the signer's name, and
base64 of the key's 4-byte id and the signature. Sources: https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint

Rules kept here:
1. A signature by an unknown key is ignored: witnesses may add theirs.
2. A bad signature by a known key is an error, even beside a good one.
3. Without one good signature by a known key nothing of the note is returned.
4. Lines after the root are refused: this ledger writes none, and nothing unread shall be vouched for.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from roadworthy.base.errors import LedgerBroken, SignatureBroken
from roadworthy.ledger.keys import PublicKey, SigningKey
from roadworthy.ledger.merkle import HASH_BYTES

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_SIGNATURE_LINE = re.compile("— ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})")
_REMEDY = "Take the checkpoint again from the ledger."
_KEY_REMEDY = "Give the line that the ledger publishes: name+8 hex digits+base64."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a ledger signs.

    Attributes:
        origin: the name of the ledger, one line without surrounding space.
        size: entries in the tree.
        root: 32 bytes, RFC 6962 root of these entries.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A named public key, by which a note is verified."""

    name: str
    key: PublicKey

    def __post_init__(self) -> None:
        require_name(self.name)

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name || 0x0A || 0x01 || public key)."""
        return key_id(self.name, _ED25519 + self.key.raw)

    def text(self) -> str:
        """``name+<key id in hex>+base64(0x01 || public key)``: the line that a ledger publishes."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.key.raw).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class CheckpointSigner:
    """A ledger's name with its private key."""

    name: str
    key: SigningKey

    @property
    def verifier(self) -> VerifierKey:
        """The public side."""
        return VerifierKey(self.name, self.key.public)

    def sign(self, size: int, root: bytes) -> str:
        """The signed note of a tree, whose origin is this signer's name."""
        text = Checkpoint(origin=self.name, size=size, root=root).text()
        signature = NoteSignature(self.name, self.verifier.key_id, self.key.sign(text.encode()))
        return f"{text}\n{signature.line()}"


class NoteSignature(NamedTuple):
    """One signature under a note, not yet verified."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """The line under the note, with its newline."""
        return f"— {self.name} {base64.b64encode(self.key_id + self.signature).decode('ascii')}\n"


class Note(NamedTuple):
    """A note taken apart: the text with its final newline, and the signatures in their order. Nothing is verified."""

    text: str
    signatures: tuple[NoteSignature, ...]


def key_id(name: str, typed_key: bytes) -> bytes:
    """The 4 bytes that name a key under a note: of SHA-256(name || 0x0A || type byte || public key)."""
    return hashlib.sha256(name.encode() + b"\n" + typed_key).digest()[:_KEY_ID_BYTES]


def require_name(name: str) -> None:
    """Refuse a name that no signature line can carry.

    Raises:
        SignatureBroken: it is empty, or holds space or a plus sign (RW-502).
    """
    if not _NAME.fullmatch(name):
        what = f"{name!r} cannot name a signer of checkpoints."
        raise SignatureBroken(what, remedy="Give a name without spaces and plus signs.")


def parse_note(note: str) -> Note:
    """Take a signed note apart at its last empty line.

    Raises:
        LedgerBroken: not a note, or a line below it is not a signature (RW-503).
    """
    text, separator, tail = note.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise LedgerBroken("This is not a signed note.", remedy=_REMEDY)
    return Note(text + "\n", parse_signatures(tail))


def parse_signatures(lines: str) -> tuple[NoteSignature, ...]:
    """Read lines of signatures, each with its newline.

    Raises:
        LedgerBroken: a line is not one (RW-503).
    """
    return tuple(_signature(line) for line in lines.removesuffix("\n").split("\n"))


def parse_vkey(text: str) -> VerifierKey:
    """Read the line that ``VerifierKey.text`` writes; one final newline is allowed.

    Raises:
        SignatureBroken: another form, another algorithm, or an id that is not the key's (RW-502).
    """
    line = text.removesuffix("\n")
    name, _, rest = line.partition("+")
    _, _, encoded = rest.partition("+")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if blob[:1] != _ED25519:
        raise SignatureBroken(f"{line[:120]!r} is not the line of an Ed25519 key.", remedy=_KEY_REMEDY)
    key = VerifierKey(name, PublicKey(blob[1:]))
    if key.text() != line:
        raise SignatureBroken(f"The id in {line[:120]!r} is not the key's.", remedy=_KEY_REMEDY)
    return key


def open_checkpoint(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Verify a signed note and read its checkpoint.

    Raises:
        LedgerBroken: not a note, or its text is not a checkpoint (RW-503).
        SignatureBroken: no signature by a known key, or a bad one (RW-502).
    """
    # 1. Split the text from the signatures.
    text, signatures = parse_note(note)
    signed = text.encode()
    # 2. Check every signature by a key that is known.
    known = {(key.name, key.key_id): key for key in keys}
    good = 0
    for name, id_of_key, signature in signatures:
        key = known.get((name, id_of_key))
        if key is None:
            continue
        if not key.key.verifies(signed, signature):
            raise SignatureBroken(f"The checkpoint's signature by {name} does not verify.", remedy=_REMEDY)
        good += 1
    # 3. Only then read the text.
    if not good:
        names = ", ".join(key.name for key in keys)
        raise SignatureBroken(f"The checkpoint has no signature by a known key ({names}).", remedy=_REMEDY)
    return parse_checkpoint(text)


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the signed text alone. It proves nothing until its signature was checked.

    Raises:
        LedgerBroken: not exactly origin, size and root (RW-503).
    """
    lines = text.split("\n")
    if len(lines) == 4 and _SIZE.fullmatch(lines[1]):
        try:
            root = base64.b64decode(lines[2], validate=True)
        except (binascii.Error, ValueError):
            root = b""
        checkpoint = Checkpoint(origin=lines[0], size=int(lines[1]), root=root)
        if (
            len(root) == HASH_BYTES
            and checkpoint.origin.isprintable()
            and checkpoint.origin
            and checkpoint.text() == text
        ):
            return checkpoint
    raise LedgerBroken(f"{text[:120]!r} is not the text of a checkpoint.", remedy=_REMEDY)


def _signature(line: str) -> NoteSignature:
    match = _SIGNATURE_LINE.fullmatch(line)
    if match:
        name, encoded = match.groups()
        try:
            blob = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            blob = b""
        if len(blob) > _KEY_ID_BYTES and base64.b64encode(blob).decode("ascii") == encoded:
            return NoteSignature(name, blob[:_KEY_ID_BYTES], blob[_KEY_ID_BYTES:])
    raise LedgerBroken(f"{line[:120]!r} is not the line of a signature.", remedy=_REMEDY)
