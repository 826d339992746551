"""Envelopes: the published signing form, who signed, and every malformed form."""

from typing import Any

import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import MalformedEvidence, SignatureBroken
from roadworthy.ledger.dsse import (
    Envelope,
    EnvelopeSignature,
    envelope_from_bytes,
    envelope_from_json,
    pae,
    sign,
    verify,
)
from roadworthy.ledger.keys import key_from_seed

ALICE, BOB = key_from_seed(b"\x01" * 32), key_from_seed(b"\x02" * 32)
KEYS = {key.public.keyid: key.public for key in (ALICE, BOB)}


def test_the_published_signing_form() -> None:
    """The example of the DSSE protocol; lengths count bytes, not characters."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", b"") == "DSSEv1 2 é 0 ".encode()


def test_there_and_back() -> None:
    """Bytes and JSON give the same envelope again; its digest is that of its bytes."""
    envelope = sign("text/plain", b"\x00\xff", [ALICE, BOB])
    assert envelope_from_bytes(envelope.to_bytes()) == envelope
    assert envelope_from_json(envelope.to_json()) == envelope
    assert envelope.digest() == digest_bytes(envelope.to_bytes())
    assert verify(envelope, KEYS) == (ALICE.public.keyid, BOB.public.keyid)


def test_only_known_signers_count_and_each_once() -> None:
    """A signature twice is one signer; an unknown signer is none."""
    envelope = sign("text/plain", b"x", [ALICE, ALICE, BOB])
    assert verify(envelope, KEYS) == (ALICE.public.keyid, BOB.public.keyid)
    assert verify(envelope, {BOB.public.keyid: BOB.public}) == (BOB.public.keyid,)
    with pytest.raises(SignatureBroken, match="No known key"):
        verify(envelope, {})
    with pytest.raises(SignatureBroken, match="nobody"):
        verify(sign("text/plain", b"x", []), KEYS)


@pytest.mark.parametrize(("kind", "payload"), [("text/html", b"x"), ("text/plain", b"y")])
def test_type_and_payload_are_both_signed(kind: str, payload: bytes) -> None:
    """Changing either breaks the signature."""
    good = sign("text/plain", b"x", [ALICE])
    with pytest.raises(SignatureBroken, match="does not verify"):
        verify(Envelope(payload_type=kind, payload=payload, signatures=good.signatures), KEYS)


def test_one_bad_signature_of_a_known_key_breaks_all() -> None:
    """A good signature beside it does not help; one by a stranger does not harm."""
    good = sign("text/plain", b"x", [ALICE])
    bad = EnvelopeSignature(BOB.public.keyid, bytes(64))
    mixed = Envelope(payload_type="text/plain", payload=b"x", signatures=(*good.signatures, bad))
    with pytest.raises(SignatureBroken, match="does not verify"):
        verify(mixed, KEYS)
    assert verify(mixed, {ALICE.public.keyid: ALICE.public}) == (ALICE.public.keyid,)


def test_a_key_under_another_name_does_not_verify() -> None:
    """The id only finds the key; the signature decides."""
    with pytest.raises(SignatureBroken):
        verify(sign("text/plain", b"x", [ALICE]), {ALICE.public.keyid: BOB.public})


GOOD: dict[str, Any] = {"payload": "eA==", "payloadType": "t", "signatures": [{"keyid": "k", "sig": "eA=="}]}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {**GOOD, "more": 1},
        {**GOOD, "payload": 1},
        {**GOOD, "payload": "!"},
        {**GOOD, "payload": "é"},
        {**GOOD, "payload": "eB=="},
        {**GOOD, "payloadType": 1},
        {**GOOD, "signatures": {}},
        {**GOOD, "signatures": ["x"]},
        {**GOOD, "signatures": [{"keyid": "k"}]},
        {**GOOD, "signatures": [{"keyid": 1, "sig": "eA=="}]},
        {**GOOD, "signatures": [{"keyid": "k", "sig": "eA"}]},
    ],
)
def test_what_is_no_envelope_is_refused(value: Any) -> None:
    """Every member must be there, alone, and in its one form."""
    assert envelope_from_json(GOOD).payload == b"x"
    with pytest.raises(MalformedEvidence):
        envelope_from_json(value)


def test_the_bytes_must_be_canonical() -> None:
    """Another layout of the same envelope is refused: it would have another digest."""
    data = canonical_bytes(GOOD)
    assert envelope_from_bytes(data).to_bytes() == data
    with pytest.raises(MalformedEvidence, match="not canonical"):
        envelope_from_bytes(data + b"\n")
