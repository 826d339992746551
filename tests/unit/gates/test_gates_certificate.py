"""Certificates and revocations as statements: both directions, and everything that must not be read."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from roadworthy.base.canonical import parse_canonical
from roadworthy.base.errors import MalformedEvidence
from roadworthy.domain.certificate import CERTIFICATE_TYPE, Caps, Certificate, Revocation
from roadworthy.domain.risk import Tier
from roadworthy.gates.certificate import certificate_of, certificate_statement, revocation_of, revocation_statement
from roadworthy.ledger.statement import STATEMENT_TYPE, statement

RELEASE, DECISION = "sha256:" + "a" * 64, "sha256:" + "b" * 64
CERTIFICATE = Certificate(
    id="cert-1",
    use_case_id="heart",
    release_digest=RELEASE,
    decision_digest=DECISION,
    gate_id="production",
    tier=Tier.R3,
    caps=Caps(cohorts=("ward-3",), data_scopes=("cardiology",), wave_share=0.25, rate_rps=12.5),
    obligations=("review every denial",),
    valid_from=datetime(2026, 11, 1, tzinfo=UTC),
    valid_until=datetime(2026, 12, 1, tzinfo=UTC),
    checkpoint="example.org/heart\n12\n",
)
REVOCATION = Revocation(certificate_id="cert-1", at=datetime(2026, 11, 20, tzinfo=UTC), reason="Drift was found.")


def payload_of(parts):
    return parse_canonical(statement(*parts))


def good():
    return payload_of(certificate_statement(CERTIFICATE))


def test_a_certificate_comes_back_as_it_was():
    """Through the bytes that are signed, with its release as the subject."""
    payload = good()
    assert certificate_of(payload) == CERTIFICATE
    assert payload["predicateType"] == CERTIFICATE_TYPE
    assert payload["subject"] == [{"name": "release", "digest": {"sha256": "a" * 64}}]
    free = replace(CERTIFICATE, caps=Caps(), obligations=())
    assert certificate_of(payload_of(certificate_statement(free))) == free


def test_a_revocation_comes_back_as_it_was():
    """Its subject is the digest of the certificate's id."""
    payload = payload_of(revocation_statement(REVOCATION))
    assert revocation_of(payload) == REVOCATION
    assert payload["subject"][0]["name"] == "cert-1"


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"use_case_id": ""},
        {"release_digest": "a" * 64},
        {"decision_digest": ""},
        {"valid_until": CERTIFICATE.valid_from},
        {"caps": Caps(wave_share=1.01)},
        {"caps": Caps(wave_share=-0.01)},
        {"caps": Caps(wave_share=float("nan"))},
        {"caps": Caps(rate_rps=0.0)},
        {"caps": Caps(rate_rps=float("inf"))},
        {"caps": Caps(rate_rps=float("nan"))},
    ],
)
def test_an_impossible_certificate_is_neither_written_nor_read(change):
    """What cannot be is refused in both directions."""
    with pytest.raises(MalformedEvidence):
        certificate_statement(replace(CERTIFICATE, **change))


@pytest.mark.parametrize(
    ("where", "name"),
    [
        *((("predicate",), name) for name in ("caps", "obligations", "valid_until", "id", "checkpoint")),
        *((("predicate", "caps"), name) for name in ("cohorts", "data_scopes", "wave_share", "rate_rps")),
    ],
)
def test_a_missing_member_is_no_default(where, name):
    """A cap that is not there is an error, not the absence of a limit."""
    payload = good()
    holder = payload
    for step in where:
        holder = holder[step]
    del holder[name]
    with pytest.raises(MalformedEvidence, match=name):
        certificate_of(payload)


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": "https://roadworthy.dev/revocation/v1"},
        {"predicate": []},
        {"subject": None},
        {"subject": []},
        {"subject": ["a" * 64]},
        {"subject": [{"name": "release", "digest": "a" * 64}]},
        {"subject": [{"name": "release", "digest": {"sha256": "c" * 64}}]},
    ],
)
def test_another_statement_is_no_certificate(change):
    """Type, predicate and subject each count."""
    with pytest.raises(MalformedEvidence):
        certificate_of(good() | change)


def test_what_is_no_object_is_no_certificate():
    """Text, lists and nothing are refused."""
    for payload in (None, "certificate", [STATEMENT_TYPE]):
        with pytest.raises(MalformedEvidence):
            certificate_of(payload)


def test_null_is_no_share():
    """JSON's null would be read as NaN, which no limit can be."""
    payload = good()
    payload["predicate"]["caps"]["wave_share"] = None
    with pytest.raises(MalformedEvidence, match="share"):
        certificate_of(payload)


def test_caps_that_are_no_object_are_refused():
    """They are told as a missing member."""
    payload = good()
    payload["predicate"]["caps"] = []
    with pytest.raises(MalformedEvidence, match="caps"):
        certificate_of(payload)


def test_a_revocation_of_another_certificate_is_refused():
    """Subject and content must agree, and both must say something."""
    payload = payload_of(revocation_statement(REVOCATION))
    payload["predicate"]["certificate_id"] = "cert-2"
    with pytest.raises(MalformedEvidence, match="subject"):
        revocation_of(payload)
    for change in ({"certificate_id": ""}, {"reason": " "}):
        with pytest.raises(MalformedEvidence):
            revocation_statement(replace(REVOCATION, **change))
