"""Whose signatures count: ``ports.trust`` on top of the ledger's envelopes. Owns the way from key to person.

Rules kept here:
1. Every signature by a known key must verify; one by an unknown key counts for nothing.
2. Several ids may have registered one key; then all of them signed.
"""

from collections.abc import Mapping
from functools import lru_cache

from roadworthy.base.canonical import parse_json
from roadworthy.base.errors import MalformedEvidence, NotCanonical, SignatureBroken
from roadworthy.domain.people import Person, Producer
from roadworthy.ledger.dsse import envelope_from_bytes, verify
from roadworthy.ledger.keys import PublicKey
from roadworthy.ports.trust import Opened

_REMEMBERED = 4096


class LedgerTrust:
    """Trust in the keys on record.

    Args:
        people: by id.
        producers: by id.

    Raises:
        SignatureBroken: a registered key is not one (RW-502), with the id.
    """

    def __init__(self, people: Mapping[str, Person], producers: Mapping[str, Producer]) -> None:
        self._keys: dict[str, PublicKey] = {}
        self._owners: dict[str, set[str]] = {}
        owners: list[Person | Producer] = [*people.values(), *producers.values()]
        for owner in owners:
            key = _registered(owner)
            self._keys[key.keyid] = key
            self._owners.setdefault(key.keyid, set()).add(owner.id)
        # One decision opens an envelope several times; equal bytes give equal answers, so the first answer will do.
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._open)

    def open(self, body: bytes) -> Opened:
        """See ``ports.trust.Trust.open``."""
        return self._remembered(body)

    def _open(self, body: bytes) -> Opened:
        envelope = envelope_from_bytes(body)
        keyids = verify(envelope, self._keys)
        signers = sorted({owner for keyid in keyids for owner in self._owners[keyid]})
        try:
            payload = parse_json(envelope.payload)
        except NotCanonical as error:
            what = f"The payload of the envelope is not JSON: {error.what}"
            raise MalformedEvidence(what, remedy="Record it again with this version of Roadworthy.") from error
        return Opened(payload_type=envelope.payload_type, payload=payload, signers=tuple(signers))


def _registered(owner: Person | Producer) -> PublicKey:
    try:
        return PublicKey.from_hex(owner.public_key)
    except SignatureBroken as error:
        raise SignatureBroken(error.what, remedy=error.remedy, where=owner.id) from error
