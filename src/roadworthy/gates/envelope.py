"""Opening envelopes for a decision. Owns from sealed bytes to a domain object; whose keys count belongs to ``Trust``.

Rules kept here:
1. An envelope whose bytes do not have the digest by which it is named is refused: a decision names digests only.
2. What cannot be opened, has another media type or lacks a member is refused with the reason, never raised.
3. Reading a payload twice gives the same object: only that is kept in memory, at most ``_KEPT`` payloads. Signatures are
   verified anew each time, by ``Trust``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Generic, TypeVar

from roadworthy.base.codec import from_json
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import MalformedEvidence, SignatureBroken
from roadworthy.domain.decision import Refused
from roadworthy.domain.evidence import Sealed
from roadworthy.ports.trust import Opened, Trust

SKEW = timedelta(minutes=5)
"""How far two honest clocks may differ."""

_KEPT = 4096
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter(Generic[T]):
    """An envelope that was opened and read.

    Attributes:
        sealed: as the ledger holds it.
        content: what it says.
        signers: ids whose registered keys signed it.
    """

    sealed: Sealed
    content: T
    signers: tuple[str, ...]


def refuse(sealed: Sealed, reason: str) -> Refused:
    """The report on an envelope that cannot count."""
    return Refused(digest=sealed.digest, index=sealed.index, reason=reason)


def in_order(sealed: "set[Sealed]") -> list[Sealed]:
    """Ledger order; the digest decides between envelopes that claim one index."""
    return sorted(sealed, key=lambda each: (each.index, each.digest))


def read_letter(
    kind: type[T],
    sealed: Sealed,
    trust: Trust,
    media_type: str,
    content_of: Callable[[Any], Any] = lambda payload: payload,
) -> Letter[T] | Refused:
    """Open one envelope and read what it says.

    1. the bytes have the digest by which they are named; 2. signatures verify; 3. the media type is the expected one;
    4. the payload has the members of ``kind``.

    Args:
        kind: dataclass of the content.
        sealed: the envelope.
        trust: opens it.
        media_type: what it must contain.
        content_of: takes the plain JSON of ``kind`` out of the payload; raises MalformedEvidence.
    """
    # 1
    if digest_bytes(sealed.body) != sealed.digest:
        return refuse(sealed, "its bytes do not have the digest by which it is named")
    try:
        # 2
        opened: Opened = trust.open(sealed.body)
        # 3
        if opened.payload_type != media_type:
            return refuse(sealed, f"it contains {opened.payload_type!r}, not {media_type}")
        # 4
        parcel = _Parcel(kind, sealed.digest, content_of(opened.payload))
        return Letter(sealed=sealed, content=_content(parcel), signers=opened.signers)
    except (MalformedEvidence, SignatureBroken) as error:
        return refuse(sealed, f"{error.where + ': ' if error.where else ''}{error.what}")


@dataclass(frozen=True, slots=True, eq=False)
class _Parcel:
    """A payload to be read. Equal parcels hold equal plain JSON, so they read alike: this makes the memory pure."""

    kind: type
    digest: str
    payload: Any

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Parcel) or self.kind is not other.kind or self.digest != other.digest:
            return False
        return bool(self.payload is other.payload or self.payload == other.payload)


@lru_cache(maxsize=_KEPT)
def _content(parcel: _Parcel) -> Any:
    return from_json(parcel.kind, parcel.payload)


def stamp(at: datetime) -> str:
    """An instant for a sentence: whole seconds, UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
