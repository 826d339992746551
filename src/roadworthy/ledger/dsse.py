"""DSSE envelopes: payload bytes with signatures over them. Owns the signing form, the JSON form and verification.

What the payload says belongs to ``statement``; who may sign what belongs to the gates.
Source: DSSE v1.0, https://github.com/secure-systems-lab/dsse/blob/master/protocol.md

Rules kept here:
1. The type is signed together with the payload, so an envelope cannot be read as another kind.
2. A bad signature by a known key is an error, even beside a good one; a signature by an unknown key does not count.
3. One envelope has one byte form: canonical JSON with canonical base64. Its digest names it.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roadworthy.base.canonical import canonical_bytes, parse_canonical
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import MalformedEvidence, NotCanonical, SignatureBroken
from roadworthy.ledger.keys import PublicKey, SigningKey

_REMEDY = "Record it again with this version of Roadworthy."


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: what is signed. Lengths count bytes and are written in decimal."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature: the name of its key, and 64 raw bytes."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A signed payload.

    Attributes:
        payload_type: a media type that says how to read the payload.
        payload: the bytes as they were signed.
        signatures: in the order in which they were made.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]

    def to_json(self) -> dict[str, Any]:
        """The plain JSON object, ready to stand inside a larger payload."""
        return {
            "payload": _base64(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": each.keyid, "sig": _base64(each.sig)} for each in self.signatures],
        }

    def to_bytes(self) -> bytes:
        """The canonical bytes."""
        return canonical_bytes(self.to_json())

    def digest(self) -> str:
        """The digest of the canonical bytes."""
        return digest_bytes(self.to_bytes())


def envelope_from_json(value: Any) -> Envelope:
    """Read a plain JSON object.

    Raises:
        MalformedEvidence: a member is missing, unknown or of the wrong type (RW-201).
    """
    members = _object(value, {"payload", "payloadType", "signatures"}, "envelope")
    signatures = members["signatures"]
    if not isinstance(members["payloadType"], str) or not isinstance(signatures, list):
        raise _malformed("The envelope needs payloadType as text and signatures as a list.")
    return Envelope(
        payload_type=members["payloadType"],
        payload=_bytes(members["payload"], "payload"),
        signatures=tuple(_read_signature(each) for each in signatures),
    )


def envelope_from_bytes(data: bytes) -> Envelope:
    """Read canonical bytes.

    Raises:
        MalformedEvidence: not canonical JSON, or not an envelope (RW-201).
    """
    try:
        value = parse_canonical(data)
    except NotCanonical as error:
        raise _malformed(f"The envelope is not canonical JSON: {error.what}") from error
    return envelope_from_json(value)


def sign(payload_type: str, payload: bytes, signers: Sequence[SigningKey]) -> Envelope:
    """Sign the payload with every key, in order."""
    message = pae(payload_type, payload)
    signatures = tuple(EnvelopeSignature(key.public.keyid, key.sign(message)) for key in signers)
    return Envelope(payload_type=payload_type, payload=payload, signatures=signatures)


def verify(envelope: Envelope, keys: Mapping[str, PublicKey]) -> tuple[str, ...]:
    """The ids of the known keys that signed, each once, in the order of the signatures.

    Args:
        envelope: what to verify.
        keys: the known keys by their ids.

    Raises:
        SignatureBroken: a known key's signature does not verify, or no known key signed (RW-502).
    """
    message = pae(envelope.payload_type, envelope.payload)
    good: dict[str, None] = {}
    for each in envelope.signatures:
        key = keys.get(each.keyid)
        if key is None:
            continue
        if not key.verifies(message, each.sig):
            remedy = "Do not use this envelope; ask its signer for the original."
            raise SignatureBroken(f"The signature by {each.keyid} does not verify.", remedy=remedy)
        good[each.keyid] = None
    if not good:
        names = ", ".join(each.keyid for each in envelope.signatures) or "nobody"
        remedy = "Register the signer's public key before the signature is recorded."
        raise SignatureBroken(f"No known key signed this envelope; it names {names}.", remedy=remedy)
    return tuple(good)


def _read_signature(value: Any) -> EnvelopeSignature:
    members = _object(value, {"keyid", "sig"}, "signature")
    if not isinstance(members["keyid"], str):
        raise _malformed("The keyid of a signature is text.")
    return EnvelopeSignature(members["keyid"], _bytes(members["sig"], "sig"))


def _object(value: Any, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise _malformed(f"The {what} is not an object with exactly the members {sorted(names)}.")
    return value


def _bytes(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _malformed(f"The member {name} is not base64.") from error
        # Base64 has spare bits: only the form that we would write counts, or two texts would mean one payload.
        if _base64(data) == value:
            return data
    raise _malformed(f"The member {name} is not canonical base64.")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _malformed(what: str) -> MalformedEvidence:
    return MalformedEvidence(what, remedy=_REMEDY)
