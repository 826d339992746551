"""What stands in a bundle, and under which names. Owns the members; their container belongs to ``bundle``.

::

    checkpoint             the signed note
    log.vkey               the ledger's public key, as a line with a final newline
    tile/...               hash tiles
    tile/entries/...       bundles of entries
    payloads/<index>.json  {"salt": hex, "payload": base64}, or {"erased": true}
    blobs/<hex>            an attachment, named by the SHA-256 of its bytes
    pinned.json            {"use_case", "exported_at", "decision_index"}: where a reader should look first

``pinned.json`` is a bookmark. It is not signed, and nothing may be concluded from it.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from roadworthy.base.canonical import canonical_bytes, parse_canonical
from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.base.errors import BundleBroken, InstantError, NotCanonical
from roadworthy.ledger.entry import SALT_BYTES
from roadworthy.ledger.merkle import leaf_hash
from roadworthy.ledger.tiles import entry_bundles, hash_tiles

CHECKPOINT = "checkpoint"
VKEY = "log.vkey"
PINNED = "pinned.json"
PAYLOADS = "payloads/"
BLOBS = "blobs/"
TILES = "tile/"
ENTRIES = "tile/entries/"

_REMEDY = "Export the bundle again."


class Sealed(NamedTuple):
    """A payload with the salt of its commitment."""

    salt: bytes
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """The bookmark of an export.

    Attributes:
        use_case: id of the use case; empty for the whole ledger.
        exported_at: when.
        decision_index: entry of the decision to look at; None when there is none.
    """

    use_case: str
    exported_at: datetime
    decision_index: int | None


def payload_name(index: int) -> str:
    """The name of the payload of entry ``index``."""
    return f"{PAYLOADS}{index}.json"


def bundle_members(
    *, leaves: Sequence[bytes], payloads: Sequence[Sealed | None], checkpoint_note: str, vkey: str, pinned: Pinned
) -> dict[str, bytes]:
    """All members of a bundle except its manifest.

    Args:
        leaves: every entry of the ledger, in order.
        payloads: one for each entry; None where it was erased.
        checkpoint_note: the signed note of exactly these entries.
        vkey: the line that the ledger publishes.
        pinned: the bookmark.

    Raises:
        BundleBroken: not one payload for each entry (RW-501).
    """
    if len(payloads) != len(leaves):
        what = f"{len(payloads)} payloads do not fit {len(leaves)} entries."
        raise BundleBroken(what, remedy="Give one for each entry, None where erased.")
    members = {
        CHECKPOINT: checkpoint_note.encode(),
        VKEY: (vkey + "\n").encode(),
        PINNED: canonical_bytes(
            {
                "use_case": pinned.use_case,
                "exported_at": format_instant(pinned.exported_at),
                "decision_index": pinned.decision_index,
            }
        ),
        **hash_tiles([leaf_hash(leaf) for leaf in leaves]),
        **entry_bundles(leaves),
    }
    for index, sealed in enumerate(payloads):
        members[payload_name(index)] = payload_member(sealed)
    return members


def payload_member(sealed: Sealed | None) -> bytes:
    """The bytes of one payload member; None stands for an erased payload."""
    if sealed is None:
        return canonical_bytes({"erased": True})
    return canonical_bytes({"salt": sealed.salt.hex(), "payload": base64.b64encode(sealed.payload).decode("ascii")})


def parse_payload_member(data: bytes) -> Sealed | None:
    """Read a payload member; None if it was erased.

    Raises:
        BundleBroken: anything but what ``payload_member`` writes (RW-501).
    """
    # Bytes are compared, not values: to Python 1 equals true.
    if data == payload_member(None):
        return None
    value = _read(data)
    try:
        sealed = Sealed(bytes.fromhex(value["salt"]), base64.b64decode(value["payload"], validate=True))
    except (TypeError, KeyError, ValueError, binascii.Error) as error:
        raise BundleBroken("The member holds no payload.", remedy=_REMEDY) from error
    if payload_member(sealed) != data or len(sealed.salt) != SALT_BYTES:
        raise BundleBroken("The payload member has another form than the one that is written.", remedy=_REMEDY)
    return sealed


def parse_pinned(data: bytes) -> Pinned:
    """Read the bookmark.

    Raises:
        BundleBroken: a member is missing, unknown or of the wrong type (RW-501).
    """
    value = _read(data)
    if not isinstance(value, dict) or set(value) != {"use_case", "exported_at", "decision_index"}:
        raise BundleBroken("The members are not use_case, exported_at and decision_index.", remedy=_REMEDY)
    use_case, at, index = value["use_case"], value["exported_at"], value["decision_index"]
    whole = index is None or (isinstance(index, int) and not isinstance(index, bool))
    if not isinstance(use_case, str) or not isinstance(at, str) or not whole:
        raise BundleBroken("A member has the wrong type.", remedy=_REMEDY)
    try:
        return Pinned(use_case=use_case, exported_at=parse_instant(at), decision_index=index)
    except InstantError as error:
        raise BundleBroken(error.what, remedy=_REMEDY) from error


def _read(data: bytes) -> Any:
    try:
        return parse_canonical(data)
    except NotCanonical as error:
        raise BundleBroken(error.what, remedy=_REMEDY) from error
