"""What a witness decides. Owns the add-checkpoint request and the answer to it; keeping what was seen is the server's.

A witness remembers one tree for each ledger and cosigns only what continues it, so a ledger cannot show two histories
to two people who ask for the same witness. Source: https://c2sp.org/tlog-witness

Rules kept here:
1. Pure: the same request against the same memory always gets the same answer.
2. What is accepted must be remembered, durably, before the answer leaves; and deciding and remembering are one step that
   nothing may come between. Both are the caller's part.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roadworthy.base.errors import LedgerBroken, SignatureBroken
from roadworthy.ledger.checkpoint import Checkpoint, VerifierKey, open_checkpoint, parse_checkpoint, parse_note
from roadworthy.ledger.merkle import EMPTY_ROOT, HASH_BYTES
from roadworthy.ledger.proof import verify_consistency

MAX_PROOF = 63
MAX_REQUEST_BYTES = 64 * 1024
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,17})")
_REMEDY = "Send what c2sp.org/tlog-witness describes."


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignRequest:
    """A request to cosign.

    Attributes:
        old_size: of the tree that the witness is thought to have seen last.
        proof: that the old tree is a prefix of the new one.
        note: the new checkpoint, signed by its ledger.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: str

    def body(self) -> bytes:
        """The bytes of the request."""
        lines = [f"old {self.old_size}", *(base64.b64encode(each).decode("ascii") for each in self.proof)]
        return ("\n".join(lines) + "\n\n" + self.note).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The last tree of one ledger that was cosigned."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the witness says.

    Attributes:
        status: of HTTP.
        body: empty when the request was accepted: the signatures come after remembering.
        content_type: of the body.
        accepted: the checkpoint to remember and then to cosign; None when the request was refused.
        text: its signed text; empty when the request was refused.
    """

    status: int
    body: str
    content_type: str = TEXT_TYPE
    accepted: Checkpoint | None = None
    text: str = ""


def parse_request(body: bytes) -> CosignRequest:
    """Read a request.

    Raises:
        LedgerBroken: another form, or more than 63 hashes (RW-503).
    """
    try:
        head, separator, note = body.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError as error:
        raise LedgerBroken("The request is not UTF-8.", remedy=_REMEDY) from error
    first, *lines = head.split("\n")
    match = _OLD.fullmatch(first)
    if not separator or match is None or len(lines) > MAX_PROOF:
        raise LedgerBroken("The request has no old size, no checkpoint, or too long a proof.", remedy=_REMEDY)
    return CosignRequest(old_size=int(match[1]), proof=tuple(_hash(line) for line in lines), note=note)


def decide(body: bytes, logs: Mapping[str, Sequence[VerifierKey]], seen: Mapping[str, Seen]) -> Answer:
    """Whether to cosign.

    Args:
        body: of the request.
        logs: the keys of every ledger that this witness serves, by its origin.
        seen: what was cosigned last, by origin.
    """
    # 1. The request must be readable.
    try:
        request = parse_request(body)
        checkpoint = parse_checkpoint(parse_note(request.note).text)
    except LedgerBroken as error:
        return Answer(status=400, body=error.what + "\n")
    # 2. The ledger must be one that this witness serves.
    keys = logs.get(checkpoint.origin)
    if keys is None:
        return Answer(status=404, body="This witness does not know the ledger.\n")
    # 3. The ledger must have signed.
    try:
        open_checkpoint(request.note, keys)
    except SignatureBroken as error:
        return Answer(status=403, body=error.what + "\n")
    # 4. A tree does not shrink.
    if request.old_size > checkpoint.size:
        return Answer(status=400, body="The old size is above the size of the checkpoint.\n")
    # 5. It must continue what was seen last, and the caller must know what that is.
    latest = seen.get(checkpoint.origin, Seen(size=0, root=EMPTY_ROOT))
    if request.old_size != latest.size:
        return Answer(status=409, body=f"{latest.size}\n", content_type=SIZE_TYPE)
    # 6. The same size must be the same tree.
    if checkpoint.size == latest.size and checkpoint.root != latest.root:
        return Answer(status=409, body="Another tree of this size was cosigned before.\n")
    # 7. A larger tree must begin with what was seen.
    fault = _inconsistency(request, latest, checkpoint)
    if fault:
        return Answer(status=422, body=fault + "\n")
    return Answer(status=200, body="", accepted=checkpoint, text=checkpoint.text())


def _inconsistency(request: CosignRequest, latest: Seen, checkpoint: Checkpoint) -> str:
    if latest.size == 0:
        return "From an empty tree there is nothing to prove." if request.proof else ""
    try:
        verify_consistency(latest.size, checkpoint.size, latest.root, checkpoint.root, request.proof)
    except LedgerBroken as error:
        return error.what
    return ""


def _hash(line: str) -> bytes:
    try:
        data = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != HASH_BYTES or base64.b64encode(data).decode("ascii") != line:
        raise LedgerBroken(f"{line[:80]!r} is not a hash in base64.", remedy=_REMEDY)
    return data
