"""An operator's signed word that bytes of a segment are lost. Owns its form, and finding the lost leaves in the bundles.

The file ``acknowledged.json`` is a DSSE envelope over canonical JSON::

    {"lost": [{"segment": name, "offset": bytes, "length": bytes, "digest": "sha256:..."}, ...]}

Rules kept here:
1. It names the very bytes by their digest, so it cannot be kept ready for damage that is still to come.
2. It excuses bytes, never leaves: those must come back from the published bundles, or the ledger does not start.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from roadworthy.base.canonical import canonical_bytes, parse_canonical
from roadworthy.base.errors import LedgerBroken, MissingFile, NotCanonical
from roadworthy.ledger.dsse import envelope_from_bytes, sign, verify
from roadworthy.ledger.keys import PublicKey, SigningKey
from roadworthy.ledger.tiles import TILE_WIDTH, TilePath, split_entries

FILE = "acknowledged.json"
PAYLOAD_TYPE = "application/vnd.roadworthy.lost-bytes+json"


class LostBytes(NamedTuple):
    """Bytes of a segment where a frame should be: the segment's name, offset and length in bytes, and their digest."""

    segment: str
    offset: int
    length: int
    digest: str


def acknowledge(lost: Sequence[LostBytes], key: SigningKey) -> bytes:
    """The content of ``acknowledged.json``, signed by an operator."""
    payload = canonical_bytes({"lost": [each._asdict() for each in lost]})
    return sign(PAYLOAD_TYPE, payload, [key]).to_bytes()


def parse_acknowledged(data: bytes, operators: Sequence[PublicKey]) -> frozenset[LostBytes]:
    """What an operator acknowledged.

    Raises:
        MalformedEvidence: not an envelope (RW-201).
        SignatureBroken: no operator signed it (RW-502).
        LedgerBroken: it is signed but says something else (RW-503).
    """
    envelope = envelope_from_bytes(data)
    verify(envelope, {key.keyid: key for key in operators})
    try:
        value = parse_canonical(envelope.payload)
        lost = frozenset(LostBytes(**each) for each in value["lost"])
    except (NotCanonical, KeyError, TypeError) as error:
        raise _other_content() from error
    types = tuple(LostBytes.__annotations__.values())
    if envelope.payload_type != PAYLOAD_TYPE or any(tuple(map(type, each)) != types for each in lost):
        raise _other_content()
    return lost


def read_acknowledged(folder: Path, operators: Sequence[PublicKey]) -> frozenset[LostBytes]:
    """What stands in the folder's file; nothing when there is none.

    Raises:
        MissingFile: it is there and cannot be read (RW-102); else as ``parse_acknowledged``.
    """
    path = folder / FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        remedy = "Let the ledger's user read it."
        raise MissingFile(f"It cannot be read: {error.strerror}.", remedy=remedy, where=str(path)) from error
    return parse_acknowledged(data, operators)


def published_leaves(folder: Path, first_index: int, until_index: int) -> tuple[bytes, ...] | None:
    """Leaves from the published bundles of entries; None when one of them is not there.

    That they are the leaves of the tree is not proven here: the publisher compares the tree with its checkpoint.
    """
    leaves: list[bytes] = []
    for tile in range(first_index // TILE_WIDTH, -(-until_index // TILE_WIDTH)):
        start = tile * TILE_WIDTH
        entries = _widest_bundle(folder, tile)
        part = entries[max(first_index - start, 0) : until_index - start]
        leaves.extend(part)
    return tuple(leaves) if len(leaves) == until_index - first_index else None


def _widest_bundle(folder: Path, tile: int) -> tuple[bytes, ...]:
    full = folder / TilePath(None, tile, TILE_WIDTH).text()
    partial = folder / TilePath(None, tile, 1).text()
    widths = [path for path in partial.parent.glob("*") if path.name.isdecimal()]
    for path in (full, *sorted(widths, key=lambda each: int(each.name), reverse=True)):
        if path.is_file():
            return split_entries(path.read_bytes())[0]
    return ()


def _other_content() -> LedgerBroken:
    what = "The acknowledgement is signed, but does not name lost bytes."
    return LedgerBroken(
        what, remedy="Sign segment, offset, length and digest as the refusal to start names them.", where=FILE
    )
