"""The receipt of one entry: a ``.tlog-proof`` file. Owns writing, reading and verifying it, all without a network.

Whoever holds the leaf, the receipt, the ledger's key and the keys of the witnesses can show that this entry stood in the
ledger. Source: https://c2sp.org/tlog-proof

Rules kept here:
1. One receipt has one text: what is read must be exactly what would be written.
2. The extra data is carried, never believed: no signature covers it.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from roadworthy.base.errors import LedgerBroken
from roadworthy.ledger.checkpoint import Checkpoint, VerifierKey, open_checkpoint
from roadworthy.ledger.cosignature import Cosignature, WitnessPolicy
from roadworthy.ledger.merkle import HASH_BYTES, leaf_hash
from roadworthy.ledger.proof import verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
MAX_PATH = 63
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,17})")
_REMEDY = "Ask the ledger for the receipt again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt says. Nothing of it is verified.

    Attributes:
        index: of the entry.
        path: the inclusion proof, from the leaf's sibling upwards.
        note: the checkpoint with the signatures of the log and of witnesses.
        extra: data for the application; None when there is none.
    """

    index: int
    path: tuple[bytes, ...]
    note: str
    extra: bytes | None = None

    def text(self) -> str:
        """The content of the file."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode('ascii')}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(each).decode("ascii") for each in self.path]
        return "\n".join(lines) + "\n\n" + self.note


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a receipt has shown: the checkpoint that covers the entry, and which witnesses saw it when."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]


def parse_receipt(text: str) -> Receipt:
    """Read the text of a receipt.

    Raises:
        LedgerBroken: another form (RW-503).
    """
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != HEADER:
        raise _malformed(f"it does not begin with {HEADER!r}, or has no checkpoint")
    rest = lines[1:]
    extra = None
    if rest and rest[0].startswith("extra "):
        extra = _decoded(rest[0].removeprefix("extra "))
        rest = rest[1:]
    match = _INDEX.fullmatch(rest[0]) if rest else None
    if match is None:
        raise _malformed("it names no index")
    path = tuple(_decoded(line) for line in rest[1:])
    if len(path) > MAX_PATH or any(len(each) != HASH_BYTES for each in path):
        raise _malformed("its proof holds something that is not a hash")
    return Receipt(index=int(match[1]), path=path, note=note, extra=extra)


def verify_receipt(
    text: str, leaf: bytes, keys: Sequence[VerifierKey], policy: WitnessPolicy | None = None
) -> Verified:
    """Check that a leaf stands in the ledger that the receipt speaks of.

    Args:
        text: the receipt.
        leaf: the bytes of the entry.
        keys: of the ledger.
        policy: which witnesses must have cosigned; None when the ledger's own word is enough.

    Raises:
        LedgerBroken: the receipt is malformed, or does not lead from this leaf to the checkpoint (RW-503).
        SignatureBroken: no good signature of the ledger, or too few of witnesses (RW-502).
    """
    # 1. Read the receipt.
    receipt = parse_receipt(text)
    # 2. The ledger must have signed the checkpoint.
    checkpoint = open_checkpoint(receipt.note, keys)
    # 3. The witnesses must have seen it.
    seen = policy.require(receipt.note) if policy is not None else ()
    # 4. The leaf must be under its root.
    verify_inclusion(leaf_hash(leaf), receipt.index, checkpoint.size, receipt.path, checkpoint.root)
    return Verified(checkpoint=checkpoint, cosignatures=seen)


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed(f"{text[:80]!r} is not base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise _malformed(f"{text[:80]!r} is not base64 in its one form")
    return data


def _malformed(what: str) -> LedgerBroken:
    return LedgerBroken(f"This is not a receipt: {what}.", remedy=_REMEDY)
