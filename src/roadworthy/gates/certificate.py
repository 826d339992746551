"""The certificate and its revocation as in-toto statements. Owns both directions; keys and files belong to others.

The control plane signs what ``certificate_statement`` gives; a gateway reads it back with ``certificate_of``, offline.
Both go through this one module, so neither can come to mean something that the other does not.

Rules kept here:
1. The subject of a certificate is the release that it covers; the subject of a revocation is the id of the certificate.
2. What is read back is whole and possible, or it is refused: a member that is missing never means "no limit".
3. Nothing here looks at a clock: whether a certificate is in force is asked by whoever admits traffic.
"""

import math
from typing import Any, NamedTuple

from roadworthy.base.codec import from_json, to_json
from roadworthy.base.digest import is_digest, sha256_hex
from roadworthy.base.errors import MalformedEvidence
from roadworthy.domain.certificate import CERTIFICATE_TYPE, REVOCATION_TYPE, Certificate, Revocation

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

_PREFIX = "sha256:"
_REMEDY = "Ask the control plane to issue it again."
_CERTIFICATE_MEMBERS = frozenset(Certificate.__dataclass_fields__)
_CAPS_MEMBERS = frozenset({"cohorts", "data_scopes", "wave_share", "rate_rps"})


class StatementParts(NamedTuple):
    """What a statement is made of.

    Attributes:
        subjects: pairs of name and SHA-256 in hex, without prefix.
        predicate_type: the URI that says how to read the predicate.
        predicate: plain JSON members.
    """

    subjects: tuple[tuple[str, str], ...]
    predicate_type: str
    predicate: dict[str, Any]


def certificate_statement(certificate: Certificate) -> StatementParts:
    """The statement that the control plane signs.

    Raises:
        MalformedEvidence: the certificate is not possible, see ``certificate_of`` (RW-201).
    """
    _require_possible(certificate)
    subject = ("release", certificate.release_digest.removeprefix(_PREFIX))
    return StatementParts((subject,), CERTIFICATE_TYPE, to_json(certificate))


def certificate_of(payload: Any) -> Certificate:
    """Read a statement: 1. its form, 2. every member, 3. subject and content agree, 4. the content is possible.

    Args:
        payload: the whole statement as plain JSON, as ``Opened.payload`` holds it.

    Raises:
        MalformedEvidence: it is something else, lacks a member, or says something impossible (RW-201).
    """
    # 1
    predicate, digests = _parts(payload, CERTIFICATE_TYPE)
    # 2. A default would read a missing cap as no cap.
    caps = predicate.get("caps")
    missing = _CERTIFICATE_MEMBERS - set(predicate)
    missing |= _CAPS_MEMBERS - set(caps) if isinstance(caps, dict) else {"caps"}
    if missing:
        raise _malformed(f"The certificate lacks {sorted(missing)}.")
    certificate = from_json(Certificate, predicate)
    # 3
    if certificate.release_digest not in digests:
        raise _malformed("The subject of the statement is not the release that the certificate names.")
    # 4
    _require_possible(certificate)
    return certificate


def revocation_statement(revocation: Revocation) -> StatementParts:
    """The statement that the control plane signs to end a certificate.

    Raises:
        MalformedEvidence: it names no certificate or no reason (RW-201).
    """
    _require_named(revocation)
    subject = (revocation.certificate_id, sha256_hex(revocation.certificate_id.encode()))
    return StatementParts((subject,), REVOCATION_TYPE, to_json(revocation))


def revocation_of(payload: Any) -> Revocation:
    """Read the statement of a revocation.

    Args:
        payload: the whole statement as plain JSON.

    Raises:
        MalformedEvidence: it is something else, or its subject is not the certificate that it names (RW-201).
    """
    predicate, digests = _parts(payload, REVOCATION_TYPE)
    revocation = from_json(Revocation, predicate)
    _require_named(revocation)
    if _PREFIX + sha256_hex(revocation.certificate_id.encode()) not in digests:
        raise _malformed("The subject of the statement is not the certificate that the revocation names.")
    return revocation


def _parts(payload: Any, predicate_type: str) -> tuple[dict[str, Any], list[str | None]]:
    """The predicate, and the digests of the subjects with their prefix."""
    if not isinstance(payload, dict) or payload.get("_type") != STATEMENT_TYPE:
        raise _malformed("It is not an in-toto Statement v1.")
    if payload.get("predicateType") != predicate_type:
        raise _malformed(f"Its predicate type is {payload.get('predicateType')!r}, not {predicate_type}.")
    predicate, subjects = payload.get("predicate"), payload.get("subject")
    if not isinstance(predicate, dict) or not isinstance(subjects, list):
        raise _malformed("The statement lacks its predicate or its subject.")
    return predicate, [_digest(subject) for subject in subjects]


def _digest(subject: Any) -> str | None:
    digest = subject.get("digest") if isinstance(subject, dict) else None
    return f"{_PREFIX}{digest.get('sha256')}" if isinstance(digest, dict) else None


def _require_possible(certificate: Certificate) -> None:
    caps = certificate.caps
    if not certificate.id or not certificate.use_case_id:
        raise _malformed("The certificate has no id or names no use case.")
    if not is_digest(certificate.release_digest) or not is_digest(certificate.decision_digest):
        raise _malformed("The release and the decision of a certificate are named by their digests.")
    if not certificate.valid_from < certificate.valid_until:
        raise _malformed("The certificate ends before it begins.")
    # NaN, which stands for a null in JSON, fails both comparisons.
    if not 0.0 <= caps.wave_share <= 1.0:
        raise _malformed(f"The share of a wave is between 0 and 1, not {caps.wave_share}.")
    if caps.rate_rps is not None and not (caps.rate_rps > 0.0 and math.isfinite(caps.rate_rps)):
        raise _malformed(f"A rate is a number of requests a second above 0, not {caps.rate_rps}.")


def _require_named(revocation: Revocation) -> None:
    if not revocation.certificate_id or not revocation.reason.strip():
        raise _malformed("A revocation names its certificate and a reason.")


def _malformed(what: str) -> MalformedEvidence:
    return MalformedEvidence(what, remedy=_REMEDY)
