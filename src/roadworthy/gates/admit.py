"""Step 1 of a decision: which evidence may be looked at. Owns admission; what admitted evidence proves is ``state``'s.

Rules kept here:
1. An envelope counts only when a registered key signed it, and that key belongs to whom the evidence names.
2. The statement's subject is the release that the evidence speaks of.
3. Observing, producing and receiving are three different instants, in that order; none lies in the future. Between two
   machines five minutes are forgiven, within one nothing.
4. Nothing is dropped in silence: every envelope comes back, admitted or refused.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from roadworthy.base.errors import MalformedEvidence
from roadworthy.domain.certificate import CERTIFICATE_AUTHORITY
from roadworthy.domain.decision import Refused
from roadworthy.domain.evidence import PREDICATE_TYPE, STATEMENT_MEDIA_TYPE, Evidence, Sealed
from roadworthy.gates.envelope import SKEW, in_order, read_letter, refuse, stamp
from roadworthy.ports.trust import Trust

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_REMEDY = "Record it again with this version of Roadworthy."


class Admitted(NamedTuple):
    """Evidence that may be looked at."""

    sealed: Sealed
    evidence: Evidence
    signers: tuple[str, ...]


class Admission(NamedTuple):
    """Both parts in ledger order."""

    admitted: tuple[Admitted, ...]
    refused: tuple[Refused, ...]


def admit(sealed: Iterable[Sealed], trust: Trust, *, at: datetime, use_case_id: str) -> Admission:
    """Open every envelope and keep those that may count at ``at``.

    1. open the envelope and read the in-toto Statement v1 inside; 2. its subject is the release of the evidence; 3. it
    is about this use case; 4. whom it names signed it; 5. its instants are possible.

    Args:
        sealed: envelopes, in any order; one given twice counts once.
        trust: verifies signatures.
        at: the instant of the evaluation.
        use_case_id: whose evidence is wanted.
    """
    admitted: list[Admitted] = []
    refused: list[Refused] = []
    for each in in_order(set(sealed)):
        # 1, 2
        letter = read_letter(Evidence, each, trust, STATEMENT_MEDIA_TYPE, _predicate)
        if isinstance(letter, Refused):
            refused.append(letter)
            continue
        evidence = letter.content
        fault = _fault(evidence, letter.signers, use_case_id) or _date_fault(evidence, each.received_at, at)
        if fault is not None:
            refused.append(refuse(each, fault))
        else:
            admitted.append(Admitted(each, evidence, letter.signers))
    return Admission(tuple(admitted), tuple(refused))


def _predicate(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict) or payload.get("_type") != STATEMENT_TYPE:
        raise MalformedEvidence("it is not an in-toto Statement v1", remedy=_REMEDY)
    if payload.get("predicateType") != PREDICATE_TYPE:
        raise MalformedEvidence(f"its predicate type is {payload.get('predicateType')!r}", remedy=_REMEDY)
    predicate, subjects = payload.get("predicate"), payload.get("subject")
    if not isinstance(predicate, dict) or not isinstance(subjects, list):
        raise MalformedEvidence("the statement lacks its predicate or its subject", remedy=_REMEDY)
    # 2. Any of the subjects: a statement may name the environment beside the release.
    if predicate.get("release_digest") not in [_digest(subject) for subject in subjects]:
        raise MalformedEvidence("the statement's subject is not the release that the evidence names", remedy=_REMEDY)
    return predicate


def _digest(subject: Any) -> str | None:
    digest = subject.get("digest") if isinstance(subject, dict) else None
    return f"sha256:{digest.get('sha256')}" if isinstance(digest, dict) else None


def _fault(evidence: Evidence, signers: tuple[str, ...], use_case_id: str) -> str | None:
    # 3
    if evidence.use_case_id != use_case_id:
        return f"it is about the use case {evidence.use_case_id!r}"
    # 4
    named = evidence.producer if evidence.attestation is None else evidence.attestation.person_id
    if named not in signers:
        return f"it names {named!r}, but {', '.join(signers) or 'nobody'} signed it"
    if named == CERTIFICATE_AUTHORITY:
        return "it is signed by the key of certificates, which proves nothing about a system"
    return None


def _date_fault(evidence: Evidence, received_at: datetime, at: datetime) -> str | None:
    # 5. Differences of instants, never sums: a sum can leave the calendar.
    if not evidence.observed_from <= evidence.observed_until <= evidence.produced_at:
        return "it was produced before it was observed, or observed backwards"
    if evidence.produced_at - received_at > SKEW:
        return f"it is dated {stamp(evidence.produced_at)}, after it was received ({stamp(received_at)})"
    if evidence.observed_until - at > SKEW:
        return f"it was observed in the future ({stamp(evidence.observed_until)})"
    return None
