"""Whose signatures count."""

import pytest

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.errors import MalformedEvidence, SignatureBroken
from roadworthy.domain.people import Person, Producer, Role
from roadworthy.ledger import dsse
from roadworthy.ledger.dsse import Envelope, EnvelopeSignature, sign
from roadworthy.ledger.keys import key_from_seed
from roadworthy.store.trust import LedgerTrust

ADA, BOB, TOOL, STRANGER = (key_from_seed(name * 32) for name in (b"a", b"b", b"t", b"s"))
KIND = "application/vnd.in-toto+json"
PAYLOAD = canonical_bytes({"predicate": {"n": 1}})


def person(name, key):
    return Person(id=name, printed_name=name.title(), roles=(Role.VALIDATOR,), public_key=key.public.hex)


@pytest.fixture
def trust():
    people = {"bob": person("bob", BOB), "ada": person("ada", ADA)}
    return LedgerTrust(people, {"tool": Producer(id="tool", public_key=TOOL.public.hex)})


@pytest.mark.parametrize(
    ("keys", "signers"),
    [
        ((ADA,), ("ada",)),
        ((TOOL, BOB, ADA), ("ada", "bob", "tool")),
        ((STRANGER, TOOL), ("tool",)),
        ((ADA, ADA), ("ada",)),
    ],
)
def test_signers_are_sorted_ids_of_known_keys(trust, keys, signers):
    """Who is unknown does not count; who signed twice counts once."""
    opened = trust.open(sign(KIND, PAYLOAD, keys).to_bytes())
    assert (opened.payload_type, opened.payload, opened.signers) == (KIND, {"predicate": {"n": 1}}, signers)


@pytest.mark.parametrize("keys", [(), (STRANGER,)])
def test_without_a_known_key_nothing_counts(trust, keys):
    """Neither an unsigned envelope nor a stranger's."""
    with pytest.raises(SignatureBroken):
        trust.open(sign(KIND, PAYLOAD, keys).to_bytes())


def test_one_bad_signature_spoils_a_good_one(trust):
    """A known key's signature that does not verify is never ignored."""
    good = sign(KIND, PAYLOAD, [ADA, BOB])
    forged = EnvelopeSignature(BOB.public.keyid, bytes(64))
    spoilt = Envelope(payload_type=KIND, payload=PAYLOAD, signatures=(good.signatures[0], forged))
    with pytest.raises(SignatureBroken):
        trust.open(spoilt.to_bytes())


def test_the_type_is_signed(trust):
    """A signature over one kind does not hold for another."""
    good = sign(KIND, PAYLOAD, [ADA])
    with pytest.raises(SignatureBroken):
        trust.open(Envelope(payload_type="text/plain", payload=PAYLOAD, signatures=good.signatures).to_bytes())


@pytest.mark.parametrize("payload", [b"not JSON", b'{"a":1,"a":2}', b"NaN", b"\xff"])
def test_a_payload_that_is_not_json_is_malformed(trust, payload):
    """Signed nonsense is still nonsense."""
    with pytest.raises(MalformedEvidence, match="JSON"):
        trust.open(sign(KIND, payload, [ADA]).to_bytes())


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"payload": ""}'])
def test_what_is_no_envelope_is_malformed(trust, body):
    """Any bytes may come in."""
    with pytest.raises(MalformedEvidence):
        trust.open(body)


def test_two_ids_with_one_key_both_signed():
    """Nobody can hide that two registrations are one hand."""
    trust = LedgerTrust({"ada": person("ada", ADA)}, {"tool": Producer(id="tool", public_key=ADA.public.hex)})
    assert trust.open(sign(KIND, PAYLOAD, [ADA]).to_bytes()).signers == ("ada", "tool")


def test_a_registered_key_that_is_none_is_an_error():
    """It is named, not skipped."""
    with pytest.raises(SignatureBroken, match="tool"):
        LedgerTrust({}, {"tool": Producer(id="tool", public_key="zz")})


def test_an_envelope_is_verified_once(trust, monkeypatch):
    """Opening the same bytes again costs no signature check; other bytes do."""
    calls = []
    monkeypatch.setattr("roadworthy.store.trust.verify", lambda *given: calls.append(given) or dsse.verify(*given))
    body = sign(KIND, PAYLOAD, [ADA]).to_bytes()
    assert trust.open(body) == trust.open(bytes(bytearray(body)))
    trust.open(sign(KIND, PAYLOAD, [BOB]).to_bytes())
    assert len(calls) == 2


def test_a_failure_is_not_remembered_as_success(trust):
    """The second attempt fails like the first."""
    body = sign(KIND, PAYLOAD, [STRANGER]).to_bytes()
    for _ in range(2):
        with pytest.raises(SignatureBroken):
            trust.open(body)
