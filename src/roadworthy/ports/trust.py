"""Whose signatures count. Owns the protocol; the ledger's keyring implements it."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An envelope whose signatures verify.

    Attributes:
        payload_type: media type inside the envelope.
        payload: parsed JSON; for a statement, the whole statement.
        signers: ids of the people and producers whose registered keys signed, sorted.
    """

    payload_type: str
    payload: Any
    signers: tuple[str, ...]


class Trust(Protocol):
    """Opens envelopes. Pure: equal bytes give equal answers."""

    def open(self, body: bytes) -> Opened:
        """Verify every signature of a known key and parse the payload.

        Raises:
            SignatureBroken: a known key's signature does not verify, or no known key signed (RW-502).
            MalformedEvidence: not an envelope, or not JSON inside (RW-201).
        """
