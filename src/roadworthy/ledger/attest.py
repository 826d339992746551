"""Who signed what. Owns steps 7 and 8 of verifying a bundle: envelopes against the keys that the ledger registered.

Whether the signer's role was allowed to sign is a question for the gates, not for the ledger.

Rules kept here:
1. A key counts from the entry after its registration: nothing can be signed by a key that is registered later.
2. A registration is never erased, or the signatures by its key can no longer be checked and are problems.
3. Evidence and certificates are in-toto statements; other acts may be signed in a form of their own, which the gates read.
4. A policy is signed only where it got looser, so its envelope may be null.
5. An erased payload is passed over here; its leaf still proves that it was recorded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from roadworthy.base.canonical import parse_json
from roadworthy.base.errors import MalformedEvidence, NotCanonical, SignatureBroken
from roadworthy.ledger.dsse import envelope_from_json, verify
from roadworthy.ledger.entry import Entry
from roadworthy.ledger.keys import PublicKey
from roadworthy.ledger.layout import Sealed
from roadworthy.ledger.statement import PAYLOAD_TYPE, parse_statement

REGISTRATIONS = {"person.registered": "person", "producer.registered": "producer"}
EVIDENCE = "evidence.recorded"
POLICY = "policy.adopted"
STATEMENTS = (EVIDENCE, "certificate.issued", "certificate.revoked")
SIGNED_KINDS = (*STATEMENTS, "signature.added", POLICY)
SIGNED_PREFIX = "waiver."


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the payload of one entry, and which step found it."""

    index: int
    step: int
    what: str


def attestation_faults(entries: Sequence[Entry | None], payloads: Sequence[Sealed | None]) -> list[Fault]:
    """Check every registration and every envelope, in the order of the ledger.

    Args:
        entries: None where an entry could not be read.
        payloads: one for each entry; None where it was erased or could not be read.
    """
    keys: dict[str, PublicKey] = {}
    faults: list[Fault] = []
    for index, (entry, sealed) in enumerate(zip(entries, payloads, strict=True)):
        if entry is None or sealed is None:
            continue
        try:
            if entry.kind in REGISTRATIONS:
                key = _registered(sealed.payload, REGISTRATIONS[entry.kind])
                keys.update({key.keyid: key} if key else {})
            elif entry.kind in SIGNED_KINDS or entry.kind.startswith(SIGNED_PREFIX):
                faults.extend(Fault(index, step, what) for step, what in _signed(entry.kind, sealed.payload, keys))
        except (MalformedEvidence, NotCanonical, SignatureBroken) as error:
            faults.append(Fault(index, 7, f"{entry.kind}: {error.what}"))
    return faults


def _signed(kind: str, payload: bytes, keys: dict[str, PublicKey]) -> Iterator[tuple[int, str]]:
    value = _member(payload, "envelope")
    if value is None and kind == POLICY:
        return
    envelope = envelope_from_json(value)
    # 7. A key that an earlier entry registered must have signed.
    try:
        verify(envelope, keys)
    except SignatureBroken as error:
        yield 7, error.what
    # 8. The subjects must be named by well-formed digests. Also when step 7 failed: all problems are told at once.
    if envelope.payload_type == PAYLOAD_TYPE:
        try:
            parse_statement(envelope.payload)
        except MalformedEvidence as error:
            yield 8, error.what
    elif kind in STATEMENTS:
        yield 8, f"The envelope holds {envelope.payload_type!r}, not an in-toto statement."


def _registered(payload: bytes, name: str) -> PublicKey | None:
    """The registered key; a person may be registered without one, and then cannot sign."""
    text = _object(_member(payload, name), name).get("public_key")
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise MalformedEvidence("The public key is not text.", remedy="Register the key again.")
    return PublicKey.from_hex(text)


def _member(payload: bytes, name: str) -> Any:
    members = _object(parse_json(payload), "payload")
    if name not in members:
        raise MalformedEvidence(f"The payload has no member {name!r}.", remedy="Record it again.")
    return members[name]


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedEvidence(f"The {what} is not a JSON object.", remedy="Record it again.")
    return value
